"""The device as the next draft will find it, asked while another is made or waits in the engine's memory."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.plan.device import Device, Held, probe_device


class Holdings:
    """Probes for whoever plans drafts beside an engine process.

    Args:
        busy: whether a draft is being made.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._held = Held()
        self._idle: dict[bool, Device] = {}  # as it was found last while nothing was made
        self._lock = threading.Lock()

    def keep(self, held: Held) -> None:
        """What the engine holds from now on; nothing when its process has ended."""
        with self._lock:
            self._held = held

    def probe(self, *, use_card: bool = True, folder: Path = Path()) -> Device:
        """As `probe_device`; what the engine holds counts as free, and while a draft is made all that was before it."""
        found = probe_device(use_card=use_card, folder=folder)
        with self._lock:
            device = found.without(self._held)
            before = self._idle.get(use_card)
            if not self._busy():
                self._idle[use_card] = device
            elif before is not None and before.name == device.name:
                device = replace(
                    device,
                    free_bytes=max(device.free_bytes, before.free_bytes),
                    ram_free_bytes=max(device.ram_free_bytes, before.ram_free_bytes),
                )
        return device

"""What this machine is: graphics card, its memory, main memory, disk. Asks the driver, never imports torch.

Probing costs a few milliseconds without an NVIDIA driver and about a tenth of a second with one.
"""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import psutil

DRIVER_TIMEOUT_SECONDS = 5
CARD_ORDER, DRIVER_ORDER = "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
LARGEST_CARD_BYTES = 2**42  # 4 TiB: a driver that says more is not believed


class DeviceKind(StrEnum):
    """Where tensors live."""

    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process that makes drafts keeps for the next one: free for that, though the system counts it as taken.

    `ram_bytes` are main memory's, on Apple's with what its graphics hold.
    """

    card_bytes: int = 0
    ram_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A place to compute. On the CPU `total_bytes` and `free_bytes` are main memory's, as `ram_*` always are.

    `supposed` tells that there is no such card here: it was asked what a draft would need on one.
    """

    kind: DeviceKind
    name: str
    total_bytes: int
    free_bytes: int
    ram_total_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int
    cores: int
    compute_capability: tuple[int, int] | None = None
    driver: str = ""
    supposed: bool = False

    @property
    def dtype(self) -> str:
        """`bfloat16` where the card computes in it (compute capability 8.0 and up), `float16` on older cards and on
        Apple's, `float32` on the CPU, where the miniature runs and half precision gains nothing."""
        if self.kind is DeviceKind.CUDA:
            return "bfloat16" if (self.compute_capability or (0, 0)) >= (8, 0) else "float16"
        return "float16" if self.kind is DeviceKind.MPS else "float32"

    def without(self, held: Held) -> "Device":
        """As the next draft finds it, which uses what is held or lets it go."""
        card_bytes = held.card_bytes if self.kind is DeviceKind.CUDA else held.ram_bytes
        return replace(
            self,
            free_bytes=min(self.total_bytes, self.free_bytes + card_bytes),
            ram_free_bytes=min(self.ram_total_bytes, self.ram_free_bytes + held.ram_bytes),
        )

    @property
    def bytes_per_weight(self) -> int:
        """Of `dtype`."""
        return 4 if self.dtype == "float32" else 2


def count_cards_alike() -> None:
    """Have CUDA count cards as nvidia-smi does, here and in processes that are begun from here, so that a plan is for
    the card that computes: by itself CUDA begins with the fastest. To be said before torch is loaded.

    Nothing where somebody has said how cards are to be counted.
    """
    if CARD_ORDER not in os.environ:
        os.environ[CARD_ORDER] = DRIVER_ORDER


def probe_device(*, use_card: bool = True, folder: Path = Path()) -> Device:
    """The first NVIDIA card, Apple's graphics on an M-series Mac, or the processor; without `use_card` the latter.

    `folder` names the disk that drafts go to; it need not exist.
    """
    return (_probe_cuda(folder) if use_card else None) or _probe_host(folder, use_card=use_card)


def suppose_card(gibibytes: float, folder: Path = Path()) -> Device:
    """A card that is not here, to ask what a draft would need on one: all of it free, in this machine's main memory."""
    memory = psutil.virtual_memory()
    return Device(
        kind=DeviceKind.CUDA,
        name=f"a supposed card with {gibibytes:g} GB",
        total_bytes=int(gibibytes * 2**30),
        free_bytes=int(gibibytes * 2**30),
        ram_total_bytes=memory.total,
        ram_free_bytes=memory.available,
        disk_free_bytes=_free_disk(folder),
        cores=os.cpu_count() or 1,
        compute_capability=(8, 6),  # of a GeForce RTX 3060, the commonest card with 12 GB
        supposed=True,
    )


def _probe_cuda(folder: Path) -> Device | None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1") or not (command := shutil.which("nvidia-smi")):
        return None
    fields = "name,memory.total,memory.free,compute_cap,driver_version"
    query = [command, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    if visible:
        query.append(f"--id={visible.split(',')[0]}")  # CUDA's first card is the first of these
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=DRIVER_TIMEOUT_SECONDS, check=True)
        name, total, free, capability, driver = (part.strip() for part in answer.stdout.splitlines()[0].split(","))
        major, minor = capability.split(".")
        total_bytes, free_bytes = int(total) * 2**20, int(free) * 2**20
        if not 0 <= free_bytes <= total_bytes <= LARGEST_CARD_BYTES or not total_bytes:
            return None
        memory = psutil.virtual_memory()
        return Device(
            kind=DeviceKind.CUDA,
            name=name,
            total_bytes=total_bytes,
            free_bytes=free_bytes,
            ram_total_bytes=memory.total,
            ram_free_bytes=memory.available,
            disk_free_bytes=_free_disk(folder),
            cores=os.cpu_count() or 1,
            compute_capability=(int(major), int(minor)),
            driver=driver,
        )
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # a driver that does not answer, or answers nonsense, is no card


def _probe_host(folder: Path, *, use_card: bool) -> Device:
    memory = psutil.virtual_memory()
    apple = use_card and platform.system() == "Darwin" and platform.machine() == "arm64"
    return Device(
        kind=DeviceKind.MPS if apple else DeviceKind.CPU,
        name="Apple graphics" if apple else f"CPU, {os.cpu_count()} cores",
        total_bytes=memory.total,
        free_bytes=memory.available,
        ram_total_bytes=memory.total,
        ram_free_bytes=memory.available,
        disk_free_bytes=_free_disk(folder),
        cores=os.cpu_count() or 1,
    )


def _free_disk(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not exist yet."""
    there = folder.resolve()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free

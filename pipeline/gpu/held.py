"""What this process holds of device and main memory between drafts: the next draft uses it, or lets it go first."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.plan.device import Device, DeviceKind, Held


def held_here(device: Device, modules: Iterable[nn.Module]) -> Held:
    """What `modules`, which wait for the next draft, and torch's own caches keep from other programs."""
    waiting_bytes = _waiting_bytes(modules)
    if device.kind is DeviceKind.CUDA:
        return Held(card_bytes=torch.cuda.memory_reserved(), ram_bytes=waiting_bytes)
    if device.kind is DeviceKind.MPS:
        return Held(ram_bytes=waiting_bytes + torch.mps.driver_allocated_memory())
    return Held(ram_bytes=waiting_bytes)


def _waiting_bytes(modules: Iterable[nn.Module]) -> int:
    """Main memory of weights that were converted or page-locked.

    Those that lie in the pages of a checkpoint's file as they are keep nothing from anybody: the system takes such
    pages back. Where it does not tell which these are, as Linux does, only what is page-locked is counted.
    """
    mapped = _mapped_files() if sys.platform == "linux" else None
    found = dict[int, int]()
    for tensor in _tensors(modules):
        if tensor.device.type != "cpu":
            continue
        storage = tensor.untyped_storage()
        own = tensor.is_pinned() if mapped is None else not _within(mapped, storage.data_ptr())
        if own:
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def _tensors(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Parameters and buffers; of a quantized one the plain tensors that it is made of."""
    for module in modules:
        rest: list[Tensor] = [*module.parameters(), *module.buffers()]
        while rest:
            tensor = rest.pop()
            if hasattr(tensor, "__tensor_flatten__"):
                rest += [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
            else:
                yield tensor


def _mapped_files() -> list[tuple[int, int]]:
    """Where checkpoint files lie in this process's memory: first and last address, in their order."""
    found = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.endswith((".safetensors", ".safetensors (deleted)")):
            start, _, stop = line.partition(" ")[0].partition("-")
            found.append((int(start, 16), int(stop, 16)))
    return sorted(found)


def _within(ranges: list[tuple[int, int]], address: int) -> bool:
    index = bisect_right(ranges, (address, sys.maxsize)) - 1
    return index >= 0 and address < ranges[index][1]

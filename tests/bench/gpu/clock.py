"""What is read off a card: its memory, and the time when it is done. On the processor, resident memory and the time."""

import gc
import time
from pathlib import Path

import torch

from pipeline.plan.device import Device, DeviceKind


def hold_to(device: Device, most_bytes: int) -> None:
    """Refuse this process more of the card's memory than `most_bytes`, as a smaller card would; its context aside."""
    if device.kind is DeviceKind.CUDA:
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, most_bytes / total))


def begin_stage(device: Device) -> None:
    """Give back what nobody holds, and count the peaks from here."""
    settle(device)
    gc.collect()
    if device.kind is DeviceKind.CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def settle(device: Device) -> None:
    """Wait until the device has done all it was asked for."""
    if device.kind is DeviceKind.CUDA:
        torch.cuda.synchronize()


def live_peak_bytes(device: Device) -> int:
    """Most that tensors held since the stage began; 0 where that is not known."""
    return torch.cuda.max_memory_allocated() if device.kind is DeviceKind.CUDA else 0


def context_bytes(device: Device) -> int:
    """What the card holds besides tensors: this process's context, and whatever else is on it."""
    if device.kind is not DeviceKind.CUDA:
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()


def host_peak_bytes() -> int:
    """Most main memory this process has had resident, as the kernel counts it; 0 where it does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def pinned_peak_bytes(device: Device) -> int:
    """Most page-locked main memory torch's allocator held, a part of the resident; 0 where torch does not say."""
    if device.kind is not DeviceKind.CUDA or not hasattr(torch.cuda, "host_memory_stats"):
        return 0
    return int(torch.cuda.host_memory_stats().get("allocated_bytes.peak", 0))


class Laps:
    """Seconds between calls of `lap`, each once the device is done."""

    def __init__(self, device: Device) -> None:
        self.seconds: list[float] = []
        self._device = device
        settle(device)
        self._last = time.perf_counter()

    def lap(self) -> None:
        """One more."""
        settle(self._device)
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now

    @property
    def shortest(self) -> float:
        """After the first, which loads and warms up."""
        return min(self.seconds[1:])

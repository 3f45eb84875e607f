"""How fast a device really is: one large matrix product, one copy to the card, one file read. A few seconds in all."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pipeline.gpu.backend import is_out_of_memory, torch_device, torch_dtype
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.rates import Rates, guess_rates

# Sides of the square products, in turn, the best rate counts: large ones fill a card, and small ones already take
# longer than a person waits on a card without 16-bit arithmetic.
SIDES = {DeviceKind.CUDA: (2048, 4096, 8192), DeviceKind.MPS: (2048, 4096), DeviceKind.CPU: (1024, 2048)}
LONGEST_PRODUCT_SECONDS = 0.2  # beyond it the next side, eight times the work, is not tried
PRODUCTS_SECONDS = 0.5  # of repeating one product
FEWEST_PRODUCTS = 2
COPY_BYTES = 2**28  # of pinned memory: 256 MiB, 10 to 25 ms on PCIe 4 x16 or 3 x16
COPIES = 5
FILE_BYTES = 2**28  # 256 MiB, as a shard of weights is read
LEAST_FILE_BYTES = 2**24  # less says more about opening a file than about reading it
PIECE_BYTES = 2**23  # of writing and reading at a time
FREE_DISK_SHARE = 4  # of the free disk at most a quarter is filled for the moment
DISK_SECONDS = 2.0  # of writing, and again of reading: a slow disk is measured with less


def measure_rates(device: Device, folder: Path) -> Rates:
    """Measure a device, and the disk that `folder` is on; what cannot be measured there keeps its guess.

    Nothing stays behind in `folder`, which is made if missing.

    Raises:
        RuntimeError, AssertionError: from torch, when it cannot compute on the device at all.
        ValueError: for a supposed device.
    """
    if device.supposed:
        raise ValueError(f"{device.name} is not there to be measured")
    guess = guess_rates(device)
    try:
        bus = _bus_bytes_per_second(device)
    except RuntimeError:  # no memory can be pinned, or the card is full
        bus = None
    return Rates(
        operations_per_second=_operations_per_second(device),
        bus_bytes_per_second=bus or guess.bus_bytes_per_second,
        disk_bytes_per_second=_disk_bytes_per_second(folder) or guess.disk_bytes_per_second,
        measured=True,
    )


def _operations_per_second(device: Device) -> float:
    """Of the fastest product there is room for, in the precision the device computes in."""
    best = 0.0
    for side in SIDES[device.kind]:
        try:
            seconds = _product_seconds(device, side)
        except (RuntimeError, MemoryError) as error:
            if not best or not is_out_of_memory(error):
                raise
            break
        best = max(best, 2 * side**3 / seconds)
        if seconds > LONGEST_PRODUCT_SECONDS:
            break
    if device.kind is DeviceKind.CUDA:
        torch.cuda.empty_cache()
    return best


@torch.inference_mode()
def _product_seconds(device: Device, side: int) -> float:
    """The shortest of some products of two square matrices, after one that warms up."""
    place, dtype = torch_device(device), torch_dtype(device)
    dice = torch.Generator(place).manual_seed(0)  # noise: multiplying zeros draws less power, and flatters
    left, right = (torch.randn(side, side, device=place, dtype=dtype, generator=dice) for _ in range(2))
    product = torch.empty_like(left)

    def multiply() -> Tensor:
        return torch.mm(left, right, out=product)

    _seconds_of(multiply, device)
    taken, until = list[float](), time.perf_counter() + PRODUCTS_SECONDS
    while len(taken) < FEWEST_PRODUCTS or time.perf_counter() < until:
        taken.append(_seconds_of(multiply, device))
    return min(taken)


def _bus_bytes_per_second(device: Device) -> float | None:
    """From pinned main memory to the card; None where there is no bus between the two."""
    if device.kind is not DeviceKind.CUDA:
        return None
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8).pin_memory()
    target = torch.empty_like(source, device=torch_device(device))
    taken = [_seconds_of(lambda: target.copy_(source, non_blocking=True), device) for _ in range(COPIES)]
    return COPY_BYTES / min(taken)


def _seconds_of(work: Callable[[], Tensor], device: Device) -> float:
    """How long the device is busy with it; on a card by its own clock."""
    if device.kind is DeviceKind.CUDA:
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        ended.synchronize()
        return float(began.elapsed_time(ended)) / 1e3
    start = time.perf_counter()
    work()
    if device.kind is DeviceKind.MPS:
        torch.mps.synchronize()
    return time.perf_counter() - start


def _disk_bytes_per_second(folder: Path) -> float | None:
    """Of a file that was written and forgotten by the page cache; None where the system cannot be made to forget it,
    where the disk is nearly full or refuses.

    The file has no name while it exists (`O_TMPFILE`, or unlinked once open), so it is gone however this ends.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = min(FILE_BYTES, shutil.disk_usage(folder).free // FREE_DISK_SHARE)
        if room < LEAST_FILE_BYTES:
            return None
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            piece, written = os.urandom(PIECE_BYTES), 0  # a disk that compresses gains nothing
            until = time.perf_counter() + DISK_SECONDS
            while written < room and (written < LEAST_FILE_BYTES or time.perf_counter() < until):
                written += file.write(piece)
                os.fsync(file.fileno())  # each piece, else a slow disk's time is only known when all is written
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            buffer, read, seconds, start = bytearray(PIECE_BYTES), 0, 0.0, time.perf_counter()
            while seconds < DISK_SECONDS and (count := file.readinto(buffer)):
                read += count
                seconds = time.perf_counter() - start
            return read / seconds if read else None
    except OSError:
        return None

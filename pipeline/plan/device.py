"""What this machine is: graphics card, its memory, main memory. Asks the driver, never imports torch.

Probing costs a few milliseconds without an NVIDIA driver and about a tenth of a second with one.
"""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum

import psutil

DRIVER_TIMEOUT_SECONDS = 5


class DeviceKind(StrEnum):
    """Where tensors live."""

    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A place to compute. On the CPU `total_bytes` and `free_bytes` are main memory's."""

    kind: DeviceKind
    name: str
    total_bytes: int
    free_bytes: int
    cores: int
    compute_capability: tuple[int, int] | None = None

    @property
    def dtype(self) -> str:
        """`bfloat16` where the card computes in it (compute capability 8.0 and up), `float16` on older cards and on
        Apple's, `float32` on the CPU, where the miniature runs and half precision gains nothing."""
        if self.kind is DeviceKind.CUDA:
            return "bfloat16" if (self.compute_capability or (0, 0)) >= (8, 0) else "float16"
        return "float16" if self.kind is DeviceKind.MPS else "float32"

    @property
    def bytes_per_weight(self) -> int:
        """Of `dtype`."""
        return 4 if self.dtype == "float32" else 2


def probe_device(*, use_card: bool = True) -> Device:
    """The first NVIDIA card, Apple's graphics on an M-series Mac, or the processor; without `use_card` the latter."""
    return (_probe_cuda() if use_card else None) or _probe_host(use_card=use_card)


def _probe_cuda() -> Device | None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1") or not (command := shutil.which("nvidia-smi")):
        return None
    query = [command, "--query-gpu=name,memory.total,memory.free,compute_cap", "--format=csv,noheader,nounits"]
    if visible:
        query.append(f"--id={visible.split(',')[0]}")  # CUDA's first card is the first of these
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=DRIVER_TIMEOUT_SECONDS, check=True)
        name, total, free, capability = (part.strip() for part in answer.stdout.splitlines()[0].split(","))
        major, minor = capability.split(".")
        return Device(
            kind=DeviceKind.CUDA,
            name=name,
            total_bytes=int(total) * 2**20,
            free_bytes=int(free) * 2**20,
            cores=os.cpu_count() or 1,
            compute_capability=(int(major), int(minor)),
        )
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # a driver that does not answer, or answers nonsense, is no card


def _probe_host(*, use_card: bool) -> Device:
    memory = psutil.virtual_memory()
    apple = use_card and platform.system() == "Darwin" and platform.machine() == "arm64"
    return Device(
        kind=DeviceKind.MPS if apple else DeviceKind.CPU,
        name="Apple graphics" if apple else f"CPU, {os.cpu_count()} cores",
        total_bytes=memory.total,
        free_bytes=memory.available,
        cores=os.cpu_count() or 1,
    )

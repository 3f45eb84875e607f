"""What torch calls a device: where it is, what it computes in, how much it holds, and how it says that it is full."""

import ctypes
import errno
import re
from contextlib import suppress

import psutil
import torch

from pipeline.plan.device import Device, DeviceKind

SPELLINGS = (
    "out of memory",  # CUDA, HIP, XPU and MPS ("MPS backend out of memory"), with or without "error:"
    "cuda_error_out_of_memory",  # the driver's name, from compiled kernels
    "_alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED, CUFFT and CUSPARSE alike
    "when calling `cublascreate",  # CUBLAS_STATUS_NOT_INITIALIZED: no room for cuBLAS' own workspace
    "can't allocate memory",  # DefaultCPUAllocator on Linux and macOS
    "not enough memory",  # DefaultCPUAllocator on Windows
    "cannot allocate memory",  # mmap of a file of weights
    "failed to allocate",  # oneDNN and Metal buffers
    "hiperroroutofmemory",
)
"""How the libraries below torch say that memory ran out, in lower case."""

LOST = (
    "an illegal memory access was encountered",
    "an illegal instruction was encountered",
    "misaligned address",
    "operation not supported on global/shared address space",
    "invalid program counter",
    "hardware stack error",
    "device-side assert triggered",
    "unspecified launch failure",
    "the launch timed out and was terminated",
    "uncorrectable ecc error encountered",
    "uncorrectable nvlink error detected",
    "unknown error",
)
"""What CUDA says, in lower case, where "the process must be terminated and relaunched": every later call says it again
(CUDA Runtime API, cudaError; HIP has the same texts)."""
DEVICE_ERROR = re.compile(r"(cuda|hip) (driver )?error: ")

M_ARENA_MAX = -8  # malloc.h of glibc


def keep_one_heap() -> None:
    """Have all threads that follow share one heap of glibc's; elsewhere nothing is done.

    Each of its usual heaps keeps what it once held, so that memory grows from chunk to chunk; in one it does not
    (the miniature: tests/bench/README.md).
    """
    with suppress(OSError, AttributeError, TypeError):  # no glibc; Windows cannot even be asked
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def torch_device(device: Device) -> torch.device:
    """Where tensors of this device live."""
    return torch.device(device.kind.value)


def torch_dtype(device: Device) -> torch.dtype:
    """The precision components compute in."""
    return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[device.dtype]


def peak_bytes(device: Device) -> int:
    """Most memory this process has held on the device so far; on the CPU its resident memory now."""
    if device.kind is DeviceKind.CUDA:
        return int(torch.cuda.max_memory_reserved())
    return int(psutil.Process().memory_info().rss)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the many spellings; not whether its words happen to sound like it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(spelling in text for spelling in SPELLINGS)


def is_device_lost(error: BaseException) -> bool:
    """Whether nothing can be computed on the device any more by this process, though perhaps by the next."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and bool(DEVICE_ERROR.search(text)) and any(said in text for said in LOST)

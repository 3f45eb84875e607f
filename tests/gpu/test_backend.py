"""Where torch computes, in which precision, and how it says that there is no more memory."""

import ctypes
import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.gpu.backend import is_device_lost, is_out_of_memory, peak_bytes, torch_device, torch_dtype
from pipeline.plan.device import DeviceKind
from tests.conftest import DeviceMaker

CPU_ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4398046511104 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY"),
        RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("HIP error: hipErrorOutOfMemory"),
        RuntimeError("XPU out of memory. Tried to allocate 2.00 GiB."),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(CPU_ALLOCATOR),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4398046511104 bytes."),
        RuntimeError("unable to mmap 5368709120 bytes from file <x.safetensors>: Cannot allocate memory (12)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: str(error)[:40] or type(error).__name__,
)
@pytest.mark.fault(4)
def test_every_spelling_of_out_of_memory_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_what_torch_says_itself_when_it_cannot_allocate_is_known() -> None:
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(told.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not match"),
        ValueError("memory"),
        ValueError("the sentence says: out of memory"),
        KeyError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSetStream(handle, stream)`"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=repr,
)
@pytest.mark.fault(4)
def test_other_errors_are_other_errors(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported later.",
        "CUDA error: unspecified launch failure",
        "CUDA error: device-side assert triggered",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA driver error: unknown error",
        "HIP error: an illegal memory access was encountered",
    ],
)
def test_what_a_device_does_not_get_over_is_known(said: str) -> None:
    assert is_device_lost(RuntimeError(said))
    assert not is_out_of_memory(RuntimeError(said))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: invalid argument"),
        RuntimeError("unknown error"),
        RuntimeError("shapes do not match"),
        ValueError("CUDA error: unspecified launch failure"),
    ],
    ids=repr,
)
def test_after_other_errors_the_next_draft_is_made_by_the_same_process(error: Exception) -> None:
    assert not is_device_lost(error)


def test_precision_and_place_follow_the_device(make_device: DeviceMaker) -> None:
    old = make_device(kind=DeviceKind.CUDA, compute_capability=(7, 5))
    new = make_device(kind=DeviceKind.CUDA, compute_capability=(8, 9))
    assert [torch_dtype(device) for device in (make_device(), old, new)] == [
        torch.float32,
        torch.float16,
        torch.bfloat16,
    ]
    assert [torch_device(device).type for device in (make_device(), new)] == ["cpu", "cuda"]


def test_memory_in_use_is_this_process_s_own(make_device: DeviceMaker) -> None:
    before = peak_bytes(make_device())
    block = torch.ones(2**27)  # 512 MiB
    assert peak_bytes(make_device()) - before > 2**28
    del block


HEAPS = """
import ctypes, sys, threading
from pipeline.gpu.backend import keep_one_heap

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = ctypes.c_int, ctypes.c_void_p
libc.fclose.argtypes = (ctypes.c_void_p,)
if sys.argv[1] == "one":
    keep_one_heap()
everybody = threading.Barrier(4)

def allocate():
    everybody.wait()
    for _ in range(100):
        libc.malloc(1000)
    everybody.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
told = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, told)
libc.fclose(told)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="no glibc")
def test_threads_that_follow_share_one_heap(tmp_path: Path) -> None:
    counts = {}
    for how in ("one", "many"):
        told = tmp_path / how
        subprocess.run([sys.executable, "-c", HEAPS, how, str(told)], check=True, timeout=120)
        counts[how] = told.read_text(encoding="utf-8").count("<heap ")
    assert counts["one"] < counts["many"]

"""On the device for the length of a block, and gone after it; every spelling of "out of memory" is one error."""

import gc
import weakref
from contextlib import suppress

import pytest
import torch
from torch import nn

from pipeline.errors import OutOfMemory, StopRequested
from pipeline.gpu.residency import on_device, peak_bytes, torch_device, torch_dtype
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import Stage
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
        RuntimeError(CPU_ALLOCATOR),
    ],
    ids=["torch", "python", "driver", "apple", "cublas", "processor"],
)
def test_every_spelling_of_out_of_memory_is_ours(make_device: DeviceMaker, error: Exception) -> None:
    with (
        pytest.raises(OutOfMemory, match=r"busy with decode\..*smaller") as told,
        on_device(lambda: nn.Linear(1, 1), Stage.DECODE, make_device()),
    ):
        raise error
    assert told.value.stage == Stage.DECODE
    assert told.value.__cause__ is error


def test_a_component_that_is_itself_too_large_is_out_of_memory_too(make_device: DeviceMaker) -> None:
    def load() -> nn.Module:
        raise MemoryError

    with pytest.raises(OutOfMemory), on_device(load, Stage.ENCODE, make_device()):
        pytest.fail("nothing was loaded")


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("memory"), StopRequested()], ids=repr
)
def test_other_errors_pass_as_they_are(make_device: DeviceMaker, error: Exception) -> None:
    with (
        pytest.raises(type(error)) as told,
        on_device(lambda: nn.Linear(1, 1), Stage.DENOISE, make_device()),
    ):
        raise error
    assert told.value is error


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_a_component_that_nobody_keeps_is_gone_after_the_block(make_device: DeviceMaker, fails: bool) -> None:
    seen: list[weakref.ref[nn.Module]] = []

    def use() -> None:
        with on_device(lambda: nn.Linear(4, 4), Stage.DENOISE, make_device()) as module:
            seen.append(weakref.ref(module))
            if fails:
                raise ValueError

    gc.disable()  # what is gone is gone by itself, not at the collector's leisure
    try:
        with suppress(ValueError):
            use()
        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_component_that_is_kept_comes_back_untouched(make_device: DeviceMaker) -> None:
    kept = nn.Linear(4, 4)
    for _ in range(2):
        with on_device(lambda: kept, Stage.DENOISE, make_device()) as module:
            assert module is kept
    assert kept.weight.device.type == "cpu"


def test_components_do_not_learn(make_device: DeviceMaker) -> None:
    with on_device(lambda: nn.Dropout().train(), Stage.DENOISE, make_device()) as module:
        assert not module.training


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


@pytest.mark.gpu
def test_a_card_is_as_empty_after_the_block_as_before(make_device: DeviceMaker) -> None:
    card = make_device(kind=DeviceKind.CUDA)
    before = torch.cuda.memory_allocated()
    kept = nn.Linear(1024, 1024)
    with on_device(lambda: kept, Stage.DENOISE, card) as module:
        assert next(module.parameters()).is_cuda
        assert torch.cuda.memory_allocated() >= before + 2**22
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.memory_reserved() <= before

"""The only way on and off the device: `with on_device(component)`. One component at a time; memory is given back.

Also the only place that turns the many spellings of "out of memory" into ours.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import nn

from pipeline.errors import ModelUnavailable, OutOfMemory
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.placement import Choice


def torch_device(device: Device) -> torch.device:
    """Where tensors of this device live."""
    return torch.device(device.kind.value)


def torch_dtype(device: Device) -> torch.dtype:
    """The precision components are loaded in."""
    return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[device.dtype]


@contextmanager
def on_device(load: Callable[[], nn.Module], stage: Stage, device: Device) -> Iterator[nn.Module]:
    """Load a component, have it on the device for the length of the block, let go of it.

    Args:
        load: opens the component; what it keeps for next time, if anything, it keeps off the card.
        stage: for the error.
        device: where to.

    Raises:
        OutOfMemory: when the device has no room for the component or for what is done with it.
    """
    module: nn.Module | None = None
    try:
        module = load().to(torch_device(device)).eval()
        yield module
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(stage, "Make the picture smaller or the chunks shorter.") from error
    finally:
        if module is not None and device.kind is not DeviceKind.CPU:
            module.to("cpu")
        del module
        gc.collect(generation=0)
        if device.kind is DeviceKind.CUDA:
            torch.cuda.empty_cache()


def check_choice(choice: Choice, device: Device) -> None:
    """Refuse a way of running a stage that this version cannot carry out. Raises ModelUnavailable."""
    if choice.placement is Placement.STREAMED or choice.precision != device.dtype or not choice.parked:
        raise ModelUnavailable(
            choice.stage,
            f"The plan runs {choice.name}, which this version only plans.",
            "Choose a profile with more memory, or a smaller model.",
        )


def peak_bytes(device: Device) -> int:
    """Most memory this process has held on the device so far; on the CPU its resident memory now."""
    if device.kind is DeviceKind.CUDA:
        return int(torch.cuda.max_memory_reserved())
    return int(psutil.Process().memory_info().rss)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the many spellings."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "alloc_failed" in text

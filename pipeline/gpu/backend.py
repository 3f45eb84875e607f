"""What torch calls a device: where it is, what it computes in, how much it holds, and how it says that it is full."""

import psutil
import torch

from pipeline.plan.device import Device, DeviceKind


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
    """Whether an error is one of the many spellings."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "alloc_failed" in text

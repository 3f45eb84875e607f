"""Which attention kernel a transformer uses: the fastest exact one that is installed and takes what it is given.

Torch's own fused kernel is always there. FlashAttention's packages are faster on the cards they are made for and
compute the same to rounding; kernels that quantize are not considered. None of them takes a mask, so they are only
given to self-attention, which has none in these families and is nearly all of the work: cross-attention keeps torch's.
"""

from typing import Any

from diffusers.models import attention_dispatch
from torch import nn

from pipeline.plan.device import Device, DeviceKind

SELF_ATTENTION = "attn1"  # what diffusers calls it in every video transformer


def choose_attention(device: Device) -> str | None:
    """diffusers' name of the kernel for self-attention on a device; None for torch's own.

    FlashAttention 3 is for Hopper (compute capability 9.x), FlashAttention 2 for 8.0 and newer; both want 16 bits
    (their READMEs, github.com/Dao-AILab/flash-attention).
    """
    capability = device.compute_capability or (0, 0)
    if device.kind is not DeviceKind.CUDA or device.dtype == "float32" or capability < (8, 0):
        return None
    if capability[0] == 9 and attention_dispatch._CAN_USE_FLASH_ATTN_3:
        return "_flash_3"
    return "flash" if attention_dispatch._CAN_USE_FLASH_ATTN else None


def set_attention(transformer: nn.Module, device: Device) -> nn.Module:
    """Have a transformer's self-attention use the chosen kernel; one that wants a kernel of its own keeps it."""
    kernel = choose_attention(device)
    if kernel is None:
        return transformer
    for name, module in transformer.named_modules():
        processor: Any = getattr(module, "processor", None)
        if name.rpartition(".")[2] == SELF_ATTENTION and getattr(processor, "_attention_backend", "") is None:
            processor._attention_backend = attention_dispatch.AttentionBackendName(kernel)
    return transformer

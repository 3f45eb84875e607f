"""Weights that pass through the device a block at a time: transformers from main memory, text encoders from the disk.

Transformers by diffusers' group offloading, the next block arriving while one computes; text encoders, which are read
once, by accelerate's hooks, straight from the checkpoint's files.
"""

import logging
from collections.abc import Mapping
from functools import cache

import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from accelerate.utils import OffloadedWeightsLoader, PrefixedDataset
from diffusers.hooks import apply_group_offloading
from torch import Tensor, nn

from pipeline.gpu.loading import Checkpoint, tie_words
from pipeline.plan.networks import Network
from pipeline.plan.spec import Component

logger = logging.getLogger(__name__)

# Page-locked memory is handed out in powers of two, up to twice what is asked for, unless told otherwise
# (pytorch/pytorch#150517); from 1 MiB on exactly, and given back at once.
EXACT_PINNING = "pinned_max_round_threshold_mb:1,pinned_max_cached_size_mb:1"


def stream_blocks(module: nn.Module, place: torch.device) -> nn.Module:
    """Keep a module's blocks in main memory, page-locked on CUDA, and bring each to `place` just before it computes.

    Everything outside its blocks comes with each pass and leaves after it. The hooks stay with the module.
    """
    streams = place.type == "cuda"
    exact = streams and _pins_exactly()
    if exact:  # one by one: group offloading would make all copies before it lets go of the first original
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.pin_memory()
    apply_group_offloading(
        module,
        onload_device=place,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=streams,
        low_cpu_mem_usage=streams and not exact,
    )
    return module


def open_streamed_encoder(
    checkpoint: Checkpoint, component: Component, network: Network, dtype: torch.dtype, place: torch.device
) -> nn.Module:
    """A text encoder that reads each block from the checkpoint's files when it computes, and forgets it after.

    Its table of words stays in main memory: words are looked up there and their rows move.
    """
    module = checkpoint.describe(component)
    names = [name for name, _ in module.named_parameters()]
    where = checkpoint.weights(component, names)
    inside = f"{network.block_list}."
    for name, stored in checkpoint.tensors(component, (name for name in names if not name.startswith(inside))):
        owner, _, own = name.rpartition(".")
        part = module.get_submodule(owner)
        there = "cpu" if isinstance(part, nn.Embedding) else place
        tensor = stored.to(there, checkpoint.stored_dtype(component, name, dtype))
        setattr(part, own, nn.Parameter(tensor, requires_grad=False))
    tie_words(module)
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding) and not name.startswith(inside):
            _look_up_in_main_memory(part, place)
    index = {
        name: {
            "safetensors_file": str(where[name].file),
            "weight_name": where[name].name,
            "dtype": str(checkpoint.stored_dtype(component, name, dtype)).removeprefix("torch."),
        }
        for name in names
    }
    loader = OffloadedWeightsLoader(index=index)
    for number, block in module.get_submodule(network.block_list).named_children():
        for name, weight in block.named_parameters():  # else accelerate casts what it reads to the outline's precision
            weight.data = weight.data.to(checkpoint.stored_dtype(component, name, dtype))
        weights: Mapping[str, Tensor] = PrefixedDataset(loader, f"{inside}{number}.")
        hook = AlignDevicesHook(execution_device=place, offload=True, weights_map=weights, place_submodules=True)
        add_hook_to_module(block, hook)
    return module


def _look_up_in_main_memory(table: nn.Module, place: torch.device) -> None:
    table.register_forward_pre_hook(lambda _, inputs: tuple(ids.cpu() for ids in inputs))
    table.register_forward_hook(lambda _module, _inputs, rows: rows.to(place))


@cache
def _pins_exactly() -> bool:
    """Whether torch can be told to page-lock no more than what is asked for; it is, once, beside what somebody said."""
    try:
        said = torch._C._accelerator_getAllocatorSettings()
        torch._C._accelerator_setAllocatorSettings(f"{said},{EXACT_PINNING}".lstrip(","))
        return True
    except (AttributeError, RuntimeError, ValueError):  # before torch 2.10 or so; ValueError where it knows other keys
        logger.info("weights are page-locked as they move: this torch would take up to twice their memory")
        return False

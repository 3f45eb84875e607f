"""What a sampler remembers from one step to the next, to be kept and put back.

Euler's knows only where it is. UniPC is a multistep sampler: it corrects each step by what was predicted in those
before, so these go with it. One that draws noise is given a generator, which is kept, too.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.models.base import SamplingState

REMEMBERED = ("_step_index", "this_order", "lower_order_nums", "last_sample", "model_outputs", "timestep_list")
"""What diffusers' schedulers change in `step`: FlowMatchEuler and FlowMapEuler the first, UniPC all."""
GENERATOR = "generator"


def capture(scheduler: Any, step: int, *, generator: torch.Generator | None = None, **tensors: Tensor) -> SamplingState:
    """What goes on from here, copied to the CPU.

    Args:
        step: how many are done.
        generator: where the scheduler draws noise from it.
        tensors: the family's own, latents first of all; no name of REMEMBERED.
    """
    kept = dict(tensors)
    for name in REMEMBERED:
        value = getattr(scheduler, name, None)
        entries = {f"{name}.{place}": entry for place, entry in enumerate(value)} if isinstance(value, list) else {}
        kept |= {key: torch.as_tensor(entry) for key, entry in (entries or {name: value}).items() if entry is not None}
    if generator is not None:
        kept[GENERATOR] = generator.get_state()
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in kept.items()}
    return SamplingState(step=step, tensors=copies)


def put_back(scheduler: Any, state: SamplingState, where: torch.device) -> None:
    """Have a scheduler that was set to the same steps go on from there; its tensors are put on `where`."""
    for key, tensor in state.tensors.items():
        name, _, place = key.partition(".")
        if name not in REMEMBERED:
            continue
        if place:
            getattr(scheduler, name)[int(place)] = tensor.to(where)
        else:
            setattr(scheduler, name, tensor.to(where) if tensor.dim() else int(tensor))

"""A LoRA: a small change to each of many weights, added to them as they are read.

It is added in float32 before anything else happens to a weight, so that neither streaming nor quantization has to know
of it. Only Wan's are read, under the names that their trainers give; diffusers' own conversion tells which is which.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_wan_lora_to_diffusers as convert_names
from safetensors import safe_open
from torch import Tensor

from pipeline.errors import ModelUnavailable
from pipeline.gpu.tensors import INSTALL, Stored, list_tensors, read_tensor, refusals

ALPHA = ".alpha"
FACTORS = (".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True, slots=True)
class Change:
    """To one weight: `scale` up @ down is added, of [out, rank] and [rank, in]."""

    model: str
    down: Stored
    up: Stored
    scale: float

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether it can be added to a weight of that shape."""
        inside = self.up.shape[1:] == self.down.shape[:1]
        return inside and shape == (*self.up.shape[:1], *self.down.shape[1:])

    def add_to(self, weight: Tensor) -> Tensor:
        """The changed weight in float32, where the weight is."""
        down, up = (read_tensor(self.model, part, str(weight.device)).float() for part in (self.down, self.up))
        return weight.to(torch.float32, copy=True).addmm_(up, down, alpha=self.scale)


def read_lora(model: str, file: Path) -> dict[str, Change]:
    """The changes of a file by the name of the weight they change; reads its header and a number a layer.

    Raises:
        ModelUnavailable: when the file is not whole, is no LoRA of Wan's, or has what Rushes does not add.
    """
    there = list_tensors(model, [file])
    factors = {name: part for name, part in there.items() if name.endswith(FACTORS)}
    with refusals(model, file), safe_open(file, framework="pt") as tensors:
        alphas = {name: tensors.get_tensor(name).item() for name in there if name.endswith(ALPHA)}
    for name in there.keys() - factors.keys() - alphas.keys():
        raise ModelUnavailable(model, f"{file} has {name}, which is no part of a LoRA that Rushes adds.", INSTALL)
    changes = dict[str, Change]()
    try:
        named: dict[str, Stored] = convert_names(factors)
        for layer in sorted({name.rpartition(".lora_")[0] for name in named}):
            down, up = (named[f"{layer}.lora_{part}.weight"] for part in "AB")
            alpha = alphas.get(down.name.rpartition(".lora_")[0] + ALPHA, down.shape[0])
            changes[f"{layer.removeprefix('transformer.')}.weight"] = Change(model, down, up, alpha / down.shape[0])
    except (ValueError, LookupError, ArithmeticError) as error:
        raise ModelUnavailable(model, f"{file} is no LoRA for a transformer of Wan's.", INSTALL) from error
    return changes


def check_changes(model: str, changes: Mapping[str, Change], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse changes to another network than the one whose weights have these shapes. Raises ModelUnavailable."""
    for name, change in changes.items():
        if name not in shapes:
            said = f"it changes {name}, which is not there"
        elif not change.fits(shapes[name]):
            up, down = list(change.up.shape), list(change.down.shape)
            said = f"it changes {name}, which is {list(shapes[name])}, by {up} times {down}"
        else:
            continue
        raise ModelUnavailable(model, f"{change.up.file} is for another model: {said}.", INSTALL)

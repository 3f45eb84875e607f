"""Checkpoints of full size whose weights are dice: the catalog's configurations, no download.

What a pass takes and holds does not depend on the weights' values, except that zeros draw less power and flatter. The
folder has everything a checkpoint's has besides weights, so that configuration, sampler and tokenizer come as they
always do; weights are made where they are asked for, and written to files only for what reads them from there.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from pipeline.gpu.loading import Checkpoint, tie_words
from pipeline.models import open_model
from pipeline.models.base import VideoModel
from pipeline.plan.device import Device
from pipeline.plan.networks import TextEncoder
from pipeline.plan.spec import Component, Family, ModelSpec

DEVIATION = 0.02  # of weights, as text encoders and diffusion transformers are initialised; norms are about 1
BLOCK_VALUES = 2**22  # dice thrown once for main memory, and repeated: throwing 14e9 there takes minutes
SHARD_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class RandomCheckpoint(Checkpoint):
    """A checkpoint without weights on disk: they are random. `stored` is the precision they would be published in."""

    stored: torch.dtype = torch.bfloat16

    def load(self, component: Component, dtype: torch.dtype, place: str = "cpu") -> nn.Module:
        """A component with random weights in `dtype` at `place`; of the VAE only what decodes."""
        module = self.describe(component)
        if component is Component.VAE:
            module.register_module("encoder", None)
        for name, outline in list(module.named_parameters()):
            owner, _, own = name.rpartition(".")
            weights = throw(name, outline.shape, self.stored_dtype(component, name, dtype), torch.device(place))
            setattr(module.get_submodule(owner), own, nn.Parameter(weights, requires_grad=False))
        tie_words(module)
        return module.to(place)  # what is left: buffers

    def tensors(self, component: Component, names: Iterable[str], place: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        """Some tensors of a component one by one at `place`, as they would be stored."""
        outlines = dict(self.describe(component).named_parameters())
        for name in names:
            dtype = self.stored_dtype(component, name, self.stored)
            yield name, throw(name, outlines[name].shape, dtype, torch.device("cpu")).to(place)

    def write(self, component: Component) -> None:
        """Put a component's weights into files, for what reads them from there: a streamed text encoder."""
        names = [name for name, _ in self.describe(component).named_parameters()]
        shard, held, index = dict[str, Tensor](), 0, 0
        for name, tensor in self.tensors(component, names):
            shard[name], held = tensor, held + tensor.nbytes
            if held >= SHARD_BYTES:
                save_file(shard, self.folder / component / f"{index:04d}.safetensors")
                shard, held, index = {}, 0, index + 1
        save_file(shard, self.folder / component / f"{index:04d}.safetensors")


def throw(name: str, shape: torch.Size, dtype: torch.dtype, place: torch.device) -> Tensor:
    """A parameter: N(0, DEVIATION), around 1 where it scales what is normalised. On the CPU repeats of one block."""
    own = name.rpartition(".")[2]
    mean = 1.0 if own == "gamma" or (own == "weight" and len(shape) == 1) else 0.0
    if place.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=place).normal_(mean, DEVIATION)
    weights, block = torch.empty(shape, dtype=dtype), _block(dtype)
    for part in weights.view(-1).split(len(block)):
        part.copy_(block[: len(part)])
    return weights.add_(mean) if mean else weights


@lru_cache(maxsize=2)
def _block(dtype: torch.dtype) -> Tensor:
    dice = torch.Generator().manual_seed(0)
    return torch.randn(BLOCK_VALUES, generator=dice).mul_(DEVIATION).to(dtype)


def open_random(spec: ModelSpec, device: Device, folder: Path) -> VideoModel:
    """The catalog's model on random weights; `folder` gets everything a checkpoint has besides weights."""
    write_outlines(spec, folder)
    checkpoint = RandomCheckpoint(
        spec.key, folder, stored=torch.float32 if device.dtype == "float32" else torch.bfloat16
    )
    with ExitStack() as patches:
        for family in ("ltx", "wan"):
            patches.enter_context(patch(f"pipeline.models.{family}.find_checkpoint", lambda _: checkpoint))
        return open_model(spec, device)


def write_outlines(spec: ModelSpec, folder: Path) -> None:
    """A checkpoint's folder in diffusers' layout: configurations, sampler and tokenizer, no weights."""
    index: dict[str, list[str]] = {}
    for component, network in spec.networks.items():
        (folder / component).mkdir(parents=True, exist_ok=True)
        index[component] = ["diffusers", network.class_name]
        if isinstance(network, TextEncoder):
            kind: Any = getattr(transformers, network.class_name)
            kind.config_class(**network.config).save_pretrained(folder / component)
        else:
            config = {"_class_name": network.class_name, **network.config}
            (folder / component / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    scheduler = (
        FlowMatchEulerDiscreteScheduler(shift=1.0)
        if spec.family is Family.LTX
        else UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    )
    scheduler.save_pretrained(folder / "scheduler")
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "tokenizer")

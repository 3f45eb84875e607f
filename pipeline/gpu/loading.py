"""From a folder in diffusers' layout to one component at a time. Safetensors only; nothing is ever downloaded here."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    LTXVideoTransformer3DModel,
    SchedulerMixin,
    WanTransformer3DModel,
)
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel, UMT5EncoderModel
from transformers.utils.logging import disable_progress_bar

from pipeline.errors import ModelUnavailable
from pipeline.gpu.backend import is_out_of_memory
from pipeline.gpu.revisions import find_snapshot, record_revision
from pipeline.plan.spec import Component, ModelSpec

disable_progress_bar()  # of loading weights, in the middle of Rushes' own
ASSETS = Path(__file__).resolve().parents[2] / "assets"
CLASSES: dict[str, Any] = {
    "AutoencoderKLLTXVideo": AutoencoderKLLTXVideo,
    "AutoencoderKLWan": AutoencoderKLWan,
    "LTXVideoTransformer3DModel": LTXVideoTransformer3DModel,
    "T5EncoderModel": T5EncoderModel,
    "UMT5EncoderModel": UMT5EncoderModel,
    "WanTransformer3DModel": WanTransformer3DModel,
}
"""Component classes Rushes will instantiate. A folder that names another is refused, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked folder: every component is there, of a known class, with readable safetensors."""

    model: str
    folder: Path

    def load(self, component: Component, dtype: torch.dtype, place: str = "cpu") -> nn.Module:
        """Open one component in `dtype` at `place`, shard by shard; modules that must stay in float32 do.

        Of the VAE only what decodes is kept: Rushes never turns pictures into latents.
        """
        kind, folder = self._kind(component), self.folder / component
        there = {} if place == "cpu" else {"device_map": {"": place}}
        with _refusals(self.model, folder):
            module: nn.Module = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **there)
        if component is Component.VAE:
            module.register_module("encoder", None)
        return module

    def describe(self, component: Component) -> nn.Module:
        """A component without weights: shapes on the meta device, and the buffers that no file holds on the CPU."""
        kind, folder = self._kind(component), self.folder / component
        with _refusals(self.model, folder / "config.json"), init_empty_weights(include_buffers=False):
            if component is Component.TEXT_ENCODER:
                module = kind(kind.config_class.from_pretrained(folder))
            else:
                module = kind.from_config(kind.load_config(folder))
        tie_words(module)
        described: nn.Module = module.eval()
        return described

    def weights(self, component: Component, names: Iterable[str]) -> dict[str, Path]:
        """Which file of a component holds which tensor; ModelUnavailable tells the first of `names` that none does."""
        where = dict[str, Path]()
        for file in sorted((self.folder / component).glob("*.safetensors")):
            with _refusals(self.model, file), safe_open(file, framework="pt") as tensors:
                where |= dict.fromkeys(tensors.keys(), file)
        for name in names:
            if name not in where:
                raise ModelUnavailable(self.model, f"{self.folder / component} misses {name}.", "Install it again.")
        return where

    def tensors(self, component: Component, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Some tensors of a component one by one, as stored."""
        where = self.weights(component, names := list(names))
        for name in names:
            with _refusals(self.model, where[name]), safe_open(where[name], framework="pt") as file:
                yield name, file.get_tensor(name)

    def stored_dtype(self, component: Component, name: str, dtype: torch.dtype) -> torch.dtype:
        """Of a tensor of a component loaded in `dtype`: float32 where the component's class says so.

        Text encoders say so for float16 only, in which their last layer of a block overflows.
        """
        asked = component is not Component.TEXT_ENCODER or dtype is torch.float16
        kept = any(part in name.split(".") for part in self._kind(component)._keep_in_fp32_modules or ())
        return torch.float32 if asked and kept else dtype

    def _kind(self, component: Component) -> Any:
        return CLASSES[_class_name(self.model, self.folder, component)]

    def scheduler(
        self, kind: type[SchedulerMixin] = FlowMatchEulerDiscreteScheduler, **settings: object
    ) -> SchedulerMixin:
        """A sampler of `kind` as the checkpoint sets it, except for what `settings` say."""
        with _refusals(self.model, self.folder / "scheduler"):
            return kind.from_pretrained(self.folder / "scheduler", **settings)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that goes with the text encoder."""
        with _refusals(self.model, self.folder / "tokenizer"):
            return AutoTokenizer.from_pretrained(self.folder / "tokenizer")

    def fingerprint(self, component: Component) -> str:
        """Names the weights of a component for caches: changes when the files change."""
        files = sorted((self.folder / component).glob("*.safetensors"))
        return f"{self.model}/{component}/" + ",".join(f"{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files)


def tie_words(module: Any) -> None:
    """A text encoder knows its words by two names: make them one tensor again. Other components have none."""
    if hasattr(module, "tie_weights"):
        module.tie_weights()


def find_checkpoint(spec: ModelSpec) -> Checkpoint:
    """The checkpoint's folder: shipped with Rushes, or in Hugging Face's cache.

    Raises:
        ModelUnavailable: when it is not there, not whole, of another revision than was first used here, or not what it
            should be; before anything big is read.
    """
    if not spec.repository:
        return check_folder(spec.key, ASSETS / spec.key, tuple(spec.networks))
    folder = find_snapshot(spec)
    checkpoint = check_folder(spec.key, folder, tuple(spec.networks))
    record_revision(spec, folder.name)
    return checkpoint


@lru_cache(maxsize=8)
def check_folder(model: str, folder: Path, components: tuple[Component, ...]) -> Checkpoint:
    """Check a folder in diffusers' layout without reading weights: a few kilobytes a file."""
    for component in components:
        _class_name(model, folder, component)
        files = sorted((folder / component).glob("*.safetensors"))
        if not files:
            raise ModelUnavailable(model, f"{folder / component} holds no safetensors file.", "Install it again.")
        for index in (folder / component).glob("*.safetensors.index.json"):
            with _refusals(model, index):
                shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            missing = sorted(shards - {file.name for file in files})
            if missing:
                raise ModelUnavailable(model, f"{folder / component} misses {missing[0]}.", "Install it again.")
        for file in files:
            with _refusals(model, file), safe_open(file, framework="pt") as weights:
                weights.keys()
    for part in ("tokenizer", "scheduler"):
        if not (folder / part).is_dir():
            raise ModelUnavailable(model, f"{folder} has no {part}.", "Install it again.")
    return Checkpoint(model, folder)


def _class_name(model: str, folder: Path, component: Component) -> str:
    with _refusals(model, folder / "model_index.json"):
        name = str(json.loads((folder / "model_index.json").read_text(encoding="utf-8"))[component][1])
    if name not in CLASSES:
        raise ModelUnavailable(model, f"{folder}: {component} is a {name}, which Rushes does not run.")
    return name


@contextmanager
def _refusals(model: str, path: Path) -> Iterator[None]:
    """Whatever a library says about a file that is not what it should be, as ModelUnavailable naming the file."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnavailable(
            model, f"{path} cannot be read: {reason}", "Delete what is there and install it again."
        ) from error

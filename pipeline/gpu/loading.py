"""From a checkpoint to one component at a time. Safetensors only; nothing is ever downloaded here.

A checkpoint is a folder in diffusers' layout. The weights of some components may be in one file beside it, as their
authors name them, and a LoRA may change those of others; either way they are read tensor by tensor.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from accelerate.utils import set_module_tensor_to_device
from diffusers import (
    AnyFlowFARTransformer3DModel,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    LTXVideoTransformer3DModel,
    SchedulerMixin,
    WanTransformer3DModel,
)
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel, UMT5EncoderModel
from transformers.utils.logging import disable_progress_bar

from pipeline.errors import ModelUnavailable
from pipeline.gpu.contents import check_contents
from pipeline.gpu.folders import check_own_folder
from pipeline.gpu.identity import CONTENT, identify_weights
from pipeline.gpu.lora import Change, check_changes, read_lora
from pipeline.gpu.revisions import find_file, find_snapshot, record_revision
from pipeline.gpu.tensors import INSTALL, Stored, check_finite, list_originals, list_tensors, read_tensor, refusals
from pipeline.plan.spec import Component, ModelSpec

disable_progress_bar()  # of loading weights, in the middle of Rushes' own
BLOCK = re.compile(r"[^.].*?\.\d+\.")  # the beginning of a tensor's name in a list of blocks
ASSETS = Path(__file__).resolve().parents[2] / "assets"
CLASSES: dict[str, Any] = {
    "AnyFlowFARTransformer3DModel": AnyFlowFARTransformer3DModel,
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
    """What was checked: every component is there, of a known class, with readable safetensors.

    `originals` are files that hold the weights of some components in the folder's place, `loras` change those of some.
    """

    model: str
    folder: Path
    originals: tuple[tuple[Component, Path], ...] = ()
    loras: tuple[tuple[Component, Path], ...] = ()

    def load(self, component: Component, dtype: torch.dtype, place: str = "cpu") -> nn.Module:
        """Open one component in `dtype` at `place`, shard by shard; modules that must stay in float32 do.

        A VAE is opened by halves: what decodes, or, as `VAE_ENCODER`, what encodes.
        """
        unwanted = {Component.VAE: "encoder", Component.VAE_ENCODER: "decoder"}.get(component)
        component = Component.VAE if component is Component.VAE_ENCODER else component
        if component in self.assembled:
            return self._assemble(component, dtype, place, unwanted)
        kind, folder = self._kind(component), self.folder / component
        there = {} if place == "cpu" else {"device_map": {"": place}}
        with refusals(self.model, folder):
            module: nn.Module = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **there)
        check_finite(self.model, folder, module.named_parameters())
        if unwanted:
            module.register_module(unwanted, None)
        return module

    @property
    def assembled(self) -> tuple[Component, ...]:
        """The components that are more or something else than what lies in their folder."""
        return tuple(component for component, _ in self.originals + self.loras)

    def _assemble(self, component: Component, dtype: torch.dtype, place: str, unwanted: str | None) -> nn.Module:
        module = self.describe(component)
        if unwanted:
            module.register_module(unwanted, None)
        with refusals(self.model, self.folder / component):
            for name, tensor in self.tensors(component, module.state_dict(), place):
                stored = self.stored_dtype(component, name, dtype)
                set_module_tensor_to_device(module, name, place, value=tensor, dtype=stored, clear_cache=False)
        return module.to(place)

    def describe(self, component: Component) -> nn.Module:
        """A component without weights: shapes on the meta device, and the buffers that no file holds on the CPU."""
        kind, folder = self._kind(component), self.folder / component
        with refusals(self.model, folder / "config.json"), init_empty_weights(include_buffers=False):
            if component is Component.TEXT_ENCODER:
                module = kind(kind.config_class.from_pretrained(folder))
            else:
                module = kind.from_config(kind.load_config(folder))
        tie_words(module)
        described: nn.Module = module.eval()
        return described

    def weights(self, component: Component, names: Iterable[str]) -> dict[str, Stored]:
        """Where each tensor of a component lies; ModelUnavailable tells the first of `names` that is nowhere."""
        place = dict(self.originals).get(component)
        if place:
            where = list_originals(self.model, place, _class_name(self.model, self.folder, component))
        else:
            where = list_tensors(self.model, self._files(component))
        for name in names:
            if name not in where:
                raise ModelUnavailable(
                    self.model, f"{place or self.folder / component} misses {name}.", "Install it again."
                )
        return where

    def tensors(self, component: Component, names: Iterable[str], place: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        """Some tensors of a component one by one at `place`: as stored, or, where a LoRA changes them, in float32."""
        where, changes = self.weights(component, names := list(names)), self._changes(component)
        for name in names:
            tensor = read_tensor(self.model, where[name], place)
            yield name, changes[name].add_to(tensor) if name in changes else tensor

    def check_shapes(self, component: Component) -> None:
        """Refuse tensors and changes that are not for the class and configuration of a component.

        Reads headers only. Raises ModelUnavailable. Where a network knows a tensor by two names, either will do. What a
        file holds beside the class's modules is left alone, as diffusers leaves it; more blocks than those of a module
        are another model's, and in an assembled component more of anything.
        """
        named = self.describe(component).state_dict(keep_vars=True)
        where = self.weights(component, ())
        stored = {id(tensor) for name, tensor in named.items() if name in where}
        shapes = {name: tuple(t.shape) for name, t in named.items() if name in where or id(t) not in stored}
        self.weights(component, shapes)
        more = _surplus(where, named, strict=component in self.assembled)
        if more:
            said = f"{where[more].file} is for another model: {self.folder.name}'s {component} has no {more}."
            raise ModelUnavailable(self.model, said, INSTALL)
        for name, shape in shapes.items():
            if where[name].shape != shape:
                said = f"{where[name].file} is for another model: its {where[name].name} is {list(where[name].shape)}"
                wanted = f"{component} has it as {list(shape)}"
                raise ModelUnavailable(self.model, f"{said}, and {self.folder.name}'s {wanted}.", INSTALL)
        check_changes(self.model, self._changes(component), shapes)

    def _changes(self, component: Component) -> dict[str, Change]:
        lora = dict(self.loras).get(component)
        return read_lora(self.model, lora) if lora else {}

    def _files(self, component: Component) -> list[Path]:
        original = dict(self.originals).get(component)
        return [original] if original else sorted((self.folder / component).glob("*.safetensors"))

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
        with refusals(self.model, self.folder / "scheduler"):
            return kind.from_pretrained(self.folder / "scheduler", **settings)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that goes with the text encoder; a folder that brings a program of its own is refused."""
        with refusals(self.model, self.folder / "tokenizer"):
            return AutoTokenizer.from_pretrained(self.folder / "tokenizer", trust_remote_code=False)

    def identity(self, components: Iterable[Component]) -> str:
        """Names the weights of some components, and what changes them, by what the files hold."""
        files = [file for component in components for file in self._files(component)]
        return identify_weights(self.model, files + [file for _, file in self.loras])

    def fingerprint(self, component: Component) -> str:
        """Names the weights of a component for caches: changes when the files change.

        Models share it where Hugging Face's cache tells that their files have the same content.
        """
        files = self._files(component) + [file for changed, file in self.loras if changed is component]
        contents = [file.resolve().name for file in files]
        if contents and all(CONTENT.fullmatch(content) for content in contents):
            return f"{component}/" + ",".join(contents)
        return f"{self.model}/{component}/" + ",".join(f"{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files)


def _surplus(stored: Iterable[str], named: Mapping[str, object], *, strict: bool) -> str:
    """The first of a file's tensors in one of a network's modules that the network does not have; empty if none is.

    Unless `strict` only one of a further block: publishers leave tensors in blocks that classes no longer have.
    """
    modules = {name.partition(".")[0] for name in named}
    blocks = {block[0] for block in map(BLOCK.match, named) if block}
    for name in stored:
        if name not in named and name.partition(".")[0] in modules:
            block = BLOCK.match(name)
            if strict or (block and block[0] not in blocks):
                return name
    return ""


def tie_words(module: Any) -> None:
    """A text encoder knows its words by two names: make them one tensor again. Other components have none."""
    if hasattr(module, "tie_weights"):
        module.tie_weights()


def find_checkpoint(spec: ModelSpec) -> Checkpoint:
    """The checkpoint's folder: one's own, shipped with Rushes, or in Hugging Face's cache.

    Raises:
        ModelUnavailable: when it is not there, not whole, of another revision than was first used here, or not what it
            should be; before anything big is read.
    """
    if spec.folder:
        return check_folder(spec.key, check_own_folder(spec), tuple(spec.networks))
    if not spec.repository:
        return check_folder(spec.key, ASSETS / spec.key, tuple(spec.networks))
    folder, files = find_snapshot(spec), {file: find_file(spec, file) for file in spec.files}
    checkpoint = check_folder(
        spec.key,
        folder,
        tuple(spec.networks),
        originals=tuple((component, files[file]) for component, file in spec.originals.items()),
        loras=tuple((component, files[lora]) for component, lora in spec.loras.items()),
    )
    for component in spec.networks:
        check_contents(spec.key, checkpoint._files(component))
    record_revision(spec, folder.name)
    for file, path in files.items():
        record_revision(spec, path.parents[file.name.count("/")].name, file.repository)
    return checkpoint


@lru_cache(maxsize=8)
def check_folder(
    model: str,
    folder: Path,
    components: tuple[Component, ...],
    *,
    originals: tuple[tuple[Component, Path], ...] = (),
    loras: tuple[tuple[Component, Path], ...] = (),
) -> Checkpoint:
    """Check a folder in diffusers' layout, and what replaces or changes its weights, without reading them.

    A few kilobytes a file. `originals` and `loras` are those of the checkpoint.
    """
    for component in components:
        _class_name(model, folder, component)
        if component in dict(originals):
            continue
        files = sorted((folder / component).glob("*.safetensors"))
        if not files:
            raise ModelUnavailable(model, f"{folder / component} holds no safetensors file.", "Install it again.")
        for index in (folder / component).glob("*.safetensors.index.json"):
            with refusals(model, index):
                shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            missing = sorted(shards - {file.name for file in files})
            if missing:
                raise ModelUnavailable(model, f"{folder / component} misses {missing[0]}.", "Install it again.")
        for file in files:
            list_tensors(model, [file])
    for part in ("tokenizer", "scheduler"):
        if not (folder / part).is_dir():
            raise ModelUnavailable(model, f"{folder} has no {part}.", "Install it again.")
    checkpoint = Checkpoint(model, folder, originals, loras)
    for component in components:
        checkpoint.check_shapes(component)
    return checkpoint


def _class_name(model: str, folder: Path, component: Component) -> str:
    with refusals(model, folder / "model_index.json"):
        name = str(json.loads((folder / "model_index.json").read_text(encoding="utf-8"))[component][1])
    if name not in CLASSES:
        raise ModelUnavailable(model, f"{folder}: {component} is a {name}, which Rushes does not run.")
    return name

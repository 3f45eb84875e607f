"""Weights in 8 or 4 bits: made once from the checkpoint, layer by layer, kept on disk, opened without the original.

The only file that knows a quantization library. int8 and int4 are optimum-quanto's, for weights that stay where they
are; fp8 is diffusers' layerwise casting, whose weights are plain tensors and can be streamed, too.

What is kept lies in Hugging Face's cache, `rushes-quantized/<model and weights>/<component>-<precision>-<dtype>/`: some
safetensors files of about a gibibyte. A folder is there whole or not at all.
"""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers.hooks import apply_layerwise_casting
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN
from huggingface_hub import constants
from optimum.quanto import qint4, qint8, quantize
from optimum.quanto.library.extensions import get_extension, is_extension_available
from optimum.quanto.nn import QLinear
from optimum.quanto.tensor import quantize_weight
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.errors import ModelUnavailable, say_bytes
from pipeline.gpu.loading import Checkpoint, tie_words
from pipeline.gpu.tensors import refusals
from pipeline.plan.combinations import NATIVE
from pipeline.plan.memory import Precision, weight_bytes
from pipeline.plan.networks import Network
from pipeline.plan.spec import Component

logger = logging.getLogger(__name__)

QUANTO = {Precision.INT8: qint8, Precision.INT4: qint4}
FP8 = torch.float8_e4m3fn
SHARD_BYTES = 2**30  # what making a folder holds in main memory at most, and a layer more
EXTENSIONS = ("quanto_cpp", "quanto_cuda")
"""What quanto compiles when int4 weights are first opened, which takes a minute or two and a C++ compiler or nvcc, and
most people have neither. All that is called of it here is `unpack`, so that is ours."""
ALIGNMENT_BYTES = 64  # torch's int8 product on a CPU reads past what is not aligned to 16 and dies


def _unpack(packed: Tensor, bits: int) -> Tensor:
    """Values [8 / bits * N, ...] of bytes uint8 [N, ...], from the lowest bits to the highest."""
    return torch.cat([packed >> low & 2**bits - 1 for low in range(0, 8, bits)])


for _name in filter(is_extension_available, EXTENSIONS):
    get_extension(_name)._lib = SimpleNamespace(unpack=_unpack)


def open_quantized(
    checkpoint: Checkpoint,
    component: Component,
    network: Network,
    precision: Precision,
    dtype: torch.dtype,
    place: torch.device,
) -> nn.Module:
    """A component at `place` with its linear layers' weights in `precision`, computing in `dtype`.

    Made and kept on disk if it is not there yet; the original is never in memory, only a layer of it at a time.

    Raises:
        ModelUnavailable: when there is no room on the disk to keep it, or a tensor is missing.
    """
    folder = kept_folder(checkpoint, component, precision, dtype)
    if not folder.is_dir():
        check_room(checkpoint, component, network, precision, dtype)
        _make(checkpoint, component, network, precision, dtype, folder)
    module = _outline(checkpoint, component, network, precision)
    for file in sorted(folder.glob("*.safetensors")):
        hint = "Delete its folder: it is made again."
        with refusals(checkpoint.model, file, hint), safe_open(file, "pt", device=str(place)) as stored:
            tensors = {name: _aligned(stored.get_tensor(name)) for name in stored.keys()}  # noqa: SIM118 - no mapping
        module.load_state_dict(tensors, strict=False, assign=True)
    tie_words(module)
    missing = [name for name, tensor in module.named_parameters() if tensor.is_meta]
    if missing:
        raise ModelUnavailable(checkpoint.model, f"{folder} misses {missing[0]}.", "Delete that folder.")
    module = module.to(place).requires_grad_(requires_grad=False)
    if precision is Precision.FP8:
        apply_layerwise_casting(module, FP8, dtype, skip_modules_pattern=_as_they_are(module, network))
    return module


def check_room(
    checkpoint: Checkpoint, component: Component, network: Network, precision: Precision, dtype: torch.dtype
) -> None:
    """Refuse, before anything is read, what the disk has no room to keep. Raises ModelUnavailable."""
    if precision in NATIVE or kept_folder(checkpoint, component, precision, dtype).is_dir():
        return
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    need, free = weight_bytes(network, precision), shutil.disk_usage(cache).free
    if need > free:
        raise ModelUnavailable(
            checkpoint.model,
            f"Keeping {component} in {precision} takes {say_bytes(need)} in {cache}, and {say_bytes(free)} are free.",
            "Free some disk space, or point HF_HUB_CACHE at another disk.",
        )


def kept_folder(checkpoint: Checkpoint, component: Component, precision: Precision, dtype: torch.dtype) -> Path:
    """Where a component's quantized weights are kept; other weights of the same name have another folder."""
    which = hashlib.sha256(checkpoint.fingerprint(component).encode()).hexdigest()[:16]
    name = f"{component}-{precision}-{str(dtype).removeprefix('torch.')}"
    return Path(constants.HF_HUB_CACHE) / "rushes-quantized" / f"{checkpoint.model}-{which}" / name


def _make(
    checkpoint: Checkpoint,
    component: Component,
    network: Network,
    precision: Precision,
    dtype: torch.dtype,
    folder: Path,
) -> None:
    logger.info("%s: making %s in %s, once", checkpoint.model, component, precision)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    unfinished.mkdir(parents=True)
    try:
        shard, held, index = dict[str, Tensor](), 0, 0
        for tensors in _layers(checkpoint, component, network, precision, dtype):
            shard |= tensors
            held += sum(tensor.nbytes for tensor in tensors.values())
            if held >= SHARD_BYTES:
                save_file(shard, unfinished / f"{index:04d}.safetensors")
                shard, held, index = {}, 0, index + 1
        save_file(shard, unfinished / f"{index:04d}.safetensors")
        unfinished.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # another process may have been first, which is as good
            raise ModelUnavailable(checkpoint.model, f"{unfinished} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _layers(
    checkpoint: Checkpoint, component: Component, network: Network, precision: Precision, dtype: torch.dtype
) -> Iterator[dict[str, Tensor]]:
    """What is kept of a component, layer by layer."""
    outline = _outline(checkpoint, component, network, precision)
    skipped = _as_they_are(outline, network)
    names = [name for name, _ in outline.named_parameters()]
    parts = dict(outline.named_modules())
    for name, stored in checkpoint.tensors(component, names):
        owner, _, own = name.rpartition(".")
        layer = parts[owner]
        tensor = stored.to(checkpoint.stored_dtype(component, name, dtype))
        if own == "weight" and isinstance(layer, QLinear):
            kept: dict[str, Any] = {}
            _quantized(tensor, layer).save_to_state_dict(kept, f"{name}.", keep_vars=False)
            yield {key: value.contiguous() for key, value in kept.items()}
        elif precision is Precision.FP8 and isinstance(layer, nn.Linear) and not _skips(skipped, owner):
            yield {name: tensor.to(FP8).contiguous()}
        else:
            yield {name: tensor.contiguous()}


def _quantized(weight: Tensor, layer: Any) -> Any:
    """As `layer.freeze` does, but not laid out for the processor: what is kept is not, and to undo it takes as long as
    to move it (`SETTLED` in plan/combinations.py)."""
    if layer.weight_qtype.bits == 8:
        scale = layer.optimizer(weight, qtype=layer.weight_qtype, axis=0)
        return quantize_weight(weight, layer.weight_qtype, axis=0, scale=scale, optimized=False)
    size = layer.weight_group_size
    scale, shift = layer.optimizer(weight, qtype=layer.weight_qtype, axis=0, group_size=size)
    return quantize_weight(weight, layer.weight_qtype, 0, scale, shift, group_size=size, optimized=False)


def _outline(checkpoint: Checkpoint, component: Component, network: Network, precision: Precision) -> nn.Module:
    """The component without weights, its linear layers replaced by those that take quantized ones."""
    module = checkpoint.describe(component)
    if precision in QUANTO:
        quantize(module, weights=QUANTO[precision], exclude=[f"{part}*" for part in network.kept])
        for layer in module.modules():
            if isinstance(layer, QLinear):  # of activations, which stay as they are
                layer.input_scale, layer.output_scale = torch.ones(()), torch.ones(())
    return module


def _as_they_are(module: nn.Module, network: Network) -> tuple[str, ...]:
    """Patterns of the modules that layerwise casting leaves alone: the class's, diffusers' and the catalog's."""
    own = getattr(module, "_skip_layerwise_casting_patterns", None) or ()
    return (*own, *DEFAULT_SKIP_MODULES_PATTERN, *(f"^{part}" for part in network.kept))


def _skips(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def _aligned(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT_BYTES else tensor

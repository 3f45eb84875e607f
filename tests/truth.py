"""What the real classes cost at full size, counted on the meta device: parameters, operations, live bytes.

Nothing is computed and nothing is allocated, so a network of 14 billion weights takes seconds. `LiveBytes` follows
every storage an eager run would hold; attention is replaced by the footprint of a fused kernel, as it runs on a card.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.anyflow import Rollout, attend_in_blocks
from pipeline.plan.chunks import split_given
from pipeline.plan.networks import Network

diffusers.logging.set_verbosity_error()  # that `to` also casts what is kept in float32: here it is meant


class LiveBytes(TorchDispatchMode):
    """Bytes of all storages made while active and still referenced; `peak` is the most there ever were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given:
                self._follow(leaf.untyped_storage())
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)

        def gone() -> None:
            self._known.discard(key)
            self.live -= size

        weakref.finalize(storage, gone)


@contextmanager
def fused_attention() -> Iterator[None]:
    """Attention with the memory of a fused kernel: the result and a float32 log-sum-exp."""
    real = nn.functional.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        result = query.new_empty(query.shape)
        del key, value
        query.new_empty(query.shape[:-1], dtype=torch.float32)
        return result

    nn.functional.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        nn.functional.scaled_dot_product_attention = real


_BUILT: OrderedDict[str, nn.Module] = OrderedDict()
MOST_BUILT = 3


def build(network: Network, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network on the meta device with all its weights in `dtype`; the last few are kept: making them takes time."""
    name = f"{network.class_name}{network.config!r}"
    if name not in _BUILT:
        kind: Any = getattr(diffusers, network.class_name, None)
        with torch.device("meta"):
            if kind:
                _BUILT[name] = kind(**network.config)
            else:
                kind = getattr(transformers, network.class_name)
                _BUILT[name] = kind(kind.config_class(**network.config))
        while len(_BUILT) > MOST_BUILT:
            _BUILT.popitem(last=False)
    return _BUILT[name].eval().to(dtype)


def count(module: nn.Module) -> int:
    """Weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_decoder(autoencoder: Any) -> int:
    """Weights that decoding needs."""
    inner = getattr(autoencoder, "post_quant_conv", None)
    return count(autoencoder.decoder) + (count(inner) if inner is not None else 0)


def count_float32(module: nn.Module) -> int:
    """Weights that `from_pretrained` keeps in float32 although asked for bfloat16."""
    parts = set(getattr(module, "_keep_in_fp32_modules", None) or ()) - {"wo"}  # T5's wo: in float16 only
    return sum(p.numel() for name, p in module.named_parameters() if parts & set(name.split(".")))


def quantizable_layers(module: nn.Module, network: Network) -> list[nn.Linear]:
    """The layers a quantizer replaces."""
    return [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
        and not any(name == part or name.startswith(f"{part}.") for part in network.kept)
    ]


def pixels_per_latent(network: Network) -> int:
    """Pixels a latent is wide."""
    module: Any = build(network)
    if network.class_name == "AutoencoderKLLTXVideo":
        return int(module.spatial_compression_ratio)
    return int(module.config.scale_factor_spatial)


def peak_bytes(run: Callable[[], object]) -> int:
    """Most bytes that are live at once while `run` runs, what it returns included."""
    with torch.no_grad(), torch.device("meta"), fused_attention(), LiveBytes() as tracker:
        run()
    return int(tracker.peak)


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of `run`: matrix products, convolutions, attention."""
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def pass_of(
    network: Network,
    size: tuple[int, int, int],
    *,
    text_tokens: int,
    batch: int = 1,
    given: bool = False,
    dtype: torch.dtype = torch.bfloat16,
    module: nn.Module | None = None,
) -> Callable[[], object]:
    """One pass of a transformer over `size`: latents, latent rows, latent columns; `given` sets a timestep a token.
    `module` is a network of that kind that something was done to."""
    latents, height, width = size
    module = module or build(network, dtype)
    config: Any = module.config
    if network.class_name == "LTXVideoTransformer3DModel":
        tokens = latents * height * width

        def ltx() -> object:
            return module(
                hidden_states=torch.empty(batch, tokens, config.in_channels, dtype=dtype),
                encoder_hidden_states=torch.empty(batch, text_tokens, config.caption_channels, dtype=dtype),
                timestep=torch.empty(batch, tokens if given else 1, dtype=torch.float32),
                encoder_attention_mask=torch.ones(batch, text_tokens),
                video_coords=torch.empty(batch, 3, tokens),
                return_dict=False,
            )

        return ltx
    tokens = latents * (height // 2) * (width // 2)

    def wan() -> object:
        return module(
            hidden_states=torch.empty(batch, config.in_channels, latents, height, width, dtype=dtype),
            timestep=torch.empty((batch, tokens) if given else (batch,), dtype=torch.float32),
            encoder_hidden_states=torch.empty(batch, text_tokens, config.text_dim, dtype=dtype),
            return_dict=False,
        )

    return wan


class BlockByBlock:
    """A causal transformer's way through a chunk with one sentence; `size` is a block's latents, rows and columns."""

    def __init__(
        self, network: Network, size: tuple[int, int, int], *, text_tokens: int, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        module = build(network, dtype)
        self.config: Any = module.config
        self.size = size
        with torch.device("meta"):
            self.rollout = Rollout(
                attend_in_blocks(module), torch.empty(1, text_tokens, self.config.text_dim, dtype=dtype)
            )

    def read(self, latents: int) -> None:
        """Remember so many latents."""
        clean = torch.empty(1, latents, self.config.in_channels, *self.size[1:])
        self.rollout.read(clean, split_given(latents, max(self.config.chunk_partition)))

    def denoise(self) -> object:
        """A step of a block that sees what was read."""
        noisy, time = torch.empty(1, self.size[0], self.config.in_channels, *self.size[1:]), torch.empty(())
        return self.rollout.flow(noisy, time, time)

    def kept_bytes(self) -> int:
        """Of what was read."""
        return sum(tensor.nbytes for memory in self.rollout.memories for tensor in memory.kept or ())


def decode_of(
    network: Network, *, latents: int, height: int, width: int, dtype: torch.dtype = torch.bfloat16
) -> Callable[[], object]:
    """LTX: one window, at once. Wan: latent by latent with its causal cache, each group of frames let go at once."""
    module: Any = build(network, dtype)
    if network.class_name == "AutoencoderKLLTXVideo":
        channels = module.config.latent_channels

        def ltx() -> object:
            window = torch.empty(1, channels, latents, height, width, dtype=dtype)
            timestep = torch.empty(1, dtype=dtype) if module.config.timestep_conditioning else None
            return module.decode(window, timestep, return_dict=False)[0]

        return ltx

    def wan() -> object:
        window = module.post_quant_conv(torch.empty(1, module.config.z_dim, latents, height, width, dtype=dtype))
        cache = [None] * module._cached_conv_counts["decoder"]
        for index in range(latents):
            frames = module.decoder(
                window[:, :, index : index + 1], feat_cache=cache, feat_idx=[0], first_chunk=index == 0
            )
            if module.config.patch_size:
                frames = unpatchify(frames, patch_size=module.config.patch_size)
            frames = frames.clamp(-1, 1)
        return cache

    return wan


def encode_frames_of(
    network: Network, *, latents: int, height: int, width: int, dtype: torch.dtype = torch.bfloat16
) -> Callable[[], object]:
    """Frames to so many latents; what decodes is not there."""
    ratio, stride = pixels_per_latent(network), 8 if network.class_name == "AutoencoderKLLTXVideo" else 4
    module: Any = build(network, dtype)
    size = stride * (latents - 1) + 1, height * ratio, width * ratio
    return lambda: module.encode(torch.empty(1, 3, *size, dtype=dtype)).latent_dist.mode()


def cache_bytes(network: Network, *, height: int, width: int, dtype: torch.dtype = torch.bfloat16) -> int:
    """What a causal decoder remembers between two windows."""
    with torch.no_grad(), torch.device("meta"):
        held: Any = decode_of(network, latents=3, height=height, width=width, dtype=dtype)()
    return sum(tensor.nbytes for tensor in held if isinstance(tensor, Tensor))


def encode_of(network: Network, *, tokens: int, dtype: torch.dtype = torch.bfloat16) -> Callable[[], object]:
    """One sentence through a text encoder."""
    module = build(network, dtype)
    return lambda: module(torch.empty(1, tokens, dtype=torch.long))  # a mask is read, which meta tensors cannot be

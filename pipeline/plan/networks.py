"""A network known without its weights: class, configuration, size, and what it costs to run. Arithmetic only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network.

    `parameters` counts all weights; `quantizable` those in linear layers that a quantizer replaces (all but in the
    modules named in `kept`), in `quantizable_rows` output rows, each of which has its own scale; `float32` those that
    are kept in float32 whatever the precision asked for; `block_parameters` those of the largest of the `blocks` equal
    blocks in `block_list`, which is what is streamed; `float32_scale` how many times more is live in float32 than in
    bfloat16, which computes its norms in float32, too.
    """

    class_name: str
    config: Mapping[str, Any]
    parameters: int
    block_list: str = ""
    kept: tuple[str, ...] = ()
    quantizable: int = 0
    quantizable_rows: int = 0
    float32: int = 0
    blocks: int = 1
    block_parameters: int = 0
    float32_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoder(Network):
    """Reads sentences. What one sentence of the model's full text length costs: `operations` and, in bf16, `live_bytes`
    besides the weights."""

    operations: int
    live_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer(Network):
    """Denoises. One pass over n tokens costs `c[0] + c[1] n + c[2] n^2` operations and, in bf16, `b[0] + b[1] n` bytes
    besides the weights; with a timestep a token, as where leading latents are given, `given_bytes` instead."""

    pass_operations: tuple[int, int, int]
    pass_bytes: tuple[int, int]
    given_bytes: tuple[int, int]

    def operations(self, tokens: int, pairs: int | None = None) -> int:
        """Of one pass, one sequence; `pairs` of tokens see one another, all if not given."""
        constant, linear, square = self.pass_operations
        return constant + linear * tokens + square * (tokens**2 if pairs is None else pairs)

    def live_bytes(self, tokens: int, *, batch: int, given: bool) -> int:
        """Most live at once in bf16 besides the weights."""
        constant, linear = self.given_bytes if given else self.pass_bytes
        return batch * (constant + linear * tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalTransformer(Transformer):
    """Denoises block by block, reading each when it is done; later blocks see the keys and values that are kept of it.

    The last `whole_blocks` are read whole, those before with a token for every `compression`. A token costs
    `given_bytes` while it is read, and `kept_bytes` of it stay, in bf16. Operations are those of any pass, in pairs of
    tokens that see one another.
    """

    whole_blocks: int
    compression: int
    kept_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoencoder(Network):
    """Decodes; `decoder_parameters` of its weights are all that takes. A window of p pixels and l latents costs
    `p (c[0] + c[1] l) + c[2] p^2 l` operations and, in bf16, `p (b[0] + b[1] l)` bytes besides the weights, of which
    `p cache_bytes` stay from one window to the next. Encoding frames to as many latents costs `encode_operations` and
    `encode_bytes`, counted alike."""

    decoder_parameters: int
    decode_operations: tuple[float, float, float]
    decode_bytes: tuple[float, float]
    encode_operations: tuple[float, float, float]
    encode_bytes: tuple[float, float]
    cache_bytes: float = 0.0

    def operations(self, pixels: int, latents: int) -> int:
        """Of decoding one window."""
        return _window_operations(self.decode_operations, pixels, latents)

    def encode_operations_of(self, pixels: int, latents: int) -> int:
        """Of encoding one window."""
        return _window_operations(self.encode_operations, pixels, latents)

    def encode_live_bytes(self, pixels: int, latents: int) -> int:
        """Most live at once in bf16 while a window is encoded, besides the weights."""
        constant, linear = self.encode_bytes
        return round(pixels * (constant + linear * latents))

    def live_bytes(self, pixels: int, latents: int) -> int:
        """Most live at once in bf16 besides the weights."""
        constant, linear = self.decode_bytes
        return round(pixels * (constant + linear * latents))


def _window_operations(costs: tuple[float, float, float], pixels: int, latents: int) -> int:
    constant, linear, square = costs
    return round(pixels * (constant + linear * latents) + square * pixels**2 * latents)

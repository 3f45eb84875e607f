"""What each checkpoint is: facts only, each with its source. Knows nothing about devices or requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pipeline.errors import InvalidRequest


class Family(StrEnum):
    """Which file in `models/` knows how to run a checkpoint."""

    LTX = "ltx"


class Component(StrEnum):
    """The parts of a checkpoint that are put on the device one at a time."""

    TEXT_ENCODER = "text_encoder"
    TRANSFORMER = "transformer"
    VAE = "vae"


class SigmaSchedule(StrEnum):
    """How sigmas are spread over the steps.

    - ``SHIFTED``: evenly, then pushed towards noise by `ModelSpec.sigma_shift`.
    - ``LINEAR_QUADRATIC``: LTX-Video's own, as `LTXConditionPipeline` does without being told.
    """

    SHIFTED = "shifted"
    LINEAR_QUADRATIC = "linear-quadratic"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShape:
    """A picture size in pixels."""

    width: int
    height: int

    @property
    def name(self) -> str:
        """`wide`, `square` or `tall`."""
        return "wide" if self.width > self.height else "tall" if self.width < self.height else "square"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a checkpoint is.

    Frame counts of a chunk lie on `frame_stride * k + 1`; sizes on multiples of `pixel_multiple`. `parameters` counts
    weights per component; `width` and `layers` are the transformer's; activation constants are bytes in bf16:
    `denoise_bytes_per_token_channel` times tokens times passes times `width`, and `decode_bytes_per_pixel` times the
    pixels of one decode window.
    """

    key: str
    title: str
    family: Family
    repository: str
    licence: str
    frame_stride: int
    pixel_multiple: int
    latent_channels: int
    fps: int
    native_frames: int
    overlap_frames: int
    longest_overlap_frames: int
    decode_window_latents: int
    shapes: tuple[VideoShape, ...]
    smallest_side_pixels: int
    largest_side_pixels: int
    default_seconds: float
    default_steps: int
    default_guidance: float
    sigma_schedule: SigmaSchedule
    sigma_shift: float
    text_tokens: int
    parameters: Mapping[Component, int]
    layers: int
    width: int
    text_width: int
    denoise_bytes_per_token_channel: float
    decode_bytes_per_pixel: float
    decode_flops_per_pixel: float

    def latents_of(self, frames: int) -> int:
        """Latent frames that hold `frames` frames; `frames` must lie on the grid."""
        return (frames - 1) // self.frame_stride + 1

    def frames_of(self, latents: int) -> int:
        """Frames that `latents` latent frames decode to."""
        return (latents - 1) * self.frame_stride + 1

    def nearest_frames(self, frames: float) -> int:
        """The legal frame count nearest to `frames`, at least one stride long."""
        return max(1, round((frames - 1) / self.frame_stride)) * self.frame_stride + 1

    def tokens_of(self, shape: VideoShape, latents: int) -> int:
        """Transformer tokens of a window."""
        return latents * (shape.width // self.pixel_multiple) * (shape.height // self.pixel_multiple)


MINIATURE = ModelSpec(
    key="miniature",
    title="Miniature",
    family=Family.LTX,
    repository="",  # ships in assets/miniature
    licence="Apache-2.0",
    frame_stride=8,
    pixel_multiple=32,
    latent_channels=64,
    fps=24,
    native_frames=49,  # trained on windows of 4 to 7 latents: pipeline/training/teacher.py
    overlap_frames=17,
    longest_overlap_frames=17,  # trained on 1 to 3 leading latents
    decode_window_latents=8,
    shapes=(
        VideoShape(width=256, height=160),
        VideoShape(width=192, height=192),
        VideoShape(width=160, height=256),
    ),
    smallest_side_pixels=96,
    largest_side_pixels=320,  # trained on 96 to 256
    default_seconds=4.0,
    default_steps=24,
    default_guidance=4.0,  # between two settings tried, see the card in assets/miniature
    sigma_schedule=SigmaSchedule.SHIFTED,
    sigma_shift=3.0,
    text_tokens=32,
    # Counted on the meta device from the training's own configurations (tests/plan/test_catalog.py)
    parameters=MappingProxyType(
        {Component.TEXT_ENCODER: 345_472, Component.TRANSFORMER: 8_040_000, Component.VAE: 7_533_689}
    ),
    layers=7,
    width=256,
    text_width=128,
    denoise_bytes_per_token_channel=32.0,
    decode_bytes_per_pixel=100.0,  # as LTX 2B, whose decoder is far wider: a safe upper bound
    decode_flops_per_pixel=2.713e4,  # a window of eight latents at 256 x 160, FlopCounterMode on meta
)

LTX_2B = ModelSpec(
    key="ltx-2b",
    title="LTX-Video 2B 0.9.5",
    family=Family.LTX,
    repository="Lightricks/LTX-Video-0.9.5",  # diffusers folder format
    licence="LTX-Video Open Weights License 0.X",
    frame_stride=8,  # model card: frames 8k + 1, sizes in multiples of 32
    pixel_multiple=32,
    latent_channels=128,
    fps=24,
    native_frames=121,  # the size LTX-Video's own pipelines default to; the card allows up to 257
    overlap_frames=17,
    longest_overlap_frames=57,
    decode_window_latents=8,
    shapes=(
        VideoShape(width=704, height=480),
        VideoShape(width=576, height=576),
        VideoShape(width=480, height=704),
    ),
    smallest_side_pixels=256,
    largest_side_pixels=1280,  # the card advises less than 720 x 1280
    default_seconds=5.0,
    default_steps=40,  # model card's example
    default_guidance=3.0,  # model card: 3 to 3.5
    sigma_schedule=SigmaSchedule.LINEAR_QUADRATIC,
    sigma_shift=1.0,
    text_tokens=256,
    # Counted on the meta device, diffusers 0.42.1 (tests/plan/test_catalog.py)
    parameters=MappingProxyType(
        {Component.TEXT_ENCODER: 4_762_310_656, Component.TRANSFORMER: 1_923_385_472, Component.VAE: 1_246_913_522}
    ),
    layers=28,
    width=2048,
    text_width=4096,
    denoise_bytes_per_token_channel=32.0,  # live-storage tracker on meta, one block of LTX 2B
    decode_bytes_per_pixel=100.0,  # 4.09e9 bytes for 704 x 480 x 121, bf16, live-storage tracker on meta
    decode_flops_per_pixel=1.264e6,  # 51.7 TFLOP for 704 x 480 x 121, FlopCounterMode on meta
)

CATALOG: Mapping[str, ModelSpec] = MappingProxyType({spec.key: spec for spec in (MINIATURE, LTX_2B)})


def find_model(key: str) -> ModelSpec:
    """The catalog entry for `key`; InvalidRequest lists the keys there are."""
    try:
        return CATALOG[key]
    except KeyError:
        raise InvalidRequest("model", f"There is no model {key!r}.", f"Models: {', '.join(CATALOG)}.") from None

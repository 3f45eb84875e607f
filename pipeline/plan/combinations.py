"""Which precision a stage's weights may have, and how they may be placed then: one table for whoever plans and whoever
loads. What is not in it is refused with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.plan.memory import Placement, Precision, Stage

NATIVE = frozenset({Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16})
"""As published, in the precision the device computes in; legal everywhere."""

SETTLED = frozenset({Precision.INT4})
"""Laid out for the processor or the card, whichever they are read to. To move them is to multiply each layer with an
identity matrix first: in bfloat16, 4096 by 4096 take seconds on two cores, and LTX-Video 13B has hundreds."""

_UNMOVABLE = "quantized weights do not move block by block: diffusers' group offloading drops what quanto adds to them"
_DECODER = "the VAE decodes as published: it is small, and its errors are seen"

ILLEGAL: Mapping[tuple[Stage, Precision, Placement | None], str] = MappingProxyType(
    {
        (Stage.ENCODE, Precision.FP8, None): "T5's last layer of a block casts its input to fp8, too, which breaks it",
        (Stage.ENCODE, Precision.INT4, None): "in 4 bits T5 errs by 0.22, in 8 bits by 0.02 (quanto, random weights)",
        (Stage.ENCODE, Precision.INT8, Placement.STREAMED): "from the disk it comes as it is stored there",
        (Stage.DENOISE, Precision.INT8, Placement.STREAMED): _UNMOVABLE,
        (Stage.DENOISE, Precision.INT4, Placement.STREAMED): _UNMOVABLE,
        (Stage.DECODE, Precision.FP8, None): _DECODER,
        (Stage.DECODE, Precision.INT8, None): _DECODER,
        (Stage.DECODE, Precision.INT4, None): _DECODER,
    }
)
"""Why not, by stage, precision and placement; None stands for every placement."""


def find_obstacle(stage: Stage, precision: Precision, placement: Placement) -> str:
    """Why a stage's weights cannot be in a precision where they are placed; empty where they can."""
    if stage is Stage.DECODE and placement is Placement.STREAMED:
        return "the VAE has no blocks to stream"
    return ILLEGAL.get((stage, precision, None)) or ILLEGAL.get((stage, precision, placement)) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCost:
    """What coarser weights of one component do to the miniature: the latents' relative error and the pictures' PSNR in
    dB, both against float32 with the same seed, mean over clips."""

    latent_error: float
    psnr_db: float


PICTURE_COSTS: Mapping[tuple[Stage, Precision], PictureCost] = MappingProxyType(
    {
        (Stage.ENCODE, Precision.INT8): PictureCost(latent_error=0.001, psnr_db=68.8),
        (Stage.DENOISE, Precision.FP8): PictureCost(latent_error=0.047, psnr_db=43.6),
        (Stage.DENOISE, Precision.INT8): PictureCost(latent_error=0.015, psnr_db=52.1),
        (Stage.DENOISE, Precision.INT4): PictureCost(latent_error=0.185, psnr_db=32.3),
    }
)
"""`python -m tests.bench.precisions --pairs 10`, 2026-11-21. Larger models, whose layers are wider, are not measured
yet."""

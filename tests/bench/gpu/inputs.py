"""What ours and the others are given alike: sentences, settings and latents made of dice."""

import torch
from torch import Tensor

from pipeline.gpu.backend import torch_dtype
from pipeline.models.base import Sampling, VideoModel
from pipeline.models.ltx import LTXModel
from pipeline.models.wan import WanModel
from pipeline.plan.draft import DraftPlan
from pipeline.prompt.cache import PromptEmbeds
from tests.bench.gpu.random_weights import RandomCheckpoint


def checkpoint_of(model: VideoModel) -> RandomCheckpoint:
    """The dice behind a model from `open_random`."""
    assert isinstance(model, LTXModel | WanModel)
    assert isinstance(model.checkpoint, RandomCheckpoint)
    return model.checkpoint


def sampling_of(plan: DraftPlan) -> Sampling:
    """How the first chunk is denoised; a second sentence where there is guidance."""
    request = plan.request
    return Sampling(
        shape=request.shape,
        steps=request.steps,
        guidance=request.guidance,
        positive=_sentence(plan, seed=1),
        negative=_sentence(plan, seed=2) if plan.guided else None,
    )


def _sentence(plan: DraftPlan, *, seed: int) -> PromptEmbeds:
    """As long as the model reads, [1, T, D] on the CPU, every token real."""
    size = 1, plan.spec.text_tokens, plan.spec.text_encoder.config["d_model"]
    embeds = torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(torch_dtype(plan.memory.device))
    return PromptEmbeds(embeds, torch.ones(size[:2], dtype=torch.int64))


def random_latents(plan: DraftPlan, count: int) -> Tensor:
    """Normalised latents [1, C, count, h, w] float32 on the CPU."""
    spec, shape = plan.spec, plan.request.shape
    size = 1, spec.latent_channels, count, shape.height // spec.latent_pixels, shape.width // spec.latent_pixels
    return torch.randn(size, generator=torch.Generator().manual_seed(3))


def is_finite(values: Tensor) -> bool:
    """Whether random weights made numbers and no NaN: those would draw less power, and flatter."""
    return bool(values.isfinite().all())

"""AnyFlow's sentences and latents beside diffusers' own pipeline, with the same tiny weights, seed and sampler.

diffusers' attention pads with zeros that are attended to (pipeline/models/anyflow.py). So the rollout is compared
twice: bit for bit with the pipeline on Rushes' attention, and with the pipeline as it is where nothing is padded.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import AnyFlowFARPipeline
from diffusers.schedulers import FlowMapEulerDiscreteScheduler
from torch import Tensor

from pipeline.models.anyflow import AnyFlowModel, BlockAttention, Memory
from pipeline.models.base import Sampling
from pipeline.plan.chunks import Chunk, plan_rollout, split_given
from pipeline.plan.spec import Component, VideoShape
from tests.conftest import DeviceMaker
from tests.tiny_wan import TINY_ANYFLOW, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

STEPS, SEED = 3, 11
SMALL = small_shape(TINY_ANYFLOW)
UNPADDED = VideoShape(width=128, height=256)  # 128 tokens a latent
UNCOMPILED = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
NATIVE = (1, 3, 3, 3, 3, 3, 3, 2)  # what the published weights were trained on


@pytest.fixture
def model(make_device: DeviceMaker) -> AnyFlowModel:
    return AnyFlowModel(TINY_ANYFLOW, make_device())


class InPipeline(BlockAttention):
    """Rushes' attention where the pipeline calls its own: blocks end where its mask says, which must be causal."""

    def __init__(self) -> None:
        self.memory = Memory()

    def __call__(self, layer: Any, hidden_states: Tensor, **given: Any) -> Tensor:
        """As a processor of the layer."""
        ends, mask = None, given["attention_mask"]
        if mask is not None:
            index = torch.arange(hidden_states.shape[1])
            allowed = mask.mask_mod(0, 0, index[:, None], index[None])
            ends = allowed.sum(1).unique().tolist()
            for start, stop in pairwise((0, *ends)):
                assert allowed[start:stop, :stop].all()
                assert not allowed[start:stop, stop:].any()
        return super().__call__(layer, hidden_states, given["rotary_emb"], ends, self.memory, given["kv_cache_flag"])


def bare(
    model: AnyFlowModel,
    blocks: tuple[int, ...],
    *,
    shape: VideoShape = SMALL,
    own_attention: bool = False,
    guidance: float = 1.0,
    **given: Any,
) -> Tensor:
    """Latents of the pipeline, on Rushes' attention or its own."""
    transformer: Any = model.checkpoint.load(Component.TRANSFORMER, torch.float32)
    if not own_attention:
        for block in transformer.blocks:
            block.attn1.set_processor(InPipeline())
    pipe = AnyFlowFARPipeline(
        tokenizer=None,
        text_encoder=None,
        transformer=transformer,
        vae=None,
        scheduler=FlowMapEulerDiscreteScheduler(shift=model.spec.sigma_shift),
    )
    pipe.set_progress_bar_config(disable=True)
    positive, negative = model.encode(["a red ball rises", "a blue star"])
    made: Tensor = pipe(
        prompt_embeds=positive.embeds,
        negative_prompt_embeds=negative.embeds if guidance > 1 else None,
        guidance_scale=guidance,
        width=shape.width,
        height=shape.height,
        num_frames=model.spec.frames_of(sum(blocks)),
        num_inference_steps=STEPS,
        generator=torch.Generator("cpu").manual_seed(SEED),
        chunk_partition=list(blocks),
        output_type="latent",
        return_dict=False,
        **given,
    )[0]
    return made


def ours(
    model: AnyFlowModel,
    blocks: tuple[int, ...],
    *,
    shape: VideoShape = SMALL,
    tail: Tensor | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """Latents of a chunk of new `blocks`."""
    given = 0 if tail is None else tail.shape[2]
    chunk = Chunk(index=0, start=0, stop=given + sum(blocks), overlap=given, seed=SEED, shot=0, blocks=blocks)
    return denoise(model, chunk, shape=shape, tail=tail, guidance=guidance)


def denoise(
    model: AnyFlowModel, chunk: Chunk, *, shape: VideoShape = SMALL, tail: Tensor | None, guidance: float = 1.0
) -> Tensor:
    positive, negative = model.encode(["a red ball rises", "a blue star"])
    sampling = Sampling(
        shape=shape,
        steps=STEPS,
        guidance=guidance,
        positive=positive,
        negative=negative if guidance > 1 else None,
    )
    return model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)


def tail_of(latents: int, shape: VideoShape = SMALL) -> Tensor:
    size = 1, TINY_ANYFLOW.latent_channels, latents, shape.height // 8, shape.width // 8
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


# Sentences ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sentence", ["a red ball rises", "", "a red ball " * 300], ids=["short", "empty", "too long"])
def test_the_transformer_gets_what_the_bare_pipeline_encodes(model: AnyFlowModel, sentence: str) -> None:
    encoder = model.checkpoint.load(Component.TEXT_ENCODER, torch.float32)
    pipe = AnyFlowFARPipeline(model.checkpoint.tokenizer(), encoder, transformer=None, vae=None, scheduler=None)
    with torch.no_grad():
        expected, _ = pipe.encode_prompt(sentence, do_classifier_free_guidance=False, max_sequence_length=512)
    (made,) = model.encode([sentence])
    assert torch.equal(made.embeds, expected)


# Latents ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("blocks", [(1, 1), (1, 3), (1, 3, 3, 2), NATIVE], ids=str)
def test_a_first_chunk_is_what_the_bare_pipeline_makes(model: AnyFlowModel, blocks: tuple[int, ...]) -> None:
    assert torch.equal(ours(model, blocks), bare(model, blocks))


@pytest.mark.parametrize("blocks", [(3,), (2,), (3, 3)], ids=str)
@pytest.mark.parametrize("given", [1, 2, 4, 7, 18])
def test_a_continued_chunk_is_what_the_bare_pipeline_makes_of_given_latents(
    model: AnyFlowModel, given: int, blocks: tuple[int, ...]
) -> None:
    tail = tail_of(given)
    whole = bare(model, (*split_given(given, 3), *blocks), video_latents=tail.transpose(1, 2))
    assert torch.equal(ours(model, blocks, tail=tail), whole)


@UNCOMPILED
@pytest.mark.parametrize("given", [0, 4, 9])
def test_where_nothing_is_padded_it_is_what_the_pipeline_makes_with_its_own_attention(
    model: AnyFlowModel, given: int
) -> None:
    tail = tail_of(given, UNPADDED) if given else None
    context = {"video_latents": tail.transpose(1, 2)} if tail is not None else {}
    whole = bare(model, (*split_given(given, 3), 3, 3), shape=UNPADDED, own_attention=True, **context)
    torch.testing.assert_close(ours(model, (3, 3), shape=UNPADDED, tail=tail), whole, rtol=1e-4, atol=1e-5)


def test_guidance_is_the_pipeline_s(model: AnyFlowModel) -> None:
    """The pipeline's two passes are a batch of two."""
    guided = ours(model, (1, 3, 3), guidance=3.0)
    torch.testing.assert_close(guided, bare(model, (1, 3, 3), guidance=3.0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(guided, ours(model, (1, 3, 3)), rtol=0, atol=1e-3)


def rollout(model: AnyFlowModel, chunks: tuple[Chunk, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """What each chunk of a draft adds, and the noise it was made from."""
    timeline: Tensor | None = None
    for chunk in chunks:
        made = denoise(model, chunk, tail=None if timeline is None else timeline[:, :, chunk.start :])
        size = 1, TINY_ANYFLOW.latent_channels, chunk.latents, *made.shape[3:]
        noise = torch.randn(size, generator=torch.Generator("cpu").manual_seed(chunk.seed))
        new = made[:, :, chunk.overlap :]
        timeline = new if timeline is None else torch.cat([timeline, new], dim=2)
        yield new, noise[:, :, chunk.overlap :]


@pytest.mark.parametrize(
    ("blocks", "chunks"), [(NATIVE, 7), ((1, 3, 3, 2, 2), 3), ((1, 2, 2), 1)], ids=["native", "halves", "short"]
)
def test_the_chunks_of_a_draft_of_native_length_are_one_rollout_of_the_pipeline(
    model: AnyFlowModel, blocks: tuple[int, ...], chunks: int
) -> None:
    """Bit for bit, given the same noise: cutting costs nothing. Neither where the last two blocks are halves."""
    total = sum(blocks)
    planned = plan_rollout(total, longest=sum(NATIVE), overlap=None, block=3, seed=SEED, shot_stops=(total,))
    assert len(planned) == chunks
    made, noise = (torch.cat(parts, dim=2) for parts in zip(*rollout(model, planned), strict=True))
    assert torch.equal(made, bare(model, blocks, latents=noise))


@UNCOMPILED
def test_the_pipeline_s_own_attention_differs_where_it_pads(model: AnyFlowModel) -> None:
    """Why Rushes has one of its own; once this fails, diffusers no longer does, and its own can be looked at again."""
    padded = bare(model, (1, 3), own_attention=True)
    assert not torch.allclose(padded, ours(model, (1, 3)), atol=1e-2)

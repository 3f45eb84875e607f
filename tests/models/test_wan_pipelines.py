"""Wan's sentences and latents beside diffusers' own pipelines, with the same tiny weights, seed and sampler."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, WanImageToVideoPipeline, WanPipeline
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

from pipeline.models.base import Sampling
from pipeline.models.wan import WanModel
from pipeline.plan.chunks import Chunk
from pipeline.plan.spec import Component, ModelSpec
from pipeline.prompt.cache import EmbeddingCache
from tests.conftest import DeviceMaker
from tests.tiny_wan import COLUMNS, ROWS, TINY_5B, TINY_A14B, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

LATENTS, STEPS, GUIDANCE, SEED = 5, 4, 4.0, 11
BOTH = pytest.mark.parametrize("spec", [TINY_5B, TINY_A14B], ids=lambda spec: spec.key)


@pytest.fixture
def model(make_device: DeviceMaker, spec: ModelSpec) -> WanModel:
    return WanModel(spec, make_device())


# Sentences ----------------------------------------------------------------------------------------------------------
@BOTH
@pytest.mark.parametrize("sentence", ["a red ball rises", "", "a red ball " * 300], ids=["short", "empty", "too long"])
def test_the_transformer_gets_what_the_bare_pipeline_encodes(model: WanModel, tmp_path: Path, sentence: str) -> None:
    """Bit for bit, also after the cache has kept only the rows of real tokens."""
    bare = WanPipeline(
        tokenizer=model.checkpoint.tokenizer(),
        text_encoder=model.checkpoint.load(Component.TEXT_ENCODER, torch.float32),
        vae=None,
        scheduler=None,
    )
    with torch.no_grad():
        expected = bare.encode_prompt(sentence, do_classifier_free_guidance=False, max_sequence_length=512)[0]
    (made,) = model.encode([sentence])
    assert made.embeds.shape == (1, 512, 16)
    assert torch.equal(made.embeds, expected)
    tokens = min(len(sentence.split()) + 1, 512)
    assert made.mask.sum() == tokens
    assert made.mask[:, :tokens].all()
    cache = EmbeddingCache(tmp_path)
    cache.store("encoder", "float32", sentence, made)
    known = cache.find("encoder", "float32", sentence)
    assert known is not None
    assert torch.equal(known.embeds, expected)
    assert torch.equal(known.mask, made.mask)


@BOTH
def test_the_encoder_is_not_kept(model: WanModel) -> None:
    model.encode(["a"])
    assert not model.residency._parked


# Latents ------------------------------------------------------------------------------------------------------------
class OwnSteps(FlowMatchEulerDiscreteScheduler):
    """Euler's sampler over Wan's own steps: evenly down from 1, shifted once."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """As the pipelines call it."""
        even = [1 - step / num_inference_steps for step in range(num_inference_steps)]
        super().set_timesteps(sigmas=even, device=device)


def sampler(spec: ModelSpec) -> Any:
    """The one that Rushes chose."""
    if spec is TINY_A14B:
        return OwnSteps(shift=12.0)
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)


def parts(model: WanModel, *, encoder: bool = False) -> dict[str, Any]:
    """What a pipeline is built from."""
    components = [part for part in model.spec.networks if encoder or part is not Component.TEXT_ENCODER]
    loaded: dict[str, Any] = {part: model.checkpoint.load(part, torch.float32) for part in components}
    tokenizer = model.checkpoint.tokenizer() if encoder else None
    return {"text_encoder": None, "scheduler": sampler(model.spec), "tokenizer": tokenizer} | loaded


def settings(model: WanModel) -> dict[str, Any]:
    """What a pipeline is called with."""
    shape = small_shape(model.spec)
    experts = {"guidance_scale_2": 3.0} if model.spec.experts == 2 else {}
    return experts | {
        "width": shape.width,
        "height": shape.height,
        "num_frames": model.spec.frames_of(LATENTS),
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "generator": torch.Generator("cpu").manual_seed(SEED),
        "output_type": "latent",
        "return_dict": False,
    }


def ours(model: WanModel, *, tail: Tensor | None = None) -> Tensor:
    positive, negative = model.encode(["a red ball rises", "a blue star"])
    sampling = Sampling(
        shape=small_shape(model.spec), steps=STEPS, guidance=GUIDANCE, positive=positive, negative=negative
    )
    overlap = 0 if tail is None else tail.shape[2]
    chunk = Chunk(index=0, start=overlap, stop=overlap + LATENTS, overlap=overlap, seed=SEED, shot=0)
    return model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)


def texts(model: WanModel) -> dict[str, Tensor]:
    positive, negative = model.encode(["a red ball rises", "a blue star"])
    return {"prompt_embeds": positive.embeds, "negative_prompt_embeds": negative.embeds}


def tail_of(spec: ModelSpec, latents: int) -> Tensor:
    size = 1, spec.latent_channels, latents, ROWS, COLUMNS
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


@BOTH
def test_a_first_chunk_is_what_the_bare_pipeline_makes(model: WanModel) -> None:
    pipe = quiet(WanPipeline(**parts(model, encoder=True), boundary_ratio=model.spec.expert_boundary))
    (bare,) = pipe(prompt="a red ball rises", negative_prompt="a blue star", **settings(model))
    assert torch.equal(ours(model), bare)


@pytest.mark.parametrize("spec", [TINY_5B], ids=["wan-5b"])
def test_one_timestep_makes_what_an_equal_one_for_each_token_makes(model: WanModel) -> None:
    pipe = quiet(WanPipeline(**parts(model), expand_timesteps=True))
    (bare,) = pipe(**texts(model), **settings(model))
    torch.testing.assert_close(ours(model), bare)


class TailPipeline(WanImageToVideoPipeline):
    """Image to video, given latents instead of the image's."""

    tail: Tensor

    def prepare_latents(self, *args: Any, **arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, what is given, and where nothing is."""
        noise, _, mask = super().prepare_latents(*args, **arguments)
        given, free = torch.zeros_like(noise), torch.ones_like(mask)
        given[:, :, : self.tail.shape[2]], free[:, :, : self.tail.shape[2]] = self.tail, 0
        return noise, given, free


@pytest.mark.parametrize("spec", [TINY_5B], ids=["wan-5b"])
@pytest.mark.parametrize("latents", [1, 3])
def test_a_continued_chunk_is_what_the_image_pipeline_makes_of_given_latents(model: WanModel, latents: int) -> None:
    whole = AutoencoderKLWan.from_pretrained(model.checkpoint.folder / "vae")  # it encodes a picture that is not used
    pipe = quiet(TailPipeline(**(parts(model) | {"vae": whole}), expand_timesteps=True))
    pipe.tail = tail_of(model.spec, latents)
    shape = small_shape(model.spec)
    (bare,) = pipe(image=torch.zeros(1, 3, shape.height, shape.width), **texts(model), **settings(model))
    assert torch.equal(ours(model, tail=pipe.tail), bare)


@pytest.mark.parametrize("spec", [TINY_A14B], ids=["wan-a14b"])
def test_a_continued_chunk_is_what_the_bare_pipeline_makes_when_repainted_from_outside(model: WanModel) -> None:
    pipe = quiet(WanPipeline(**parts(model), boundary_ratio=model.spec.expert_boundary))
    known = tail_of(model.spec, 2)
    size = 1, model.spec.latent_channels, LATENTS, ROWS, COLUMNS
    noise = torch.randn(size, generator=torch.Generator("cpu").manual_seed(SEED))

    def repaint(pipe: Any, index: int, _: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        latents, sigma = tensors["latents"].clone(), pipe.scheduler.sigmas[index + 1]
        latents[:, :, :2] = (1 - sigma) * known + sigma * noise[:, :, :2]
        return {"latents": latents}

    (bare,) = pipe(**texts(model), **settings(model), latents=noise, callback_on_step_end=repaint)
    assert torch.equal(ours(model, tail=known), bare)

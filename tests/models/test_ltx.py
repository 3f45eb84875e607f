"""The LTX family with the tiny checkpoint: what is given stays, time goes on, and the numbers are diffusers' own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from torch import Tensor

from pipeline.errors import ModelUnavailable, StopRequested
from pipeline.gpu import loading
from pipeline.models import open_model
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel, timesteps
from pipeline.models.ltx_decoder import DECODE_NOISE_SCALE, DECODE_TIMESTEP
from pipeline.plan.catalog import CATALOG, LTX_2B, MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import DeviceKind
from pipeline.plan.spec import Component, ModelSpec
from tests.conftest import SMALL, DeviceMaker
from tests.tiny import CHANNELS, decode, in_half, make_tiny_checkpoint

pytestmark = pytest.mark.usefixtures("tiny")

ROWS, COLUMNS = SMALL.height // 32, SMALL.width // 32
STEPS = 3
TAIL = torch.linspace(-2, 2, CHANNELS * 2 * ROWS * COLUMNS).reshape(1, CHANNELS, 2, ROWS, COLUMNS)


@pytest.fixture
def model(make_device: DeviceMaker) -> LTXModel:
    return LTXModel(MINIATURE, make_device())


@pytest.fixture
def sampling(model: LTXModel) -> Sampling:
    positive, negative = model.encode(["a red ball rises over snow", ""])
    return Sampling(shape=SMALL, steps=STEPS, guidance=3.0, positive=positive, negative=negative)


def chunk(start: int = 0, latents: int = 4, overlap: int = 0) -> Chunk:
    return Chunk(index=0, start=start, stop=start + latents, overlap=overlap, seed=5, shot=0)


def ignore(*_: object) -> None:
    return None


class Seen:
    """What the transformer was given at each of its calls."""

    def __init__(self, model: LTXModel) -> None:
        self.calls: list[dict[str, Tensor]] = []
        model.warm_up()
        transformer = model.residency._parked[Component.TRANSFORMER][1]
        transformer.register_forward_pre_hook(lambda _, __, given: self.calls.append(given), with_kwargs=True)


# Sentences ----------------------------------------------------------------------------------------------------------
def test_an_embedding_is_padded_with_zeros_to_the_model_s_length(model: LTXModel) -> None:
    long, empty = model.encode(["a red ball rises", ""])
    assert long.embeds.shape == (1, MINIATURE.text_tokens, 16)
    assert (int(long.mask.sum()), int(empty.mask.sum())) == (5, 1)
    assert long.embeds[:, :5].abs().sum(-1).min() > 0
    assert long.embeds[:, 5:].abs().max() == 0
    assert long.mask.dtype == torch.int64


def test_a_sentence_is_encoded_alike_alone_and_in_company(model: LTXModel) -> None:
    alone, (company, _) = model.encode(["a red ball"])[0], model.encode(["a red ball", "the sea over a blue star"])
    assert torch.equal(alone.embeds, company.embeds)


def test_a_sentence_that_is_too_long_is_cut_not_refused(model: LTXModel) -> None:
    (long,) = model.encode(["a red ball " * 40])
    assert int(long.mask.sum()) == MINIATURE.text_tokens


def test_the_encoder_is_not_kept(model: LTXModel) -> None:
    model.encode(["a"])
    assert Component.TEXT_ENCODER not in model.residency._parked


# Denoising ----------------------------------------------------------------------------------------------------------
def test_latents_have_the_chunk_s_shape_and_are_the_seed_s(model: LTXModel, sampling: Sampling) -> None:
    one, again = (model.denoise(chunk(), sampling, tail=None, on_step=ignore) for _ in range(2))
    assert one.shape == (1, CHANNELS, 4, ROWS, COLUMNS)
    assert (one.dtype, one.device.type, one.is_contiguous()) == (torch.float32, "cpu", True)
    assert torch.equal(one, again)
    assert one.isfinite().all()


@pytest.mark.parametrize("guidance", [1.0, 3.0], ids=["unguided", "guided"])
def test_a_tail_comes_out_bit_for_bit(model: LTXModel, sampling: Sampling, guidance: float) -> None:
    unguided = Sampling(shape=SMALL, steps=STEPS, guidance=1.0, positive=sampling.positive, negative=None)
    made = model.denoise(chunk(start=6, overlap=2), sampling if guidance > 1 else unguided, tail=TAIL, on_step=ignore)
    assert torch.equal(made[:, :, :2], TAIL)
    assert made.shape == (1, CHANNELS, 4, ROWS, COLUMNS)


def test_a_tail_sits_at_timestep_zero_and_the_rest_at_the_step_s(model: LTXModel, sampling: Sampling) -> None:
    seen = Seen(model)
    model.denoise(chunk(start=6, overlap=2), sampling, tail=TAIL, on_step=ignore)
    given = 2 * ROWS * COLUMNS
    assert len(seen.calls) == STEPS
    for call, timestep in zip(seen.calls, timesteps(MINIATURE, STEPS), strict=True):
        assert call["timestep"].shape == (2, 4 * ROWS * COLUMNS)
        assert (call["timestep"][:, :given] == 0).all()
        torch.testing.assert_close(call["timestep"][:, given:], torch.full((2, given), timestep))
        for half in call["hidden_states"]:
            packed = TAIL[0].permute(1, 2, 3, 0).reshape(given, CHANNELS)
            assert torch.equal(half[:given], packed)


def test_what_follows_depends_on_the_tail(model: LTXModel, sampling: Sampling) -> None:
    one, other = (
        model.denoise(chunk(start=6, overlap=2), sampling, tail=tail, on_step=ignore) for tail in (TAIL, -TAIL)
    )
    assert not torch.equal(one[:, :, 2:], other[:, :, 2:])


def test_positions_go_on_along_the_timeline(model: LTXModel, sampling: Sampling) -> None:
    seen = Seen(model)
    model.denoise(chunk(latents=7), sampling, tail=None, on_step=ignore)
    whole = seen.calls[0]["video_coords"][0].unflatten(1, (7, ROWS * COLUMNS))
    seen.calls.clear()
    model.denoise(chunk(start=3, latents=4, overlap=2), sampling, tail=TAIL, on_step=ignore)
    window = seen.calls[0]["video_coords"][0].unflatten(1, (4, ROWS * COLUMNS))
    torch.testing.assert_close(window, whole[:, 3:], rtol=0, atol=0)
    expected = torch.tensor([0, 1, 9, 17, 25, 33, 41]) / MINIATURE.fps
    torch.testing.assert_close(whole[0, :, 0], expected)
    assert whole[1].max() == SMALL.height - 32
    assert whole[2].max() == SMALL.width - 32


def test_every_step_is_told_and_the_last_prediction_is_the_result(model: LTXModel, sampling: Sampling) -> None:
    told: list[int] = []
    predictions: list[Tensor] = []

    def on_step(step: int, clean: object) -> None:
        told.append(step)
        predictions.append(clean().clone())  # type: ignore[operator]

    made = model.denoise(chunk(start=6, overlap=2), sampling, tail=TAIL, on_step=on_step)
    assert told == [1, 2, 3]
    assert torch.equal(predictions[-1], made)
    assert all(torch.equal(prediction[:, :, :2], TAIL) for prediction in predictions)
    assert not torch.equal(predictions[0], made)


def test_asking_for_a_prediction_changes_nothing(model: LTXModel, sampling: Sampling) -> None:
    asked = model.denoise(chunk(), sampling, tail=None, on_step=lambda _, clean: clean().zero_())
    assert torch.equal(asked, model.denoise(chunk(), sampling, tail=None, on_step=ignore))


def test_a_stop_passes_through_the_library_s_loop(model: LTXModel, sampling: Sampling) -> None:
    def on_step(step: int, _: object) -> None:
        if step == 2:
            raise StopRequested

    with pytest.raises(StopRequested):
        model.denoise(chunk(), sampling, tail=None, on_step=on_step)
    model.denoise(chunk(), sampling, tail=None, on_step=ignore)


def test_the_miniature_s_steps_go_from_noise_down_pushed_by_its_shift() -> None:
    assert timesteps(replace(MINIATURE, sigma_shift=2.0), 4) == pytest.approx([1000, 6000 / 7, 2000 / 3, 400])


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG.keys())
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 40, 100])
def test_steps_fall_from_pure_noise_and_never_reach_zero(spec: ModelSpec, steps: int) -> None:
    times = timesteps(spec, steps)
    assert len(times) == steps
    assert times[0] == 1000
    assert times == sorted(set(times), reverse=True)
    assert times[-1] > 0


def test_ltx_2b_s_schedule_runs_through_the_same_code(sampling: Sampling, make_device: DeviceMaker) -> None:
    model = LTXModel(MINIATURE, make_device())
    model.spec = LTX_2B
    seen = Seen(model)
    model.denoise(chunk(), sampling, tail=None, on_step=ignore)
    steps = torch.stack([call["timestep"][0, 0] for call in seen.calls])
    assert torch.equal(steps, linear_quadratic_schedule(STEPS).float() * 1000)


# Frames -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("latents", [1, 2, 5])
def test_a_window_decodes_to_one_frame_and_eight_for_each_further_latent(model: LTXModel, latents: int) -> None:
    frames = decode(model.open_decoder(), torch.zeros(1, CHANNELS, latents, ROWS, COLUMNS))[0]
    assert frames.shape == (8 * (latents - 1) + 1, SMALL.height, SMALL.width, 3)
    assert frames.dtype.name == "uint8"
    assert frames.flags.c_contiguous


def test_frames_are_what_the_vae_makes_of_the_latents_it_normalised(model: LTXModel) -> None:
    vae = model.checkpoint.load(Component.VAE, torch.float32)
    raw = torch.linspace(-1, 1, CHANNELS * 3 * ROWS * COLUMNS).reshape(1, CHANNELS, 3, ROWS, COLUMNS)
    mean, std = (getattr(vae, name).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    with torch.no_grad():
        expected = (vae.decode(raw).sample[0].clamp(-1, 1) + 1) * 127.5
    made = torch.from_numpy(decode(model.open_decoder(), (raw - mean) / std)[0]).permute(3, 0, 1, 2)
    assert (made - expected).abs().max() < 0.51


def test_previews_come_from_the_checkpoint_s_map(model: LTXModel) -> None:
    frames = model.preview(torch.zeros(1, CHANNELS, 2, ROWS, COLUMNS))
    assert frames is not None
    assert frames.shape == (9, 4 * ROWS, 4 * COLUMNS, 3)
    assert (frames == 127).all()


@pytest.fixture
def conditioned(tmp_path: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch) -> LTXModel:
    """As LTX-Video from 0.9.1 on: its decoder takes a timestep. Without a preview map."""
    folder = make_tiny_checkpoint(tmp_path / "miniature", timestep_conditioning=True)
    (folder / "preview" / "latent_rgb.safetensors").unlink()
    monkeypatch.setattr(loading, "ASSETS", tmp_path)
    return LTXModel(MINIATURE, make_device())


def test_a_decoder_that_takes_a_timestep_gets_it_with_its_noise(conditioned: LTXModel) -> None:
    given: list[tuple[Tensor, ...]] = []
    conditioned.warm_up()
    vae = conditioned.residency._parked[Component.VAE][1]
    vae.decoder.register_forward_pre_hook(lambda _, given_now: given.append(given_now))  # type: ignore[union-attr]
    latents = torch.zeros(1, CHANNELS, 2, ROWS, COLUMNS)
    one, again = decode(conditioned.open_decoder(), latents, latents)
    assert one.shape[0] == 9
    assert (one == again).all()
    values, timestep = given[0][:2]
    assert timestep.tolist() == pytest.approx([DECODE_TIMESTEP])
    clean = (1 - DECODE_NOISE_SCALE) * vae.latents_mean  # type: ignore[operator]
    noise = (values[0] - clean.view(-1, 1, 1, 1)) / DECODE_NOISE_SCALE
    assert noise.mean().item() == pytest.approx(0, abs=0.2)
    assert noise.std().item() == pytest.approx(1, abs=0.1)


def test_a_checkpoint_without_a_map_has_no_preview(conditioned: LTXModel) -> None:
    assert conditioned.preview(torch.zeros(1, CHANNELS, 2, ROWS, COLUMNS)) is None


# Precision and files ------------------------------------------------------------------------------------------------
def test_the_processor_computes_in_float32(model: LTXModel) -> None:
    model.warm_up()
    assert {p.dtype for _, module in model.residency._parked.values() for p in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_runs_and_keeps_the_tail_exactly(make_device: DeviceMaker, dtype: torch.dtype) -> None:
    """As on a card, but on the processor: latents stay float32, weights and embeddings do not."""
    model = LTXModel(MINIATURE, in_half(make_device(), str(dtype).removeprefix("torch.")))
    positive, negative = model.encode(["a red ball", ""])
    assert positive.embeds.dtype == dtype
    sampling = Sampling(shape=SMALL, steps=STEPS, guidance=3.0, positive=positive, negative=negative)
    seen = Seen(model)
    made = model.denoise(chunk(start=6, overlap=2), sampling, tail=TAIL, on_step=ignore)
    assert {call["hidden_states"].dtype for call in seen.calls} == {dtype}
    assert made.dtype == torch.float32
    assert made.isfinite().all()
    assert torch.equal(made[:, :, :2], TAIL)
    assert decode(model.open_decoder(), made)[0].shape[0] == 25


@pytest.mark.gpu
def test_a_card_computes_in_bfloat16_and_keeps_no_weights(make_device: DeviceMaker) -> None:
    model = LTXModel(MINIATURE, make_device(kind=DeviceKind.CUDA))
    positive, negative = model.encode(["a red ball", ""])
    assert positive.embeds.dtype == torch.bfloat16
    sampling = Sampling(shape=SMALL, steps=STEPS, guidance=3.0, positive=positive, negative=negative)
    made = model.denoise(chunk(start=6, overlap=2), sampling, tail=TAIL, on_step=ignore)
    assert made.dtype == torch.float32
    assert torch.equal(made[:, :, :2], TAIL)
    assert decode(model.open_decoder(), made)[0].shape[0] == 25
    assert {p.device.type for _, module in model.residency._parked.values() for p in module.parameters()} == {"cpu"}


def test_the_catalog_opens_its_family(make_device: DeviceMaker, tiny: Path) -> None:
    model = open_model(MINIATURE, make_device())
    assert isinstance(model, LTXModel)
    assert model.checkpoint.folder == tiny


def test_a_missing_checkpoint_is_told_when_it_is_opened(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "ASSETS", tmp_path)
    with pytest.raises(ModelUnavailable, match=r"model_index\.json"):
        open_model(MINIATURE, make_device())

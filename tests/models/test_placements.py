"""However a stage is run, wherever its weights are and in which precision: the same draft, or nearly."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from torch import Tensor, nn

from pipeline.models import open_model
from pipeline.models.base import Sampling, VideoModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import Component, ModelSpec
from tests.conftest import SMALL, DeviceMaker
from tests.tiny import CHANNELS, choose, decode, in_half, make_tiny_checkpoint
from tests.tiny_wan import TINY, make_tiny_wan, small_shape

FAMILIES = [MINIATURE, *TINY]
EXACT: dict[str, tuple[Stage, dict[str, Any]]] = {
    "transformer streamed": (Stage.DENOISE, {"placement": Placement.STREAMED}),
    "transformer streamed and loaded anew": (Stage.DENOISE, {"placement": Placement.STREAMED, "parked": False}),
    "transformer loaded anew": (Stage.DENOISE, {"parked": False}),
    "VAE loaded anew": (Stage.DECODE, {"parked": False}),
    "encoder streamed": (Stage.ENCODE, {"placement": Placement.STREAMED}),
    "encoder kept": (Stage.ENCODE, {"placement": Placement.KEPT}),
    "encoder alone": (Stage.ENCODE, {"parked": False}),
}
NEARLY: dict[str, tuple[Stage, dict[str, Any], float]] = {
    "encoder in int8": (Stage.ENCODE, {"precision": Precision.INT8}, 0.1),
    "transformer in int8": (Stage.DENOISE, {"precision": Precision.INT8}, 0.1),
    "transformer in fp8": (Stage.DENOISE, {"precision": Precision.FP8}, 0.2),
    "transformer in fp8, streamed": (
        Stage.DENOISE,
        {"precision": Precision.FP8, "placement": Placement.STREAMED},
        0.2,
    ),
    "transformer in int4": (Stage.DENOISE, {"precision": Precision.INT4}, 0.6),
    "passes apart": (Stage.DENOISE, {"together": False}, 1e-5),
}


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placed")
    make_tiny_checkpoint(folder / MINIATURE.key)
    for spec in TINY:
        make_tiny_wan(folder / spec.key, spec)
    return folder


@pytest.fixture(params=FAMILIES, ids=lambda spec: spec.key)
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    found: ModelSpec = request.param
    return found


@pytest.fixture
def model(
    spec: ModelSpec, assets: Path, make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> VideoModel:
    from pipeline.gpu import loading

    monkeypatch.setattr(loading, "ASSETS", assets)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return open_model(spec, make_device())


def make(model: VideoModel, choices: Mapping[Stage, Choice]) -> tuple[Tensor, Tensor, Any]:
    """Embeddings, latents and frames of two short chunks."""
    model.follow(choices)
    positive, negative = model.encode(["a red ball rises over snow", ""])
    shape = SMALL if model.spec.key == MINIATURE.key else small_shape(model.spec)
    sampling = Sampling(shape=shape, steps=4, guidance=3.0, positive=positive, negative=negative)
    first = Chunk(index=0, start=0, stop=4, overlap=0, seed=5, shot=0)
    second = replace(first, index=1, start=2, stop=6, overlap=2)
    before = model.denoise(first, sampling, tail=None, on_step=lambda *_: None)
    after = model.denoise(second, sampling, tail=before[:, :, 2:], on_step=lambda *_: None)
    latents = torch.cat([before, after[:, :, 2:]], dim=2)
    return positive.embeds, latents, decode(model.open_decoder(), latents)[0]


@pytest.mark.parametrize("way", EXACT)
def test_where_weights_are_changes_nothing(model: VideoModel, way: str) -> None:
    stage, changes = EXACT[way]
    plain = make(model, choose(model_device(model)))
    embeds, latents, frames = make(model, choose(model_device(model), stage, **changes))
    assert torch.equal(embeds, plain[0])
    assert torch.equal(latents, plain[1])
    assert (frames == plain[2]).all()


@pytest.mark.parametrize("way", NEARLY)
def test_how_exact_weights_are_changes_little(model: VideoModel, way: str) -> None:
    stage, changes, most = NEARLY[way]
    _, plain, _ = make(model, choose(model_device(model)))
    _, latents, frames = make(model, choose(model_device(model), stage, **changes))
    error = float((latents - plain).norm() / plain.norm())
    assert error < most
    assert frames.std() > 0
    if changes.get("together", True):
        assert error > 0


def test_a_decode_in_float32_is_that_of_a_device_that_computes_in_it(
    spec: ModelSpec, assets: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same latents; what is native there is as near as 16 bits are."""
    from pipeline.gpu import loading

    monkeypatch.setattr(loading, "ASSETS", assets)
    here, card = make_device(), in_half(make_device(), "bfloat16")
    channels = CHANNELS if spec is MINIATURE else spec.latent_channels
    latents = torch.randn(1, channels, 4, 4, 6, generator=torch.Generator().manual_seed(3))
    exact, rough, asked = open_model(spec, here), open_model(spec, card), open_model(spec, card)
    asked.follow(choose(card, Stage.DECODE, precision=Precision.FLOAT32))
    expected, native, wide = (decode(model.open_decoder(), latents)[0].astype(int) for model in (exact, rough, asked))
    assert (wide == expected).all()
    assert 0 < abs(native - expected).max() < 32


def test_passes_apart_hold_half_as_much_at_once(
    assets: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.gpu import loading
    from pipeline.models.ltx import LTXModel

    monkeypatch.setattr(loading, "ASSETS", assets)
    model = LTXModel(MINIATURE, make_device())
    for together, batches in ((True, {2}), (False, {1})):
        choices = choose(model.device, Stage.DENOISE, together=together)
        model.follow(choices)
        seen: set[int] = set()

        def note(_: nn.Module, inputs: tuple[Tensor, ...], seen: set[int] = seen) -> None:
            seen.add(inputs[0].shape[0])

        with model.residency.on_device(Component.TRANSFORMER) as transformer:
            hook = transformer.proj_in.register_forward_pre_hook(note)
        make(model, choices)
        hook.remove()
        assert seen == batches


def model_device(model: VideoModel) -> Any:
    return model.residency.device  # type: ignore[attr-defined]


def test_what_the_processor_runs_beside_a_card_is_what_it_makes_without_one(
    spec: ModelSpec, assets: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.gpu import loading

    monkeypatch.setattr(loading, "ASSETS", assets)
    card = make_device(kind=DeviceKind.CUDA)
    alone, beside = open_model(spec, make_device()), open_model(spec, card)
    on_host = {"precision": Precision.FLOAT32, "placement": Placement.HOST, "parked": False}
    beside.follow(choose(card, Stage.ENCODE, Stage.DECODE, **on_host))
    sentence = ["a red ball rises over snow"]
    assert torch.equal(beside.encode(sentence)[0].embeds, alone.encode(sentence)[0].embeds)
    channels = CHANNELS if spec is MINIATURE else spec.latent_channels
    latents = torch.randn(1, channels, 4, 4, 6, generator=torch.Generator().manual_seed(3))
    frames, expected = (decode(model.open_decoder(), latents)[0] for model in (beside, alone))
    assert (frames == expected).all()


def test_sentences_of_the_processor_are_told_to_a_card_that_computes_in_float16(
    spec: ModelSpec, assets: Path, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last way where memory ran out: in float32, as processors do not compute in float16."""
    from pipeline.gpu import loading

    monkeypatch.setattr(loading, "ASSETS", assets)
    card = in_half(make_device(), "float16")
    on_host = {"precision": Precision.FLOAT32, "placement": Placement.HOST, "parked": False}
    embeds, latents, _ = make(open_model(spec, card), choose(card, Stage.ENCODE, **on_host))
    assert embeds.dtype == torch.float32
    assert latents.isfinite().all()

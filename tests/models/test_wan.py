"""The Wan family with tiny checkpoints: what is given stays, experts take turns, and a stop leaves nothing behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import StopRequested
from pipeline.models import open_model
from pipeline.models.base import Sampling
from pipeline.models.wan import WanModel, second_guidance
from pipeline.plan.catalog import WAN_5B, WAN_A14B
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import DeviceKind
from pipeline.plan.spec import Component, ModelSpec
from tests.conftest import DeviceMaker
from tests.tiny import decode, in_half
from tests.tiny_wan import COLUMNS, ROWS, TINY_5B, TINY_A14B, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

STEPS = 4
LATENTS = 5
BOTH = pytest.mark.parametrize("spec", [TINY_5B, TINY_A14B], ids=lambda spec: spec.key)
SENTENCE = "a red ball rises over snow"


@pytest.fixture
def model(make_device: DeviceMaker, spec: ModelSpec) -> WanModel:
    return WanModel(spec, make_device())


@pytest.fixture
def sampling(model: WanModel) -> Sampling:
    positive, negative = model.encode([SENTENCE, ""])
    return Sampling(shape=small_shape(model.spec), steps=STEPS, guidance=4.0, positive=positive, negative=negative)


def chunk(latents: int = LATENTS, overlap: int = 0) -> Chunk:
    return Chunk(
        index=0, start=3 if overlap else 0, stop=(3 if overlap else 0) + latents, overlap=overlap, seed=5, shot=0
    )


def tail(spec: ModelSpec, latents: int = 2) -> Tensor:
    size = 1, spec.latent_channels, latents, ROWS, COLUMNS
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def ignore(*_: object) -> None:
    return None


class Seen:
    """What the transformers were given at each of their calls, and which it was."""

    def __init__(self, model: WanModel) -> None:
        self.calls: list[dict[str, Tensor]] = []
        self.experts: list[Component] = []
        model.warm_up()
        for component, (_, module) in model.residency._parked.items():
            if component is not Component.VAE:
                module.register_forward_pre_hook(self.note(component), with_kwargs=True)

    def note(self, component: Component) -> Callable[[nn.Module, object, dict[str, Tensor]], None]:
        def remember(_: nn.Module, __: object, given: dict[str, Tensor]) -> None:
            self.calls.append(given)
            self.experts.append(component)

        return remember


# Denoising ----------------------------------------------------------------------------------------------------------
@BOTH
def test_latents_have_the_chunk_s_shape_and_are_the_seed_s(model: WanModel, sampling: Sampling) -> None:
    one, again = (model.denoise(chunk(), sampling, tail=None, on_step=ignore) for _ in range(2))
    other = model.denoise(replace(chunk(), seed=6), sampling, tail=None, on_step=ignore)
    assert one.shape == (1, model.spec.latent_channels, LATENTS, ROWS, COLUMNS)
    assert (one.dtype, one.device.type, one.is_contiguous()) == (torch.float32, "cpu", True)
    assert torch.equal(one, again)
    assert one.isfinite().all()
    assert not torch.equal(one, other)


@BOTH
@pytest.mark.parametrize("guidance", [1.0, 4.0], ids=["unguided", "guided"])
@pytest.mark.parametrize("overlap", [1, 2, 4])
def test_a_tail_comes_out_bit_for_bit_and_decides_what_follows(
    model: WanModel, sampling: Sampling, guidance: float, overlap: int
) -> None:
    if guidance == 1:
        sampling = replace(sampling, guidance=1.0, negative=None)
    given = tail(model.spec, overlap)
    made, other = (
        model.denoise(chunk(overlap=overlap), sampling, tail=before, on_step=ignore) for before in (given, -given)
    )
    assert torch.equal(made[:, :, :overlap], given)
    assert made.shape == (1, model.spec.latent_channels, LATENTS, ROWS, COLUMNS)
    assert not torch.equal(made[:, :, overlap:], other[:, :, overlap:])


@pytest.mark.parametrize("spec", [TINY_5B], ids=["wan-5b"])
def test_ti2v_sees_the_tail_itself_at_timestep_zero(model: WanModel, sampling: Sampling) -> None:
    seen, given = Seen(model), tail(model.spec)
    model.denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    area = ROWS * COLUMNS // 4
    assert len(seen.calls) == 2 * STEPS
    for call in seen.calls:
        assert call["timestep"].shape == (1, LATENTS * area)
        assert (call["timestep"][:, : 2 * area] == 0).all()
        assert (call["timestep"][:, 2 * area :] == call["timestep"][0, -1]).all()
        assert torch.equal(call["hidden_states"][:, :, :2], given)
    times = [float(call["timestep"][0, -1]) for call in seen.calls[::2]]
    assert times == sorted(set(times), reverse=True)
    assert times[0] > 990


@pytest.mark.parametrize("spec", [TINY_A14B], ids=["wan-a14b"])
def test_t2v_sees_the_tail_as_noisy_as_the_rest(model: WanModel, sampling: Sampling) -> None:
    """Its overlap is noise at first, then the tail on the straight line from that same noise."""
    seen, given = Seen(model), tail(model.spec)
    model.denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    noise = seen.calls[0]["hidden_states"][:, :, :2]
    for call in seen.calls:
        sigma = call["timestep"] / 1000
        assert call["timestep"].shape == (1,)
        torch.testing.assert_close(call["hidden_states"][:, :, :2], (1 - sigma) * given + sigma * noise)


@BOTH
def test_one_timestep_does_for_all_tokens_where_nothing_is_given(model: WanModel, sampling: Sampling) -> None:
    seen = Seen(model)
    model.denoise(chunk(), sampling, tail=None, on_step=ignore)
    assert {call["timestep"].shape for call in seen.calls} == {(1,)}


@BOTH
@pytest.mark.parametrize("continued", [False, True], ids=["first", "continued"])
def test_every_step_is_told_and_the_last_prediction_is_the_result(
    model: WanModel, sampling: Sampling, continued: bool
) -> None:
    told: list[int] = []
    predictions: list[Tensor] = []

    def on_step(step: int, clean: Callable[[], Tensor]) -> None:
        told.append(step)
        predictions.append(clean().clone())

    given = tail(model.spec) if continued else None
    made = model.denoise(chunk(overlap=2 * continued), sampling, tail=given, on_step=on_step)
    assert told == [1, 2, 3, 4]
    torch.testing.assert_close(predictions[-1], made)
    assert not torch.allclose(predictions[0], made, atol=1e-2)
    if given is not None:
        assert all(torch.equal(prediction[:, :, :2], given) for prediction in predictions)


@BOTH
def test_asking_for_a_prediction_changes_nothing(model: WanModel, sampling: Sampling) -> None:
    asked = model.denoise(chunk(), sampling, tail=None, on_step=lambda _, clean: clean().zero_())
    assert torch.equal(asked, model.denoise(chunk(), sampling, tail=None, on_step=ignore))


@BOTH
@pytest.mark.parametrize("last", [1, 2, 3])
def test_after_a_stop_the_next_draft_is_what_it_would_have_been(
    model: WanModel, sampling: Sampling, make_device: DeviceMaker, last: int
) -> None:
    def on_step(step: int, _: object) -> None:
        if step == last:
            raise StopRequested

    given = tail(model.spec)
    with pytest.raises(StopRequested):
        model.denoise(chunk(overlap=2), sampling, tail=given, on_step=on_step)
    after = model.denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    fresh = WanModel(model.spec, make_device()).denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    assert torch.equal(after, fresh)


@BOTH
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_enough_for_latents(model: WanModel, sampling: Sampling, steps: int) -> None:
    made = model.denoise(chunk(), replace(sampling, steps=steps), tail=None, on_step=ignore)
    assert made.isfinite().all()


# Experts ------------------------------------------------------------------------------------------------------------
class Residence:
    """Who comes to the device and leaves it, through the only door there is."""

    def __init__(self, model: WanModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.visits: list[str] = []
        self.present = self.most = 0

        on_device = model.residency.on_device

        @contextmanager
        def watched(component: Component) -> Iterator[nn.Module]:
            with on_device(component) as module:
                self.present += 1
                self.most = max(self.most, self.present)
                self.visits.append(component)
                try:
                    yield module
                finally:
                    self.present -= 1

        monkeypatch.setattr(model.residency, "on_device", watched)


@pytest.mark.parametrize("spec", [TINY_A14B], ids=["wan-a14b"])
def test_experts_take_turns_on_the_device_once_a_chunk(
    model: WanModel, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    residence, seen = Residence(model, monkeypatch), Seen(model)
    model.denoise(chunk(), sampling, tail=None, on_step=ignore)
    assert residence.visits == ["transformer", "transformer_2"]
    assert (residence.most, residence.present) == (1, 0)
    times = [float(call["timestep"]) for call in seen.calls]
    assert seen.experts == [Component.TRANSFORMER if time >= 875 else Component.TRANSFORMER_2 for time in times]
    assert set(seen.experts) == {Component.TRANSFORMER, Component.TRANSFORMER_2}


@BOTH
def test_a_stop_leaves_nobody_on_the_device(
    model: WanModel, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise StopRequested

    residence = Residence(model, monkeypatch)
    with pytest.raises(StopRequested):
        model.denoise(chunk(), sampling, tail=None, on_step=stop)
    assert (residence.visits, residence.present) == (["transformer"], 0)


@pytest.mark.parametrize(
    ("spec", "first", "second"),
    [(WAN_A14B, 4.0, 3.0), (WAN_A14B, 1.0, 1.0), (WAN_A14B, 5.5, 4.0), (WAN_5B, 5.0, 5.0)],
)
def test_one_number_guides_both_experts(spec: ModelSpec, first: float, second: float) -> None:
    assert second_guidance(spec, first) == second


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_runs_and_keeps_the_tail_exactly(
    spec: ModelSpec, make_device: DeviceMaker, dtype: torch.dtype
) -> None:
    """As on a card, but on the processor: latents stay float32, weights and embeddings do not."""
    model = WanModel(spec, in_half(make_device(), str(dtype).removeprefix("torch.")))
    positive, negative = model.encode([SENTENCE, ""])
    assert positive.embeds.dtype == dtype
    shape, given = small_shape(model.spec), tail(model.spec)
    sampling = Sampling(shape=shape, steps=STEPS, guidance=3.0, positive=positive, negative=negative)
    seen = Seen(model)
    made = model.denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    assert {call["hidden_states"].dtype for call in seen.calls} == {dtype}
    assert made.dtype == torch.float32
    assert made.isfinite().all()
    assert torch.equal(made[:, :, :2], given)
    assert [len(frames) for frames in decode(model.open_decoder(), *made.split([2, 3], dim=2))] == [5, 12]


@pytest.mark.gpu
@BOTH
def test_a_card_computes_in_bfloat16_and_keeps_no_weights(spec: ModelSpec, make_device: DeviceMaker) -> None:
    model = WanModel(spec, make_device(kind=DeviceKind.CUDA))
    positive, negative = model.encode([SENTENCE, ""])
    sampling = Sampling(shape=small_shape(spec), steps=STEPS, guidance=3.0, positive=positive, negative=negative)
    given = tail(spec)
    made = model.denoise(chunk(overlap=2), sampling, tail=given, on_step=ignore)
    assert (positive.embeds.dtype, made.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(made[:, :, :2], given)
    assert decode(model.open_decoder(), made)[0].shape[0] == 17
    assert {p.device.type for _, module in model.residency._parked.values() for p in module.parameters()} == {"cpu"}


@BOTH
def test_the_catalog_opens_its_family(spec: ModelSpec, make_device: DeviceMaker, tiny_wan: Path) -> None:
    model = open_model(spec, make_device())
    assert isinstance(model, WanModel)
    assert model.checkpoint.folder == tiny_wan / spec.key

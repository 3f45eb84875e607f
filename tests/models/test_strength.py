"""A tail that is not certain: what the model is shown of it and when, and what becomes of its two versions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models import open_model
from pipeline.models.base import Sampling, SamplingState, SharedNoise
from pipeline.models.ltx import timesteps
from pipeline.models.strength import blend_versions, is_held, noised
from pipeline.plan.catalog import CATALOG, LTX_2B_DISTILLED, MINIATURE, WAN_5B, WAN_A14B, find_model
from pipeline.plan.chunks import Chunk
from pipeline.plan.levels import held_level, noise_levels
from pipeline.plan.spec import Component, Family, ModelSpec, Tail
from tests.conftest import SMALL, DeviceMaker
from tests.tiny import CHANNELS
from tests.tiny_wan import small_shape

CHUNK = Chunk(index=1, start=3, stop=8, overlap=2, seed=5, shot=0)
GIVEN = 2  # latents
WAYS = [
    (MINIATURE.key, Tail.LATENTS, 12, 0.6),
    (MINIATURE.key, Tail.REPAINT, 12, 0.6),
    (WAN_5B.key, Tail.LATENTS, 24, 0.55),
    (WAN_A14B.key, Tail.REPAINT, 40, 0.5),
]
"""With as many steps as leave some below the level: half of a shifted schedule is nearly all noise."""
Denoise = Callable[..., Tensor]


@pytest.mark.parametrize(
    ("strength", "level"), [(1.0, 0.0), (0.96, 0.0), (0.94, 0.1), (0.9, 0.1), (0.75, 0.3), (0.7, 0.3), (0.5, 0.5)]
)
def test_the_level_is_one_that_a_step_begins_from(strength: float, level: float) -> None:
    levels = [1.0, 0.8, 0.5, 0.3, 0.1]
    assert held_level(levels, strength) == level
    assert [is_held(sigma, level) for sigma in levels] == [not level or sigma > level for sigma in levels]


def test_with_a_distilled_model_s_few_steps_there_is_none_and_the_tail_is_held_to_the_end() -> None:
    levels = [time / 1000 for time in timesteps(LTX_2B_DISTILLED, 8)]
    assert held_level(levels, 0.7) < 1e-4


@pytest.mark.parametrize("spec", [spec for spec in CATALOG.values() if spec.family is Family.LTX], ids=lambda s: s.key)
def test_the_plan_knows_the_levels_that_ltx_s_steps_begin_from(spec: ModelSpec) -> None:
    for steps in (*range(1, 13), spec.default_steps, 100):
        own = [time / 1000 for time in timesteps(spec, steps)]
        assert noise_levels(spec, steps, spec.tail) == pytest.approx(own, abs=1e-6), steps


@pytest.mark.usefixtures("tiny_wan")
@pytest.mark.parametrize("key", [WAN_5B.key, WAN_A14B.key])
def test_the_plan_knows_the_levels_that_wan_s_steps_begin_from(key: str, make_device: DeviceMaker) -> None:
    model: Any = open_model(find_model(key), make_device())
    for tail in model.spec.tails:
        for steps in (*range(1, 13), model.spec.default_steps, 100):
            own = model._scheduler(steps, tail).sigmas[:-1].tolist()
            assert noise_levels(model.spec, steps, tail) == pytest.approx(own, abs=1e-5), (tail, steps)


def test_both_versions_become_one_by_a_ramp_that_rises_to_the_model_s() -> None:
    given, made = torch.zeros(1, 4, 3, 2, 2), torch.ones(1, 4, 3, 2, 2)
    shares = blend_versions(given, made)[0, 0, :, 0, 0]
    assert shares[0] < 0.1
    assert shares[1] == 0.5
    assert shares[2] > 0.9
    assert torch.equal(blend_versions(made, made), made)


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def way(request: pytest.FixtureRequest) -> tuple[str, Tail, int, float]:
    """A model, a way to go on, steps and a strength; its tiny checkpoint in its place."""
    request.getfixturevalue("tiny" if request.param[0] == MINIATURE.key else "tiny_wan")
    found: tuple[str, Tail, int, float] = request.param
    return found


@pytest.fixture
def model(way: tuple[str, Tail, int, float], make_device: DeviceMaker) -> Any:
    return open_model(find_model(way[0]), make_device())


@pytest.fixture
def sampling(model: Any, way: tuple[str, Tail, int, float]) -> Sampling:
    key, tail, steps, strength = way
    positive, negative = model.encode(["a red ball", ""])
    shape = SMALL if key == MINIATURE.key else small_shape(find_model(key))
    return Sampling(
        shape=shape,
        steps=steps,
        guidance=2.0,
        positive=positive,
        negative=negative,
        tail=tail,
        tail_strength=strength,
    )


@pytest.fixture
def tail(model: Any, sampling: Sampling) -> Tensor:
    """Small numbers, which noise is easily told from."""
    channels = CHANNELS if model.spec is MINIATURE else model.spec.latent_channels
    pixels = model.spec.latent_pixels
    size = sampling.shape.height // pixels, sampling.shape.width // pixels
    return 0.1 * torch.randn(1, channels, GIVEN, *size, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def denoise(model: Any, sampling: Sampling, tail: Tensor) -> Denoise:
    def run(sampling: Sampling = sampling, **arguments: Any) -> Tensor:
        made: Tensor = model.denoise(CHUNK, sampling, **({"tail": tail, "on_step": lambda *_: None} | arguments))
        return made

    return run


def shown(model: Any, denoise: Denoise) -> list[tuple[Tensor, Tensor]]:
    """Of each step, the latents of the tail as the transformer saw them, flat, and the timesteps of all tokens."""
    calls: list[dict[str, Any]] = []
    names = {name for name in (Component.TRANSFORMER, Component.TRANSFORMER_2) if name in model.spec.networks}
    model.warm_up()
    hooks = [
        model.residency._parked[name][1].register_forward_pre_hook(
            lambda _, __, given: calls.append(given), with_kwargs=True
        )
        for name in names
    ]
    denoise()
    for hook in hooks:
        hook.remove()
    batched = calls[0]["hidden_states"].shape[0] == 2
    found = []
    for call in calls if batched else calls[::2]:  # the pass with the sentence
        hidden = call["hidden_states"][:1]
        part = hidden[:, : GIVEN * hidden.shape[1] // 5] if hidden.dim() == 3 else hidden[:, :, :GIVEN]
        found.append((part.flatten(), call["timestep"].float().flatten()))
    return found


def test_the_tail_is_shown_at_its_level_until_all_else_is_there_and_then_as_the_rest(
    model: Any, denoise: Denoise, tail: Tensor, way: tuple[str, Tail, int, float]
) -> None:
    _, mode, _, strength = way
    steps = shown(model, denoise)
    levels = [float(times.max()) / 1000 for _, times in steps]
    level = next(level for level in levels if level <= 1 - strength + 1e-3)
    place = levels.index(level)
    assert 1 < place < len(levels) - 1
    for index, (_, times) in enumerate(steps):
        told = times.unique()
        if mode is Tail.REPAINT or index >= place:
            assert told.numel() == 1
        else:
            torch.testing.assert_close(told.min(), torch.tensor(1000 * level), atol=1.0, rtol=0)
    known = tail.movedim(1, -1).flatten() if steps[0][0].numel() and model.spec is MINIATURE else tail.flatten()
    noise = (steps[place][0] - (1 - level) * known) / level
    assert abs(float(noise.std()) - 1) < 0.2  # where it is let go, it is what was given at just that level
    assert abs(float(noise.mean())) < 0.2
    later = steps[-1][0] - ((1 - levels[-1]) * known + levels[-1] * noise)
    assert later.std() > 1e-3  # and from there on what the model makes of it


def test_the_overlap_is_both_versions_and_what_follows_is_another(
    denoise: Denoise, tail: Tensor, sampling: Sampling
) -> None:
    certain, uncertain = denoise(replace(sampling, tail_strength=1.0)), denoise()
    assert torch.equal(certain[:, :, :GIVEN], tail)
    off = (uncertain[:, :, :GIVEN] - tail).flatten(3).std(dim=(0, 1, 3))
    assert 0 < off[0] < off[1]
    assert not torch.allclose(certain[:, :, GIVEN:], uncertain[:, :, GIVEN:], atol=1e-5)
    assert uncertain.isfinite().all()


def test_stopped_before_and_after_the_tail_is_let_go_it_goes_on_bit_for_bit(denoise: Denoise) -> None:
    states: list[SamplingState] = []
    whole = denoise(keep=states.append)
    for state in (states[0], *states[-5:-1]):
        assert torch.equal(denoise(resume_from=state), whole), state.step


def test_the_first_new_latents_begin_from_the_noise_that_is_shared(
    model: Any, sampling: Sampling, tail: Tensor
) -> None:
    """What is left of the noise after one of many steps: the other seed's where it is shared, else its own."""
    certain = replace(sampling, tail_strength=1.0, steps=40, guidance=1.0, negative=None)
    shared = SharedNoise(seed=99, latents=7, start=1, stop=3)
    states: list[SamplingState] = []
    for told in (replace(certain, shared_noise=shared), certain):
        kept: list[SamplingState] = []
        model.denoise(CHUNK, told, tail=tail, on_step=lambda *_: None, keep=kept.append)
        states.append(kept[0])
    held, plain = (state.tensors["latents"] for state in states)
    if held.dim() == 3:  # tokens
        held, plain = (part.unflatten(1, (5, *tail.shape[3:])).movedim(-1, 1) for part in (held, plain))
    wanted = shared.draw(tail.shape[1], *tail.shape[3:])
    assert (held[:, :, 2:4] - wanted).abs().mean() < 0.2
    assert (plain[:, :, 2:4] - wanted).abs().mean() > 0.8
    assert (held[:, :, 4] - plain[:, :, 4]).abs().mean() < 0.2


def test_noise_of_no_level_is_none() -> None:
    latents = torch.randn(1, 2, 3, 4, 5)
    assert noised(latents, torch.randn_like(latents), 0.0) is latents


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("mode", [Tail.LATENTS, Tail.REPAINT])
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_a_picture_beside_the_sequence_is_seen_as_it_is_and_a_stop_changes_nothing(
    make_device: DeviceMaker, mode: Tail, strength: float
) -> None:
    model: Any = open_model(MINIATURE, make_device())
    positive, negative = model.encode(["a red ball", ""])
    rows, columns = SMALL.height // 32, SMALL.width // 32
    drawn = torch.Generator().manual_seed(2)
    tail, picture = (torch.randn(1, CHANNELS, count, rows, columns, generator=drawn) for count in (GIVEN, 1))
    sampling = Sampling(
        shape=SMALL,
        steps=8,
        guidance=2.0,
        positive=positive,
        negative=negative,
        keyframe=picture,
        tail=mode,
        tail_strength=strength,
    )
    states: list[SamplingState] = []
    calls: list[Tensor] = []
    model.warm_up()
    transformer = model.residency._parked[Component.TRANSFORMER][1]
    transformer.register_forward_pre_hook(lambda _, __, given: calls.append(given["hidden_states"]), with_kwargs=True)
    whole = model.denoise(CHUNK, sampling, tail=tail, on_step=lambda *_: None, keep=states.append)
    assert whole.shape[2] == CHUNK.latents
    assert torch.equal(whole[:, :, :GIVEN], tail) is (strength == 1)
    seen = picture[0].flatten(1).T
    for hidden in calls:
        assert torch.equal(hidden[0, : rows * columns], seen)
    for state in (states[2], states[-2]):
        again = model.denoise(CHUNK, sampling, tail=tail, on_step=lambda *_: None, resume_from=state)
        assert torch.equal(again, whole)

"""What has gone out of the picture: when it is recalled, which latent, where it stands, and what it costs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.conditioning import sampling_of
from pipeline.models.base import Keep, Recalled, Sampling, SamplingState
from pipeline.models.ltx import LTXModel
from pipeline.models.recalling import recall
from pipeline.plan.catalog import LTX_2B, MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.following import recallable
from pipeline.plan.memory import Stage
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import LOOSE, Component, Continuity, Tail
from pipeline.prompt.cache import PromptEmbeds
from tests.conftest import SMALL, DeviceMaker, PlanMaker
from tests.tiny import CHANNELS, guided_sampling, make_draft

ROWS, COLUMNS = SMALL.height // 32, SMALL.width // 32
CELLS = ROWS * COLUMNS
STEPS = 3


def picture(strength: float, *, seed: int = 0) -> Tensor:
    """A latent [1, C, 1, h, w] that shows so much."""
    generator = torch.Generator().manual_seed(seed)
    return (
        strength * torch.randn(1, CHANNELS, 1, ROWS, COLUMNS, generator=generator) + 3
    )  # an even ground shows nothing


# Which, and when ------------------------------------------------------------------------------------------------------
def test_the_latent_least_like_the_end_is_recalled_where_that_shows_too_little() -> None:
    shown, empty = [picture(1, seed=seed) for seed in range(3)], picture(0.1)
    near = empty + 0.5 * (shown[1] - empty)
    timeline = torch.cat([*shown, near, empty, empty], dim=2)
    found = recall(timeline, (1, 2, 3), start=4, share=0.9)
    assert found is not None
    assert found.place in (1 - 4, 2 - 4)
    assert torch.equal(found.latent, timeline[:, :, 4 + found.place : 5 + found.place])
    only = recall(timeline, (3,), start=4, share=0.9)
    assert only is not None
    assert only.place == -1


@pytest.mark.parametrize(("left", "recalled"), [(0.2, True), (0.45, True), (0.55, False), (1.0, False), (2.0, False)])
def test_what_is_still_in_view_needs_no_memory(left: float, recalled: bool) -> None:
    timeline = torch.cat([picture(1), picture(1), picture(0), picture(left)], dim=2)
    assert (recall(timeline, (0, 1), start=2, share=0.5) is not None) is recalled


def test_nothing_is_recalled_where_there_is_nothing() -> None:
    timeline = torch.cat([picture(1), picture(0)], dim=2)
    assert recall(timeline, (), start=1, share=1.0) is None
    assert recall(timeline, (0,), start=2, share=1.0) is None


def test_places_are_of_the_shots_first_chunk_without_what_is_given_and_the_first_frame(make_plan: PlanMaker) -> None:
    shots = (
        Shot(prompt="a red ball rises", seconds=6),
        Shot(prompt="a blue star falls", seconds=4),
        Shot(prompt="a ball", seconds=4, transition=Transition.CUT),
    )
    chunks = make_plan(frames=338, shots=shots).chunks
    found = {chunk.index: recallable(chunks, chunk) for chunk in chunks}
    for chunk in chunks:
        if not found[chunk.index]:
            continue
        first = next(one for one in chunks if (one.shot, one.mix) == (chunk.shot, ()))
        assert first.index < chunk.index
        assert not chunk.mix
        own = range(max(first.start + first.overlap, chunk.scene_start + 1), first.stop)
        assert [place for place in own if place < chunk.start] == list(found[chunk.index])
    assert {chunk.shot for chunk in chunks if found[chunk.index]} == {0, 1, 2}
    assert not any(found[chunk.index] for chunk in chunks if chunk.opens_scene or chunk.mix)
    last = max(chunk.index for chunk in chunks if chunk.shot == 0)
    assert found[last] == range(1, chunks[0].stop)


# In the window --------------------------------------------------------------------------------------------------------
@pytest.fixture
def model(request: pytest.FixtureRequest, make_device: DeviceMaker) -> LTXModel:
    request.getfixturevalue("tiny")
    return LTXModel(MINIATURE, make_device())


@pytest.fixture
def sampling(model: LTXModel) -> Sampling:
    return guided_sampling(model, shape=SMALL, steps=STEPS)


def denoise(
    model: LTXModel,
    sampling: Sampling,
    chunk: Chunk,
    tail: Tensor,
    *,
    begun: SamplingState | None = None,
    keep: Keep | None = None,
) -> Tensor:
    return model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None, resume_from=begun, keep=keep)


@pytest.mark.parametrize("first", [0, 4], ids=["the scene's first", "in mid-scene"])
def test_beside_the_window_at_its_own_time_is_as_good_as_in_it(model: LTXModel, sampling: Sampling, first: int) -> None:
    """One latent of three that are given stands beside: what is made of the same noise is the same."""
    given = torch.cat([picture(1, seed=seed) for seed in range(3)], dim=2)
    noise = torch.randn(1, 2 * CELLS, CHANNELS, generator=torch.Generator().manual_seed(9))

    def begun(tail: Tensor) -> SamplingState:
        return SamplingState(step=0, tensors={"latents": torch.cat([tail.flatten(2).transpose(1, 2), noise], dim=1)})

    whole = Chunk(index=1, start=first, stop=first + 5, overlap=3, seed=5, shot=0)
    wanted = denoise(model, sampling, whole, given, begun=begun(given))
    beside = replace(whole, start=first + 1, overlap=2)
    told = replace(sampling, recalled=Recalled(latent=given[:, :, :1], place=-1))
    made = denoise(model, told, beside, given[:, :, 1:], begun=begun(given[:, :, 1:]))
    assert made.shape[2] == 4
    assert torch.equal(made[:, :, :2], given[:, :, 1:])
    torch.testing.assert_close(made, wanted[:, :, 1:], rtol=0, atol=1e-4)
    alone = denoise(model, sampling, beside, given[:, :, 1:], begun=begun(given[:, :, 1:]))
    assert (alone - wanted[:, :, 1:]).abs().max() > 1e-2


@pytest.mark.parametrize("tail", [Tail.LATENTS, Tail.FRAMES, Tail.REPAINT])
@pytest.mark.parametrize("keyframe", [False, True], ids=["", "with an end frame beside"])
def test_it_goes_on_in_mid_chunk_as_if_it_had_never_stopped(
    model: LTXModel, sampling: Sampling, tail: Tail, keyframe: bool
) -> None:
    model.spec = LTX_2B if keyframe else MINIATURE
    chunk = Chunk(index=2, start=9, stop=14, overlap=2, seed=5, shot=0)
    given = torch.cat([picture(0.1, seed=seed) for seed in (4, 5)], dim=2)
    recalled = Recalled(latent=picture(1), place=-6)
    told, states = replace(sampling, tail=tail, recalled=recalled), list[SamplingState]()
    told = replace(told, keyframe=picture(1, seed=8)) if keyframe else told
    whole = denoise(model, told, chunk, given, keep=states.append)
    assert whole.shape == (1, CHANNELS, 5, ROWS, COLUMNS)
    assert torch.equal(whole[:, :, :2], given)
    assert not torch.equal(whole, denoise(model, replace(told, recalled=None), chunk, given))
    for state in states[:-1]:
        assert torch.equal(denoise(model, told, chunk, given, begun=state), whole), state.step


def test_where_it_stands_is_known_to_the_transformer(model: LTXModel, sampling: Sampling) -> None:
    model.warm_up()
    seen = list[tuple[Tensor, Tensor]]()
    transformer = model.residency._parked[Component.TRANSFORMER][1]
    transformer.register_forward_pre_hook(
        lambda _, __, told: seen.append((told["video_coords"], told["timestep"])), with_kwargs=True
    )
    chunk = Chunk(index=2, start=9, stop=14, overlap=2, seed=5, shot=0)
    given = torch.cat([picture(0.1, seed=seed) for seed in (4, 5)], dim=2)
    for tail, frame in ((Tail.LATENTS, 3 * 8 - 7), (Tail.FRAMES, -6 * 8 - 7)):
        denoise(model, replace(sampling, tail=tail, recalled=Recalled(latent=picture(1), place=-6)), chunk, given)
        coords, timestep = seen[-1]
        assert coords.shape[2] == 6 * CELLS
        torch.testing.assert_close(coords[0, 0, :CELLS], torch.full((CELLS,), frame / MINIATURE.fps))
        assert (timestep[0, : 3 * CELLS] == 0).all()
        assert (timestep[0, 3 * CELLS :] > 0).all()


# In a draft -----------------------------------------------------------------------------------------------------------
def test_only_chunks_that_go_on_are_shown_it_and_only_where_it_was_asked_for(make_plan: PlanMaker) -> None:
    plan = make_plan(frames=161, continuity=Continuity(recall=0.9, guided_share=0.5))
    text = PromptEmbeds(torch.ones(1, 2, 4), torch.ones(1, 2))
    embeds = dict.fromkeys(("", plan.request.shots[0].prompt), text)
    line = torch.cat([picture(1, seed=0), picture(1, seed=1), *(picture(0.1) for _ in range(plan.latents))], dim=2)
    for chunk in plan.chunks:
        before = line[:, :, : chunk.start + chunk.overlap] if chunk.index else None
        found = sampling_of(plan, chunk, embeds, before, {}).recalled
        assert (found is not None) == bool(chunk.index), chunk
        if found is not None:
            assert chunk.start + found.place == 1
        assert sampling_of(plan, chunk, embeds, before, {}).guided_share == 1.0  # nothing in view that could lead it
    second = plan.chunks[1]
    in_view = torch.cat([picture(1, seed=seed) for seed in range(second.start + second.overlap)], dim=2)
    led = sampling_of(plan, second, embeds, in_view, {})
    assert (led.recalled, led.guided_share) == (None, 0.5)
    loose = replace(plan, request=replace(plan.request, continuity=LOOSE))
    assert sampling_of(loose, second, embeds, line[:, :, : second.start + second.overlap], {}).recalled is None


@pytest.mark.usefixtures("tiny")
def test_a_draft_is_another_from_the_chunk_on_that_recalls(tmp_path: Path, make_plan: PlanMaker) -> None:
    """Of random weights every latent shows as much as any other: the largest share recalls some, the least none."""
    told = {"frames": 97, "chunk_frames": 49, "steps": 2, "seed": 3}
    films = {}
    for share in (0.0, 1e-6, 1.0):
        plan = make_plan(**told, continuity=Continuity(recall=share))
        _, journal = make_draft(tmp_path / str(share), plan)
        films[share] = [journal.latents_path(chunk.index).read_bytes() for chunk in plan.chunks]
    assert films[0.0] == films[1e-6]
    assert films[0.0][0] == films[1.0][0]
    assert films[0.0] != films[1.0]


# The forecast ---------------------------------------------------------------------------------------------------------
def test_the_forecast_charges_a_latent_more_of_chunks_that_go_on(make_plan: PlanMaker) -> None:
    def denoising(frames: int, share: float) -> tuple[float, int]:
        plan = make_plan(frames=frames, continuity=Continuity(recall=share))
        return plan.forecast.formula_seconds[Stage.DENOISE], plan.memory.stage_bytes[Stage.DENOISE]

    assert denoising(49, 0.9) == denoising(49, 0.0)
    (seconds, size), (plain_seconds, plain_size) = denoising(161, 0.9), denoising(161, 0.0)
    assert 1 < seconds / plain_seconds < 8 / 7 + 0.01
    assert size > plain_size


def test_an_edit_and_a_cut_recall_what_is_theirs(make_plan: PlanMaker) -> None:
    """A chunk after a cut has nothing to recall, the one behind it what the cut began with."""
    shots = (Shot(prompt="a ball", seconds=4), Shot(prompt="a star", seconds=6, transition=Transition.CUT))
    plan = make_plan(frames=242, shots=shots, continuity=Continuity(recall=0.9))
    opening = next(chunk for chunk in plan.chunks if chunk.index and chunk.opens_scene)
    assert not recallable(plan.chunks, opening)
    following = plan.chunks[opening.index + 1]
    assert recallable(plan.chunks, following)[0] == opening.start + 1

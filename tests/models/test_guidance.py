"""Guidance in a part of the steps: which the transformer is asked with, what comes of it, and what it costs."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.conditioning import sampling_of
from pipeline.models.base import Keep, Sampling, SamplingState
from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.following import leaves
from pipeline.plan.memory import Stage
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import Component, Continuity
from pipeline.prompt.cache import PromptEmbeds
from tests.conftest import SMALL, DeviceMaker, PlanMaker
from tests.tiny import CHANNELS, guided_sampling

ROWS, COLUMNS = SMALL.height // 32, SMALL.width // 32
STEPS = 4
TAIL = torch.linspace(-2, 2, CHANNELS * 2 * ROWS * COLUMNS).reshape(1, CHANNELS, 2, ROWS, COLUMNS)
CHUNK = Chunk(index=1, start=2, stop=6, overlap=2, seed=5, shot=0)


pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def model(make_device: DeviceMaker) -> LTXModel:
    return LTXModel(MINIATURE, make_device())


@pytest.fixture
def sampling(model: LTXModel) -> Sampling:
    return guided_sampling(model, shape=SMALL, steps=STEPS)


def denoise(
    model: LTXModel, sampling: Sampling, *, keep: Keep | None = None, begun: SamplingState | None = None
) -> Tensor:
    return model.denoise(CHUNK, sampling, tail=TAIL, on_step=lambda *_: None, keep=keep, resume_from=begun)


@pytest.mark.parametrize(("share", "batches"), [(1, [2] * 4), (0.5, [1, 1, 2, 2]), (0.3, [1, 1, 1, 2]), (0, [1] * 4)])
def test_the_first_steps_are_asked_with_the_sentence_only(
    model: LTXModel, sampling: Sampling, share: float, batches: list[int]
) -> None:
    model.warm_up()
    seen: list[int] = []
    transformer = model.residency._parked[Component.TRANSFORMER][1]
    transformer.proj_in.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[0]))
    denoise(model, replace(sampling, guided_share=share))
    assert seen == batches


def test_a_share_of_none_is_no_guidance_and_one_of_all_is_guidance_bit_for_bit(
    model: LTXModel, sampling: Sampling
) -> None:
    unguided = denoise(model, replace(sampling, guidance=1.0, negative=None))
    guided, half = denoise(model, sampling), denoise(model, replace(sampling, guided_share=0.5))
    assert torch.equal(denoise(model, replace(sampling, guided_share=0.0)), unguided)
    assert not torch.equal(half, unguided)
    assert not torch.equal(half, guided)


def test_it_goes_on_in_mid_chunk_as_if_it_had_never_stopped(model: LTXModel, sampling: Sampling) -> None:
    told, states = replace(sampling, guided_share=0.5), list[SamplingState]()
    whole = denoise(model, told, keep=states.append)
    for state in states[:-1]:
        assert torch.equal(denoise(model, told, begun=state), whole), state.step


def test_only_chunks_that_go_on_in_their_shot_are_less_guided(make_plan: PlanMaker) -> None:
    continuity = Continuity(guided_share=0.25)
    shots = (Shot(prompt="a red ball rises", seconds=4), Shot(prompt="a blue star falls", seconds=4))
    plan = make_plan(frames=193, shots=shots, continuity=continuity)
    embeds = {text: PromptEmbeds(torch.ones(1, 2, 4), torch.ones(1, 2)) for text in ("", *(s.prompt for s in shots))}
    for chunk in plan.chunks:
        before = plan.chunks[chunk.index - 1] if chunk.index else None
        same = before is not None and (before.shot, before.mix, chunk.mix) == (chunk.shot, (), ())
        assert sampling_of(plan, chunk, embeds, None, {}).guided_share == (0.25 if same else 1.0), chunk
    assert {bool(chunk.mix) for chunk in plan.chunks} == {True, False}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_chunk_is_guided_away_from_the_sentence_that_it_leaves(make_plan: PlanMaker, share: float) -> None:
    """While what it is given shows that one: the chunk made of both sentences, and the one behind it."""
    shots = tuple(Shot(prompt=text, seconds=4) for text in ("a red ball rises", "a blue star falls"))
    plan = make_plan(frames=193, shots=shots, continuity=Continuity(turn_away=share))
    texts = ("", *(shot.prompt for shot in shots))
    embeds = {text: PromptEmbeds(torch.ones(1, 2, 4), torch.ones(1, 2)) for text in texts}
    passing = next(chunk.index for chunk in plan.chunks if chunk.mix)
    assert passing + 1 < len(plan.chunks) - 1
    for chunk in plan.chunks:
        turns = share > 0 and chunk.index in (passing, passing + 1)
        sampling = sampling_of(plan, chunk, embeds, None, {})
        assert sampling.negative is embeds[shots[0].prompt if turns else ""], chunk
        assert sampling.guided_share == (share if turns else 1.0), chunk
    again = replace(plan, request=replace(plan.request, shots=(shots[0], replace(shots[1], prompt=shots[0].prompt))))
    assert {sampling_of(again, chunk, embeds, None, {}).negative for chunk in plan.chunks} == {embeds[""]}
    plain = replace(plan, request=replace(plan.request, guidance=1.0))
    assert all(sampling_of(plain, chunk, embeds, None, {}).negative is None for chunk in plan.chunks)


def test_after_a_cut_there_is_nothing_to_leave(make_plan: PlanMaker) -> None:
    shots = (Shot(prompt="a red ball", seconds=4), Shot(prompt="a blue star", seconds=4, transition=Transition.CUT))
    plan = make_plan(frames=194, shots=shots)
    assert len(plan.chunks) > 2
    assert [leaves(plan.chunks, chunk) for chunk in plan.chunks] == [None] * len(plan.chunks)


def test_the_forecast_charges_one_pass_for_a_step_without_guidance(make_plan: PlanMaker) -> None:
    def denoising(frames: int, **fields: object) -> float:
        return make_plan(frames=frames, steps=20, **fields).forecast.formula_seconds[Stage.DENOISE]

    alone, some = (denoising(49, continuity=Continuity(guided_share=share)) for share in (1, 0.25))
    assert some == alone  # a first chunk is guided all the way
    told = {"shots": tuple(Shot(prompt=text, seconds=4) for text in ("a red ball", "a blue star"))}
    turning = [denoising(193, continuity=Continuity(turn_away=share), **told) for share in (0, 1, 0.5)]
    assert turning[0] == turning[1] > turning[2]
    more = {share: denoising(81, continuity=Continuity(guided_share=share)) - alone for share in (1, 0.25, 0)}
    assert more[0.25] == pytest.approx(more[0] + (more[1] - more[0]) / 4)
    assert more[0] < more[0.25] < more[1]

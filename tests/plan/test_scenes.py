"""Cuts: every scene is a timeline of its own, and there are exactly the frames that were asked for, whatever is cut."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.catalog import CATALOG, LTX_2B, MINIATURE
from pipeline.plan.chunks import SHARED_LATENTS, Chunk, Slice
from pipeline.plan.cutting import cut, least_latents, overlap_latents
from pipeline.plan.draft import DraftPlan
from pipeline.plan.planner import decide
from pipeline.plan.request import LEAST_SHOT_FRAMES, GenerationRequest, Shot, Transition
from pipeline.plan.scenes import chunk_stops, find_cuts, longest_scene, plan_all_seams, plan_all_slices
from pipeline.plan.spec import ModelSpec
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker
from tests.plan.random_requests import draw_device, draw_profile

CASES = 1500
Case = tuple[GenerationRequest, tuple[Chunk, ...], tuple[Slice, ...]]


def draw_request(random: Random) -> GenerationRequest | None:
    """Any model in up to six shots, any length, chunk and overlap; None where a shot would be too short."""
    spec = random.choice(list(CATALOG.values()))
    shots = tuple(
        Shot(prompt=f"shot {index}", seconds=random.uniform(0.5, 5), transition=random.choice(list(Transition)))
        for index in range(random.randint(1, 6))
    )
    scenes = 1 + sum(shot.transition is not Transition.SMOOTH for shot in shots[1:])
    by_hand = random.random() < 0.5
    longest = spec.latents_of(spec.longest_overlap_frames)
    try:
        return GenerationRequest(
            shots=shots,
            model=spec.key,
            shape=spec.shapes[0],
            frames=spec.nearest_frames(random.uniform(0.5, 1.5) * sum(s.seconds for s in shots) * spec.fps, scenes),
            steps=4,
            guidance=random.choice((1.0, 4.0)),
            seed=2**32 - 3,
            overlap_frames=spec.frames_of(random.randint(1, longest)) if by_hand else None,
        )
    except InvalidRequest:
        return None


@cache
def cases() -> tuple[Case, ...]:
    """Cut into every legal length of chunks, decoded in any legal window."""
    random, found = Random(5), list[Case]()
    while len(found) < CASES:
        request = draw_request(random)
        if request is None:
            continue
        spec = request.spec
        longest = random.randint(
            least_latents(request), max(least_latents(request), spec.latents_of(spec.native_frames))
        )
        chunks = cut(request, longest)
        window = min(random.randint(SHARED_LATENTS + 1, 12), longest_scene(chunks))
        slices = plan_all_slices(chunks, window=window, stride=spec.frame_stride, causal=spec.causal_decoder)
        assert max(chunk.latents for chunk in chunks) <= longest
        found.append((request, chunks, slices))
    return tuple(found)


def parts(chunks: tuple[Chunk, ...]) -> Iterator[tuple[Chunk, ...]]:
    """Chunks by scene."""
    starts = [chunk.index for chunk in chunks if chunk.opens_scene]
    return (chunks[start:stop] for start, stop in pairwise((*starts, len(chunks))))


def test_there_are_exactly_the_frames_that_were_asked_for() -> None:
    for request, chunks, slices in cases():
        shown = [n for piece in slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert shown == list(range(request.frames))
        assert [piece.index for piece in slices] == list(range(len(slices)))
        assert chunk_stops(chunks, stride=request.spec.frame_stride)[-1] == request.frames


def test_every_latent_is_added_once_and_no_window_reaches_across_a_cut() -> None:
    for request, chunks, slices in cases():
        added = [n for chunk in chunks for n in range(chunk.start + chunk.overlap, chunk.stop)]
        assert added == list(range(request.latents))
        assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
        assert len({chunk.seed for chunk in chunks}) == len(chunks)
        assert len(list(parts(chunks))) == len(request.scenes)
        for scene in parts(chunks):
            assert {chunk.scene_start for chunk in scene} == {scene[0].start}
            assert scene[0].overlap == 0
            inside = [piece for piece in slices if scene[0].start <= piece.start < scene[-1].stop]
            assert {piece.scene_start for piece in inside} == {scene[0].start}
            assert [piece.opens_scene for piece in inside] == [True] + [False] * (len(inside) - 1)
            assert all(piece.stop <= scene[-1].stop for piece in inside)
            assert (inside[0].skip, inside[0].fade, inside[-1].hold) == (0, 0, 0)
            stops = (0, *chunk_stops(chunks, stride=request.spec.frame_stride))
            assert inside[0].first_frame == stops[scene[0].index]


def test_slices_that_are_written_stay_and_the_others_follow_in_another_window() -> None:
    random = Random(7)
    for request, chunks, slices in cases():
        written = slices[: random.randint(0, len(slices))]
        window, spec = min(SHARED_LATENTS + 1, longest_scene(chunks)), request.spec
        again = plan_all_slices(
            chunks, window=window, stride=spec.frame_stride, causal=spec.causal_decoder, written=written
        )
        assert again[: len(written)] == written
        shown = [n for piece in again for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert shown == list(range(request.frames))
        assert [piece.index for piece in again] == list(range(len(again)))


def test_a_cut_is_no_seam() -> None:
    for request, chunks, slices in cases():
        stride = request.spec.frame_stride
        seams, cuts = plan_all_seams(chunks, slices, stride=stride), find_cuts(chunks, stride=stride)
        assert len(cuts) == len(request.scenes) - 1
        assert len(seams) + len(cuts) == len(chunks) - 1
        assert sorted([*cuts, *(seam.frame for seam in seams)]) == list(chunk_stops(chunks, stride=stride)[:-1])
        for first, stop in pairwise((0, *cuts, request.frames)):
            own = [seam for seam in seams if first < seam.frame < stop]
            assert all(seam.frame - seam.faded_frames >= first for seam in own)


def test_chunks_end_where_shots_do_but_for_a_causal_model_s() -> None:
    for request, chunks, _ in cases():
        if request.spec.block_latents is None:
            ends = [0, *request.shot_stops]
            for chunk in chunks:
                assert ends[chunk.shot] <= chunk.start + chunk.overlap < chunk.stop <= ends[chunk.shot + 1]
            overlap = overlap_latents(request)
            assert all(
                chunk.overlap == min(overlap, chunk.start + chunk.overlap - chunk.scene_start) for chunk in chunks
            )


def test_no_shot_is_too_short_for_its_seams_to_be_judged() -> None:
    for request, _, _ in cases():
        for start, stop in pairwise((0, *request.shot_stops)):
            assert len(request.shots) == 1 or (stop - start - 1) * request.spec.frame_stride + 1 >= LEAST_SHOT_FRAMES


def test_sentences_pass_into_one_another_within_a_scene_and_never_backwards() -> None:
    mixed = 0
    for request, chunks, _ in cases():
        scene_of = {shot: scene for scene in request.scenes for shot in scene}
        for chunk in chunks:
            shots, weights = [shot for shot, _ in chunk.mix], [weight for _, weight in chunk.mix]
            assert len(chunk.mix) != 1
            assert not chunk.mix or sum(weights) == pytest.approx(1)
            assert all(0 < weight < 1 for weight in weights)
            assert all(scene_of[shot] == scene_of[chunk.shot] for shot in shots)
            # what was made before a shot begins is the same whatever its sentence is
            first_told = max(shots, default=chunk.shot)
            start = request.shot_stops[first_told - 1] if first_told else 0
            assert chunk.stop > start
            mixed += bool(chunk.mix)
    assert mixed > CASES / 4


def test_the_weight_of_a_sentence_grows_over_what_chunks_share(make_request: RequestMaker) -> None:
    shots = (Shot(prompt="a", seconds=4.1), Shot(prompt="b", seconds=10.4))
    chunks = cut(make_request(shots=shots, frames=145), 6)  # 19 latents, 6 of them the first shot's; 3 are shared
    assert [(c.start, c.stop, c.overlap, c.shot) for c in chunks][:3] == [(0, 6, 0, 0), (3, 9, 3, 1), (6, 12, 3, 1)]
    assert [chunk.mix for chunk in chunks[2:]] == [()] * (len(chunks) - 2)
    (old, before), (new, after) = chunks[1].mix
    assert (old, new) == (0, 1)
    assert (before, after) == pytest.approx((0.5, 0.5))  # of 1/6, 3/6 and 5/6


@cache
def plans() -> tuple[tuple[GenerationRequest, DraftPlan], ...]:
    """Requests with cuts, on machines drawn at random, that fit."""
    random, found = Random(6), list[tuple[GenerationRequest, DraftPlan]]()
    while len(found) < 200:
        request = draw_request(random)
        if request is None or len(request.scenes) == 1:
            continue
        try:
            found.append((request, decide(request, draw_device(random), draw_profile(random))))
        except DoesNotFit:
            continue
    return tuple(found)


def test_a_plan_with_cuts_has_the_frames_asked_for_and_says_where_they_are() -> None:
    for request, plan in plans():
        shown = [n for piece in plan.slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        assert shown == list(range(request.frames))
        assert len(plan.cuts) == len(request.scenes) - 1
        assert any(f"{len(plan.cuts)} cut" in reason for reason in plan.reasons)
        assert DraftPlan.from_json(json.dumps(plan.to_json())) == plan


@pytest.mark.parametrize("spec", CATALOG.values(), ids=lambda spec: spec.key)
def test_a_cut_needs_no_more_memory_than_its_longest_scene_alone(
    spec: ModelSpec, make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    one = (Shot(prompt="a boat", seconds=4.0),)
    two = (*one, Shot(prompt="a boat", seconds=2.0, transition=Transition.CUT))
    asked = {"model": spec.key, "shape": spec.shapes[0], "guidance": 3.0}
    frames = spec.nearest_frames(4 * spec.fps)
    alone = decide(make_request(shots=one, frames=frames, **asked), make_device(gib=512), make_profile())
    cuts = make_request(shots=two, frames=spec.nearest_frames(6 * spec.fps, 2), **asked)
    both = decide(cuts, make_device(gib=512), make_profile())
    assert max(chunk.latents for chunk in both.chunks) == max(chunk.latents for chunk in alone.chunks)
    assert both.memory.stage_bytes == alone.memory.stage_bytes
    assert both.memory.disk_bytes > alone.memory.disk_bytes
    assert both.forecast.total_seconds > alone.forecast.total_seconds


def test_each_sentence_is_counted_once_in_the_forecast(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    def seconds(*prompts: str) -> float:
        shots = tuple(Shot(prompt=prompt, seconds=2.0) for prompt in prompts)
        request = make_request(shots=shots, model=LTX_2B.key, shape=LTX_2B.shapes[0], frames=145)
        return decide(request, make_device(gib=512), make_profile()).forecast.formula_seconds["encode"]

    assert seconds("a", "a", "a") == seconds("a") < seconds("a", "b", "a") < seconds("a", "b", "c")


@pytest.mark.parametrize("model", [MINIATURE.key, "wan-5b"])
def test_a_shot_that_is_too_short_is_refused_with_the_shortest(model: str, make_request: RequestMaker) -> None:
    spec = CATALOG[model]
    shots = (Shot(prompt="a", seconds=4.0), Shot(prompt="b", seconds=0.1, transition=Transition.CUT))
    frames = spec.nearest_frames(4.1 * spec.fps, 2)
    with pytest.raises(InvalidRequest, match="Shot 2 is too short") as refusal:
        make_request(shots=shots, model=model, shape=spec.shapes[0], frames=frames)
    assert refusal.value.field == "prompt"
    assert "Give it 0." in refusal.value.hint
    least = float(refusal.value.hint.split()[2])
    long = (shots[0], replace(shots[1], seconds=least + 0.01))
    make_request(shots=long, model=model, shape=spec.shapes[0], frames=spec.nearest_frames((4 + least) * spec.fps, 2))


def test_frames_that_no_two_scenes_have_are_refused(make_request: RequestMaker) -> None:
    shots = (Shot(prompt="a", seconds=2.0), Shot(prompt="b", seconds=2.0, transition=Transition.CUT))
    assert make_request(shots=shots, frames=98).latents == 14
    with pytest.raises(InvalidRequest, match=r"97 frames are not possible with Miniature with 1 cut") as refusal:
        make_request(shots=shots, frames=97)
    assert "Nearest: 98" in refusal.value.hint

"""What else may hold chunks together: what is legal, what is refused, what the plan says of it and keeps."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.alternatives import offer_changes
from pipeline.plan.catalog import CATALOG
from pipeline.plan.continuing import PARTLY_HELD, RANGES
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.following import sharing_noise
from pipeline.plan.memory import Precision
from pipeline.plan.planner import decide
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import LOOSE, Continuity, ModelSpec, Tail
from pipeline.settings import read_settings
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker

ALL = Continuity(
    tail_strength=0.7, anchor=0.25, shared_noise=0.5, match_colour=1.0, guided_share=0.4, recall=0.9, turn_away=0.6
)


def refusal(make_request: RequestMaker, **fields: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        make_request(**fields)
    return refused.value


@pytest.mark.parametrize("field", RANGES)
def test_both_ends_of_a_range_are_legal_and_what_is_beyond_is_refused_with_the_nearest(
    make_request: RequestMaker, field: str
) -> None:
    least, most = RANGES[field]
    for value in (least, most):
        assert getattr(make_request(continuity=Continuity(**{field: value})).continuity, field) == value
    for value, nearest in ((least - 0.01, least), (most + 0.01, most), (float("inf"), most)):
        error = refusal(make_request, continuity=Continuity(**{field: value}))
        assert (error.field, error.hint) == (field, f"Nearest: {nearest:g}.")
    assert refusal(make_request, continuity=Continuity(**{field: float("nan")})).hint == (
        f"Nearest: {getattr(LOOSE, field):g}."
    )


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_a_tail_is_uncertain_only_where_noise_can_be_added_to_it(spec: ModelSpec, make_request: RequestMaker) -> None:
    for tail in spec.tails:
        fields = {"model": spec.key, "tail": tail, "shape": spec.shapes[0], "frames": spec.frames_of(9)}
        continuity = Continuity(tail_strength=0.9)
        if tail in PARTLY_HELD:
            assert make_request(continuity=continuity, **fields).continuity == continuity
            continue
        error = refusal(make_request, continuity=continuity, **fields)
        assert error.field == "tail_strength"
        assert tail in error.message
        assert all(way in error.message for way in PARTLY_HELD)


def test_chunks_that_are_denoised_together_have_no_first_one(make_request: RequestMaker, make_plan: PlanMaker) -> None:
    error = refusal(make_request, tail=Tail.CO_DENOISE, continuity=Continuity(shared_noise=0.5))
    assert (error.field, error.hint) == ("shared_noise", "Nearest: 0.")
    together = {"frames": 97, "tail": Tail.CO_DENOISE}
    plain, held = make_plan(**together), make_plan(**together, continuity=Continuity(anchor=0.5, match_colour=1.0))
    (said,) = (reason for reason in held.reasons if reason not in plain.reasons)
    assert "slope" in said


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
@pytest.mark.parametrize(
    ("field", "able", "nearest"),
    [("guided_share", "batched_guidance", 1), ("turn_away", "batched_guidance", 0), ("recall", "recalls", 0)],
)
def test_what_only_some_models_can_is_refused_by_the_others(
    spec: ModelSpec, field: str, able: str, nearest: int, make_request: RequestMaker
) -> None:
    """Guided in a part of its steps where both passes are one batch; recalled to where latents can stand beside."""
    fields = {"model": spec.key, "shape": spec.shapes[0], "frames": spec.frames_of(9)}
    continuity = Continuity(**{field: 0.5})
    if getattr(spec, able):
        assert make_request(continuity=continuity, **fields).continuity == continuity
        return
    error = refusal(make_request, continuity=continuity, **fields)
    assert (error.field, error.hint) == (field, f"Nearest: {nearest}.")
    assert spec.title in error.message


def test_nothing_is_said_of_guidance_where_there_is_none(make_plan: PlanMaker) -> None:
    told = {"frames": 97, "continuity": Continuity(guided_share=0.4)}
    assert any("guided" in reason for reason in make_plan(**told).reasons)
    assert not any("guided" in reason for reason in make_plan(**told, guidance=1.0).reasons)
    assert not any("guided" in reason for reason in make_plan(**told, tail=Tail.CO_DENOISE).reasons)


def test_turning_away_is_told_of_where_a_sentence_follows_another_and_chunks_are_guided(make_plan: PlanMaker) -> None:
    shots = (Shot(prompt="a red ball rises", seconds=4), Shot(prompt="a blue star falls", seconds=4))
    cut = (shots[0], replace(shots[1], transition=Transition.CUT))
    told = {"frames": 193, "continuity": Continuity(turn_away=0.6)}
    assert any("60%" in reason for reason in make_plan(**told, shots=shots).reasons)
    for fields in ({}, {"shots": cut, "frames": 194}, {"shots": shots, "guidance": 1.0}):
        assert not any("60%" in reason for reason in make_plan(**told | fields).reasons), fields


@pytest.mark.parametrize(
    ("key", "steps", "strength", "said"),
    [
        ("ltx-2b-distilled", 8, 0.5, "no step of 8 begins with about 50% of noise"),
        ("wan-a14b", 40, 0.9, "no step of 40 begins with about 10% of noise"),
        ("wan-a14b-lightning", 4, 0.6, "no step of 4 begins with about 40% of noise"),
        ("wan-a14b", 40, 0.75, "certain to 76%, the nearest to 75% in 40 steps:"),
        ("ltx-2b", 40, 0.91, "certain to 91%:"),
    ],
)
def test_the_plan_says_how_much_of_a_tail_is_certain_in_the_steps_there_are(
    key: str,
    steps: int,
    strength: float,
    said: str,
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    spec = CATALOG[key]
    sizes = {"model": key, "shape": spec.shapes[0], "frames": 2 * spec.native_frames - 1, "steps": steps}
    request = make_request(**sizes, continuity=Continuity(tail_strength=strength))
    reasons = decide(request, make_device(gib=2000), make_profile()).reasons
    (told,) = (reason for reason in reasons if "certain" in reason)
    assert said in told


@pytest.mark.parametrize(
    ("share", "said"), [(0.5, "50% .*: 2 of 4 latents"), (0.1, "noise of 10% does nothing .* none of the 4 that")]
)
def test_the_plan_says_how_many_latents_begin_from_the_first_chunk_s_noise(
    share: float, said: str, make_plan: PlanMaker
) -> None:
    plan = make_plan(frames=81, chunk_frames=49, continuity=Continuity(shared_noise=share))
    (told,) = (reason for reason in plan.reasons if "noise" in reason)
    assert re.search(said, told)
    assert [len(sharing_noise(plan.chunks, chunk, share)) for chunk in plan.chunks] == [0, round(4 * share)]


def test_nothing_is_said_of_tails_where_every_chunk_comes_after_a_cut(make_plan: PlanMaker) -> None:
    shots = tuple(Shot(prompt=text, seconds=2, transition=Transition.CUT) for text in ("a red ball", "a blue star"))
    plan = make_plan(frames=98, shots=shots, continuity=Continuity(tail_strength=0.7, shared_noise=0.5))
    assert [chunk.overlap for chunk in plan.chunks] == [0, 0]
    assert not any("certain" in reason or "noise" in reason for reason in plan.reasons)


def test_the_plan_names_them_keeps_them_and_says_a_sentence_of_each(make_plan: PlanMaker) -> None:
    plain, held = make_plan(frames=97), make_plan(frames=97, continuity=ALL)
    assert DraftPlan.from_json(json.dumps(held.to_json())) == held
    more = [reason for reason in held.reasons if reason not in plain.reasons and "%" in reason]
    shares = ("70%", "50%", "25%", "100%", "40%", "90%")
    assert tuple(next(share for share in shares if share in reason) for reason in more) == shares
    assert make_plan(frames=25, continuity=ALL).reasons == make_plan(frames=25).reasons  # one chunk: nothing is held


def test_a_request_of_before_there_was_such_a_choice_is_what_it_was(make_plan: PlanMaker, tmp_path: Path) -> None:
    plan = make_plan(frames=97)
    values = json.loads(json.dumps(plan.to_json()))
    del values["request"]["continuity"]
    assert DraftPlan.from_json(json.dumps(values)).request.continuity == LOOSE
    path = tmp_path / "request.json"
    path.write_text(json.dumps(values["request"]))
    assert read_settings(path).request.continuity == LOOSE


def test_they_are_read_back_from_settings_and_what_is_none_of_them_is_refused(
    make_request: RequestMaker, tmp_path: Path
) -> None:
    request, path = make_request(continuity=ALL), tmp_path / "request.json"
    path.write_text(json.dumps(asdict(request)))
    assert read_settings(path).request == request
    for wrong in ({"anchor": 0.1, "glue": 1.0}, {"anchor": 2.0}, {"anchor": "much"}, 1.0):
        path.write_text(json.dumps(asdict(request) | {"continuity": wrong}))
        with pytest.raises(InvalidRequest):
            read_settings(path)


def test_another_model_that_is_offered_holds_its_chunks_together_in_its_own_way(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(
        model="wan-a14b",
        shape=CATALOG["wan-a14b"].shapes[0],
        frames=81,
        continuity=Continuity(tail_strength=0.7),
        lowest_precision=Precision.INT4,
    )
    changes = offer_changes(request, make_device(6, DeviceKind.CUDA, ram_gib=16), make_profile())
    (model,) = (change for change in changes if change.request.model != request.model)
    assert model.request.continuity == model.request.spec.continuity


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_model_s_own_way_is_legal(spec: ModelSpec, make_request: RequestMaker) -> None:
    fields = {"model": spec.key, "shape": spec.shapes[0], "frames": spec.frames_of(9)}
    assert make_request(continuity=spec.continuity, **fields).continuity == spec.continuity

"""The plan of an edited draft, whatever was edited: it adds up, and what comes before the change is the old plan's."""

from dataclasses import replace
from random import Random

import pytest

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.catalog import find_model
from pipeline.plan.cutting import told_by
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.editing import edit_plan
from pipeline.plan.edits import WAYS, Branch, Cut, Edit, Extend, Redo, Reprompt, read_edit
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide
from pipeline.plan.request import LONGEST_SECONDS
from pipeline.plan.retreat import retreat
from pipeline.plan.spec import Continuity, Tail
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker
from tests.plan.random_requests import draw_case

CASES = 400
OLD = "20260101-120000-0123456789abcdef"


def can_stand_alone(plan: DraftPlan, chunk: int, made: int) -> bool:
    return plan.spec.tail is Tail.LATENTS and 0 < chunk < made - 1 and plan.chunks[chunk].overlap > 1


def edits_of(plan: DraftPlan, random: Random, made: int) -> list[Edit]:
    """One of each kind at a place drawn at random."""
    chunk = random.randrange(made)
    room = LONGEST_SECONDS - plan.request.seconds
    stride = plan.spec.frame_stride / plan.spec.fps
    changes: list[Edit] = [
        Redo(chunk=chunk, seed=1),
        *([Redo(chunk=chunk, seed=1, alone=True)] if can_stand_alone(plan, chunk, made) else []),
        Branch(chunk=random.randint(0, min(made, len(plan.chunks) - 1)), seed=2),
        Reprompt(chunk=random.randint(0, min(made, len(plan.chunks) - 1)), prompt="something else"),
    ]
    if chunk < len(plan.chunks) - 1:
        changes.append(Cut(chunk=chunk))
    if room > stride:
        changes.append(Extend(seconds=random.uniform(stride / 2, room), prompt=random.choice((None, "then this"))))
    return changes


def check(plan: DraftPlan, change: Edit, made: int, changed: DraftPlan) -> None:
    spec, chunks = plan.spec, changed.chunks
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    done = 0
    for chunk in chunks:
        assert chunk.start + chunk.overlap == done, change
        assert chunk.new_latents > 0
        done = chunk.stop
    assert spec.frames_of(done) == changed.request.frames
    assert sum(piece.frames for piece in changed.slices) == changed.request.frames
    assert [p.first_frame for p in changed.slices[1:]] == [p.first_frame + p.frames for p in changed.slices[:-1]]
    for one, other in zip(changed.slices, changed.slices[1:], strict=False):
        assert one.hold == other.fade
    assert {chunk.shot for chunk in chunks} <= set(range(len(changed.request.shots)))

    assert changed.parent is not None
    kept = changed.parent.kept
    assert [chunks[number] for number in kept if number != len(plan.chunks)] == [
        replace(plan.chunks[number], shot=chunks[number].shot) for number in kept
    ]
    first = next((n for n in range(len(chunks)) if n not in kept), len(chunks))
    before = [piece for piece in plan.slices if piece.chunk < first]
    assert changed.slices[: max(0, len(before) - 1)] == tuple(before[:-1])  # the last may hold other frames back
    assert changed.latents == chunks[-1].stop
    assert DraftPlan.from_json(_json(changed)) == changed
    match change:
        case Redo(chunk=chunk, alone=alone):
            assert set(range(made)) - set(kept) == ({chunk} if alone else set(range(chunk, made)))
            assert chunks[chunk].latents == plan.chunks[chunk].latents
        case Reprompt(chunk=chunk, prompt=prompt):
            assert changed.request.shots[chunks[chunk].shot].prompt == prompt
            assert [changed.request.shots[c.shot].prompt for c in chunks[:chunk]] == [
                plan.request.shots[c.shot].prompt for c in plan.chunks[:chunk]
            ]
        case Extend(seconds=seconds):
            stride = spec.frame_stride / spec.fps
            assert changed.request.seconds - plan.request.seconds == pytest.approx(seconds, abs=stride + 1e-6)
            assert chunks[: len(plan.chunks)] == plan.chunks
        case _:
            pass


def _json(plan: DraftPlan) -> str:
    import json

    return json.dumps(plan.to_json())


@pytest.mark.parametrize("seed", range(2))
def test_every_edit_of_every_plan_adds_up(seed: int) -> None:
    random, tried = Random(seed), 0
    while tried < CASES // 4:
        case = draw_case(random)
        try:
            device = case.device if case.profile.use_card else replace(case.device, kind=DeviceKind.CPU)
            plan = decide(case.request, device, case.profile)
        except (DoesNotFit, ValueError, InvalidRequest):
            continue
        tried += 1
        made = random.randint(1, len(plan.chunks))
        for change in edits_of(plan, random, made):
            try:
                changed = edit_plan(plan, change, draft=OLD, made=made, device=device)
            except DoesNotFit:
                assert isinstance(change, Extend)
                continue
            except InvalidRequest:  # a shot may become too short
                assert isinstance(change, Reprompt | Extend)
                continue
            check(plan, change, made, changed)
            if made == len(plan.chunks) and isinstance(change, Redo) and changed.chunks[change.chunk].ahead:
                again = edit_plan(changed, Branch(chunk=change.chunk, seed=3), draft=OLD, made=made, device=device)
                assert [replace(chunk, seed=0) for chunk in again.chunks] == [
                    replace(chunk, seed=0) for chunk in plan.chunks
                ]


def test_what_is_made_is_what_is_forecast(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    plan, device = make_plan(frames=193), make_device(gib=64.0)
    assert len(plan.chunks) == 6
    seconds = [
        edit_plan(plan, change, draft=OLD, made=6, device=device).forecast.total_seconds
        for change in (Cut(chunk=4), Redo(chunk=2, seed=1, alone=True), Branch(chunk=2, seed=1))
    ]
    assert seconds == sorted(seconds)
    assert seconds[-1] < plan.forecast.total_seconds


def test_a_chunk_that_is_made_anew_goes_on_from_those_that_stay(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    """Less guided than a first one, and given what it recalls: it is forecast like any other of the draft."""

    def denoising(continuity: Continuity) -> float:
        plan = make_plan(frames=97, steps=20, guidance=3.0, continuity=continuity)
        last = plan.chunks[-1].index
        redone = edit_plan(plan, Redo(chunk=last, seed=1), draft=OLD, made=last + 1, device=make_device(gib=64.0))
        return redone.forecast.formula_seconds[Stage.DENOISE]

    plain, half, none = (denoising(Continuity(guided_share=share)) for share in (1.0, 0.5, 0.0))
    assert half == pytest.approx((plain + none) / 2)
    assert none < half < plain < denoising(Continuity(recall=0.9))


def test_a_draft_from_another_kind_of_device_is_refused(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    with pytest.raises(InvalidRequest, match="was begun on a test's processor, which is not here"):
        edit_plan(make_plan(), Redo(chunk=0), draft=OLD, made=1, device=make_device(kind=DeviceKind.CUDA))


def test_an_extension_for_which_there_is_no_memory_is_refused(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    with pytest.raises(DoesNotFit):
        edit_plan(make_plan(), Extend(seconds=2), draft=OLD, made=1, device=make_device(gib=0.01))


def test_a_storyboard_can_have_no_more_shots_than_are_allowed(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    plan, device = make_plan(), make_device(gib=64.0)
    for _ in range(31):
        plan = edit_plan(plan, Extend(seconds=1, prompt="and then"), draft=OLD, made=len(plan.chunks), device=device)
    with pytest.raises(InvalidRequest, match="1 to 32 shots, not 33"):
        edit_plan(plan, Extend(seconds=1, prompt="and then"), draft=OLD, made=len(plan.chunks), device=device)


# What people write --------------------------------------------------------------------------------------------------
def test_chunks_are_counted_from_one_by_people() -> None:
    assert read_edit("redo", 2, seed=5) == Redo(chunk=1, seed=5)
    assert read_edit("branch", 1, seed=5) == Branch(chunk=0, seed=5)
    assert read_edit("reprompt", 3, "other") == Reprompt(chunk=2, prompt="other")
    assert read_edit("cut", 2) == Cut(chunk=1)
    assert read_edit("extend", 2.5) == Extend(seconds=2.5)
    assert read_edit("extend", 2.5, "other") == Extend(seconds=2.5, prompt="other")
    assert read_edit("extend", 1, "") == Extend(seconds=1)


@pytest.mark.parametrize(
    ("way", "amount", "sentence", "seed", "message"),
    [
        ("paint", 2, None, None, "cannot be edited by 'paint'"),
        ("redo", 1.5, None, None, "1.5 is no chunk"),
        ("redo", float("nan"), None, None, "nan is no chunk"),
        ("redo", float("inf"), None, None, "inf is no chunk"),
        ("cut", 2, "other", None, "cut takes no sentence"),
        ("extend", 2, None, 7, "extend draws no seed"),
        ("reprompt", 2, "other", 7, "reprompt draws no seed"),
    ],
)
def test_what_makes_no_sense_is_told(
    way: str, amount: float, sentence: str | None, seed: int | None, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_edit(way, amount, sentence, seed)
    assert set(WAYS) == {"redo", "reprompt", "branch", "cut", "extend"}


@pytest.mark.parametrize("key", ["miniature", "ltx-2b", "wan-5b", "wan-a14b"])
def test_what_is_added_to_chunks_denoised_together_goes_on_in_the_model_s_usual_way(
    key: str, make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    spec, device = find_model(key), make_device(gib=2000)
    sizes = {"shape": spec.shapes[0], "frames": 2 * spec.native_frames - 1, "tail": Tail.CO_DENOISE}
    plan = decide(make_request(model=key, **sizes), device, make_profile())
    said = "What is added goes on in the model's usual way: what is there was denoised together."
    for change in (Redo(chunk=0), Branch(chunk=0), Reprompt(chunk=0, prompt="other")):
        anew = edit_plan(plan, change, draft=OLD, made=1, device=device)
        assert anew.request.continued_by is Tail.CO_DENOISE
        assert anew.chunks[0].windows == plan.chunks[0].windows
        assert said not in anew.reasons
    for prompt in (None, "and then"):
        longer = edit_plan(plan, Extend(seconds=4, prompt=prompt), draft=OLD, made=1, device=device)
        assert said in longer.reasons
        assert longer.chunks[0] == plan.chunks[0]
        ways = [told_by(longer.request, chunk) for chunk in longer.chunks]
        assert ways == [Tail.CO_DENOISE, *[spec.tail] * (len(longer.chunks) - 1)]
        assert all(chunk.overlap and not chunk.windows for chunk in longer.chunks[1:])
        made = len(longer.chunks)
        # as drafts that were extended before have it
        old = replace(longer, request=replace(longer.request, tail=Tail.CO_DENOISE)) if prompt is None else longer
        for again in (longer, old):
            assert [told_by(again.request, chunk) for chunk in again.chunks] == ways
            for change in (Redo(chunk=0), Redo(chunk=1), Branch(chunk=1), Reprompt(chunk=1, prompt="x"), Cut(chunk=0)):
                if isinstance(change, Cut) or made > 1:
                    changed = edit_plan(again, change, draft=OLD, made=made, device=device)
                    assert [told_by(changed.request, chunk) for chunk in changed.chunks] == ways[: len(changed.chunks)]


def test_an_extended_draft_whose_windows_are_made_again_never_cuts_them(
    make_plan: PlanMaker, make_device: DeviceMaker
) -> None:
    plan = make_plan(frames=97, chunk_frames=49, tail=Tail.CO_DENOISE)
    longer = edit_plan(plan, Extend(seconds=2), draft=OLD, made=1, device=make_device())
    lower: DraftPlan | None = longer
    while lower:
        assert lower.chunks[0].windows == plan.chunks[0].windows
        assert [chunk.index for chunk in lower.chunks] == list(range(len(longer.chunks)))
        lower = retreat(lower, Stage.DENOISE)

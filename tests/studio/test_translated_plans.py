"""Why plans of all models on all kinds of machines are as they are, and what does not fit, is said in Chinese."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

from pipeline.errors import DoesNotFit
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import CATALOG, LTX_2B
from pipeline.plan.device import DeviceKind
from pipeline.plan.duration import no_experience
from pipeline.plan.editing import edit_plan
from pipeline.plan.edits import read_edit
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide, decide_again
from pipeline.plan.rates import guess_rates
from pipeline.plan.retreat import exhausted
from pipeline.plan.spec import Continuity, Tail
from pipeline.studio.texts import Language
from pipeline.studio.translation import translate
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker
from tests.plan.descent import descend
from tests.plan.random_requests import Case, draw_case
from tests.studio.english import chinese, english_in

CASES, TRIED = 150, 30  # drawn at random; of the latter every change is tried
DRAFT = "20260101-120000-0123456789abcdef"


def cases() -> Iterator[Case]:
    random = Random(11)
    return (draw_case(random) for _ in range(CASES))


def test_every_plan_of_every_model_says_why_in_chinese() -> None:
    reasons, refused, models = set[str](), 0, set[str]()
    for case in cases():
        try:
            plan = decide(case.request, case.device, case.profile)
        except DoesNotFit as error:
            chinese(error)
            refused += 1
            continue
        models.add(case.request.model)
        reasons |= {*plan.reasons, *(lower.reasons[0] for lower in descend(plan, Stage.DENOISE)[1:])}
    assert models == set(CATALOG)
    assert refused > CASES / 10
    for reason in reasons:
        said = translate(Language.ZH, reason)
        assert said != reason
        assert not english_in(said, "a card", "a processor", "H100"), said


def test_what_does_not_fit_comes_with_what_fits_in_chinese() -> None:
    kinds = set[str]()
    for case in islice(cases(), TRIED):
        try:
            plan = plan_draft(case.request, case.device, case.profile)
        except DoesNotFit as error:
            chinese(error)
            kinds |= {change.kind for change in error.changes[:1]}
        else:
            chinese(exhausted(plan, Stage.DENOISE))
    assert len(kinds) > 1


def test_a_plan_made_again_and_an_edited_one_say_why_in_chinese(
    make_plan: PlanMaker, make_device: DeviceMaker, make_request: RequestMaker, make_profile: ProfileMaker
) -> None:
    plan = make_plan(frames=97, chunk_frames=33)
    device = make_device(gib=64.0)
    edits = [
        read_edit(way, amount, "another" if way == "reprompt" else None)
        for way, amount in (("redo", 2), ("reprompt", 2), ("branch", 2), ("cut", 1), ("extend", 1))
    ]
    changed = [edit_plan(plan, edit, draft=DRAFT, made=len(plan.chunks), device=device) for edit in edits]
    together = make_plan(frames=97, chunk_frames=49, tail=Tail.CO_DENOISE)
    longer = edit_plan(together, read_edit("extend", 1), draft=DRAFT, made=1, device=device)
    card, request = make_device(24, DeviceKind.CUDA), make_request(model=LTX_2B.key, shape=LTX_2B.shapes[0])
    first, less = plan_draft(request, card, make_profile()), replace(card, free_bytes=card.free_bytes // 2)
    again = decide_again(first, less, no_experience(guess_rates(less)))
    assert again.reasons[0].startswith("Planned again")
    for plan, count in (*((plan, 1) for plan in (*changed, again)), (longer, 2)):
        for reason in plan.reasons[:count]:
            assert not english_in(translate(Language.ZH, reason), DRAFT), reason


def test_what_chunks_begin_with_is_said_in_chinese(make_plan: PlanMaker) -> None:
    """A tail that is certain to what was asked for, to the nearest, and wholly; noise that is shared, and none."""
    told = [(24, 0.7, 0.5), (24, 0.9, 0.1), (2, 0.7, 0.0)]
    for steps, strength, share in told:
        held = Continuity(tail_strength=strength, shared_noise=share)
        plan = make_plan(frames=81, chunk_frames=49, steps=steps, continuity=held)
        loose = make_plan(frames=81, chunk_frames=49, steps=steps)
        more = [reason for reason in plan.reasons if reason not in loose.reasons]
        assert len(more) == 1 + bool(share)
        for reason in more:
            said = translate(Language.ZH, reason)
            assert said != reason
            assert not english_in(said), said

"""Which models take a picture at the start or the end of a draft, and what the plan makes of one."""

from dataclasses import replace

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.alternatives import ChangeKind, offer_changes
from pipeline.plan.catalog import ANYFLOW_1_3B, CATALOG, LTX_2B, MINIATURE, WAN_5B, WAN_A14B, WAN_A14B_LIGHTNING
from pipeline.plan.cutting import cut
from pipeline.plan.device import DeviceKind
from pipeline.plan.editing import edit_plan
from pipeline.plan.edits import Branch, Cut, Edit, Extend, Redo
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide, workload
from pipeline.plan.spec import Keyframe, ModelSpec, Tail
from pipeline.plan.takes import take_of
from tests.conftest import DeviceMaker, PlanMaker, ProfileMaker, RequestMaker

A, B = "a" * 64, "b" * 64
BOTH = {"start_image": A, "end_image": B}
ABLE = {MINIATURE.key: "start end", LTX_2B.key: "start end", WAN_5B.key: "start", ANYFLOW_1_3B.key: "start"}


def standard(spec: ModelSpec, **fields: object) -> dict[str, object]:
    frames = spec.nearest_frames(spec.default_seconds * spec.fps)
    return {"model": spec.key, "shape": spec.shapes[0], "frames": frames, **fields}


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B, ANYFLOW_1_3B, WAN_A14B, WAN_A14B_LIGHTNING], ids=str)
@pytest.mark.parametrize("place", Keyframe)
def test_a_family_takes_a_picture_or_says_which_ones_do(
    spec: ModelSpec, place: Keyframe, make_request: RequestMaker
) -> None:
    fields = standard(spec, **{f"{place}_image": A})
    if place in ABLE.get(spec.key, ""):
        assert make_request(**fields).pictures == {place: A}
        return
    with pytest.raises(InvalidRequest, match=f"takes no {place} frame.*{MINIATURE.key}.*{LTX_2B.key}") as caught:
        make_request(**fields)
    assert caught.value.field == f"{place}_image"
    assert spec.title not in caught.value.hint


@pytest.mark.parametrize("name", ["", "../../x", "A" * 64, "a" * 63, "photo.png"])
def test_a_picture_has_a_digest_for_a_name(name: str, make_request: RequestMaker) -> None:
    with pytest.raises(InvalidRequest, match="names no picture"):
        make_request(start_image=name)


def test_where_all_chunks_are_denoised_together_no_picture_is_held(make_request: RequestMaker) -> None:
    with pytest.raises(InvalidRequest, match=r"holds no end frame\. Nearest: latents"):
        make_request(end_image=B, tail=Tail.CO_DENOISE)


def test_a_causal_models_first_block_is_the_picture(make_request: RequestMaker) -> None:
    plain, pictured = (make_request(**standard(ANYFLOW_1_3B, **more)) for more in ({}, {"start_image": A}))
    first, *others = cut(pictured, 21)
    before, *same = cut(plain, 21)
    assert (before.blocks, first.blocks) == ((1, 3), (3,))
    assert replace(first, blocks=before.blocks) == before
    assert others == same


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B, ANYFLOW_1_3B], ids=str)
def test_encoding_a_picture_is_in_the_forecast(
    spec: ModelSpec, make_request: RequestMaker, make_device: DeviceMaker
) -> None:
    device = make_device(24, DeviceKind.CUDA)
    fields = {f"{place}_image": A for place in spec.keyframes}
    loads = [
        workload(request, cut(request, 99)) for request in (make_request(**standard(spec, **f)) for f in ({}, fields))
    ]
    encoding = [load.reencoding_bytes(device) for load in loads]
    assert encoding[0] == 0
    assert encoding[1] > 2 * (spec.vae.parameters - spec.vae.decoder_parameters)
    if Keyframe.END in spec.keyframes and not spec.holds_end:  # tokens beside the sequence
        assert loads[1].live_bytes(Stage.DENOISE, device) > loads[0].live_bytes(Stage.DENOISE, device)


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B], ids=str)
@pytest.mark.parametrize("chunks", [1, 3])
def test_a_picture_takes_time_once(spec: ModelSpec, chunks: int, make_plan: PlanMaker) -> None:
    seconds = chunks * (spec.native_frames - spec.overlap_frames) / spec.fps
    usual = standard(spec, frames=spec.nearest_frames(seconds * spec.fps))
    wishes = [{}, *({f"{place}_image": A} for place in spec.keyframes)]
    plain, *pictured = (make_plan(**usual, **wish) for wish in wishes)
    for place, plan in zip(spec.keyframes, pictured, strict=True):
        assert len(plan.chunks) == len(plain.chunks)
        more = {stage: plan.forecast.formula_seconds[stage] - plain.forecast.formula_seconds[stage] for stage in Stage}
        assert more[Stage.ENCODE] == 0
        assert more[Stage.DECODE] > 0
        beside = place is Keyframe.END and not spec.holds_end
        assert (more[Stage.DENOISE] > 0) == beside
        assert more[Stage.DENOISE] <= plain.forecast.formula_seconds[Stage.DENOISE] / len(plain.chunks)


def test_without_pictures_nothing_is_planned_otherwise(make_plan: PlanMaker) -> None:
    plan = make_plan(frames=97)
    load = workload(plan.request, plan.chunks)
    assert (load.keyframes, load.reencoding_bytes(plan.memory.device)) == ((), 0)


@pytest.mark.parametrize(
    ("edit", "pictures"),
    [
        (Redo(chunk=0, seed=1), BOTH),
        (Redo(chunk=2, seed=1), BOTH),
        (Branch(chunk=1, seed=1), BOTH),
        (Cut(chunk=1), {"start_image": A}),
        (Extend(seconds=2), {"start_image": A}),
        (Extend(seconds=2, prompt="a blue star rises"), {"start_image": A}),
    ],
    ids=str,
)
def test_an_edit_that_moves_the_end_drops_its_picture_and_says_so(
    edit: Edit, pictures: dict[str, str], make_plan: PlanMaker, make_device: DeviceMaker
) -> None:
    plan = make_plan(frames=97, **BOTH)
    assert len(plan.chunks) == 3
    changed = edit_plan(plan, edit, draft="x", made=3, device=make_device(64))
    assert {f"{place}_image": name for place, name in changed.request.pictures.items()} == pictures
    assert any("end frame is dropped" in reason for reason in changed.reasons) == (pictures != BOTH)


def test_a_take_begins_with_the_picture_and_ends_with_the_other_only_where_it_is_all(make_plan: PlanMaker) -> None:
    assert take_of(make_plan(frames=97, **BOTH), 3).pictures == {Keyframe.START: A}
    assert take_of(make_plan(frames=25, **BOTH), 3).pictures == {Keyframe.START: A, Keyframe.END: B}


def test_no_change_is_offered_to_a_model_that_would_lose_the_picture(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(**standard(LTX_2B, **BOTH))
    changes = offer_changes(request, make_device(2, DeviceKind.CUDA, ram_gib=12), make_profile())
    assert changes
    assert all(change.request.pictures == request.pictures for change in changes)
    assert all(Keyframe.END in CATALOG[c.request.model].keyframes for c in changes if c.kind is ChangeKind.MODEL)


def test_a_plan_with_pictures_comes_back_from_json(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    import json

    from pipeline.plan.draft import DraftPlan

    plan = decide(make_request(**BOTH), make_device(64), make_profile())
    assert DraftPlan.from_json(json.dumps(plan.to_json())) == plan

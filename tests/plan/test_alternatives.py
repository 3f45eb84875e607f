"""What is offered instead really works, costs least first, and is offered only where there is a need."""

from dataclasses import replace

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.alternatives import (
    MOST_CHANGES,
    SLOW_SECONDS,
    WORTHWHILE,
    WORTHWHILE_CHUNKS,
    Change,
    ChangeKind,
    offer_changes,
    offer_faster,
    plan_draft,
    say_seconds,
)
from pipeline.plan.catalog import (
    CATALOG,
    LTX_2B,
    LTX_13B,
    LTX_13B_DISTILLED,
    MINIATURE,
    WAN_5B,
    WAN_A14B,
    WAN_A14B_LIGHTNING,
)
from pipeline.plan.device import DeviceKind
from pipeline.plan.duration import Closeness, no_experience
from pipeline.plan.memory import Precision, Stage
from pipeline.plan.planner import DISK_RESERVE_BYTES, decide
from pipeline.plan.rates import Rates
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

SLOW = Rates(operations_per_second=1e12, bus_bytes_per_second=12e9, disk_bytes_per_second=1e9, measured=True)


def offered(error: DoesNotFit) -> dict[ChangeKind, Change]:
    return {change.kind: change for change in error.changes}


def test_a_shorter_draft_is_the_least_loss_where_the_disk_is_full(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(frames=241)
    need = decide(request, make_device(), make_profile()).memory.disk_bytes
    disk = make_device(disk_free_bytes=DISK_RESERVE_BYTES + need - 1)
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, disk, make_profile())
    length = refusal.value.changes[0]
    assert length.kind is ChangeKind.LENGTH
    assert length.request == replace(request, frames=length.request.frames)
    assert 0.7 * request.frames < length.request.frames < request.frames
    assert length.name == f"{length.request.seconds:.1f} seconds"
    assert refusal.value.hint.startswith(f"What fits: {length.name} (about ")


def test_a_smaller_picture_is_as_large_as_fits_and_keeps_its_shape(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=WAN_5B.key, shape=WAN_5B.shapes[0], frames=49)
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, make_device(2.4, DeviceKind.CUDA), make_profile())
    change = offered(refusal.value)[ChangeKind.RESOLUTION]
    shape = change.request.shape
    assert change.request == replace(request, shape=shape)
    assert shape.name == request.shape.name
    assert shape.width / shape.height == pytest.approx(request.shape.width / request.shape.height, rel=0.15)
    assert change.name == f"{shape.width} x {shape.height} pixels"
    larger = VideoShape(width=shape.width + 128, height=shape.height + 96)
    with pytest.raises(DoesNotFit):
        decide(replace(request, shape=larger), make_device(2.4, DeviceKind.CUDA), make_profile())


def test_four_bits_are_offered_where_eight_do_not_fit(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """Main memory too small to park or stream eight bits from, a card too small to hold them."""
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=9)
    device, profile = make_device(9, DeviceKind.CUDA, ram_gib=8.0), make_profile()
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, device, profile)
    change = offered(refusal.value)[ChangeKind.PRECISION]
    assert change.request == replace(request, lowest_precision="int4")
    assert change.plan.memory.choices[Stage.DENOISE].precision is Precision.INT4
    assert change.name == "4-bit weights"
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(replace(request, frames=17, lowest_precision="int4"), make_device(1.0), profile)
    assert ChangeKind.PRECISION not in offered(refusal.value)


def test_a_change_of_precision_is_named_after_what_the_plan_takes(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=LTX_13B.key, shape=LTX_13B.shapes[0], frames=97, lowest_precision="bfloat16")
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, make_device(8, DeviceKind.CUDA, ram_gib=20.0), make_profile())
    change = offered(refusal.value)[ChangeKind.PRECISION]
    precisions = {choice.precision for choice in change.plan.memory.choices.values()}
    assert Precision.INT4 not in precisions
    assert change.name == "8-bit weights"
    assert change.request.lowest_precision == "int8"


@pytest.mark.parametrize("spec", [spec for spec in CATALOG.values() if spec is not MINIATURE], ids=lambda s: s.key)
def test_the_miniature_is_the_last_resort_of_every_model(
    spec: ModelSpec, make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    for shape in spec.shapes:
        request = make_request(model=spec.key, shape=shape, frames=spec.native_frames)
        with pytest.raises(DoesNotFit) as refusal:
            plan_draft(request, make_device(1.5), make_profile())
        (change,) = refusal.value.changes
        assert (change.kind, change.request.model) == (ChangeKind.MODEL, MINIATURE.key)
        assert (change.request.steps, change.request.guidance) == (MINIATURE.default_steps, MINIATURE.default_guidance)
        assert change.request.seconds == pytest.approx(request.seconds, abs=0.3)
        assert change.request.shape.name == shape.name
        assert change.request.shots == request.shots
        assert change.name == MINIATURE.title in refusal.value.hint


@pytest.mark.parametrize("spec", [LTX_2B, WAN_5B, WAN_A14B], ids=lambda spec: spec.key)
def test_the_longest_draft_of_all_is_refused_with_another_model_too(
    spec: ModelSpec, make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    frames = spec.nearest_frames(60 * spec.fps)
    request = make_request(model=spec.key, shape=spec.shapes[0], frames=frames)
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, make_device(1.5), make_profile())
    assert [change.request.model for change in refusal.value.changes] == [MINIATURE.key]


def test_a_model_nearer_to_what_was_asked_is_offered_before_the_miniature(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=WAN_A14B.key, shape=WAN_A14B.shapes[0], frames=81)
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, make_device(8, DeviceKind.CUDA, ram_gib=12.0), make_profile())
    model = offered(refusal.value)[ChangeKind.MODEL].request.spec
    assert MINIATURE.parameters < model.parameters < WAN_A14B.parameters


def test_the_miniature_itself_has_no_other_model_to_offer(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(make_request(), make_device(0.2), make_profile())
    assert refusal.value.changes == ()
    assert refusal.value.hint


def test_a_chunk_set_by_hand_is_kept_where_the_model_is(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    shape = LTX_2B.shapes[0]
    request = make_request(model=LTX_2B.key, shape=shape, frames=241, chunk_frames=33, overlap_frames=9)
    device = make_device(24, DeviceKind.CUDA)
    need = decide(request, device, make_profile()).memory.disk_bytes
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, replace(device, disk_free_bytes=DISK_RESERVE_BYTES + need - 1), make_profile())
    changes = offered(refusal.value)
    assert set(changes) == {ChangeKind.LENGTH, ChangeKind.RESOLUTION, ChangeKind.MODEL}
    for kind, change in changes.items():
        by_hand = (change.request.chunk_frames, change.request.overlap_frames)
        assert by_hand == ((None, None) if kind is ChangeKind.MODEL else (33, 9))


def slow_request(make_request: RequestMaker) -> GenerationRequest:
    return make_request(model=WAN_5B.key, shape=WAN_5B.shapes[0], frames=121, steps=50)


def test_nothing_is_offered_for_a_draft_that_is_not_slow(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = decide(make_request(), make_device(24, DeviceKind.CUDA, name="NVIDIA H100"), make_profile())
    assert plan.forecast.total_seconds < SLOW_SECONDS
    assert offer_faster(plan, make_profile()) == ()


def test_what_is_offered_for_a_slow_draft_saves_a_good_part_of_it(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = decide(slow_request(make_request), make_device(12, DeviceKind.CUDA), make_profile())
    seconds = plan.forecast.total_seconds
    assert seconds > SLOW_SECONDS
    changes = offer_faster(plan, make_profile())
    kinds = list(ChangeKind)
    assert 0 < len(changes) <= MOST_CHANGES
    assert [kinds.index(c.kind) for c in changes] == sorted({kinds.index(c.kind) for c in changes})
    for change in changes:
        share = WORTHWHILE_CHUNKS if change.kind is ChangeKind.CHUNKS else WORTHWHILE
        assert change.plan.forecast.total_seconds <= share * seconds
        assert change.plan == decide(change.request, plan.memory.device, make_profile())


# Attention over 720p in one piece is most of the work there; three chunks of 33 frames would be a little faster still.
@pytest.mark.parametrize(("model", "frames", "chunk_frames"), [(WAN_A14B, 81, 45), (WAN_5B, 121, 65)], ids=str)
def test_a_slow_clip_in_one_piece_is_offered_in_as_few_chunks_as_save_enough(
    model: ModelSpec,
    frames: int,
    chunk_frames: int,
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    request = make_request(model=model.key, shape=VideoShape(width=1280, height=704), frames=frames, steps=40)
    whole = decide(request, make_device(24, DeviceKind.CUDA), make_profile())
    change = offer_faster(whole, make_profile())[0]
    assert change.kind is ChangeKind.CHUNKS
    assert change.request == replace(request, chunk_frames=chunk_frames)
    assert (len(whole.chunks), len(change.plan.chunks)) == (1, 2)
    assert change.name == f"2 shorter chunks, of up to {chunk_frames} frames"
    assert change.plan.forecast.first_slice_seconds < whole.forecast.first_slice_seconds
    taken = offer_faster(change.plan, make_profile())
    assert ChangeKind.CHUNKS not in {again.kind for again in taken}  # it does not go on for ever


def test_chunks_are_not_offered_where_they_save_little(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    """Overlaps cost what attention saves: LTX-Video's latents are few, Wan's at 480p not many."""
    for spec, size in ((LTX_2B, (1216, 704)), (LTX_13B, (1216, 704)), (WAN_A14B, (832, 480))):
        shape = VideoShape(width=size[0], height=size[1])
        request = make_request(model=spec.key, shape=shape, frames=spec.native_frames, steps=50)
        plan = decide(request, make_device(24, DeviceKind.CUDA), make_profile())
        assert len(plan.chunks) == 1
        kinds = [change.kind for change in offer_faster(plan, make_profile())]
        assert kinds
        assert ChangeKind.CHUNKS not in kinds


def test_shorter_chunks_keep_an_overlap_set_by_hand(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(model=WAN_5B.key, shape=WAN_5B.shapes[0], frames=121, steps=50, overlap_frames=1)
    plan = decide(request, make_device(24, DeviceKind.CUDA), make_profile())
    change = offer_faster(plan, make_profile())[0]
    assert (change.kind, change.request.overlap_frames) == (ChangeKind.CHUNKS, 1)
    assert {chunk.overlap for chunk in change.plan.chunks[1:]} == {1}


@pytest.mark.parametrize(
    ("spec", "fewer_steps"), [(WAN_A14B, WAN_A14B_LIGHTNING), (LTX_13B, LTX_13B_DISTILLED)], ids=lambda spec: spec.key
)
def test_the_same_networks_in_fewer_steps_are_offered_before_others(
    spec: ModelSpec,
    fewer_steps: ModelSpec,
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    request = make_request(model=spec.key, shape=spec.shapes[0], frames=spec.native_frames, steps=spec.default_steps)
    plan = decide(request, make_device(48, DeviceKind.CUDA), make_profile())
    (change,) = (change for change in offer_faster(plan, make_profile()) if change.kind is ChangeKind.MODEL)
    assert change.request.spec is fewer_steps
    assert (change.request.steps, change.request.guidance) == (fewer_steps.default_steps, 1)


def test_at_most_one_change_of_a_kind_is_offered(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = slow_request(make_request)
    changes = offer_changes(request, make_device(80, DeviceKind.CUDA), make_profile())
    rest = {ChangeKind.ENCODER, ChangeKind.CHUNKS}
    assert [change.kind for change in changes] == [kind for kind in ChangeKind if kind not in rest]


def test_experience_is_used_for_the_same_model(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    taught = replace(no_experience(SLOW), factors=dict.fromkeys(Stage, 3.0), closeness=Closeness.SHAPE)
    changes = offer_changes(slow_request(make_request), make_device(80, DeviceKind.CUDA), make_profile(), taught)
    same = [change for change in changes if change.kind is not ChangeKind.MODEL]
    assert {change.plan.forecast.closeness for change in same} == {Closeness.SHAPE}


def test_measured_rates_hold_for_every_model(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    taught = replace(no_experience(SLOW), factors=dict.fromkeys(Stage, 3.0), closeness=Closeness.SHAPE)
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(slow_request(make_request), make_device(1.9, DeviceKind.CUDA), make_profile(), taught)
    change = offered(refusal.value)[ChangeKind.MODEL]
    assert change.plan.forecast.closeness is Closeness.RATES
    plain = decide(change.request, make_device(1.9, DeviceKind.CUDA), make_profile(), no_experience(SLOW))
    assert change.plan.forecast == plain.forecast


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.1, "1 s"), (41.4, "41 s"), (180.0, "3 min"), (5399.0, "90 min"), (9000.0, "2.5 h")]
)
def test_seconds_are_said_as_a_person_would(seconds: float, said: str) -> None:
    assert say_seconds(seconds) == said

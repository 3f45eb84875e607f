"""Whether the text encoder stays on a card: where there is room, with room made for it, or never."""

import pytest

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.alternatives import ChangeKind, plan_draft
from pipeline.plan.catalog import LTX_2B
from pipeline.plan.device import DeviceKind
from pipeline.plan.limits import ENCODER_POLICIES
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.placement import fits
from pipeline.plan.planner import decide
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker

LTX = {"model": LTX_2B.key, "shape": LTX_2B.shapes[0], "frames": 121}


def test_where_there_is_room_it_stays_unless_told_to_leave(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(80, DeviceKind.CUDA), make_profile()
    stays = {
        policy: decide(make_request(**LTX, encoder=policy), device, profile).memory.choices[Stage.ENCODE].placement
        for policy in ENCODER_POLICIES
    }
    assert stays == {"auto": Placement.KEPT, "resident": Placement.KEPT, "unload": Placement.VISITING}


def test_room_is_made_for_one_that_has_to_stay(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(14, DeviceKind.CUDA), make_profile()
    usual = decide(make_request(**LTX), device, profile).memory
    assert usual.choices[Stage.ENCODE].placement is Placement.VISITING
    plan = decide(make_request(**LTX, encoder="resident"), device, profile)
    assert plan.memory.choices[Stage.ENCODE].placement is Placement.KEPT
    assert all(fits(choice, plan.memory.budget) for choice in plan.memory.choices.values())
    assert plan.memory.choices[Stage.DENOISE] != usual.choices[Stage.DENOISE]
    assert any("room was made for it" in reason for reason in plan.reasons)


def test_where_it_cannot_stay_the_first_offer_is_that_it_leaves(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    request = make_request(**LTX, encoder="resident")
    with pytest.raises(DoesNotFit) as refusal:
        plan_draft(request, make_device(4, DeviceKind.CUDA), make_profile())
    offer = refusal.value.changes[0]
    assert (offer.kind, offer.request.encoder) == (ChangeKind.ENCODER, "auto")
    assert "a text encoder that leaves the card" in refusal.value.hint


def test_without_a_card_it_never_stays_and_the_plan_says_so(
    make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    plan = decide(make_request(encoder="resident"), make_device(), make_profile())
    assert plan.memory.choices[Stage.ENCODE].placement is Placement.VISITING
    assert any("only on a graphics card" in reason for reason in plan.reasons)


@pytest.mark.parametrize("policy", ["", "AUTO", "never"])
def test_another_policy_is_refused(policy: str, make_request: RequestMaker) -> None:
    with pytest.raises(InvalidRequest, match="auto, resident, unload") as refusal:
        make_request(encoder=policy)
    assert refusal.value.field == "encoder"

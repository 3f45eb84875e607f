"""The need of a draft is its largest stage, and what does not fit says which stage, how much and what would help."""

import pytest

from pipeline.errors import DoesNotFit
from pipeline.plan.catalog import LTX_2B, MINIATURE, VideoShape
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import MemoryPlan, Stage, budget_bytes, plan_memory
from pipeline.plan.presets import VramProfile
from tests.conftest import DeviceMaker, ProfileMaker

SHAPE = VideoShape(width=704, height=480)
GIB = 2**30


def place(device: Device, profile: VramProfile, *, latents: int = 16, guided: bool = True) -> MemoryPlan:
    return plan_memory(LTX_2B, SHAPE, chunk_latents=latents, guided=guided, device=device, profile=profile)


def test_the_peak_is_the_largest_stage_and_not_the_sum(make_device: DeviceMaker, make_profile: ProfileMaker) -> None:
    memory = place(make_device(80, DeviceKind.CUDA), make_profile())
    assert set(memory.stage_bytes) == set(Stage)
    assert memory.peak_bytes == max(memory.stage_bytes.values()) < sum(memory.stage_bytes.values())


def test_every_stage_needs_at_least_its_weights(make_device: DeviceMaker, make_profile: ProfileMaker) -> None:
    memory = place(make_device(80, DeviceKind.CUDA), make_profile())
    for stage, component in ((Stage.ENCODE, "text_encoder"), (Stage.DENOISE, "transformer"), (Stage.DECODE, "vae")):
        assert memory.stage_bytes[stage] > 2 * LTX_2B.parameters[component]


@pytest.mark.parametrize(
    ("free", "card", "ram", "reserve", "budget"),
    [
        pytest.param(24, None, None, 0.0, 24.0, id="all that is free"),
        pytest.param(24, None, None, 1.0, 23.0, id="less the reserve"),
        pytest.param(24, 8, None, 0.5, 8.0, id="never more than the profile allows"),
        pytest.param(6, 8, None, 0.5, 5.5, id="never more than is free"),
        pytest.param(24, None, 2, 0.0, 24.0, id="main memory's limit is not the card's"),
        pytest.param(0.25, 8, None, 0.5, 0.0, id="never below nothing"),
    ],
)
def test_the_budget_on_a_card_is_what_is_free_and_allowed(
    free: float,
    card: float | None,
    ram: float | None,
    reserve: float,
    budget: float,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
) -> None:
    profile = make_profile(card_gib=card, ram_gib=ram, reserve_gib=reserve)
    assert budget_bytes(make_device(free, DeviceKind.CUDA), profile) == int(budget * GIB)


def test_on_the_processor_main_memory_is_the_limit(make_device: DeviceMaker, make_profile: ProfileMaker) -> None:
    assert budget_bytes(make_device(64), make_profile(card_gib=8, ram_gib=24)) == 24 * GIB


def test_what_does_not_fit_names_the_stage_the_need_and_the_budget(
    make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        place(make_device(24, DeviceKind.CUDA), make_profile(card_gib=8.0))
    error = refusal.value
    assert error.stage == Stage.ENCODE  # 4.76 billion weights in bf16 are 8.9 GiB
    assert error.budget_bytes == 8 * GIB < error.need_bytes
    assert f"{error.need_bytes / GIB:.1f} GiB and 8.0 GiB are allowed" in error.message
    assert error.hint


def test_a_decode_that_does_not_fit_advises_a_smaller_picture(
    make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    with pytest.raises(DoesNotFit, match="smaller picture") as refusal:
        plan_memory(
            LTX_2B,
            VideoShape(width=1280, height=1280),
            chunk_latents=16,
            guided=True,
            device=make_device(24, DeviceKind.CUDA),
            profile=make_profile(card_gib=12.0),
        )
    assert refusal.value.stage == Stage.DECODE


def test_what_exactly_fits_is_accepted_and_a_byte_less_is_not(
    make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    need = place(make_device(80, DeviceKind.CUDA), make_profile()).peak_bytes
    exact = make_device(kind=DeviceKind.CUDA, free_bytes=need)
    assert place(exact, make_profile()).budget_bytes == need
    with pytest.raises(DoesNotFit):
        place(make_device(kind=DeviceKind.CUDA, free_bytes=need - 1), make_profile())


def test_denoising_needs_more_for_longer_chunks_and_for_guidance(
    make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(80, DeviceKind.CUDA), make_profile()
    needs = [place(device, profile, latents=latents).stage_bytes[Stage.DENOISE] for latents in range(2, 17)]
    assert needs == sorted(set(needs))
    unguided = place(device, profile, guided=False).stage_bytes[Stage.DENOISE]
    assert unguided < place(device, profile).stage_bytes[Stage.DENOISE]


def test_decoding_needs_no_more_for_chunks_past_one_window(
    make_device: DeviceMaker, make_profile: ProfileMaker
) -> None:
    device, profile = make_device(80, DeviceKind.CUDA), make_profile()
    window = LTX_2B.decode_window_latents
    needs = [place(device, profile, latents=n).stage_bytes[Stage.DECODE] for n in (window - 1, window, window + 8)]
    assert needs[0] < needs[1] == needs[2]


def test_the_miniature_fits_into_half_a_gibibyte(make_device: DeviceMaker, make_profile: ProfileMaker) -> None:
    for shape in MINIATURE.shapes:
        plan_memory(MINIATURE, shape, chunk_latents=7, guided=True, device=make_device(0.5), profile=make_profile())

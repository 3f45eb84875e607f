"""Where torch cannot use the card that the driver names, a sentence says why and what to do."""

import pytest
import torch

from pipeline.gpu.access import find_obstacle, find_overlooked_card, has_kernels
from pipeline.plan.device import DeviceKind
from tests.conftest import DeviceMaker


def test_a_processor_is_never_an_obstacle(make_device: DeviceMaker) -> None:
    assert find_obstacle(make_device()) == ""


def test_a_build_for_processors_is_named_with_the_card(
    make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    told = find_obstacle(make_device(24.0, DeviceKind.CUDA))
    assert told.startswith(f"torch {torch.__version__} is built for processors only and cannot use the a test's card.")
    assert "https://pytorch.org/get-started/locally/" in told


def test_a_driver_too_old_for_the_build_is_named(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = find_obstacle(make_device(24.0, DeviceKind.CUDA, driver="470.1"))
    assert "built for CUDA 12.8 and does not find the a test's card: update the driver (470.1 now)" in told


def test_a_build_without_the_card_s_kernels_is_named(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_86", "sm_90", "sm_120"])
    assert "not built for compute capability 6.1" in find_obstacle(
        make_device(8.0, DeviceKind.CUDA, compute_capability=(6, 1))
    )
    assert find_obstacle(make_device(8.0, DeviceKind.CUDA, compute_capability=(8, 9))) == ""


@pytest.mark.parametrize(
    ("built_for", "capability", "runs"),
    [
        (["sm_80"], (8, 0), True),
        (["sm_80"], (8, 9), True),
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_100a"], (10, 3), False),
        (["sm_100f"], (10, 3), True),
        (["sm_80", "compute_80"], (12, 0), True),
        (["sm_120"], (12, 0), True),
        (["compute_90"], (8, 6), False),
        ([], (8, 6), True),
        (["gfx90a"], (8, 6), True),
    ],
)
def test_machine_code_runs_on_its_own_major_version_upwards(
    built_for: list[str], capability: tuple[int, int], runs: bool
) -> None:
    assert has_kernels(built_for, capability) is runs


def test_a_card_that_only_torch_finds_is_named(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA T4")
    assert find_overlooked_card(make_device()) == "NVIDIA T4"
    assert find_overlooked_card(make_device(8.0, DeviceKind.CUDA)) == ""


@pytest.mark.gpu
def test_the_card_here_can_be_used(make_device: DeviceMaker) -> None:
    capability = torch.cuda.get_device_capability()
    assert find_obstacle(make_device(8.0, DeviceKind.CUDA, compute_capability=capability)) == ""

"""What every test may use: requests, devices and profiles to change one value of. No test reaches the network."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is first imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import pytest

from pipeline.plan.catalog import MINIATURE, VideoShape
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest, Shot

RequestMaker = Callable[..., GenerationRequest]
DeviceMaker = Callable[..., Device]
ProfileMaker = Callable[..., VramProfile]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a card where there is none; torch is only asked when such a test was collected."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if needing:
        import torch

        if not torch.cuda.is_available():
            for item in needing:
                item.add_marker(pytest.mark.skip(reason="no NVIDIA card that torch can use"))


@pytest.fixture
def make_request() -> RequestMaker:
    """A legal four-second request for the miniature; name what should differ, `prompt` included."""

    def make(
        *, prompt: str = "a red ball moves left over snow", seconds: float = 4.0, **fields: Any
    ) -> GenerationRequest:
        standard: dict[str, Any] = {
            "shots": (Shot(prompt=prompt, seconds=seconds),),
            "model": MINIATURE.key,
            "shape": VideoShape(width=256, height=160),
            "frames": 97,
            "steps": 20,
            "guidance": 3.0,
            "seed": 7,
        }
        return GenerationRequest(**(standard | fields))

    return make


@pytest.fixture
def make_device() -> DeviceMaker:
    """A machine with `gib` free; a processor unless a card is asked for."""

    def make(gib: float = 8.0, kind: DeviceKind = DeviceKind.CPU, **fields: Any) -> Device:
        device = Device(
            kind=kind,
            name="a test's card" if kind is DeviceKind.CUDA else "a test's processor",
            total_bytes=int(gib * 2**30),
            free_bytes=int(gib * 2**30),
            cores=2,
            compute_capability=(8, 9) if kind is DeviceKind.CUDA else None,
        )
        return replace(device, **fields)

    return make


@pytest.fixture
def make_profile() -> ProfileMaker:
    """A profile that allows everything; name what should differ."""

    def make(**fields: Any) -> VramProfile:
        profile = VramProfile(
            key="test", title="Test", title_zh="测试", use_card=True, reserve_gib=0.0, measured="not yet"
        )
        return replace(profile, **fields)

    return make

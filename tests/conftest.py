"""What every test may use: requests, devices and profiles to change one value of. No test reaches the network."""

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is first imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes test at once, on tiny networks

import pytest

from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import LTX_2B, MINIATURE
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.plan.spec import VideoShape

if TYPE_CHECKING:
    from tests.fake_hub import FakeHub

RequestMaker = Callable[..., GenerationRequest]
DeviceMaker = Callable[..., Device]
ProfileMaker = Callable[..., VramProfile]
PlanMaker = Callable[..., DraftPlan]

SMALL = VideoShape(width=128, height=96)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a card where there is none; torch is only asked when such a test was collected."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if needing:
        import torch

        if not torch.cuda.is_available():
            for item in needing:
                item.add_marker(pytest.mark.skip(reason="no NVIDIA card that torch can use"))


def pytest_collection_finish() -> None:
    """What is imported by now stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def make_device() -> DeviceMaker:
    """A machine with `gib` free on its card, or in main memory where there is none, which is the standard."""

    def make(gib: float = 8.0, kind: DeviceKind = DeviceKind.CPU, *, ram_gib: float = 64.0, **fields: Any) -> Device:
        card = kind is DeviceKind.CUDA
        device = Device(
            kind=kind,
            name="a test's card" if card else "a test's processor",
            total_bytes=int(gib * 2**30),
            free_bytes=int(gib * 2**30),
            ram_total_bytes=int((ram_gib if card else gib) * 2**30),
            ram_free_bytes=int((ram_gib if card else gib) * 2**30),
            disk_free_bytes=2**40,
            cores=2,
            compute_capability=(8, 9) if card else None,
        )
        return replace(device, **fields)

    return make


@pytest.fixture(scope="session")
def make_profile() -> ProfileMaker:
    """A profile that allows everything; name what should differ."""

    def make(**fields: Any) -> VramProfile:
        profile = VramProfile(
            key="test",
            title="Test",
            title_zh="测试",
            use_card=True,
            reserve_gib=0.0,
            ram_reserve_gib=0.0,
            measured="not yet",
        )
        return replace(profile, **fields)

    return make


@pytest.fixture(scope="session")
def make_plan(make_request: RequestMaker, make_device: DeviceMaker, make_profile: ProfileMaker) -> PlanMaker:
    """A plan for one small chunk in two steps on a processor; name what should differ."""

    def make(**fields: Any) -> DraftPlan:
        standard: dict[str, Any] = {"shape": SMALL, "frames": 25, "steps": 2}
        return plan_draft(make_request(**(standard | fields)), make_device(gib=64.0), make_profile())

    return make


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `assets/` that holds the tiny checkpoint in the miniature's place."""
    from tests.tiny import make_tiny_checkpoint  # torch is imported for those who need it

    assets = tmp_path_factory.mktemp("assets")
    make_tiny_checkpoint(assets / MINIATURE.key)
    return assets


@pytest.fixture
def tiny(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever opens the miniature in this process gets the tiny checkpoint; its folder. A stop lets a slice be made
    however busy the machine is: the tiny checkpoint's steps take no time."""
    from pipeline import patience
    from pipeline.gpu import loading

    monkeypatch.setattr(patience, "LEAST_SECONDS", 60.0)
    monkeypatch.setattr(loading, "ASSETS", tiny_assets)
    return tiny_assets / MINIATURE.key


@pytest.fixture
def fake_hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["FakeHub"]:
    """A hub on this machine that huggingface_hub asks instead of Hugging Face, and an empty cache.

    It has the tiny checkpoint in LTX-Video's place, among files that nobody should fetch.
    """
    from huggingface_hub import close_session, constants

    from tests.fake_hub import UNWANTED, FakeHub

    with FakeHub().open() as hub:
        hub.add(LTX_2B.repository, tiny)
        hub.files[LTX_2B.repository] |= UNWANTED
        for name, value in {
            "HF_HUB_OFFLINE": False,
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_DISABLE_XET": True,  # plain HTTP
            "DOWNLOAD_CHUNK_SIZE": 1024,  # of some kilobytes, where the real one is of ten megabytes
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        close_session()  # of whoever asked before
        yield hub
        close_session()

"""Models whose weights are not all in one folder: fetched from a hub, opened in every form, made into drafts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from torch import Tensor

from pipeline.download import download
from pipeline.errors import ModelUnavailable
from pipeline.events import ChunkDenoised, Finished, StepDone
from pipeline.gpu import loading
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.revisions import LOCK, recorded_revision
from pipeline.models import open_model
from pipeline.models.base import Sampling, VideoModel
from pipeline.plan import catalog
from pipeline.plan.catalog import LTX_2B_DISTILLED, WAN_A14B_LIGHTNING
from pipeline.plan.chunks import Chunk
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import Component, ModelSpec, VideoShape, WeightFile
from tests.conftest import DeviceMaker, PlanMaker
from tests.fake_hub import COMMIT, FakeHub
from tests.tiny import choose, count_frames, decode, make_draft, of
from tests.tiny_files import serve_lightning, serve_original
from tests.tiny_wan import shrink

SHAPE = VideoShape(width=64, height=64)
WAYS: dict[str, dict[str, Any]] = {
    "on the device": {},
    "loaded anew": {"parked": False},
    "streamed": {"placement": Placement.STREAMED},
    "streamed, loaded anew": {"placement": Placement.STREAMED, "parked": False},
    "fp8": {"precision": Precision.FP8},
    "fp8, streamed": {"precision": Precision.FP8, "placement": Placement.STREAMED},
    "int8": {"precision": Precision.INT8},
    "int4": {"precision": Precision.INT4},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A model as a hub has it, and how to serve it."""

    spec: ModelSpec
    serve: Callable[[FakeHub, Path], Path]
    same: float  # how far from the same weights in a folder, relative: a LoRA is added in another order of sums,
    # and so are products of weights that lie otherwise in memory


CASES = (
    Case(replace(shrink(LTX_2B_DISTILLED), repository=LTX_2B_DISTILLED.repository), serve_original, 1e-6),
    Case(replace(shrink(WAN_A14B_LIGHTNING), repository=WAN_A14B_LIGHTNING.repository), serve_lightning, 1e-3),
)


@pytest.fixture(params=CASES, ids=lambda case: case.spec.key)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    """In the catalog."""
    found: Case = request.param
    entries = dict(catalog.CATALOG) | {found.spec.key: found.spec}
    monkeypatch.setattr(catalog, "CATALOG", MappingProxyType(entries))
    return found


@pytest.fixture
def folder(case: Case, fake_hub: FakeHub, tmp_path: Path) -> Path:
    """The model is on the hub; a folder that has the same weights in diffusers' layout, under its key."""
    made = case.serve(fake_hub, tmp_path / "made")
    return made.rename(tmp_path / "made" / case.spec.key)


@pytest.fixture
def fetched(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model was downloaded, and there is no network any more; where the same weights are in a folder."""
    download(case.spec, lambda _: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def make(model: VideoModel, choices: Mapping[Stage, Choice]) -> Tensor:
    """Frames of a short chunk without guidance."""
    model.follow(choices)
    (positive,) = model.encode(["a red ball rises over snow"])
    sampling = Sampling(shape=SHAPE, steps=4, guidance=1.0, positive=positive, negative=None)
    chunk = Chunk(index=0, start=0, stop=2, overlap=0, seed=5, shot=0)
    latents = model.denoise(chunk, sampling, tail=None, on_step=lambda *_: None)
    assert decode(model.open_decoder(), latents)[0].std() > 0
    return latents


@pytest.mark.parametrize("way", WAYS)
def test_every_form_gives_what_the_same_weights_in_a_folder_give(
    case: Case, fetched: Path, make_device: DeviceMaker, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = choose(make_device(), Stage.DENOISE, **WAYS[way])
    latents = make(open_model(case.spec, make_device()), choices)
    monkeypatch.setattr(loading, "ASSETS", fetched.parent)
    expected = make(open_model(replace(case.spec, repository="", originals={}, loras={}), make_device()), choices)
    assert (latents - expected).norm() <= case.same * expected.norm()


@pytest.mark.usefixtures("fetched")
def test_a_draft_is_made_of_what_was_downloaded(case: Case, tmp_path: Path, make_plan: PlanMaker) -> None:
    steps = case.spec.default_steps
    plan = make_plan(
        model=case.spec.key, shape=SHAPE, frames=25, chunk_frames=17, overlap_frames=9, steps=steps, guidance=1.0
    )
    events, journal = make_draft(tmp_path / "drafts", plan)
    assert of(Finished, events)[0].frames == count_frames(journal.video_path()) == 25
    assert [event.chunk for event in of(ChunkDenoised, events)] == [0, 1]
    assert len(of(StepDone, events)) == 2 * steps
    before, after = (load_file(journal.latents_path(chunk))["latents"] for chunk in (0, 1))
    overlap = plan.chunks[1].overlap
    assert torch.equal(before[:, :, -overlap:], after[:, :, :overlap])


@pytest.mark.usefixtures("fetched")
def test_noise_is_told_as_the_distilled_model_was_trained(case: Case, make_device: DeviceMaker) -> None:
    """Of Wan2.2-Lightning its trainers tell these four; two fall to each expert."""
    model = open_model(case.spec, make_device())
    times: list[tuple[str, float]] = []
    model.warm_up()
    for component, (_, module) in model.residency._parked.items():  # type: ignore[attr-defined]

        def note(_: object, __: object, given: dict[str, Tensor], component: Component = component) -> None:
            times.append((component, float(given["timestep"].max())))

        if component is not Component.VAE:
            module.register_forward_pre_hook(note, with_kwargs=True)
    (positive,) = model.encode(["a red ball rises over snow"])
    steps = case.spec.default_steps
    sampling = Sampling(shape=SHAPE, steps=steps, guidance=1.0, positive=positive, negative=None)
    model.denoise(
        Chunk(index=0, start=0, stop=2, overlap=0, seed=5, shot=0), sampling, tail=None, on_step=lambda *_: None
    )
    trained = case.spec.timesteps or (1000, 937.5, 833.3333, 625)
    assert [time for _, time in times] == pytest.approx(trained, abs=1e-3)
    if case.spec.experts == 2:
        assert [expert for expert, _ in times] == ["transformer"] * 2 + ["transformer_2"] * 2


# The hub ------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("folder")
def test_only_the_files_named_are_fetched_and_their_commits_kept(case: Case, fake_hub: FakeHub) -> None:
    download(case.spec, lambda _: None)
    asked = {asked.name for asked in fake_hub.fetched()}
    wanted, there = {file.name for file in case.spec.files}, fake_hub.files[case.spec.files[0].repository]
    assert asked & there.keys() - {"model_index.json"} == wanted
    fake_hub.commit, before = "d" * 40, len(fake_hub.fetched())
    download(case.spec, lambda _: None)
    assert len(fake_hub.fetched()) == before
    assert {path.name for path in Path(constants.HF_HUB_CACHE).glob("*/snapshots/*")} == {COMMIT}
    assert {recorded_revision(case.spec, file.repository) for file in case.spec.files} == {COMMIT}


@pytest.mark.usefixtures("folder")
def test_a_file_that_came_damaged_is_named_and_comes_again(case: Case, fake_hub: FakeHub) -> None:
    file = case.spec.files[-1]
    content = fake_hub.files[file.repository][file.name]
    fake_hub.breaks[file.name] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(ModelUnavailable, match=f"{file.name} of {file.repository} came damaged and was deleted"):
        download(case.spec, lambda _: None)
    fake_hub.breaks.clear()
    download(case.spec, lambda _: None)
    find_checkpoint(case.spec)


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_gone_from_its_repository_is_named(case: Case, fake_hub: FakeHub) -> None:
    file = case.spec.files[-1]
    del fake_hub.files[file.repository][file.name]
    with pytest.raises(ModelUnavailable, match=f"{file.repository} no longer has {file.name}"):
        download(case.spec, lambda _: None)
    assert not fake_hub.fetched()


def cached(file: WeightFile) -> Path:
    (link,) = Path(constants.HF_HUB_CACHE).glob(f"models--{file.repository.replace('/', '--')}/snapshots/*/{file.name}")
    return link


@pytest.mark.usefixtures("fetched")
def test_a_file_that_is_not_here_any_more_is_named_with_the_command(case: Case, make_device: DeviceMaker) -> None:
    file = case.spec.files[-1]
    cached(file).unlink()
    said = f"{file.name} of {file.repository} is not on this machine in revision ccc"
    with pytest.raises(ModelUnavailable, match=said) as refusal:
        open_model(case.spec, make_device())
    assert refusal.value.hint == f"Get it with: python -m pipeline download {case.spec.key}"


@pytest.mark.usefixtures("fetched")
def test_the_commits_of_what_somebody_else_fetched_are_recorded_when_it_is_first_found(case: Case) -> None:
    lock = Path(constants.HF_HUB_CACHE) / LOCK
    before = lock.read_text()
    lock.unlink()
    for repository in Path(constants.HF_HUB_CACHE).glob("models--*"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(COMMIT)
    find_checkpoint(case.spec)
    assert json.loads(lock.read_text()) == json.loads(before)


@pytest.mark.usefixtures("fetched")
def test_offline_a_damaged_file_is_told(case: Case) -> None:
    file = case.spec.files[-1]
    cached(file).resolve().write_bytes(b"torn")
    with pytest.raises(ModelUnavailable, match=f"{Path(file.name).name} is damaged"):
        download(case.spec, lambda _: None)

"""Where memory runs out against the forecast the draft goes on with less, and says so; finished parts stay finished."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline import engine as engine_module
from pipeline.drafts.journal import Journal
from pipeline.drafts.measurements import Measurements
from pipeline.engine import Engine
from pipeline.errors import OutOfMemory
from pipeline.events import ChunkDenoised, Event, Finished, Retreated, SliceReady
from pipeline.models.ltx import LTXModel
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.spec import Component, VideoShape
from tests.conftest import PlanMaker
from tests.tiny import count_frames, make_draft, of

pytestmark = pytest.mark.usefixtures("tiny")
LARGE = VideoShape(width=320, height=320)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch, make_plan: PlanMaker) -> Callable[..., LTXModel]:
    """Has every engine of this test open one model, whose component `refuses` some inputs for want of memory."""

    def make(component: Component, refuses: Callable[[Tensor], bool]) -> LTXModel:
        plan = make_plan()
        model = LTXModel(plan.spec, plan.memory.device)
        model.warm_up()
        module: Any = model.residency._parked[component][1]
        part = module.proj_in if component is Component.TRANSFORMER else module.decoder

        def look(_: object, inputs: tuple[Tensor, ...]) -> None:
            if refuses(inputs[0]):
                raise RuntimeError("CUDA error: out of memory")

        part.register_forward_pre_hook(look)
        monkeypatch.setattr(engine_module, "open_model", lambda *_: model)
        return model

    return make


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


@pytest.mark.fault(2)
def test_a_decode_that_runs_out_goes_on_in_tiles(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    plan = make_plan(frames=57, shape=LARGE)
    plain, before = make_draft(tmp_path / "plain", plan)
    crowded(Component.VAE, lambda part: part.shape[-1] > 256 // 32)
    events, journal = make_draft(tmp_path / "crowded", plan)
    *_, said = of(Retreated, events)
    assert (said.stage, "tiles of 256 pixels" in said.reason) == ("decode", True)
    assert len(of(ChunkDenoised, events)) == len(plan.chunks)  # nothing was denoised twice
    ends = [piece.first_frame + piece.frames for piece in of(SliceReady, events)]
    assert ends[-1] == of(SliceReady, plain)[-1].first_frame + of(SliceReady, plain)[-1].frames
    assert [piece.first_frame for piece in of(SliceReady, events)] == [0, *ends[:-1]]
    assert count_frames(journal.video_path()) == 57
    assert torch.equal(latents(journal, 0), latents(before, 0))


@pytest.mark.fault(2)
def test_slices_that_were_written_are_not_written_again(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    """Memory runs out from the second slice on."""
    seen: list[int] = []

    def refuses(part: Tensor) -> bool:
        seen.append(part.shape[-1])
        return part.shape[-1] > 256 // 32 and len(seen) > 1

    crowded(Component.VAE, refuses)
    events, _ = make_draft(tmp_path, make_plan(frames=57, shape=LARGE))
    pieces = of(SliceReady, events)
    assert [piece.index for piece in pieces] == list(range(len(pieces)))
    assert sum(piece.frames for piece in pieces) == 57
    assert "tiles of 256 pixels" in of(Retreated, events)[-1].reason
    assert isinstance(events[-1], Finished)


@pytest.mark.fault(1)
def test_guidance_that_runs_out_goes_on_one_pass_after_the_other(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    plan = make_plan(guidance=3.0)
    _, before = make_draft(tmp_path / "plain", plan)
    crowded(Component.TRANSFORMER, lambda part: part.shape[0] > 1)
    events, journal = make_draft(tmp_path / "crowded", plan)
    assert [said.stage for said in of(Retreated, events)] == ["denoise"]
    assert (latents(journal, 0) - latents(before, 0)).abs().max() < 1e-4


@pytest.mark.fault(5)
def test_when_nothing_smaller_is_left_it_fails_once_and_says_what_was_tried(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    plan = make_plan(frames=57, shape=LARGE)
    crowded(Component.VAE, lambda _: True)
    events: list[Event] = []
    with pytest.raises(OutOfMemory, match="busy with decode") as told:
        Engine(tmp_path).run(plan, "20260101-120000-0123456789abcdef", events.append)
    assert told.value.plan.memory.choices[Stage.DECODE].tile_pixels == 256
    journal = Journal(tmp_path, "20260101-120000-0123456789abcdef")
    assert latents(journal, 0).isfinite().all()
    crowded(Component.VAE, lambda _: False)
    assert isinstance(make_draft(tmp_path, plan)[0][-1], Finished)


@pytest.mark.fault(4)
def test_other_errors_are_not_tried_again(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    calls: list[int] = []

    def refuses(_: Tensor) -> bool:
        calls.append(1)
        raise RuntimeError("shapes do not match")

    crowded(Component.VAE, refuses)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        make_draft(tmp_path, make_plan())
    assert calls == [1]


@pytest.mark.fault(6)
def test_nothing_of_the_failed_attempt_is_held_when_the_next_begins(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    given: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def refuses(part: Tensor) -> bool:
        alive.extend(ref() is not None for ref in given)
        given.append(weakref.ref(part))
        return part.shape[-1] > 256 // 32

    crowded(Component.VAE, refuses)
    gc.disable()
    try:
        make_draft(tmp_path, make_plan(shape=LARGE))
    finally:
        gc.enable()
    assert alive[0] is False


def test_a_draft_that_retreated_teaches_nothing_about_the_plan_it_left(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[DraftPlan] = []
    monkeypatch.setattr(Measurements, "record_draft", lambda _, plan, *__, **___: taught.append(plan))
    crowded(Component.VAE, lambda part: part.shape[-1] > 256 // 32)
    make_draft(tmp_path, make_plan(shape=LARGE))
    assert not taught
    plain = make_plan()
    make_draft(tmp_path, replace(plain))
    assert taught == [plain]

"""Down the ladder with real models: on from the last step that was done, in shorter chunks, in smaller windows. It is
told, kept in the plan, and remembered for the next draft."""

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
from pipeline.drafts.status import DraftRecord
from pipeline.engine import Engine
from pipeline.errors import OutOfMemory
from pipeline.events import Event, Finished, Retreated, SliceReady, Started, StepDone
from pipeline.models.ltx import LTXModel
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.spec import Component, VideoShape
from tests.conftest import PlanMaker, ProfileMaker
from tests.tiny import count_frames, make_draft, of, run_until

pytestmark = pytest.mark.usefixtures("tiny")

LARGE = VideoShape(width=320, height=320)
DRAFT = "20260101-120000-0123456789abcdef"
Refuses = Callable[[Tensor], bool]


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch, make_plan: PlanMaker) -> Callable[..., LTXModel]:
    """Has every engine of this test open one model, whose component `refuses` some inputs for want of memory."""

    def make(component: Component, refuses: Refuses) -> LTXModel:
        plan = make_plan()
        model = LTXModel(plan.spec, plan.memory.device)
        model.warm_up()
        module: Any = model.residency._parked[component][1]

        def look(_: object, inputs: tuple[Tensor, ...]) -> None:
            if refuses(inputs[0]):
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        part = module.proj_in if component is Component.TRANSFORMER else module.decoder
        part.register_forward_pre_hook(look)
        monkeypatch.setattr(engine_module, "open_model", lambda *_: model)
        return model

    return make


def run(drafts: Path, plan: DraftPlan, until: Callable[[Event], bool] = lambda _: False) -> list[Event]:
    return run_until(drafts, plan, DRAFT, until)


def steps(events: list[Event]) -> list[tuple[int, int]]:
    return [(event.chunk, event.step) for event in of(StepDone, events)]


def latents(drafts: Path, chunk: int) -> Tensor:
    return load_file(Journal(drafts, DRAFT).latents_path(chunk))["latents"]


# Denoising ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("last", [0, 1, 3])
@pytest.mark.fault(1)
def test_denoising_goes_on_from_the_last_step_that_was_done(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel], last: int
) -> None:
    """Memory runs out in the step after `last`, as long as both passes run together."""
    plan, calls = make_plan(guidance=3.0, steps=4), list[int]()

    def refuses(part: Tensor) -> bool:
        calls.append(len(part))
        return len(part) > 1 and len(calls) > last

    crowded(Component.TRANSFORMER, refuses)
    events = run(tmp_path, plan)
    assert steps(events) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert calls == [2] * (last + 1) + [1] * (2 * (4 - last))
    (said,) = of(Retreated, events)
    assert "one after the other" in said.reason


@pytest.mark.fault(1)
def test_what_is_left_goes_on_in_shorter_chunks(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    """Memory runs out in the second chunk, and again in the first rung; then the draft is cut off and goes on."""
    plan = make_plan(frames=97, guidance=1.0)
    assert [chunk.latents for chunk in plan.chunks] == [7, 6, 6]
    tokens, seen = 12, list[int]()  # of a latent

    def refuses(part: Tensor) -> bool:
        seen.append(part.shape[1] // tokens)
        return len(seen) > plan.request.steps and seen[-1] > 4

    crowded(Component.TRANSFORMER, refuses)
    whole = run(tmp_path / "whole", plan)
    assert isinstance(whole[-1], Finished)
    said = of(Retreated, whole)
    assert said
    assert "it goes on in chunks of 25 frames" in said[-1].reason
    journal = Journal(tmp_path / "whole", DRAFT)
    now = journal.take_up()
    assert now == said[-1].plan
    assert now.chunks[0] == plan.chunks[0]
    assert max(chunk.latents for chunk in now.chunks[1:]) == 4
    assert [event.frames for event in of(SliceReady, whole)] == [piece.frames for piece in now.slices]
    assert count_frames(journal.video_path()) == 97
    for before, after in zip(now.chunks, now.chunks[1:], strict=False):
        end, start = (latents(tmp_path / "whole", chunk.index) for chunk in (before, after))
        assert torch.equal(end[:, :, -after.overlap :], start[:, :, : after.overlap])

    seen.clear()
    cut = run(tmp_path / "cut", plan, until=lambda e: isinstance(e, StepDone) and e.chunk == 3)
    again = run(tmp_path / "cut", Journal(tmp_path / "cut", DRAFT).take_up())
    assert isinstance(again[-1], Finished)
    assert not of(Retreated, again)
    assert {chunk for chunk, _ in steps(cut)} | {chunk for chunk, _ in steps(again)} == set(range(len(now.chunks)))
    for chunk in now.chunks:
        assert torch.equal(latents(tmp_path / "cut", chunk.index), latents(tmp_path / "whole", chunk.index))
    assert count_frames(Journal(tmp_path / "cut", DRAFT).video_path()) == 97


def test_a_page_sees_the_chunks_as_they_are_now(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    plan = make_plan(frames=57, guidance=1.0)
    crowded(Component.TRANSFORMER, lambda part: part.shape[1] // 12 > 4)
    record = DraftRecord(draft=DRAFT, plan=plan.to_json(), fps=plan.spec.fps, stride=plan.spec.frame_stride)
    for event in run(tmp_path, plan):
        record.apply(event)
    now = record.snapshot()
    assert now.chunks == now.chunks_done == len(Journal(tmp_path, DRAFT).take_up().chunks) > len(plan.chunks)
    assert now.chunk_stops_seconds[-1] == pytest.approx(57 / plan.spec.fps)


@pytest.mark.fault(6)
def test_nothing_of_a_failed_step_is_held_when_the_next_attempt_begins(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    given, alive = list[weakref.ref[Tensor]](), list[bool]()

    def refuses(part: Tensor) -> bool:
        alive.extend(ref() is not None for ref in given)
        given.append(weakref.ref(part))
        return len(part) > 1

    crowded(Component.TRANSFORMER, refuses)
    gc.disable()
    try:
        run(tmp_path, make_plan(guidance=3.0))
    finally:
        gc.enable()
    assert alive[0] is False


def test_memory_that_runs_out_before_anything_is_on_the_device_counts_too(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = crowded(Component.TRANSFORMER, lambda _: False)
    plain, calls = model.denoise, list[int]()

    def denoise(*given: Any, **named: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4294967296 bytes.")
        return plain(*given, **named)

    monkeypatch.setattr(model, "denoise", denoise)
    events = run(tmp_path, make_plan())
    assert isinstance(events[-1], Finished)
    assert len(of(Retreated, events)) == 1


# Decoding -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.fault(2)
def test_a_decode_that_runs_out_goes_on_in_smaller_windows(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel], first: int
) -> None:
    """From slice `first` on; pictures so small have no tiles."""
    plan, seen = make_plan(frames=97), list[int]()

    def refuses(part: Tensor) -> bool:
        seen.append(part.shape[2])
        return len(seen) > first and part.shape[2] > 4

    crowded(Component.VAE, refuses)
    events = run(tmp_path, plan)
    (said,) = of(Retreated, events)
    assert "4 latents at a time" in said.reason
    now = Journal(tmp_path, DRAFT).take_up()
    assert now.slices[:first] == plan.slices[:first]
    pieces = of(SliceReady, events)
    assert [(piece.first_frame, piece.frames) for piece in pieces] == [(p.first_frame, p.frames) for p in now.slices]
    assert count_frames(Journal(tmp_path, DRAFT).video_path()) == 97
    assert len(of(StepDone, events)) == len(plan.chunks) * plan.request.steps


def test_a_resumed_draft_that_runs_out_loses_no_frame(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    """The last slice is decoded again for what it held back; memory runs out there."""
    plan = make_plan(frames=57, shape=LARGE, guidance=1.0)
    run(tmp_path, plan, until=lambda e: isinstance(e, SliceReady) and e.index == 0)
    crowded(Component.VAE, lambda part: part.shape[-1] > 256 // 32)
    events = run(tmp_path, Journal(tmp_path, DRAFT).take_up())
    assert isinstance(events[-1], Finished)
    assert "tiles of 256 pixels" in of(Retreated, events)[-1].reason
    assert count_frames(Journal(tmp_path, DRAFT).video_path()) == 57


# What is remembered -------------------------------------------------------------------------------------------------
@pytest.mark.fault(1, 2)
def test_the_next_plan_begins_where_the_last_draft_ended(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel], make_profile: ProfileMaker
) -> None:
    plan = make_plan(shape=LARGE, guidance=1.0)
    device = plan.memory.device
    crowded(Component.VAE, lambda part: part.shape[-1] > 256 // 32)
    run(tmp_path, plan)

    def again(**changes: Any) -> DraftPlan:
        on = replace(device, **changes.pop("device", {}))
        request = replace(plan.request, **changes)
        return plan_draft(request, on, make_profile(), Measurements(tmp_path).experience(request, on))

    now = again()
    assert now.memory.choices[Stage.DECODE].tile_pixels == 256
    assert again(seed=8, frames=33).memory.choices[Stage.DECODE].tile_pixels == 256
    more = 2 * device.free_bytes
    for other in (
        {"shape": VideoShape(width=288, height=320)},
        {"device": {"name": "another processor"}},
        {"device": {"free_bytes": more, "ram_free_bytes": more}},
    ):
        assert again(**other).memory.choices[Stage.DECODE].tile_pixels is None
    crowded(Component.VAE, lambda part: part.shape[-1] > 256 // 32)
    events, _ = make_draft(tmp_path, now)
    assert not of(Retreated, events)


@pytest.mark.fault(5)
def test_where_nothing_is_left_it_is_told_once_and_not_remembered_and_the_next_draft_is_made(
    tmp_path: Path, make_plan: PlanMaker, crowded: Callable[..., LTXModel]
) -> None:
    plan, refuse = make_plan(shape=LARGE, guidance=1.0), [True]
    crowded(Component.VAE, lambda _: refuse[0])
    engine, events = Engine(tmp_path), list[Event]()
    with pytest.raises(OutOfMemory, match="in the way that needs least") as told:
        engine.run(plan, DRAFT, events.append)
    last = told.value.plan.memory
    assert (told.value.need_bytes, told.value.budget_bytes) == (
        last.choices[Stage.DECODE].card_bytes,
        last.budget_bytes,
    )
    assert told.value.hint
    needs = [said.plan.memory.choices[Stage.DECODE].card_bytes for said in of(Retreated, events) if said.plan]
    assert needs == sorted(needs, reverse=True)
    assert not Measurements(tmp_path).experience(plan.request, plan.memory.device).too_much_bytes
    refuse[0] = False
    other = list[Event]()
    engine.run(make_plan(), "20260101-130000-0123456789abcdef", other.append)
    assert isinstance(other[-1], Finished)
    assert of(Started, other)

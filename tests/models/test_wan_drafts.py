"""Whole drafts with the tiny Wan checkpoints, through the same engine as every other family's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline import engine as engine_module
from pipeline import reel as reel_module
from pipeline.drafts.journal import Journal
from pipeline.engine import Engine
from pipeline.events import ChunkDenoised, Event, Finished, SliceReady, StepDone, Stopped
from pipeline.models.wan import WanModel
from pipeline.plan.catalog import ANYFLOW_1_3B, WAN_5B, WAN_A14B
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.spec import ModelSpec, VideoShape
from pipeline.video.mp4 import read_frames, write_slice
from tests.conftest import PlanMaker
from tests.tiny import count_frames, decode, kinds, make_draft, of
from tests.tiny_wan import COLUMNS, ROWS, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

BOTH = pytest.mark.parametrize("spec", [WAN_5B, WAN_A14B], ids=lambda spec: spec.key)
EVERY = pytest.mark.parametrize("spec", [WAN_5B, WAN_A14B, ANYFLOW_1_3B], ids=lambda spec: spec.key)
SLOWER = (pytest.param(spec, marks=pytest.mark.slow) for spec in (WAN_A14B, ANYFLOW_1_3B))  # several times as long
IN_TILES = pytest.mark.parametrize("spec", [WAN_5B, *SLOWER], ids=lambda spec: spec.key)


@pytest.fixture
def plan_of(make_plan: PlanMaker, spec: ModelSpec) -> PlanMaker:
    """A plan for a small picture in three steps, guided as the catalog says; name what should differ."""

    def make(**fields: Any) -> DraftPlan:
        standard = {"model": spec.key, "shape": small_shape(spec), "steps": 3, "guidance": spec.default_guidance}
        return make_plan(**(standard | fields))

    return make


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


@BOTH
@pytest.mark.parametrize(
    ("frames", "chunk_frames", "overlap_frames"),
    [(5, None, None), (49, None, None), (61, 33, None), (61, 25, 5), (37, 17, 1), (53, 29, 17), (13, 9, 5)],
)
def test_the_film_has_exactly_the_frames_of_the_plan(
    tmp_path: Path, plan_of: PlanMaker, frames: int, chunk_frames: int | None, overlap_frames: int | None
) -> None:
    plan = plan_of(frames=frames, chunk_frames=chunk_frames, overlap_frames=overlap_frames, steps=2, guidance=1.0)
    events, journal = make_draft(tmp_path, plan)
    pieces = of(SliceReady, events)
    assert [(p.first_frame, p.frames) for p in pieces] == [(p.first_frame, p.frames) for p in plan.slices]
    assert sum(piece.frames for piece in pieces) == frames == of(Finished, events)[0].frames
    assert count_frames(journal.video_path()) == frames
    for chunk in plan.chunks[1:]:
        before, after = latents(journal, chunk.index - 1), latents(journal, chunk.index)
        assert chunk.overlap > 0
        assert torch.equal(before[:, :, -chunk.overlap :], after[:, :, : chunk.overlap])
        assert after.shape[2:] == (chunk.latents, ROWS, COLUMNS)


@BOTH
def test_a_draft_says_and_shows_what_every_other_draft_does(tmp_path: Path, plan_of: PlanMaker) -> None:
    plan = plan_of(frames=61, chunk_frames=41)
    events, _ = make_draft(tmp_path, plan)
    assert kinds(events)[:3] == ["Started", "Encoded", "StepDone"]
    assert [event.chunk for event in of(ChunkDenoised, events)] == [0, 1]
    assert [(e.chunk, e.step) for e in of(StepDone, events)] == [(c, s) for c in range(2) for s in (1, 2, 3)]
    preview = of(StepDone, events)[0].preview
    assert preview is not None
    assert (preview.width, preview.height) == (4 * COLUMNS, 4 * ROWS)


@EVERY
def test_the_film_is_the_unbroken_decode_of_the_timeline(
    tmp_path: Path, plan_of: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[Any] = []

    def remember(frames: Any, *args: Any, **arguments: Any) -> None:
        pushed.append(frames)
        write_slice(frames, *args, **arguments)

    monkeypatch.setattr(reel_module, "write_slice", remember)
    plan = plan_of(frames=77, chunk_frames=33)
    _, journal = make_draft(tmp_path, plan)
    timeline = torch.cat([latents(journal, chunk.index)[:, :, chunk.overlap :] for chunk in plan.chunks], dim=2)
    model = WanModel(plan.spec, plan.memory.device)
    at_once = decode(model.open_decoder(), timeline)[0]
    made = np.concatenate(pushed)
    assert len(pushed) == len(plan.slices) >= len(plan.chunks) >= 3
    assert (made == at_once).all()
    assert len(list(read_frames(journal.video_path()))) == len(at_once) == 77


@EVERY
def test_the_same_seed_makes_the_same_draft_again_also_after_a_stop(tmp_path: Path, plan_of: PlanMaker) -> None:
    """With one engine, whose model stays open."""
    plan, engine = plan_of(frames=37, chunk_frames=25), Engine(tmp_path)
    said: dict[str, list[Event]] = {"one": [], "stopped": [], "again": []}
    for name, events in said.items():
        journal = Journal(tmp_path, f"20260101-120000-{len(name):016x}")

        def emit(event: Event, name: str = name, journal: Journal = journal, events: list[Event] = events) -> None:
            events.append(event)
            if name == "stopped" and isinstance(event, StepDone) and (event.chunk, event.step) == (1, 2):
                journal.request_stop()

        engine.run(plan, journal.draft, emit)
    assert of(Stopped, said["stopped"])[0].chunks == 1
    one, again = (Journal(tmp_path, f"20260101-120000-{len(name):016x}") for name in ("one", "again"))
    for chunk in plan.chunks:
        assert torch.equal(latents(one, chunk.index), latents(again, chunk.index))
    assert one.video_path().read_bytes() == again.video_path().read_bytes()


@IN_TILES
def test_a_draft_that_is_planned_in_tiles_is_decoded_in_them(
    tmp_path: Path, plan_of: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(frames=13, steps=1, guidance=1.0, shape=VideoShape(width=128, height=128))
    choice = replace(plan.memory.choices[Stage.DECODE], tile_pixels=96)
    tiled = replace(plan, memory=replace(plan.memory, choices=plan.memory.choices | {Stage.DECODE: choice}))
    monkeypatch.setattr(engine_module, "decide_again", lambda plan, *_: plan)
    made = []
    for place, decided in (("whole", plan), ("tiles", tiled)):
        _, journal = make_draft(tmp_path / place, decided)
        made.append(np.stack(list(read_frames(journal.video_path()))).astype(int))
    assert made[0].shape == made[1].shape == (13, 128, 128, 3)
    assert 0 < np.abs(made[0] - made[1]).mean() < 40

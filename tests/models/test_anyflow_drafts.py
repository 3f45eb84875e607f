"""Whole drafts with the tiny AnyFlow: its chunks are blocks, so what can be played comes early."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.drafts.status import DraftRecord
from pipeline.events import ChunkDenoised, Finished, SliceReady, StepDone
from pipeline.plan.catalog import ANYFLOW_1_3B
from pipeline.plan.draft import DraftPlan
from pipeline.plan.scenes import plan_all_slices
from tests.conftest import PlanMaker
from tests.tiny import count_frames, kinds, make_draft, of, run_until
from tests.tiny_wan import COLUMNS, ROWS, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

STEPS = 2


def plan_of(
    make_plan: PlanMaker, frames: int, chunk_frames: int | None = None, overlap: int | None = None
) -> DraftPlan:
    return make_plan(
        model=ANYFLOW_1_3B.key,
        shape=small_shape(ANYFLOW_1_3B),
        steps=STEPS,
        guidance=1.0,
        frames=frames,
        chunk_frames=chunk_frames,
        overlap_frames=overlap,
    )


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


@pytest.mark.parametrize(
    ("frames", "chunk_frames", "overlap"),
    [(5, None, None), (13, None, None), (17, 13, 1), (29, 13, None), (41, 21, 5), (81, None, None), (97, 33, None)],
)
def test_the_film_has_exactly_the_frames_of_the_plan(
    tmp_path: Path, make_plan: PlanMaker, frames: int, chunk_frames: int | None, overlap: int | None
) -> None:
    plan = plan_of(make_plan, frames, chunk_frames, overlap)
    events, journal = make_draft(tmp_path, plan)
    pieces = of(SliceReady, events)
    assert [(p.first_frame, p.frames) for p in pieces] == [(p.first_frame, p.frames) for p in plan.slices]
    assert sum(piece.frames for piece in pieces) == frames == of(Finished, events)[0].frames
    assert count_frames(journal.video_path()) == frames
    timeline = latents(journal, 0)
    for chunk in plan.chunks[1:]:
        made = latents(journal, chunk.index)
        assert chunk.overlap > 0
        assert made.shape[2:] == (chunk.latents, ROWS, COLUMNS)
        assert torch.equal(made[:, :, : chunk.overlap], timeline[:, :, chunk.start :])
        timeline = torch.cat([timeline, made[:, :, chunk.overlap :]], dim=2)
    assert timeline.shape[2] == plan.latents


def test_the_first_slice_is_there_after_the_first_four_latents(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = plan_of(make_plan, 81)
    events, _ = make_draft(tmp_path, plan)
    first = next(index for index, event in enumerate(events) if isinstance(event, SliceReady))
    before = events[:first]
    assert kinds(before) == ["Started", "Encoded", "StepDone", "ChunkDenoised"]
    assert of(SliceReady, events)[0].frames == 13
    assert len(of(ChunkDenoised, before)) == 1
    assert len(of(SliceReady, events)) == len(of(ChunkDenoised, events)) == 7


def test_steps_of_a_chunk_of_two_blocks_are_counted_together(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = plan_of(make_plan, 25)
    assert [chunk.blocks for chunk in plan.chunks] == [(1, 3), (3,)]
    events, _ = make_draft(tmp_path, plan)
    told = [(event.chunk, event.step, event.steps) for event in of(StepDone, events)]
    assert told == [(0, step, 2 * STEPS) for step in range(1, 2 * STEPS + 1)] + [(1, 1, STEPS), (1, 2, STEPS)]
    record = DraftRecord(draft="x", plan=plan.to_json(), fps=plan.spec.fps, stride=plan.spec.frame_stride)
    for event in events[: 2 + STEPS]:
        record.apply(event)
    now = record.snapshot()
    assert (now.chunk, now.step, now.steps) == (0, STEPS, 2 * STEPS)


def test_previews_show_what_is_there(tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.video.preview.SHARE", 1e9)  # every step's
    monkeypatch.setattr("pipeline.video.preview.LEAST_SECONDS", 0.0)
    events, _ = make_draft(tmp_path, plan_of(make_plan, 25))
    frames = [event.preview.frames for event in of(StepDone, events) if event.preview]
    assert len(frames) == len(of(StepDone, events))
    assert frames == sorted(frames)
    assert len(set(frames)) == 3


def test_a_draft_whose_last_block_was_planned_as_a_single_latent_goes_on_so(
    tmp_path: Path, make_plan: PlanMaker
) -> None:
    """As drafts of before the last two blocks were halves are kept."""
    plan = plan_of(make_plan, 29)
    first, second = plan.chunks
    assert second.blocks == (2, 2)
    longer = replace(second, stop=7, blocks=(3,))
    last = replace(second, index=2, overlap=7, seed=second.seed + 1, blocks=(1,))
    chunks = (first, longer, last)
    old = replace(plan, chunks=chunks, slices=plan_all_slices(chunks, window=4, stride=4, causal=True))
    assert DraftPlan.from_json(json.dumps(old.to_json())) == old
    whole, cut = (Journal(tmp_path / name, "20260101-120000-0123456789abcdef") for name in ("whole", "cut"))
    run_until(tmp_path / "whole", old, whole.draft)
    run_until(tmp_path / "cut", old, cut.draft, lambda event: isinstance(event, ChunkDenoised) and event.chunk == 1)
    run_until(tmp_path / "cut", old, cut.draft)
    for chunk in chunks:
        assert torch.equal(latents(whole, chunk.index), latents(cut, chunk.index))
    assert count_frames(cut.video_path()) == 29

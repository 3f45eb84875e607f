"""A draft made from another keeps what comes before the change bit for bit, and leaves the other as it was."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pipeline
from pipeline.drafts.journal import Journal, read_events
from pipeline.drafts.status import DraftState, read_record
from pipeline.drafts.surgery import begin_edit
from pipeline.engine import Engine
from pipeline.events import ChunkDenoised, Event, Finished, Started, StepDone
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Branch, Cut, Extend, Redo, Reprompt
from pipeline.video.mp4 import read_settings
from tests.conftest import PlanMaker
from tests.drafts.edited import OTHER, denoised, edit, film, latents, same
from tests.tiny import count_frames, make_draft, of

pytestmark = pytest.mark.usefixtures("tiny")


def check_frames(old: Journal, new: Journal, before: int) -> None:
    """The film is as long as planned, and what is played of the first `before` latents is what was: their slices are
    the old ones to the byte, but for the last one where it holds frames back now or no longer does."""
    plans = old.read_plan(), new.read_plan()
    assert count_frames(new.video_path()) == plans[1].request.frames
    both = [piece for piece in plans[1].slices if piece.stop <= before and piece in plans[0].slices]
    assert len(both) >= len([piece for piece in plans[0].slices if piece.stop <= before]) - 1
    for piece in both:
        assert new.slice_path(piece.index).read_bytes() == old.slice_path(piece.index).read_bytes()
    frames, one, other = sum(piece.frames for piece in both), film(old), film(new)
    assert (one[:frames] == other[:frames]).all()
    decided = max(frames, 1 + 8 * (before - 1) - 16)  # what follows is faded over the last two latents
    assert np.abs(one[:decided].astype(int) - other[:decided]).sum() <= 2 * one[:decided].size  # encoded anew


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_redo_makes_a_chunk_and_what_follows_with_another_seed(old: Journal, plan: DraftPlan, chunk: int) -> None:
    events, new, changed = edit(old, Redo(chunk=chunk, seed=99))
    assert denoised(events) == set(range(chunk, 3))
    assert [c.seed for c in changed.chunks] == [99 if c.index == chunk else c.seed for c in plan.chunks]
    assert [same(old, new, index) for index in range(3)] == [index < chunk for index in range(3)]
    check_frames(old, new, plan.chunks[chunk - 1].stop if chunk else 0)


def test_redo_of_a_chunk_alone_changes_neither_neighbour(old: Journal, plan: DraftPlan) -> None:
    """It begins with the last latents before it, ends with the first behind it, and what it adds is another."""
    events, new, changed = edit(old, Redo(chunk=1, seed=99, alone=True))
    chunk, before = changed.chunks[1], plan.chunks[1]
    assert denoised(events) == {1}
    assert (chunk.latents, chunk.new_latents, chunk.stop) == (before.latents, before.new_latents, before.stop)
    assert [same(old, new, index) for index in (0, 2)] == [True, True]
    made_now, was = latents(new, 1), latents(old, 1)
    assert torch.equal(made_now[:, :, : chunk.overlap], latents(old, 0)[:, :, -chunk.overlap :])
    assert torch.equal(made_now[:, :, -1:], latents(old, 2)[:, :, plan.chunks[2].overlap :][:, :, :1])
    added = slice(chunk.overlap, chunk.overlap + chunk.new_latents)
    assert not torch.equal(made_now[:, :, added], was[:, :, before.overlap :])
    check_frames(old, new, plan.chunks[0].stop)
    assert (changed.seams, changed.slices) == (plan.seams, plan.slices)


def test_a_chunk_that_was_redone_can_be_again_and_is_what_it_was_when_nothing_follows(
    old: Journal, plan: DraftPlan
) -> None:
    _, second, _ = edit(old, Redo(chunk=1, seed=99, alone=True))
    events, third, changed = edit(second, Redo(chunk=1, seed=100, alone=True))
    assert denoised(events) == {1}
    assert changed.chunks[1].ahead == 1
    assert same(old, third, 2)
    _, last, changed = edit(second, Branch(chunk=1, seed=plan.chunks[1].seed))
    assert changed.chunks == plan.chunks
    assert all(same(old, last, index) for index in range(3))


def test_a_redo_that_is_stopped_goes_on_between_its_neighbours(old: Journal) -> None:
    _, whole, _ = edit(old, Redo(chunk=1, seed=99, alone=True))
    drafts = old.folder.parent
    draft, decided = begin_edit(drafts, old.draft, Redo(chunk=1, seed=99, alone=True))

    def stop(event: Event) -> None:
        if isinstance(event, StepDone):
            Journal(drafts, draft).request_stop()

    Engine(drafts).run(decided, draft, stop)
    again = list(pipeline.resume(draft, old.folder.parent))
    assert denoised(again) == {1}
    assert same(whole, Journal(old.folder.parent, draft), 1)
    assert (film(Journal(old.folder.parent, draft)) == film(whole)).all()


def test_the_same_redo_makes_the_same_draft(old: Journal) -> None:
    first, second = (edit(old, Redo(chunk=1, seed=99, alone=True))[1] for _ in range(2))
    assert (film(first) == film(second)).all()
    assert Redo(chunk=1).seed != Redo(chunk=1).seed


def test_branch_gives_every_chunk_that_follows_another_seed(old: Journal, plan: DraftPlan) -> None:
    events, new, changed = edit(old, Branch(chunk=1, seed=2**32 - 1))
    assert denoised(events) == {1, 2}
    assert [chunk.seed for chunk in changed.chunks] == [plan.chunks[0].seed, 2**32 - 1, 0]
    assert [same(old, new, index) for index in range(3)] == [True, False, False]


def test_reprompt_is_what_a_draft_of_two_shots_is(tmp_path: Path, old: Journal, plan: DraftPlan) -> None:
    """With the same seeds: nothing but the sentence differs."""
    events, new, changed = edit(old, Reprompt(chunk=1, prompt=OTHER))
    assert denoised(events) == {1, 2}
    assert [shot.prompt for shot in changed.request.shots] == [plan.request.prompt, OTHER]
    assert [chunk.shot for chunk in changed.chunks] == [0, 1, 1]
    assert sum(shot.seconds for shot in changed.request.shots) == pytest.approx(plan.request.shots[0].seconds)
    check_frames(old, new, plan.chunks[0].stop)
    whole = replace(changed, parent=None)
    _, other = make_draft(tmp_path / "whole", whole)
    for chunk in range(3):
        assert same(new, other, chunk)
    assert not same(new, old, 1)
    assert (film(new) == film(other)).all()


def test_reprompting_a_whole_shot_keeps_their_number(old: Journal) -> None:
    _, second, _ = edit(old, Reprompt(chunk=1, prompt=OTHER))
    _, _, changed = edit(second, Reprompt(chunk=1, prompt="a red star moves over snow"))
    assert [shot.prompt for shot in changed.request.shots] == [
        "a red ball moves left over snow",
        "a red star moves over snow",
    ]
    _, third, again = edit(second, Reprompt(chunk=0, prompt="a blue ball over snow"))
    assert [shot.prompt for shot in again.request.shots] == ["a blue ball over snow", OTHER]
    assert [same(second, third, index) for index in range(3)] == [False] * 3


@pytest.mark.parametrize(("last", "frames"), [(0, 49), (1, 73)])
def test_cut_keeps_what_comes_before_and_denoises_nothing(
    old: Journal, plan: DraftPlan, last: int, frames: int
) -> None:
    events, new, changed = edit(old, Cut(chunk=last))
    assert not of(StepDone, events)
    assert changed.request.frames == frames == count_frames(new.video_path())
    assert changed.request.seconds == pytest.approx(sum(shot.seconds for shot in changed.request.shots), rel=0.1)
    assert all(same(old, new, index) for index in range(last + 1))
    assert not new.latents_path(last + 1).exists()
    check_frames(old, new, plan.chunks[last].stop)


@pytest.mark.parametrize(("seconds", "frames", "prompt"), [(0.01, 105, None), (1.0, 121, OTHER), (3.0, 169, None)])
def test_extend_adds_chunks_and_changes_nothing_before(
    old: Journal, plan: DraftPlan, seconds: float, frames: int, prompt: str | None
) -> None:
    events, new, changed = edit(old, Extend(seconds=seconds, prompt=prompt))
    assert changed.request.frames == frames == count_frames(new.video_path())
    assert changed.chunks[:3] == plan.chunks
    assert denoised(events) == set(range(3, len(changed.chunks)))
    assert [chunk.seed for chunk in changed.chunks] == [7 + chunk.index for chunk in changed.chunks]
    assert {chunk.shot for chunk in changed.chunks[3:]} == {1 if prompt else 0}
    assert all(same(old, new, index) for index in range(3))
    check_frames(old, new, plan.chunks[2].stop)
    for before, after in zip(changed.chunks[2:], changed.chunks[3:], strict=False):
        tail = latents(new, before.index)[:, :, -after.overlap :]
        assert torch.equal(latents(new, after.index)[:, :, : after.overlap], tail)


def test_a_short_draft_of_one_chunk_is_extended_by_long_ones(tmp_path: Path, make_plan: PlanMaker) -> None:
    _, journal = make_draft(tmp_path, make_plan(frames=9))
    _, new, changed = edit(journal, Extend(seconds=3))
    assert count_frames(new.video_path()) == changed.request.frames == 81
    assert [chunk.latents for chunk in changed.chunks] == [2, 7, 7]
    assert same(journal, new, 0)


def test_cutting_and_extending_again_goes_on_from_the_cut(old: Journal) -> None:
    _, cut, _ = edit(old, Cut(chunk=0))
    events, new, changed = edit(cut, Extend(seconds=2))
    assert denoised(events) == {1, 2}
    assert same(old, new, 0)
    assert count_frames(new.video_path()) == changed.request.frames == 97


def test_a_new_draft_says_where_it_came_from_and_looks_like_any_other(old: Journal, plan: DraftPlan) -> None:
    _, new, changed = edit(old, Redo(chunk=2, seed=99))
    assert new.read_plan() == changed
    assert changed.parent is not None
    assert (changed.parent.draft, changed.parent.edit, changed.parent.kept) == (old.draft, "redo", (0, 1))
    record = read_record(new, fps=24, stride=8)
    assert record is not None
    assert (record.state, record.chunks_done, len(record.slices)) == (DraftState.FINISHED, 3, len(plan.slices))
    settings = read_settings(new.video_path())
    assert settings is not None
    assert [seam["frame"] for seam in settings["seams"]] == [49, 73]
    assert settings["edited"]
    assert json.loads(new.path("request.json").read_text())["edited"]
    assert plan.parent is None
    assert "edited" not in (read_settings(old.video_path()) or {})


def test_an_edit_can_be_stopped_and_goes_on_as_if_it_had_not_been(old: Journal) -> None:
    _, whole, _ = edit(old, Redo(chunk=0, seed=99))
    events, draft = pipeline.edit(old.draft, Redo(chunk=0, seed=99), old.folder.parent), ""
    for event in events:
        draft = event.draft if isinstance(event, Started) else draft
        if isinstance(event, ChunkDenoised) and event.chunk == 1:
            events.close()
    assert isinstance(list(pipeline.resume(draft, old.folder.parent))[-1], Finished)
    assert (film(Journal(old.folder.parent, draft)) == film(whole)).all()


def test_without_links_files_are_copied(old: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    _, new, _ = edit(old, Redo(chunk=2, seed=99))
    assert new.latents_path(0).stat().st_ino != old.latents_path(0).stat().st_ino
    assert same(old, new, 0)


def test_a_link_takes_no_disk_and_outlives_the_old_draft(mine: Journal) -> None:
    _, new, _ = edit(mine, Cut(chunk=1))
    assert new.latents_path(0).stat().st_ino == mine.latents_path(0).stat().st_ino
    shutil.rmtree(mine.folder)
    events, _, _ = edit(new, Extend(seconds=1))
    assert denoised(events) == {2}


def test_another_sentence_is_never_taken_from_the_old_drafts_embeddings(old: Journal) -> None:
    """As many sentences as before, but others: the file beside the draft knows them by number only."""
    _, new, changed = edit(old, Reprompt(chunk=0, prompt=OTHER))
    assert changed.sentences != old.read_plan().sentences
    assert len(changed.sentences) == len(old.read_plan().sentences)
    assert not same(old, new, 0)
    rows = [row["event"] for row in read_events(new.folder)]
    assert rows[:2] == ["Started", "Encoded"]

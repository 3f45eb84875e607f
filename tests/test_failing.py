"""Something goes wrong in the middle of a draft: what came before it is a film, and the draft goes on from there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from pipeline.__main__ import main
from pipeline.commands.options import FAILED
from pipeline.drafts.journal import Journal
from pipeline.drafts.status import DraftState, read_record
from pipeline.engine import Engine
from pipeline.errors import DraftError
from pipeline.events import ChunkDenoised, Event, Failed, Retreated, SliceReady, Started, StepDone, Stopped
from pipeline.gpu import interrupting
from pipeline.making import Making
from pipeline.models.ltx import LTXModel
from pipeline.patience import Patience
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.serving import make
from pipeline.video import mp4
from tests.test_resuming import DRAFT, alike, plan, run, whole
from tests.tiny import count_frames, of

__all__ = ["plan", "whole"]
pytestmark = pytest.mark.usefixtures("tiny")


def fail_in(patch: pytest.MonkeyPatch, number: int, error: Exception) -> None:
    """From now on, in the chunk of that number."""
    denoise = LTXModel.denoise

    def fail(model: LTXModel, chunk: Chunk, *arguments: Any, **named: Any) -> Tensor:
        if chunk.index == number:
            raise error
        return denoise(model, chunk, *arguments, **named)

    patch.setattr(LTXModel, "denoise", fail)


@pytest.mark.fault(45)
@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), DraftError("It cannot be.", "Do not try.")])
def test_where_one_chunk_fails_those_before_it_are_a_film_and_the_draft_goes_on_from_there(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    journal, told = Journal(tmp_path, DRAFT), list[Event]()
    journal.begin(plan)
    with monkeypatch.context() as patch:
        fail_in(patch, 1, error)
        make(Engine(tmp_path), DRAFT, plan, told.append)
    failed, (piece,) = told[-1], of(SliceReady, told)
    assert isinstance(failed, Failed)
    assert (failed.file, failed.frames) == ("draft.mp4", piece.frames)
    assert count_frames(journal.video_path()) == piece.frames
    record = read_record(journal, fps=plan.spec.fps, stride=plan.spec.frame_stride)
    assert record is not None
    assert (record.state, record.video, record.video_frames) == (DraftState.FAILED, "draft.mp4", piece.frames)
    again = run(tmp_path, journal.take_up())
    assert {event.chunk for event in of(StepDone, again)} == {1, 2}
    alike(tmp_path, whole, plan)


@pytest.mark.fault(45)
def test_where_memory_runs_out_while_a_slice_is_written_it_fails_and_goes_on_with_that_slice(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not decoded in another way, as where it runs out in the decoder: the fader has moved on."""
    journal, told = Journal(tmp_path, DRAFT), list[Event]()
    journal.begin(plan)

    def refuse(arguments: list[str], path: Path, **named: Any) -> None:
        if "slice-001" in path.name:
            raise MemoryError
        write(arguments, path, **named)

    with monkeypatch.context() as patch:
        write = mp4._ffmpeg
        patch.setattr(mp4, "_ffmpeg", refuse)
        make(Engine(tmp_path), DRAFT, plan, told.append)
    failed = told[-1]
    assert isinstance(failed, Failed)
    assert failed.message.startswith("There is no memory left to write .slice-001.")
    assert not of(Retreated, told)
    again = run(tmp_path, journal.take_up())
    assert [piece.index for piece in of(SliceReady, again)] == [1, 2]
    alike(tmp_path, whole, plan)


@pytest.mark.fault(45)
def test_a_film_that_lacks_a_slice_is_not_finished_and_goes_on(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, told = Journal(tmp_path, DRAFT), list[Event]()
    journal.begin(plan)

    def lose(making: Making, frames: NDArray[np.uint8], chunk: int, *arguments: Any) -> None:
        if chunk != 1:
            write(making, frames, chunk, *arguments)

    with monkeypatch.context() as patch:
        write = Making._write
        patch.setattr(Making, "_write", lose)
        make(Engine(tmp_path), DRAFT, plan, told.append)
    failed = told[-1]
    assert isinstance(failed, Failed)
    assert failed.message == f"Only {plan.slices[0].frames} of 97 frames were written."
    run(tmp_path, journal.take_up())
    alike(tmp_path, whole, plan)


@pytest.mark.fault(45)
@pytest.mark.parametrize("chunk", [1, 2], ids=["at once", "later"])
def test_what_fails_after_a_stop_leaves_no_shorter_film_than_that_did(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """A stop also keeps the end of a chunk, which one that goes on holds back once more."""
    journal, told = Journal(tmp_path, DRAFT), list[Event]()
    stopped = stop_at(journal, plan, 1)
    assert (stopped.frames, stopped.frames > plan.slices[0].frames) == (49, True)
    with monkeypatch.context() as patch:
        fail_in(patch, chunk, DraftError("It cannot be.", "Do not try."))
        make(Engine(tmp_path), DRAFT, journal.take_up(), told.append)
    failed = told[-1]
    assert isinstance(failed, Failed)
    assert failed.file == "draft.mp4"
    assert failed.frames == count_frames(journal.video_path()) >= stopped.frames
    run(tmp_path, journal.take_up())
    alike(tmp_path, whole, plan)


@pytest.mark.fault(9)
def test_a_second_stop_keeps_no_shorter_film_than_the_first(tmp_path: Path, whole: Path, plan: DraftPlan) -> None:
    journal = Journal(tmp_path, DRAFT)
    stops = [stop_at(journal, plan, chunk) for chunk in (1, 1, 2, 2)]
    assert [(stop.file, stop.frames) for stop in stops] == [("draft.mp4", frames) for frames in (49, 49, 73, 73)]
    assert count_frames(journal.video_path()) == 73
    run(tmp_path, journal.take_up())
    alike(tmp_path, whole, plan)


@pytest.mark.fault(9)
def test_a_second_stop_while_a_slice_is_made_keeps_no_shorter_film(
    tmp_path: Path, whole: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder has made the last slice again, for its end, and not yet the next."""
    journal = Journal(tmp_path, DRAFT)
    first = stop_at(journal, plan, 1)
    with monkeypatch.context() as impatient:
        impatient.setattr(interrupting, "PAUSE_SECONDS", 0.0)
        impatient.setattr(Patience, "learn", lambda self, _: setattr(self, "_step_seconds", 0.0))
        second = stop_at(journal, plan, 1, ChunkDenoised)
    assert (second.file, second.frames, second.chunks) == (first.file, first.frames, 2)
    assert count_frames(journal.video_path()) == first.frames
    run(tmp_path, journal.take_up())
    alike(tmp_path, whole, plan)


@pytest.mark.fault(9)
def test_a_second_stop_while_weights_are_read_keeps_the_film(tmp_path: Path, plan: DraftPlan) -> None:
    journal = Journal(tmp_path, DRAFT)
    first = stop_at(journal, plan, 1)
    second = stop_at(journal, plan, None, Started)
    assert (second.file, second.frames, second.chunks) == (first.file, first.frames, 1)


def stop_at(journal: Journal, plan: DraftPlan, number: int | None, kind: type[Event] = StepDone) -> Stopped:
    """Make a draft, or go on with it, until that chunk."""
    events = list[Event]()

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, kind) and getattr(event, "chunk", None) == number:
            journal.request_stop()

    journal.begin(plan)
    journal.withdraw_stop()
    Engine(journal.folder.parent).run(plan, journal.draft, emit)
    assert isinstance(events[-1], Stopped)
    return events[-1]


def test_what_fails_before_anything_can_be_played_leaves_no_film(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_in(monkeypatch, 0, RuntimeError("shapes do not match"))
    told = list[Event]()
    make(Engine(tmp_path), DRAFT, plan, told.append)
    (failed,) = of(Failed, told)
    assert (failed.file, failed.frames) == (None, 0)
    assert not Journal(tmp_path, DRAFT).video_path().exists()


def test_the_command_line_says_where_the_shorter_film_is(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, output = Journal(tmp_path, DRAFT), tmp_path / "film.mp4"
    journal.begin(plan)
    fail_in(monkeypatch, 1, DraftError("It cannot be.", "Do not try."))
    assert main(["resume", DRAFT, "--drafts", str(tmp_path), "--output", str(output)]) == FAILED
    out, err = capsys.readouterr()
    assert out.strip() == str(output)
    assert "It cannot be. Do not try." in err
    assert count_frames(output) == count_frames(journal.video_path()) == plan.slices[0].frames

"""Three lines of Python make a draft: `import pipeline`, a request, and events as they happen."""

import threading
from pathlib import Path

import pytest

import pipeline
from pipeline import engine as engine_module
from pipeline.drafts.journal import read_events
from pipeline.errors import InvalidRequest, WriteFailed
from pipeline.events import Failed, Finished, SliceReady, Started, StepDone
from pipeline.gpu import loading
from tests.conftest import PlanMaker
from tests.tiny import count_frames, kinds

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_request_is_complete_with_only_a_sentence() -> None:
    request = pipeline.request("a red ball")
    spec = request.spec
    assert (request.shots[0].prompt, request.model, request.frames) == ("a red ball", "miniature", 97)
    assert (request.steps, request.guidance, request.shape) == (
        spec.default_steps,
        spec.default_guidance,
        spec.shapes[0],
    )
    assert pipeline.request("a red ball").seed != pipeline.request("a red ball").seed
    assert pipeline.request("a red ball", seconds=1.0, seed=5).seed == 5


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"model": "sora"}, "model"), ({"seconds": -1.0}, "seconds"), ({"seed": -1}, "seed")],
)
def test_a_wrong_request_names_its_field(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        pipeline.request("a red ball", **arguments)  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_a_plan_is_made_for_this_machine() -> None:
    plan = pipeline.plan(pipeline.request("a red ball"))
    assert plan.memory.device.total_bytes > 0
    assert plan.chunks[-1].stop == plan.latents == 13


def test_events_come_while_the_draft_is_made(tmp_path: Path, make_plan: PlanMaker) -> None:
    events = []
    for event in pipeline.draft(make_plan(frames=57), tmp_path):
        events.append(event)
        if isinstance(event, SliceReady):
            folder = tmp_path / events[0].draft
            assert count_frames(folder / event.file) == event.frames
    assert kinds(events)[:2] == ["Started", "Encoded"]
    assert isinstance(events[-1], Finished)
    assert count_frames(folder / "draft.mp4") == 57


def test_a_request_may_be_given_instead_of_a_plan(tmp_path: Path, make_plan: PlanMaker) -> None:
    *_, last = pipeline.draft(make_plan(frames=9, steps=1).request, tmp_path)
    assert isinstance(last, Finished)


def test_nothing_is_made_before_somebody_asks_for_the_first_event(tmp_path: Path, make_plan: PlanMaker) -> None:
    pipeline.draft(make_plan(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_closing_the_iterator_stops_the_draft_and_waits_for_it(tmp_path: Path, make_plan: PlanMaker) -> None:
    events = pipeline.draft(make_plan(frames=97, steps=30), tmp_path)
    started = next(events)
    assert isinstance(started, Started)
    assert any(isinstance(event, StepDone) and event.chunk == 1 for event in events)  # stands at that event now
    events.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "rushes-draft"]
    rows = read_events(tmp_path / started.draft)
    assert rows[-1]["event"] == "Stopped"
    assert rows[-1]["chunks"] >= 1
    assert count_frames(tmp_path / started.draft / "draft.mp4") == rows[-1]["frames"]


def test_a_failure_is_the_last_event_and_is_noted(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "ASSETS", tmp_path / "nowhere")
    started, failed = pipeline.draft(make_plan(), tmp_path)
    assert isinstance(failed, Failed)
    assert "model_index.json" in failed.message
    assert isinstance(started, Started)
    assert [row["event"] for row in read_events(tmp_path / started.draft)] == ["Started", "Failed"]


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), KeyboardInterrupt()], ids=repr)
def test_a_bug_reaches_the_caller_instead_of_hanging_it(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine_module, "open_model", refuse)
    events = pipeline.draft(make_plan(), tmp_path)
    with pytest.raises(type(error)):
        list(events)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_made(tmp_path: Path, make_plan: PlanMaker) -> None:
    (tmp_path / "file").write_text("I am a file")
    with pytest.raises(WriteFailed, match="cannot be written"):
        next(pipeline.draft(make_plan(), tmp_path / "file"))


def test_a_disk_that_fills_up_ends_the_draft_and_not_the_program(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise WriteFailed("events.jsonl", "No space left on device.")

    events = pipeline.draft(make_plan(frames=57), tmp_path)
    assert any(isinstance(event, StepDone) for event in events)
    monkeypatch.setattr("pipeline.drafts.journal.Journal.note", refuse)
    *_, last = events
    assert isinstance(last, Failed)
    assert last.message == "No space left on device."

"""The player's value: what a status says becomes one sentence, a filmstrip and things to play, at any time."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.events import Preview, SliceReady, WaitingForRoom
from pipeline.plan.memory import Stage
from pipeline.studio.player import show
from pipeline.studio.texts import Language, sentences

REQUEST = {
    "shots": [{"prompt": "<b>Red</b> ball: left!", "seconds": 4.0}],
    "shape": {"width": 256, "height": 160},
    "frames": 97,
    "steps": 20,
    "seed": 7,
}
QUEUED = DraftStatus(
    draft="20260101-120000-0123456789abcdef",
    version=0,
    state=DraftState.QUEUED,
    request=REQUEST,
    ahead=0,
    chunks=3,
    chunk=0,
    step=0,
    steps=20,
    chunks_done=0,
    chunk_stops_seconds=(2.0, 3.0, 4.0),
    slices=(),
    preview=None,
    fps=24,
    seconds=97 / 24,
    eta_seconds=None,
    first_slice_eta_seconds=None,
    elapsed_seconds=None,
    forecast_seconds=41.0,
    video=None,
    video_frames=0,
    message="",
    hint="",
    retreated_in="",
)
SLICE = SliceReady(index=0, chunk=0, file="slice-000.mp4", first_frame=0, frames=33, seconds=0.5)
RUNNING = replace(
    QUEUED,
    state=DraftState.RUNNING,
    step=5,
    eta_seconds=12.2,
    first_slice_eta_seconds=4.0,
    preview=Preview(jpeg=b"\xff\xd8", frames=25, width=32, height=20),
)
SECOND = replace(RUNNING, chunk=1, chunks_done=1, slices=(SLICE,), first_slice_eta_seconds=None)
FINISHED = replace(
    QUEUED,
    state=DraftState.FINISHED,
    chunk=2,
    chunks_done=3,
    slices=(SLICE,),
    video="draft.mp4",
    video_frames=97,
    elapsed_seconds=9.0,
)
STOPPED = replace(FINISHED, state=DraftState.STOPPED, chunks_done=1, video_frames=33)
FAILED = replace(QUEUED, state=DraftState.FAILED, message="The disk is full.", hint="Free some space.")
ALL = {
    status.state.value + str(n): status for n, status in enumerate((QUEUED, RUNNING, SECOND, FINISHED, STOPPED, FAILED))
}


def view(status: DraftStatus, *, warm: bool = True) -> dict[str, Any]:
    return show(status, Language.EN, warm=warm)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (QUEUED, "Starting…"),
        (replace(QUEUED, ahead=1), "In line: one draft before this one."),
        (replace(QUEUED, ahead=2), "In line: 2 drafts before this one."),
        (replace(RUNNING, step=0), "Reading the sentence…"),
        (RUNNING, "Making chunk 1 of 3"),
        (SECOND, "Making chunk 2 of 3"),
        (replace(SECOND, chunk=2, chunks_done=3, step=0), "Putting the video together…"),
        (replace(SECOND, state=DraftState.STOPPING), "Stopping after this step. What is finished is kept."),
        (
            replace(SECOND, state=DraftState.NO_ROOM, room=WaitingForRoom(need_bytes=2**24, free_bytes=3 * 2**20)),
            "Waiting for room on the disk: 16 MB are needed, 3 MB are free. It goes on by itself.",
        ),
        (FINISHED, "Done: 4.0 seconds of video"),
        (STOPPED, "Stopped. The first 1.4 seconds are kept."),
        (replace(STOPPED, saved_seconds=38.0), "Stopped. The first 1.4 seconds are kept; about 40 s saved."),
        (replace(STOPPED, saved_seconds=0.4), "Stopped. The first 1.4 seconds are kept."),
        (
            replace(STOPPED, slices=(), video=None, video_frames=0, saved_seconds=300.0),
            "Stopped before the first pictures were ready; about 5 min saved.",
        ),
        (replace(STOPPED, slices=(), video=None, video_frames=0), "Stopped before the first pictures were ready."),
        (FAILED, "The disk is full. Free some space."),
    ],
)
def test_a_status_is_one_sentence(status: DraftStatus, sentence: str) -> None:
    assert view(status)["sentence"] == sentence


@pytest.mark.parametrize(
    ("status", "aside"),
    [
        (QUEUED, "pause"),
        (replace(QUEUED, ahead=1), "remove"),
        (RUNNING, "pause"),
        (replace(SECOND, state=DraftState.STOPPING), ""),
        (replace(SECOND, state=DraftState.PAUSED), ""),
        (FINISHED, ""),
        (STOPPED, ""),
        (FAILED, ""),
    ],
)
def test_what_runs_can_be_paused_and_what_waits_in_line_removed(status: DraftStatus, aside: str) -> None:
    assert view(status)["aside"] == aside
    for language in Language:
        assert not aside or sentences(language)[f"aside_{aside}"]


def test_a_cold_engine_is_said() -> None:
    assert view(QUEUED, warm=False)["sentence"] == "Warming up the engine…"


def test_times_left_are_told_beside_the_sentence() -> None:
    assert view(RUNNING)["detail"] == "first picture in 4 s · ready in about 10 s"
    assert view(SECOND)["detail"] == "ready in about 10 s"
    assert view(FINISHED)["detail"] == "forecast 40 s, took 9 s"


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("language", Language)
def test_running_out_of_memory_is_told_while_the_draft_goes_on(stage: Stage, language: Language) -> None:
    view = show(replace(RUNNING, retreated_in=stage), language, warm=True)
    said = sentences(language)[f"retreated_{stage}"]
    assert view["detail"].startswith(said)
    assert view["sentence"] == show(RUNNING, language, warm=True)["sentence"]


def test_the_filmstrip_tells_done_making_and_waiting() -> None:
    assert [cell["state"] for cell in view(SECOND)["cells"]] == ["done", "making", "waiting"]
    assert [cell["start"] for cell in view(SECOND)["cells"]] == [0.0, 2.0, 3.0]


def test_slices_lie_on_the_drafts_timeline() -> None:
    assert view(SECOND)["pieces"] == ({"file": "slice-000.mp4", "start": 0.0, "stop": 33 / 24},)


def test_a_preview_belongs_to_the_chunk_it_shows() -> None:
    assert view(SECOND)["preview"]["chunk"] == 1
    assert view(replace(SECOND, step=0))["preview"]["chunk"] == 0  # chunk 1 has no picture of its own yet


def test_progress_grows_and_is_full_only_at_the_end() -> None:
    bar = [view(status)["progress"] for status in (QUEUED, RUNNING, SECOND, replace(SECOND, chunk=2, chunks_done=3))]
    assert bar == sorted(bar)
    assert bar[-1] < 1.0
    assert view(FINISHED)["progress"] == 1.0


def test_settings_are_what_the_command_line_reads_and_frames_are_there_with_the_video() -> None:
    assert json.loads(view(RUNNING)["request"]) == REQUEST
    assert [view(status)["frames"] for status in (RUNNING, FINISHED, FAILED)] == [None, "frames.zip", None]


def test_a_file_name_is_the_drafts_time_and_no_word_of_a_person() -> None:
    assert view(FINISHED)["save_as"] == f"rushes-{FINISHED.draft[:15]}.mp4"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("status", ALL.values(), ids=ALL)
def test_every_view_is_plain_json_in_every_language(status: DraftStatus, language: Language) -> None:
    plain = json.loads(json.dumps(show(status, language, warm=True)))
    assert plain["sentence"]
    assert "{" not in plain["sentence"] + plain["detail"] + plain["settings"]


def test_a_draft_made_from_another_offers_the_way_back_and_its_chunks_sentences() -> None:
    edited = replace(FINISHED, parent="20260101-110000-0123456789abcdef", chunk_prompts=("one", "one", "two"))
    value = show(edited, Language.EN, warm=True)
    assert value["parent"] == "20260101-110000-0123456789abcdef"
    assert [cell["prompt"] for cell in value["cells"]] == ["one", "one", "two"]
    assert show(FINISHED, Language.EN, warm=True)["parent"] == ""
    assert json.loads(value["request"])["edited"]
    assert "edited" not in json.loads(show(FINISHED, Language.EN, warm=True)["request"])

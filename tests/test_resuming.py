"""A draft that was cut off goes on from what is finished, and is in the end what it would have been."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

import pipeline
from pipeline import engine as engine_module
from pipeline.__main__ import main
from pipeline.commands.options import BAD_REQUEST, DONE
from pipeline.drafts.journal import Journal, read_events, unfinished_drafts
from pipeline.engine import Engine
from pipeline.errors import DoesNotFit, DraftError, InvalidRequest
from pipeline.events import ChunkDenoised, Encoded, Event, Finished, SliceReady, Started, StepDone, Stopped
from pipeline.gpu import loading
from pipeline.plan.chunks import plan_slices
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.video.mp4 import read_frames, read_settings
from tests.conftest import DeviceMaker, PlanMaker
from tests.tiny import count_frames, make_draft, of, run_until

pytestmark = pytest.mark.usefixtures("tiny")
DRAFT = "20260101-120000-0123456789abcdef"
WHOLE = "20260101-130000-0123456789abcdef"


def run(drafts: Path, plan: DraftPlan, *, draft: str = DRAFT, until: Any = lambda _: False) -> list[Event]:
    return run_until(drafts, plan, draft, until)


def latents(drafts: Path, plan: DraftPlan, draft: str) -> list[Tensor]:
    journal = Journal(drafts, draft)
    return [load_file(journal.latents_path(chunk.index))["latents"] for chunk in plan.chunks]


def film(drafts: Path, draft: str) -> NDArray[np.uint8]:
    return np.stack(list(read_frames(Journal(drafts, draft).video_path())))


@pytest.fixture(scope="module")
def plan(make_plan: PlanMaker) -> DraftPlan:
    made = make_plan(frames=97)
    assert len(made.chunks) == 3
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_assets: Path, plan: DraftPlan) -> Path:
    """A folder with the draft that never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "ASSETS", tiny_assets)
        run(folder, plan, draft=WHOLE)
    return folder


def alike(drafts: Path, whole: Path, plan: DraftPlan) -> None:
    pairs = zip(latents(drafts, plan, DRAFT), latents(whole, plan, WHOLE), strict=True)
    assert all(bool((one == other).all()) for one, other in pairs)
    assert (film(drafts, DRAFT) == film(whole, WHOLE)).all()
    assert (read_settings(Journal(drafts, DRAFT).video_path()) or {})["film_frames"] == 97


CUTS = {
    "before the sentence": lambda event: isinstance(event, Started),
    "after the sentence": lambda event: isinstance(event, Encoded),
    "within the first chunk": lambda event: isinstance(event, StepDone) and event.step == 1,
    "before a decode": lambda event: isinstance(event, ChunkDenoised) and event.chunk == 1,
    "after a slice": lambda event: isinstance(event, SliceReady) and event.index == 1,
    "within the last chunk": lambda event: isinstance(event, StepDone) and event.chunk == 2,
    "before the film": lambda event: isinstance(event, SliceReady) and event.index == 2,
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.fault(13)
def test_wherever_it_was_cut_off_it_ends_as_if_nothing_had_been(
    tmp_path: Path, whole: Path, plan: DraftPlan, cut: Any
) -> None:
    first = run(tmp_path, plan, until=cut)
    assert not isinstance(first[-1], Finished)
    again = run(tmp_path, plan)
    assert isinstance(again[-1], Finished)
    alike(tmp_path, whole, plan)
    finished = {event.chunk for event in of(ChunkDenoised, first)}
    assert {event.chunk for event in of(StepDone, again)} == {0, 1, 2} - finished


def test_a_draft_that_was_stopped_goes_on_and_what_was_cut_short_is_made_anew(
    tmp_path: Path, whole: Path, plan: DraftPlan
) -> None:
    """A stop also writes what was held back for the next slice, which then is another."""
    journal = Journal(tmp_path, DRAFT)

    def emit(event: Event) -> None:
        if isinstance(event, StepDone) and event.chunk == 1:
            journal.request_stop()

    Engine(tmp_path).run(plan, DRAFT, emit)
    assert read_events(journal.folder)[-1]["event"] == "Stopped"
    (stopped,) = (row for row in read_events(journal.folder) if row["event"] == "Stopped")
    assert count_frames(journal.video_path()) == stopped["frames"] > plan.slices[0].frames
    assert journal.take_up() == plan
    run(tmp_path, plan)
    alike(tmp_path, whole, plan)
    assert count_frames(journal.video_path()) == 97


def test_a_draft_stopped_while_a_chunk_was_decoded_goes_on_with_its_next_slice(
    tmp_path: Path, make_plan: PlanMaker
) -> None:
    """Its second slice is as long as what the first holds back, which must not be taken for it."""
    plan = make_plan(frames=97)
    plan = replace(plan, slices=plan_slices(plan.chunks, window=4, stride=8))
    assert (plan.slices[0].hold, plan.slices[1].chunk, plan.slices[1].frames) == (8, 0, 8)
    journal = Journal(tmp_path, DRAFT)

    def emit(event: Event) -> None:
        if isinstance(event, ChunkDenoised) and event.chunk == 0:
            journal.request_stop()

    Engine(tmp_path).run(plan, DRAFT, emit)
    assert read_events(journal.folder)[-1]["event"] == "Stopped"
    journal.take_up()
    again = run(tmp_path, plan)
    assert {event.chunk for event in of(StepDone, again)} == {1, 2}
    assert [event.index for event in of(SliceReady, again)] == list(range(1, len(plan.slices)))
    run(tmp_path, plan, draft=WHOLE)
    alike(tmp_path, tmp_path, plan)


@pytest.mark.parametrize("name", ["chunk-001.latents.safetensors", "embeddings.safetensors", "slice-001.mp4"])
@pytest.mark.parametrize("damage", ["torn", "gone", "empty"])
@pytest.mark.fault(15)
def test_what_is_torn_or_gone_is_made_anew(
    tmp_path: Path, whole: Path, plan: DraftPlan, name: str, damage: str
) -> None:
    run(tmp_path, plan, until=CUTS["within the last chunk"])
    path = Journal(tmp_path, DRAFT).path(name)
    match damage:
        case "torn":
            path.write_bytes(path.read_bytes()[: -7 if path.suffix != ".mp4" else path.stat().st_size // 2])
        case "gone":
            path.unlink()
        case _:
            path.write_bytes(b"")
    run(tmp_path, plan)
    alike(tmp_path, whole, plan)


@pytest.mark.fault(14)
def test_a_slice_torn_while_a_draft_is_made_is_told_and_made_anew(tmp_path: Path, whole: Path, plan: DraftPlan) -> None:
    path = Journal(tmp_path, DRAFT).slice_path(0)

    def tear(event: Event) -> bool:
        if isinstance(event, StepDone) and event.chunk == 2:
            path.write_bytes(path.read_bytes()[:3000])
        return False

    with pytest.raises(DraftError, match=r"Only \d+ of 97 frames were written"):
        run(tmp_path, plan, until=tear)
    assert not of(StepDone, run(tmp_path, plan))
    alike(tmp_path, whole, plan)


def test_a_finished_draft_that_is_asked_to_go_on_makes_nothing_again(tmp_path: Path, plan: DraftPlan) -> None:
    run(tmp_path, plan)
    again = run(tmp_path, plan)
    assert not of(StepDone, again)
    assert not of(SliceReady, again)
    assert isinstance(again[-1], Finished)


def test_what_is_known_is_not_asked_of_the_model_again(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, plan, until=CUTS["within the last chunk"])
    for path in (tmp_path / ".embeddings").iterdir():
        path.unlink()
    engine = Engine(tmp_path)
    model: Any = engine.open(plan.spec, plan.memory.device)
    monkeypatch.setattr(model, "encode", lambda _: pytest.fail("encoded again"))
    engine.run(plan, DRAFT, lambda _: None)


@pytest.mark.fault(30)
def test_where_memory_has_shrunk_its_chunks_stay(
    tmp_path: Path, whole: Path, plan: DraftPlan, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, plan, until=CUTS["after a slice"])
    need = plan.memory.stage_bytes[Stage.DENOISE]
    tight = make_device(free_bytes=need + plan.memory.device.total_bytes // 100)
    monkeypatch.setattr(engine_module, "probe_device", lambda **_: tight)
    again = run(tmp_path, plan)
    assert of(Started, again)[0].plan.chunks == plan.chunks
    alike(tmp_path, whole, plan)
    monkeypatch.setattr(engine_module, "probe_device", lambda **_: make_device(gib=0.01))
    with pytest.raises(DoesNotFit, match="what is finished is kept"):
        run(tmp_path, plan)


# From outside -------------------------------------------------------------------------------------------------------
def test_the_newest_unfinished_draft_goes_on(tmp_path: Path, plan: DraftPlan) -> None:
    run(tmp_path, plan, until=CUTS["after a slice"])
    run(tmp_path, plan, draft="20250101-120000-0123456789abcdef", until=CUTS["after a slice"])
    run(tmp_path, plan, draft=WHOLE)
    assert unfinished_drafts(tmp_path) == [DRAFT, "20250101-120000-0123456789abcdef"]
    events = list(pipeline.resume(drafts=tmp_path))
    assert of(Started, events)[0].draft == DRAFT
    assert isinstance(events[-1], Finished)
    assert unfinished_drafts(tmp_path) == ["20250101-120000-0123456789abcdef"]


def test_a_resumed_draft_can_be_stopped_and_resumed_again(tmp_path: Path, whole: Path, plan: DraftPlan) -> None:
    events = pipeline.draft(plan, tmp_path)
    draft = until_chunk(events, 0)
    second = pipeline.resume(draft, tmp_path)
    assert until_chunk(second, 1) == draft
    assert isinstance(list(pipeline.resume(draft, tmp_path))[-1], Finished)
    assert (film(tmp_path, draft) == film(whole, WHOLE)).all()


def until_chunk(events: Any, chunk: int) -> str:
    """Stops a draft when a chunk is denoised; its id."""
    draft = ""
    for event in events:
        if isinstance(event, Started):
            draft = event.draft
        if isinstance(event, ChunkDenoised) and event.chunk == chunk:
            events.close()
            return draft
    pytest.fail("there is no such chunk")


def test_the_command_goes_on_with_the_newest_or_with_the_one_named(
    tmp_path: Path, plan: DraftPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, plan, until=CUTS["after a slice"])
    output = tmp_path / "film.mp4"
    assert main(["resume", "--drafts", str(tmp_path), "--output", str(output)]) == DONE
    assert count_frames(output) == 97
    assert capsys.readouterr().out.strip() == str(output)
    assert main(["resume", DRAFT, "--drafts", str(tmp_path), "--json"]) == DONE
    assert main(["resume", "--drafts", str(tmp_path)]) == BAD_REQUEST
    assert "No draft in" in capsys.readouterr().err


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("draft", ["../../etc", "draft", "", "20260101-120000-0123456789abcdeg"])
def test_an_id_that_is_none_is_told(empty: Path, draft: str) -> None:
    with pytest.raises(InvalidRequest, match="no draft's id"):
        next(pipeline.resume(draft, empty))


@pytest.mark.fault(35)
def test_a_draft_that_is_not_there_or_unreadable_is_told(tmp_path: Path, plan: DraftPlan) -> None:
    with pytest.raises(InvalidRequest, match="no draft 20260101"):
        next(pipeline.resume(DRAFT, tmp_path))
    _, journal = make_draft(tmp_path, plan)
    for text in ("{", '{"chunks": 3}', "null"):
        journal.path("plan.json").write_text(text)
        with pytest.raises(InvalidRequest, match="cannot be read"):
            next(pipeline.resume(journal.draft, tmp_path))


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path, plan: DraftPlan) -> None:
    journal = Journal(tmp_path, DRAFT)
    journal.begin(plan)
    assert journal.take_up() == plan


def test_stopping_is_forgotten_when_a_draft_is_taken_up(tmp_path: Path, plan: DraftPlan) -> None:
    journal = Journal(tmp_path, DRAFT)
    journal.begin(plan)
    journal.request_stop()
    assert isinstance(run(tmp_path, plan)[-1], Stopped)
    journal.take_up()
    assert isinstance(run(tmp_path, plan)[-1], Finished)

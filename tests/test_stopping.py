"""A draft that is stopped, or that something goes wrong with, keeps every part that was finished."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from diffusers import LTXVideoTransformer3DModel
from torch import Tensor

from pipeline import patience
from pipeline.drafts.journal import Journal
from pipeline.errors import DraftError
from pipeline.events import ChunkDenoised, Encoded, Event, Finished, SliceReady, Started, StepDone, Stopped
from pipeline.gpu import interrupting
from pipeline.gpu.loading import Checkpoint
from pipeline.models.base import Frames
from pipeline.models.ltx import LTXModel
from pipeline.patience import Patience
from pipeline.plan.chunks import Chunk, plan_slices
from pipeline.plan.spec import Component
from pipeline.prompt.cache import PromptEmbeds
from pipeline.video import preview as preview_module
from pipeline.video.mp4 import read_settings
from tests.conftest import PlanMaker
from tests.tiny import Say, count_frames, kinds, make_draft, of, run_until

pytestmark = pytest.mark.usefixtures("tiny")


def stopping_at(chunk: int, kind: type, step: int = 1) -> Say:
    def say(event: Event, journal: Journal) -> None:
        if isinstance(event, kind) and event.chunk == chunk and getattr(event, "step", step) == step:  # type: ignore[attr-defined]
            journal.request_stop()

    return say


@pytest.mark.parametrize(
    ("say", "frames", "chunks", "last"),
    [
        (stopping_at(0, StepDone), 0, 0, "StepDone"),
        (stopping_at(0, StepDone, step=2), 0, 0, "StepDone"),
        (stopping_at(0, ChunkDenoised), 49, 1, "SliceReady"),
        (stopping_at(0, SliceReady), 49, 1, "SliceReady"),
        (stopping_at(1, StepDone), 49, 1, "SliceReady"),
        (stopping_at(1, StepDone, step=2), 49, 1, "SliceReady"),
        (stopping_at(1, ChunkDenoised), 73, 2, "SliceReady"),
    ],
    ids=["first step", "later step", "denoised", "between chunks", "second chunk", "its later step", "its end"],
)
@pytest.mark.fault(9)
def test_a_stop_keeps_every_finished_chunk_to_its_last_frame(
    tmp_path: Path, make_plan: PlanMaker, say: Say, frames: int, chunks: int, last: str
) -> None:
    events, journal = make_draft(tmp_path, make_plan(frames=97), say)
    end = events[-1]
    assert isinstance(end, Stopped)
    assert (end.frames, end.chunks) == (frames, chunks)
    assert type(events[-2]).__name__ == last
    assert sum(piece.frames for piece in of(SliceReady, events)) == frames
    if frames:
        assert count_frames(journal.path(str(end.file))) == frames
    else:
        assert end.file is None
        assert not journal.video_path().exists()


def test_a_stop_asked_for_before_the_start_makes_nothing(tmp_path: Path, make_plan: PlanMaker) -> None:
    def say(event: Event, journal: Journal) -> None:
        if isinstance(event, Started):
            journal.request_stop()

    events, _ = make_draft(tmp_path, make_plan(), say)
    assert kinds(events) == ["Started", "Stopped"]


@pytest.mark.fault(9)
def test_a_stop_is_heard_between_two_layers_of_the_text_encoder(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only there: what a stage without steps has begun is dropped, and nothing is cached of it."""
    seen = []

    def encode(self: LTXModel, sentences: list[str]) -> list[PromptEmbeds]:
        with self.residency.on_device(Component.TEXT_ENCODER) as encoder:
            handle = encoder.encoder.block[0].register_forward_hook(lambda *_: ask())
            try:
                return whole(self, sentences)
            finally:
                handle.remove()

    def ask() -> None:
        seen.append("the first layer")
        (folder,) = (path for path in tmp_path.iterdir() if path.name[0].isdigit())
        (folder / "STOP").touch()

    whole = LTXModel.encode
    monkeypatch.setattr(LTXModel, "encode", encode)
    monkeypatch.setattr(interrupting, "PAUSE_SECONDS", 0.0)  # these layers take less than the usual pause
    events, journal = make_draft(tmp_path, make_plan())
    assert kinds(events) == ["Started", "Stopped"]
    assert seen == ["the first layer"]
    assert not journal.embeddings_path().exists()
    assert not list((tmp_path / ".embeddings").glob("*"))


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    ("component", "said"),
    [
        (Component.TEXT_ENCODER, ["Started", "Stopped"]),
        (Component.TRANSFORMER, ["Started", "Encoded", "Stopped"]),
        (Component.VAE, ["Started", "Encoded", "StepDone", "ChunkDenoised", "Stopped"]),
    ],
)
def test_a_stop_is_heard_while_weights_are_read(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch, component: Component, said: list[str]
) -> None:
    """Between two tensors: no component is read to its end."""
    read, whole = list[Component](), Checkpoint.load

    def load(self: Checkpoint, wanted: Component, *arguments: Any) -> Any:
        if wanted is component:
            (folder,) = (path for path in tmp_path.iterdir() if path.name[0].isdigit())
            (folder / "STOP").touch()
        module = whole(self, wanted, *arguments)
        read.append(wanted)
        return module

    monkeypatch.setattr(Checkpoint, "load", load)
    monkeypatch.setattr(interrupting, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(patience, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(Patience, "learn", lambda *_: None)
    events, _ = make_draft(tmp_path, make_plan())
    assert kinds(events) == said
    assert component not in read


@pytest.mark.fault(9)
def test_a_stop_in_the_middle_of_a_decode_leaves_the_slice_and_keeps_its_latents(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(frames=73)
    with monkeypatch.context() as impatient:
        impatient.setattr(interrupting, "PAUSE_SECONDS", 0.0)
        impatient.setattr(Patience, "learn", lambda self, _: setattr(self, "_step_seconds", 0.0))
        events, journal = make_draft(tmp_path, plan, stopping_at(1, ChunkDenoised))
    end = events[-1]
    assert isinstance(end, Stopped)
    assert (end.frames, end.chunks, len(of(SliceReady, events))) == (count_frames(journal.video_path()), 2, 1)
    journal.take_up()
    again = run_until(tmp_path, plan, journal.draft)
    assert not of(StepDone, again)
    assert isinstance(again[-1], Finished)
    assert count_frames(journal.video_path()) == plan.request.frames


@pytest.mark.fault(10)
@pytest.mark.parametrize("kind", [Started, Encoded, StepDone, ChunkDenoised, SliceReady])
def test_a_stop_twice_at_any_stage_is_one_and_what_is_asked_after_the_end_changes_nothing(
    tmp_path: Path, make_plan: PlanMaker, kind: type[Event]
) -> None:
    def say(event: Event, journal: Journal) -> None:
        if isinstance(event, kind | Stopped):
            journal.request_stop()
            journal.request_stop()

    plan = make_plan(frames=73)
    events, journal = make_draft(tmp_path, plan, say)
    assert [type(event) for event in events].count(Stopped) == 1
    kept = {path.name: path.read_bytes() for path in journal.folder.iterdir()}
    journal.request_stop()
    assert {path.name: path.read_bytes() for path in journal.folder.iterdir()} == kept
    journal.take_up()
    assert isinstance(run_until(tmp_path, plan, journal.draft)[-1], Finished)


@pytest.mark.fault(9)
def test_a_stop_while_slices_are_decoded_ends_with_the_one_that_is_begun(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(frames=49)
    plan = replace(plan, slices=plan_slices(plan.chunks, window=5, stride=8))
    events, journal = make_draft(tmp_path, plan, stopping_at(0, ChunkDenoised))
    end = events[-1]
    assert isinstance(end, Stopped)
    assert [piece.frames for piece in of(SliceReady, events)] == [25]
    assert (end.frames, end.chunks) == (25, 1)
    assert count_frames(journal.video_path()) == 25


def test_a_stop_while_the_film_is_put_together_comes_too_late(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan()

    def say(event: Event, journal: Journal) -> None:
        if isinstance(event, SliceReady) and event.index == len(plan.slices) - 1:
            journal.request_stop()

    events, journal = make_draft(tmp_path, plan, say)
    assert isinstance(events[-1], Finished)
    assert count_frames(journal.video_path()) == plan.request.frames


@pytest.mark.parametrize(("chunk", "seams"), [(0, []), (1, [49]), (2, [49, 73])])
def test_a_stopped_film_has_the_seams_of_what_it_holds(
    tmp_path: Path, make_plan: PlanMaker, chunk: int, seams: list[int]
) -> None:
    _, journal = make_draft(tmp_path, make_plan(frames=121, steps=1), stopping_at(chunk, ChunkDenoised))
    settings = read_settings(journal.video_path()) or {}
    assert [seam["frame"] for seam in settings["seams"]] == seams
    assert all(frame < count_frames(journal.video_path()) for frame in seams)
    assert settings["film_frames"] == count_frames(journal.video_path()) < settings["frames"]


# What goes wrong ----------------------------------------------------------------------------------------------------
def test_a_preview_that_fails_never_fails_the_draft(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: LTXModel, __: Tensor) -> Frames:
        raise RuntimeError("no such map")

    monkeypatch.setattr(LTXModel, "preview", refuse)
    events, _ = make_draft(tmp_path, make_plan())
    assert isinstance(events[-1], Finished)
    assert [event.preview for event in of(StepDone, events)] == [None, None]


def test_a_preview_that_costs_too_much_is_drawn_rarely(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_module, "SHARE", 1e-9)
    events, _ = make_draft(tmp_path, make_plan(steps=5))
    assert [event.preview is None for event in of(StepDone, events)] == [False, True, True, True, True]


@pytest.mark.fault(20)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_no_numbers_end_the_draft_and_are_not_kept(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    denoise = LTXModel.denoise

    def spoil(model: LTXModel, chunk: Chunk, *arguments: Any, **named: Any) -> Tensor:
        latents = denoise(model, chunk, *arguments, **named)
        latents[0, 0, -1, 0, 0] = value if chunk.index == 1 else 0.0
        return latents

    monkeypatch.setattr(LTXModel, "denoise", spoil)
    with pytest.raises(DraftError, match="no numbers in chunk 2"):
        make_draft(tmp_path, make_plan(frames=97))
    (folder,) = (path for path in tmp_path.iterdir() if path.name[0].isdigit())
    assert [path.name for path in folder.glob("chunk-*")] == ["chunk-000.latents.safetensors"]
    assert (folder / "slice-000.mp4").exists()


@pytest.mark.fault(20)
def test_after_a_step_that_gives_no_numbers_there_is_no_other(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = LTXVideoTransformer3DModel.forward, list[int]()

    def spoil(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        (flow,) = whole(*arguments, **named)
        return (flow * float("nan") if len(calls) == 2 else flow,)

    monkeypatch.setattr(LTXVideoTransformer3DModel, "forward", spoil)
    with pytest.raises(DraftError, match="no numbers in chunk 1"):
        make_draft(tmp_path, make_plan(steps=5, guidance=1.0))
    assert len(calls) == 2
    assert not list(tmp_path.glob("2*/running.safetensors"))

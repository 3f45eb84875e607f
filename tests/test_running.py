"""An interrupted chunk goes on from the middle: from memory, from its file, never from what is torn or another's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline import running as running_module
from pipeline.drafts.journal import Journal
from pipeline.drafts.measurements import Measurements
from pipeline.engine import Engine
from pipeline.errors import WriteFailed
from pipeline.events import ChunkDenoised, Event, Finished, StepDone, Stopped
from pipeline.models.base import Recalled, Sampling, SamplingState
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import Tail, VideoShape
from pipeline.prompt.cache import PromptEmbeds
from pipeline.running import RunningChunk, identify
from tests.conftest import PlanMaker
from tests.tiny import make_draft, of, run_until

DRAFT = "20260101-120000-0123456789abcdef"
TEXT = PromptEmbeds(torch.arange(6.0).view(1, 2, 3), torch.ones(1, 2, dtype=torch.int64))
CHUNK = Chunk(index=1, start=2, stop=6, overlap=1, seed=5, shot=0)
SAMPLING = Sampling(shape=VideoShape(width=64, height=32), steps=4, guidance=3.0, positive=TEXT, negative=TEXT)
TAIL = torch.arange(8.0).view(1, 2, 1, 2, 2)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / DRAFT).mkdir()
    return Journal(tmp_path, DRAFT)


def state(step: int, value: float = 1.0) -> SamplingState:
    return SamplingState(
        step=step, tensors={"latents": torch.full((1, 2, 3), value), "_step_index": torch.tensor(step)}
    )


def kept(journal: Journal, name: str = "a", step: int = 2) -> None:
    chunk = RunningChunk(journal)
    chunk.begin(name, steps=4)
    chunk.keep(state(step))
    chunk.save()


# One chunk ------------------------------------------------------------------------------------------------------------
def test_another_process_goes_on_from_the_file(journal: Journal) -> None:
    kept(journal)
    found = RunningChunk(journal).begin("a", steps=4)
    assert found is not None
    assert found.step == 2
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
        name: tensor.tolist() for name, tensor in state(2).tensors.items()
    }


@pytest.mark.fault(1)
def test_the_same_process_goes_on_from_the_last_step_though_it_is_not_written(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_module, "SHARE", -1.0)
    chunk = RunningChunk(journal)
    assert chunk.begin("a", steps=4) is None
    chunk.keep(state(1))
    chunk.keep(state(3))
    assert not journal.running_path().exists()
    found = chunk.begin("a", steps=4)
    assert found is not None
    assert found.step == 3
    assert chunk.begin("b", steps=4) is None


def test_nothing_is_kept_after_the_last_step(journal: Journal) -> None:
    kept(journal, step=4)
    assert not journal.running_path().exists()


def test_a_finished_chunk_leaves_nothing(journal: Journal) -> None:
    kept(journal)
    chunk = RunningChunk(journal)
    chunk.begin("a", steps=4)
    chunk.remove()
    chunk.remove()
    assert not list(journal.folder.iterdir())
    assert chunk.begin("a", steps=4) is None


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
@pytest.mark.fault(15)
def test_what_is_torn_counts_as_nothing(journal: Journal, cut: int) -> None:
    kept(journal)
    path = journal.running_path()
    path.write_bytes(path.read_bytes()[:cut])
    assert RunningChunk(journal).begin("a", steps=4) is None


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"chunk": "b", "step": "2"},
        {"chunk": "a"},
        {"chunk": "a", "step": "two"},
        {"chunk": "a", "step": "4"},
        {"chunk": "a", "step": "-1"},
    ],
    ids=str,
)
def test_what_is_another_s_or_says_nothing_sensible_counts_as_nothing(
    journal: Journal, metadata: dict[str, str] | None
) -> None:
    save_file(dict(state(2).tensors), journal.running_path(), metadata=metadata)
    assert RunningChunk(journal).begin("a", steps=4) is None


@pytest.mark.fault(20)
def test_latents_that_are_no_numbers_count_as_nothing(journal: Journal) -> None:
    save_file(dict(state(2, float("nan")).tensors), journal.running_path(), metadata={"chunk": "a", "step": "2"})
    assert RunningChunk(journal).begin("a", steps=4) is None


def test_writing_takes_no_more_than_its_share(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second, writing three: at a share of 1 % every 300th step is written, the first one, too."""
    now, writes = [0.0], list[float]()
    monkeypatch.setattr(running_module.time, "monotonic", lambda: now[0])

    def save(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"")
        writes.append(now[0])
        now[0] += 3

    monkeypatch.setattr(running_module, "save_file", save)
    chunk = RunningChunk(journal)
    chunk.begin("a", steps=1000)
    for step in range(1, 500):
        now[0] += 1
        chunk.keep(state(step))
    assert writes == [1.0, 304.0]


def test_a_disk_that_refuses_fails_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object) -> None:
        raise WriteFailed("x", "No space left on device.")

    monkeypatch.setattr(Journal, "writing", lambda *_: refuse(None))
    chunk = RunningChunk(journal)
    chunk.begin("a", steps=4)
    chunk.keep(state(1))
    assert "No space left" in caplog.text
    found = chunk.begin("a", steps=4)
    assert found is not None
    assert found.step == 1


def test_whatever_a_state_depends_on_is_in_its_name() -> None:
    other = PromptEmbeds(TEXT.embeds + 1, TEXT.mask)
    masked = PromptEmbeds(TEXT.embeds, TEXT.mask * 0)
    half = PromptEmbeds(TEXT.embeds.bfloat16(), TEXT.mask)
    samplings = [SAMPLING] + [
        replace(SAMPLING, **change)
        for change in (
            {"steps": 5},
            {"guidance": 2.0},
            {"shape": VideoShape(width=32, height=64)},
            {"positive": other},
            {"positive": masked},
            {"positive": half},
            {"negative": other},
            {"negative": None},
            {"tail": Tail.FRAMES},
            {"guided_share": 0.5},
            {"guided_share": 0.0},
            {"recalled": Recalled(latent=TAIL, place=-1)},
            {"recalled": Recalled(latent=TAIL, place=-2)},
            {"recalled": Recalled(latent=-TAIL, place=-1)},
        )
    ]
    chunks = [replace(CHUNK, **{name: 9}) for name in ("start", "stop", "overlap", "seed", "shot")]
    names = [identify("m", CHUNK, sampling, TAIL) for sampling in samplings]
    names += [
        identify("m", chunk, SAMPLING, TAIL)
        for chunk in (*chunks, replace(CHUNK, blocks=(1, 3)), replace(CHUNK, windows=((0, 2), (1, 3))))
    ]
    names += [identify("m", CHUNK, SAMPLING, tail) for tail in (None, -TAIL)] + [identify("n", CHUNK, SAMPLING, TAIL)]
    assert len(set(names)) == len(names)
    assert identify("m", replace(CHUNK), replace(SAMPLING), TAIL.clone()) == names[0]


# A draft --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def plan(make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch) -> DraftPlan:
    """Two chunks of four steps, each of which is written."""
    monkeypatch.setattr(running_module, "SHARE", 1e9)
    plan = make_plan(frames=73, steps=4)
    assert len(plan.chunks) == 2
    return plan


def run(drafts: Path, plan: DraftPlan, until: Callable[[Event], bool] = lambda _: False) -> list[Event]:
    return run_until(drafts, plan, DRAFT, until)


def latents(folder: Path, chunk: int) -> Any:
    return load_file(folder / f"chunk-{chunk:03d}.latents.safetensors")["latents"]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("chunk", [0, 1])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.fault(13)
def test_a_draft_that_was_cut_in_mid_chunk_makes_only_the_steps_that_are_left(
    tmp_path: Path, plan: DraftPlan, chunk: int, step: int
) -> None:
    cut = run(tmp_path / "cut", plan, until=lambda e: isinstance(e, StepDone) and (e.chunk, e.step) == (chunk, step))
    again = run(tmp_path / "cut", plan)
    both = [(event.chunk, event.step) for event in (*of(StepDone, cut), *of(StepDone, again))]
    assert both == [(c, s) for c in (0, 1) for s in (1, 2, 3, 4)]
    assert isinstance(again[-1], Finished)
    run(tmp_path / "whole", plan)
    for index in (0, 1):
        assert torch.equal(latents(tmp_path / "cut" / DRAFT, index), latents(tmp_path / "whole" / DRAFT, index))
    assert not (tmp_path / "cut" / DRAFT / "running.safetensors").exists()


@pytest.mark.usefixtures("tiny")
def test_half_a_draft_teaches_nothing_about_how_long_one_takes(tmp_path: Path, plan: DraftPlan) -> None:
    run(tmp_path, plan, until=lambda event: isinstance(event, StepDone) and event.step == 2)
    run(tmp_path, plan)
    assert not Measurements(tmp_path).path.exists()


@pytest.mark.usefixtures("tiny")
def test_a_stop_writes_where_the_chunk_stands_though_it_was_not_due(
    tmp_path: Path, plan: DraftPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_module, "SHARE", -1.0)
    journal = Journal(tmp_path, DRAFT)
    cut = list[Event]()

    def emit(event: Event) -> None:
        cut.append(event)
        if isinstance(event, StepDone) and (event.chunk, event.step) == (1, 3):
            journal.request_stop()

    Engine(tmp_path).run(plan, DRAFT, emit)
    assert isinstance(cut[-1], Stopped)
    journal.take_up()
    again = run(tmp_path, plan)
    assert [(event.chunk, event.step) for event in of(StepDone, again)] == [(1, 4)]


@pytest.mark.usefixtures("tiny")
def test_what_was_left_of_a_chunk_that_is_finished_changes_nothing(tmp_path: Path, plan: DraftPlan) -> None:
    """As after a crash between the chunk and the removal of where it stood."""
    kept_files = dict[int, bytes]()

    def keep(event: Event, journal: Journal) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            kept_files[event.chunk] = journal.running_path().read_bytes()
        if isinstance(event, ChunkDenoised):
            journal.running_path().write_bytes(kept_files[event.chunk])

    events, journal = make_draft(tmp_path / "left", plan, keep)
    assert isinstance(events[-1], Finished)
    assert not journal.running_path().exists()
    _, plain = make_draft(tmp_path / "plain", plan)
    assert torch.equal(latents(journal.folder, 1), latents(plain.folder, 1))


@pytest.mark.usefixtures("tiny")
def test_a_draft_s_folder_never_holds_more_latents_than_were_forecast(tmp_path: Path, plan: DraftPlan) -> None:
    """While where a chunk stands is written the file before it is there, too."""
    sizes = list[int]()

    def weigh(_: Event, journal: Journal) -> None:
        files = [*journal.folder.glob("chunk-*"), *[journal.running_path()] * 2]
        sizes.append(sum(file.stat().st_size for file in files if file.exists()))

    make_draft(tmp_path, plan, weigh)
    assert 0 < max(sizes) <= plan.memory.disk_bytes

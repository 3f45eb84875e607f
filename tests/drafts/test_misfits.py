"""Latents and plans that can be read and do not fit: the former are made anew, the latter refused, nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import Tensor

import pipeline
from pipeline.drafts.journal import Journal
from pipeline.drafts.surgery import begin_edit
from pipeline.engine import Engine
from pipeline.errors import InvalidRequest, WriteFailed
from pipeline.events import Event, Finished
from pipeline.plan.edits import Cut, Edit, Extend, Redo, Reprompt
from tests.drafts.edited import denoised, edit, latents, same

pytestmark = pytest.mark.usefixtures("tiny")
MISFITS: dict[str, Callable[[Tensor], Tensor]] = {
    "half of the channels": lambda made: made[:, ::2].contiguous(),
    "two at once": lambda made: made.repeat(2, 1, 1, 1, 1),
    "no batch": lambda made: made[0],
    "bfloat16": Tensor.bfloat16,
    "float16": Tensor.half,
    "float64": Tensor.double,
    "whole numbers": Tensor.int,
}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
@pytest.mark.fault(14)
def test_latents_that_do_not_fit_are_made_anew(old: Journal, mine: Journal, misfit: Callable[[Tensor], Tensor]) -> None:
    save_file({"latents": misfit(latents(old, 1))}, mine.latents_path(1))
    events, _, _ = edit(mine, Redo(chunk=0, seed=9))
    assert denoised(events) == {0, 1, 2}
    with pytest.raises(InvalidRequest, match="1 of 3 chunks are"):
        next(pipeline.edit(mine.draft, Cut(chunk=1), mine.folder.parent))
    again = list[Event]()
    Engine(mine.folder.parent).run(mine.read_plan(), mine.draft, again.append)
    assert isinstance(again[-1], Finished)
    assert denoised(again) == {1, 2}
    assert all(same(old, mine, chunk) for chunk in range(3))


def put(path: str, value: object) -> Callable[[Any], None]:
    """Sets one value of a plan's JSON: `chunks.1.index`."""

    def change(plan: Any) -> None:
        *way, last = (int(name) if name.isdigit() else name for name in path.split("."))
        for name in way:
            plan = plan[name]
        plan[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("memory.choices", {}), "does not say how decode is run"),
        (put("chunks.1.index", 7), "chunk 2 does not fit"),
        (put("chunks.1.overlap", 50), "chunk 2 does not fit"),
        (put("chunks.1.shot", 9), "chunk 2 does not fit"),
        (put("chunks.1.mix", [[0, 0.5], [1, 0.5]]), "chunk 2 does not fit"),
        (put("chunks.0.stop", -1), "chunk 1 does not fit"),
        (put("chunks.1.stop", 1), "chunk 2 does not fit"),
        (put("chunks.1.scene_start", -1), "chunk 2 does not fit"),
        (put("chunks.2.ahead", 1), "chunk 3 does not fit"),
        (put("chunks.2.seed", -1), "chunk 3 does not fit"),
        (put("chunks.1.blocks", [7]), "chunk 2 does not fit"),
        (put("chunks.1.windows", [[0, 99]]), "chunk 2 does not fit"),
        (lambda plan: plan["chunks"].pop(), "chunks make 10 of 13 latents"),
        (put("chunks", []), "chunks make 0 of 13 latents"),
        (put("slices.1.index", 0), "slice 2 does not fit"),
        (put("slices.1.chunk", 3), "slice 2 does not fit"),
        (put("slices.1.stop", 99), "slice 2 does not fit"),
        (put("slices.1.frames", 0), "slice 2 does not fit"),
        (lambda plan: plan["slices"].pop(), "slices show"),
        (put("parent", {"draft": "x", "edit": "redo", "kept": [3]}), "keeps chunks that are not there"),
    ],
)
@pytest.mark.fault(35)
def test_a_plan_whose_parts_do_not_fit_is_refused(mine: Journal, change: Callable[[Any], None], message: str) -> None:
    path = mine.path("plan.json")
    plan = json.loads(path.read_text())
    change(plan)
    path.write_text(json.dumps(plan))
    before = sorted(mine.folder.parent.iterdir())
    for begin in (
        lambda: next(pipeline.edit(mine.draft, Redo(chunk=1, seed=9), mine.folder.parent)),
        lambda: next(pipeline.resume(mine.draft, mine.folder.parent)),
    ):
        with pytest.raises(InvalidRequest, match=f"plan of draft .* cannot be read: .*{message}"):
            begin()
    assert sorted(mine.folder.parent.iterdir()) == before


@pytest.mark.parametrize(
    "change", [Reprompt(chunk=1, prompt="[2s] a / [3s cut] b"), Extend(seconds=1, prompt="[2s] a")]
)
def test_an_edit_takes_no_storyboard(old: Journal, change: Edit) -> None:
    with pytest.raises(InvalidRequest, match=r"an edit takes one sentence\. Leave the brackets out"):
        next(pipeline.edit(old.draft, change, old.folder.parent))


def test_an_extension_that_is_offered_can_be_had(old: Journal) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        next(pipeline.edit(old.draft, Extend(seconds=59), old.folder.parent))
    _, least, _, most, _ = refusal.value.hint.split()
    for seconds in (float(least), float(most)):
        begin_edit(old.folder.parent, old.draft, Extend(seconds=seconds))


def test_a_folder_that_takes_no_drafts_is_told_with_another(
    old: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(WriteFailed, match=r"Read-only file system\. Choose another folder with --drafts\."):
        next(pipeline.edit(old.draft, Redo(chunk=1), tmp_path))

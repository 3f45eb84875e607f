"""Edits that cannot be, and drafts that are damaged or unfinished: a sentence, nothing lost, no new folder left."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

import pipeline
from pipeline.drafts import surgery
from pipeline.drafts.journal import Journal
from pipeline.errors import InvalidRequest
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Branch, Cut, Edit, Extend, Redo, Reprompt
from tests.conftest import DeviceMaker
from tests.drafts.edited import OTHER, denoised, edit, film, latents, same
from tests.tiny import count_frames

pytestmark = pytest.mark.usefixtures("tiny")


def refused(old: Journal, change: Edit, message: str) -> None:
    before = sorted(old.folder.parent.iterdir())
    with pytest.raises(pipeline.DraftError, match=message):
        next(pipeline.edit(old.draft, change, old.folder.parent))
    assert sorted(old.folder.parent.iterdir()) == before


def test_of_a_stopped_draft_what_is_finished_can_be_edited(stopped: Journal, plan: DraftPlan) -> None:
    events, new, _ = edit(stopped, Reprompt(chunk=2, prompt=OTHER))  # the first that is not finished
    assert denoised(events) == {2}
    assert all(same(stopped, new, index) for index in (0, 1))
    _, cut, _ = edit(stopped, Cut(chunk=1))
    assert count_frames(cut.video_path()) == 73
    events, longer, changed = edit(stopped, Extend(seconds=1))
    assert denoised(events) == {2, 3}
    assert changed.chunks[:3] == plan.chunks
    assert count_frames(longer.video_path()) == 121
    for change in (Redo(chunk=2), Cut(chunk=2)):
        refused(stopped, change, "Chunk 3 is not finished.*2 of 3 chunks are.*Nearest: 2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Redo(chunk=3), "There is no chunk 4: the draft has chunks 1 to 3. Nearest: 3"),
        (Branch(chunk=-1), "There is no chunk 0.*Nearest: 1"),
        (Reprompt(chunk=10**9, prompt=OTHER), "There is no chunk 1000000001"),
        (Cut(chunk=2), "Nothing comes after chunk 3"),
        (Reprompt(chunk=1, prompt=" "), "There is no sentence yet"),
        (Reprompt(chunk=1, prompt="a\x07ball"), "control characters"),
        (Extend(seconds=0), "cannot be extended by 0.*Choose 0.4 to 55.9"),
        (Extend(seconds=-1), "cannot be extended by -1"),
        (Extend(seconds=float("nan")), "cannot be extended by nan"),
        (Extend(seconds=57), "the longest is 60 seconds"),
        (Extend(seconds=1, prompt="x" * 3000), "3,000 characters"),
        (Redo(chunk=0, seed=-1), "no seed"),
        (Redo(chunk=1, seed=2**32), "no seed"),
        (Redo(chunk=0, alone=True), "cannot be made again alone"),
        (Redo(chunk=2, alone=True), "cannot be made again alone"),
        (Branch(chunk=1, seed=-1), "no seed"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(old: Journal, change: Edit, message: str) -> None:
    refused(old, change, message)


def test_an_extension_beyond_the_disk_is_refused(
    old: Journal, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = make_device(gib=64.0, disk_free_bytes=2**28 + 100_000)
    monkeypatch.setattr(surgery, "probe_device", lambda **_: full)
    refused(old, Extend(seconds=3), "of disk")


def test_a_torn_chunk_counts_as_not_made(mine: Journal) -> None:
    path = mine.latents_path(1)
    path.write_bytes(path.read_bytes()[:-7])
    refused(mine, Redo(chunk=2), "Chunk 3 is not finished, or cannot be read; 1 of 3 chunks are")
    events, new, _ = edit(mine, Reprompt(chunk=1, prompt=OTHER))
    assert denoised(events) == {1, 2}
    assert same(mine, new, 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.fault(14)
def test_a_torn_slice_is_decoded_again(old: Journal, mine: Journal, share: float) -> None:
    path = mine.slice_path(0)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    events, new, changed = edit(mine, Redo(chunk=2, seed=99))
    assert denoised(events) == {2}
    assert count_frames(new.video_path()) == changed.request.frames
    _, whole, _ = edit(old, Redo(chunk=2, seed=99))
    assert (film(new) == film(whole)).all()


@pytest.mark.parametrize("text", ["", "{", "null", '{"chunks": 3}'])
def test_an_unreadable_plan_is_told(mine: Journal, text: str) -> None:
    journal = mine
    journal.path("plan.json").write_text(text)
    refused(journal, Redo(chunk=1), "plan of draft .* cannot be read")


def test_a_draft_of_a_model_that_is_not_known_any_more_is_told(mine: Journal) -> None:
    path = mine.path("plan.json")
    path.write_text(path.read_text().replace('"miniature"', '"maxiature"'))
    refused(mine, Redo(chunk=1), "maxiature")


def test_latents_of_another_size_count_as_not_made(mine: Journal) -> None:
    save_file({"latents": latents(mine, 0)[..., :2].contiguous()}, mine.latents_path(0))
    refused(mine, Cut(chunk=0), "none can be read")


@pytest.mark.parametrize("draft", ["../../etc", "draft", "20260101-120000-0123456789abcdef"])
def test_a_draft_that_is_not_there_is_told(tmp_path: Path, draft: str) -> None:
    with pytest.raises(InvalidRequest, match=r"no draft"):
        next(pipeline.edit(draft, Redo(chunk=0), tmp_path))
    assert not list(tmp_path.iterdir())

"""The shelf's events: looked through, opened, named, kept, deleted; what is gone is told, and nothing else changes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.drafts.journal import ID_PATTERN
from pipeline.drafts.keeping import is_favourite, read_title
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import InvalidRequest
from pipeline.plan.presets import load_looks
from pipeline.studio.filling import fill
from pipeline.studio.forms import FIELDS, form_of
from pipeline.studio.library import REMEMBERED_PAGES, Library
from pipeline.studio.shelf import SHELF_LENGTH
from tests.studio.english import english_in
from tests.studio.test_player import FINISHED

LOOK = load_looks()["balanced"]
REQUEST: dict[str, Any] = {
    "shots": [{"prompt": "a red ball falls", "seconds": 1.0}], "model": "miniature", "frames": 25, "steps": 4,
    "shape": {"width": 256, "height": 160}, "guidance": 4.0, "seed": 7, "profile": "auto", "negative_prompt": "",
}  # fmt: skip


class Worker:
    """Knows finished drafts that lie in a folder; stands where the worker does and makes nothing."""

    keep_hours: float | None = None

    def __init__(self, drafts: Path, keep_bytes: int | None = None) -> None:
        self.drafts, self.keep_bytes = drafts, keep_bytes
        self.resumed: list[str] = []
        self.states: dict[str, DraftState] = {}

    def put(self, count: int) -> list[str]:
        for number in range(count):
            folder = self.drafts / f"20260101-1200{number:02d}-0123456789abcdef"
            folder.mkdir(parents=True)
            (folder / "plan.json").write_text("x" * 1_500_000)
            (folder / "request.json").write_text(json.dumps(REQUEST))
        return sorted(folder.name for folder in self.drafts.iterdir())

    def status(self, draft: str) -> DraftStatus | None:
        if not ID_PATTERN.fullmatch(draft) or not (self.drafts / draft).is_dir():
            return None
        state = self.states.get(draft, DraftState.FINISHED)
        return replace(FINISHED, draft=draft, request=REQUEST, state=state)

    def lists(self, draft: str) -> bool:
        return self.status(draft) is not None

    def resume(self, draft: str) -> None:
        if self.status(draft) is None:
            raise InvalidRequest("draft", "There is no such draft.")
        self.resumed.append(draft)

    def delete(self, draft: str) -> int:
        if self.status(draft) is None:
            raise InvalidRequest("draft", f"There is no draft {draft!r}.")
        if self.states.get(draft) is DraftState.RUNNING:
            raise InvalidRequest("draft", "It is being made.", "Stop it first.")
        shutil.rmtree(self.drafts / draft)
        return 1_500_000


Page = Callable[[str], Any]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path / "drafts")


@pytest.fixture
def library(worker: Worker) -> Library:
    known: Any = worker
    return Library(known, worker.drafts, form_of(LOOK), {"auto": object()}, fill)


def asked(page: str = "page", language: str = "en") -> Any:
    return SimpleNamespace(headers={"accept-language": language}, session_hash=page)


def event(**data: object) -> gr.EventData:
    return SimpleNamespace(_data=data)  # type: ignore[return-value]


def test_all_drafts_are_in_reach_a_page_at_a_time(library: Library, worker: Worker) -> None:
    ids = worker.put(SHELF_LENGTH + 3)
    first = library.draw(asked())
    assert [spine["draft"] for spine in first["spines"]] == ids[::-1][:SHELF_LENGTH]
    assert (first["count"], first["counted"]) == (SHELF_LENGTH + 3, f"1 to 20 of {SHELF_LENGTH + 3}")
    rest = library.look(asked(), event(first=SHELF_LENGTH))
    assert [spine["draft"] for spine in rest["spines"]] == ids[:3][::-1]
    assert library.draw(asked())["first"] == SHELF_LENGTH  # until the page turns back
    assert library.draw(asked("another"))["first"] == 0
    assert library.look(asked(), event(first=999))["first"] == 0


@pytest.mark.parametrize("data", [{}, {"first": "x", "words": None}, {"first": -4, "favourites": "yes"}, {"words": 7}])
def test_what_a_page_asks_wrongly_harms_nothing(library: Library, worker: Worker, data: dict[str, object]) -> None:
    worker.put(2)
    view = library.look(asked(), event(**data))
    assert view["first"] == 0
    assert view["favourites"] is False


def test_pages_that_are_closed_are_forgotten(library: Library, worker: Worker) -> None:
    worker.put(1)
    for number in range(REMEMBERED_PAGES + 1):
        library.look(asked(str(number)), event(favourites=True))
    assert library.draw(asked("0"))["favourites"] is False
    assert library.draw(asked("1"))["favourites"] is True


def test_a_draft_opens_with_its_settings(library: Library, worker: Worker) -> None:
    (draft,) = worker.put(1)
    page, kept, *fields, shelf = library.open(asked(), event(draft=draft))
    assert (page, kept, fields[FIELDS.index("prompt")]) == (draft, draft, "a red ball falls")
    assert shelf == gr.skip()


@pytest.mark.parametrize("act", ["open", "go_on"])
@pytest.mark.parametrize("draft", ["20260101-120059-0123456789abcdef", "..", "", None, 7])
def test_a_draft_that_is_gone_is_told_and_nothing_else_changes(
    library: Library, worker: Worker, act: str, draft: object
) -> None:
    worker.put(1)
    *rest, shelf = getattr(library, act)(asked(), event(draft=draft))
    assert rest == [gr.skip()] * (2 + len(FIELDS))
    assert shelf["wrong"]
    assert shelf["said"]


def test_going_on_is_asked_of_the_worker(library: Library, worker: Worker) -> None:
    (draft,) = worker.put(1)
    assert library.go_on(asked(), event(draft=draft))[:2] == [draft, draft]
    assert worker.resumed == [draft]


def test_favourites_and_names_are_kept_in_the_draft_and_shown(library: Library, worker: Worker) -> None:
    (draft,) = worker.put(1)
    assert library.mark(asked(), event(draft=draft, on=True))["spines"][0]["favourite"]
    assert is_favourite(worker.drafts / draft)
    (spine,) = library.rename(asked(), event(draft=draft, title="harbour"))["spines"]
    assert (spine["title"], spine["own_title"], spine["label"]) == ("harbour", "harbour", "Open draft: harbour")
    assert read_title(worker.drafts / draft) == "harbour"
    refused = [library.rename(asked(), event(draft=draft, title="x" * 999)) for _ in range(2)]
    assert refused[0]["wrong"]
    assert refused[0] != refused[1]  # or the page would not say it again
    assert library.mark(asked(), event(draft="nothing", on=True))["said"].startswith("This draft is not there any more")
    assert not library.mark(asked(), event(draft=draft, on=False))["spines"][0]["favourite"]


def test_deleting_tells_what_it_frees_before_and_after(library: Library, worker: Worker) -> None:
    old, new = worker.put(2)
    assert [spine["room"] for spine in library.draw(asked())["spines"]] == ["1.5 MB", "1.5 MB"]
    page, kept, shelf = library.delete(asked(), event(draft=old), new)
    assert (page, kept, shelf["said"]) == (gr.skip(), gr.skip(), "Deleted. 1.5 MB are free now.")
    assert [spine["draft"] for spine in shelf["spines"]] == [new]
    assert library.delete(asked(), event(draft=old), new)[2]["said"].startswith("This draft is not there any more")
    assert library.delete(asked(), event(draft=new), new)[:2] == [None, None]  # it was on the page


def test_a_draft_that_is_being_made_is_not_deleted(library: Library, worker: Worker) -> None:
    (draft,) = worker.put(1)
    worker.states[draft] = DraftState.RUNNING
    assert library.draw(asked())["spines"][0]["busy"]
    shelf = library.delete(asked(), event(draft=draft), None)[2]
    assert shelf["said"] == "It is being made. Stop it first."
    assert worker.status(draft) is not None


def test_only_what_is_not_finished_can_go_on(library: Library, worker: Worker) -> None:
    (draft,) = worker.put(1)
    for state in DraftState:
        worker.states[draft] = state
        unfinished = state in (DraftState.PAUSED, DraftState.STOPPED, DraftState.FAILED)
        assert library.draw(asked())["spines"][0]["unfinished"] is unfinished


def test_how_long_drafts_are_kept_is_told(library: Library, worker: Worker) -> None:
    worker.put(1)
    assert library.draw(asked())["retention"] == "Drafts stay here until you delete them."
    worker.keep_bytes = 3 * 2**30
    assert "take more than 3 GB, those finished first" in library.draw(asked())["retention"]
    assert "3 GB" in library.draw(asked(language="zh"))["retention"]


def test_a_file_fills_the_form(library: Library, worker: Worker) -> None:
    worker.drafts.mkdir()
    mine = {**REQUEST, "profile": "my-card", "seams": [], "cuts": [], "film_frames": 57}
    *fields, shelf = library.open_file(asked(), event(text=json.dumps(mine)))
    assert fields[FIELDS.index("prompt")] == "a red ball falls"
    assert fields[FIELDS.index("seed")] == "7"
    assert fields[FIELDS.index("profile")] == "auto"  # there is no such card here
    assert (shelf["wrong"], shelf["said"]) == (False, "The form now says what this file was made with.")


@pytest.mark.parametrize(("language", "said"), [("en", "put together from several takes"), ("zh", "几次生成的片段")])
def test_a_film_of_several_takes_fills_the_form_and_says_so(
    library: Library, worker: Worker, language: str, said: str
) -> None:
    worker.drafts.mkdir()
    *fields, shelf = library.open_file(asked(language=language), event(text=json.dumps({**REQUEST, "edited": True})))
    assert fields[FIELDS.index("seed")] == "7"
    assert said in shelf["said"]
    assert not shelf["wrong"]


FOREIGN = (
    None, "", "{", "[]", "7", '{"model": "sora"}', json.dumps({**REQUEST, "seed": -1}), '{"command": "rm"}',
    json.dumps({**REQUEST, "frames": "x"}), json.dumps({**REQUEST, "shape": 5}),
    json.dumps({**REQUEST, "model": "sora"}),
)  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_a_file_that_is_not_ours_is_refused_in_chinese_throughout(
    library: Library, worker: Worker, text: str | None
) -> None:
    worker.drafts.mkdir()
    said = library.open_file(asked(language="zh"), event(text=text))[-1]["said"]
    assert said.startswith("未做任何改动。")
    assert not english_in(said, "sora", "command", "frames", "shape", "shots")


@pytest.mark.parametrize("text", FOREIGN)
def test_a_file_that_is_not_ours_leaves_the_form_and_says_why(
    library: Library, worker: Worker, text: str | None
) -> None:
    worker.drafts.mkdir()
    *fields, shelf = library.open_file(asked(), event(text=text))
    assert fields == [gr.skip()] * len(FIELDS)
    assert shelf["wrong"]
    assert shelf["said"].startswith("Nothing was changed. ")

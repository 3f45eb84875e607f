"""What happens on the shelf: look through drafts, open one, go on with it, name it, keep it, delete it, open a file.

Whatever goes wrong is said in a line on the shelf, in the visitor's language, and nothing is lost. What a page looks
through is remembered here, so that a draft that ends elsewhere does not turn its pages.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.drafts.finding import find_drafts
from pipeline.drafts.keeping import set_favourite, set_title
from pipeline.errors import DraftError, InvalidRequest
from pipeline.settings import read_settings_text
from pipeline.studio.forms import FIELDS, Form, restore_form
from pipeline.studio.language import language_of
from pipeline.studio.shelf import SHELF_LENGTH, ShelfView, as_value, fill_shelf
from pipeline.studio.texts import Language, say
from pipeline.studio.translation import say_error
from pipeline.worker import Worker

REMEMBERED_PAGES = 256  # open ones; an older one begins at the newest draft again
LONGEST_WORDS = 200
Fill = Callable[[Form], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What a page looks through: drafts with `words`, favourites only or all, from the `first` on."""

    words: str = ""
    favourites: bool = False
    first: int = 0


class Library:
    """The shelf's events.

    Args:
        worker: whose drafts they are.
        drafts: the folder they are in.
        default: the form for what an old request does not say.
        profiles: those there are here; a file may name another.
        fill: updates that put a form on the page.
    """

    def __init__(self, worker: Worker, drafts: Path, default: Form, profiles: Mapping[str, object], fill: Fill) -> None:
        self._worker, self._drafts, self._default, self._profiles, self._fill = worker, drafts, default, profiles, fill
        self._looking: OrderedDict[str, Looking] = OrderedDict()

    def draw(self, request: gr.Request, said: str = "", *, wrong: bool = False) -> dict[str, Any]:
        """The shelf as this page looks at it."""
        language, looking = language_of(request), self._looking.get(str(request.session_hash), Looking())
        every = find_drafts(self._drafts, words=looking.words, favourites=looking.favourites)
        found = list(filter(self._worker.lists, every))
        first = looking.first if looking.first < len(found) else 0
        statuses = [self._worker.status(draft) for draft in found[first : first + SHELF_LENGTH]]
        spines = fill_shelf([status for status in statuses if status], self._drafts, language)
        counted = {"first": first + 1, "last": first + len(spines), "count": len(found)}
        view = ShelfView(
            spines=spines,
            words=looking.words,
            favourites=looking.favourites,
            first=first,
            count=len(found),
            length=SHELF_LENGTH,
            counted=say(language, "shelf_counted", **counted) if len(found) > SHELF_LENGTH else "",
            retention=self._retention(language),
            said=said,
            wrong=wrong,
            answer=secrets.token_hex(8) if said else "",
        )
        return as_value(view)

    def look(self, request: gr.Request, event: gr.EventData) -> dict[str, Any]:
        """Turn to other drafts."""
        asked = event._data
        page = str(request.session_hash)
        first = asked.get("first")
        self._looking[page] = Looking(
            words=str(asked.get("words") or "")[:LONGEST_WORDS],
            favourites=asked.get("favourites") is True,
            first=max(0, first) if isinstance(first, int) else 0,
        )
        self._looking.move_to_end(page)
        while len(self._looking) > REMEMBERED_PAGES:
            self._looking.popitem(last=False)
        return self.draw(request)

    def open(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """A draft from the shelf: its id, for page and browser, the settings it was made with, and the shelf."""
        draft = str(event._data.get("draft", ""))
        status = self._worker.status(draft)
        if status is None or not (self._drafts / draft).is_dir():  # somebody may have taken the folder away
            return [*_skip(2 + len(FIELDS)), self._refuse(request, None)]
        return [draft, draft, *self._fill(restore_form(status.request, self._default)), gr.skip()]

    def go_on(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """An unfinished draft from the shelf: opened, and in line to be made further."""
        try:
            self._worker.resume(str(event._data.get("draft", "")))
        except DraftError as error:
            return [*_skip(2 + len(FIELDS)), self._refuse(request, error)]
        return [*self.open(request, event)[:-1], self.draw(request)]

    def mark(self, request: gr.Request, event: gr.EventData) -> dict[str, Any]:
        """Make a draft a favourite, or no longer."""
        return self._try(request, lambda draft: self._mark(draft, favourite=event._data.get("on") is True), event)

    def rename(self, request: gr.Request, event: gr.EventData) -> dict[str, Any]:
        """Call a draft what a person calls it."""
        title = str(event._data.get("title") or "")
        return self._try(request, lambda draft: set_title(self._drafts, draft, title), event)

    def delete(self, request: gr.Request, event: gr.EventData, current: str | None) -> list[Any]:
        """Delete a draft; the one on the page goes from there, too."""
        draft = str(event._data.get("draft", ""))
        try:
            freed = self._worker.delete(draft)
        except DraftError as error:
            gone = self._worker.status(draft) is None
            return [*_skip(2), self._refuse(request, None if gone else error)]
        said = say(language_of(request), "shelf_deleted", megabytes=freed / 1e6)
        kept = [None, None] if draft == current else _skip(2)
        return [*kept, self.draw(request, said)]

    def open_file(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """The form as the settings in a file say, which the browser has read out of it."""
        language = language_of(request)
        try:
            settings = read_settings_text(str(event._data.get("text") or ""), say(language, "opening_file"))
            values = asdict(settings.request)
            if settings.request.profile not in self._profiles:
                values["profile"] = self._default.profile
            form = restore_form(values, self._default)
        except InvalidRequest as error:
            said = say(language, "opening_refused", reason=say_error(language, error))
            return [*_skip(len(FIELDS)), self.draw(request, said, wrong=True)]
        said = say(language, "opening_edited" if settings.edited else "opening_done")
        return [*self._fill(form), self.draw(request, said)]

    def _mark(self, draft: str, *, favourite: bool) -> None:
        set_favourite(self._drafts, draft, favourite=favourite)

    def _try(self, request: gr.Request, act: Callable[[str], None], event: gr.EventData) -> dict[str, Any]:
        draft = str(event._data.get("draft", ""))
        try:
            if self._worker.status(draft) is None:
                return self._refuse(request, None)
            act(draft)
        except DraftError as error:
            return self._refuse(request, error)
        return self.draw(request)

    def _refuse(self, request: gr.Request, error: DraftError | None) -> dict[str, Any]:
        """The shelf with why not; without an error the draft is not there any more."""
        language = language_of(request)
        said = say(language, "shelf_gone") if error is None else say_error(language, error)
        return self.draw(request, said, wrong=True)

    def _retention(self, language: Language) -> str:
        if self._worker.keep_hours is not None:
            return say(language, "shelf_kept_hours", hours=self._worker.keep_hours)
        limit = self._worker.keep_bytes
        if limit is None:
            return say(language, "shelf_kept")
        return say(language, "shelf_kept_within", gibibytes=limit / 2**30)


def wire(
    library: Library,
    row: gr.HTML,
    *,
    states: list[Any],
    fields: list[Any],
    follow: Callable[..., Any],
    shown: list[Any],
) -> None:
    """What the shelf's events call. `states` are the draft on the page, as it and the browser know it; `follow` draws
    a draft on `shown`."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    queued = quiet | {"concurrency_limit": None}
    row.click(library.open, None, [*states, *fields, row], **queued)
    row.retry(library.go_on, None, [*states, *fields, row], **queued).then(
        follow, states[0], shown, trigger_mode="multiple", **queued
    )
    # Not "always_last", which sends what was asked first once more in the place of what was asked last.
    row.select(library.look, None, row, queue=False, trigger_mode="multiple", **quiet)
    row.like(library.mark, None, row, queue=False, **quiet)
    row.edit(library.rename, None, row, queue=False, **quiet)
    row.delete(library.delete, states[0], [*states, row], **queued)
    row.upload(library.open_file, None, [*fields, row], **queued)


def _skip(count: int) -> list[Any]:
    return [gr.skip()] * count

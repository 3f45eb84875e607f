"""What happens on a click: check, plan, submit, follow, stop, edit. It computes nothing and keeps no draft.

A draft belongs to the worker. A reload, a second tab or a lost connection ends a follower here and touches no draft.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import gradio as gr

from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError
from pipeline.fetcher import Fetcher, FetchState
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.edits import read_edit
from pipeline.plan.presets import Look, load_looks
from pipeline.plan.spec import ModelSpec
from pipeline.seams.check import Verdict
from pipeline.studio.advice import Machine, advise, note_unknown_words, read_vocabulary, say_model, say_need
from pipeline.studio.filling import fill
from pipeline.studio.following import Follower
from pipeline.studio.forms import (
    FIELDS,
    Form,
    form_kept,
    form_of,
    look_of,
    refusals,
    spec_of,
    spoken,
)
from pipeline.studio.joins import look_at_joins
from pipeline.studio.language import language_of
from pipeline.studio.library import Library
from pipeline.studio.player import show
from pipeline.studio.texts import Language, say
from pipeline.studio.toast import toast
from pipeline.studio.translation import say_error
from pipeline.worker import Worker

logger = logging.getLogger(__name__)

FETCH_SECONDS = 0.5  # how often a download is looked at
FOLLOW_SECONDS = 0.05  # how often a follower looks; about as long as a step of the miniature
# After which a draft that is over is shown once more. A busy browser takes in what two followers sent in another order,
# and nothing would follow that sets the buttons right. Assumed to be longer than it lags behind.
AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What the page works with: who makes the drafts, on what, from which settings."""

    worker: Worker
    machine: Machine
    look: Look
    looks: Mapping[str, Look] = field(default_factory=load_looks)
    fetcher: Fetcher = field(default_factory=Fetcher)
    model: ModelSpec = MINIATURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What a press of the button was told of each field, one that is right apart; every press has a name of its own."""

    press: str
    said: Mapping[str, str]


@dataclass(slots=True)
class Watched:
    """The form on a page that follows a download, as it is now."""

    form: Form


class Desk:
    """The page's events. Every method takes component values in the order of `forms.FIELDS` and returns updates."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.default = form_of(studio.look, studio.model)
        self.library = Library(studio.worker, studio.machine.drafts, self.default, studio.machine.profiles, fill)
        self._words = read_vocabulary()
        self._followers: dict[str, Follower] = {}
        self._watched: dict[str, Watched] = {}  # by page

    def check(self, request: gr.Request, *values: Any) -> dict[str, str]:
        """Why fields are refused, by field, in their order."""
        form, language = _form(values), language_of(request)
        wrong = refusals(form)
        said = {field: say_error(language, error) for field, error in wrong.items()}
        here = self.studio.machine.installation(spec_of(form))
        if not here.usable:
            said.setdefault("model", f"{say_need(here, language)} {here.command}".strip())
        return {field: said[field] for field in FIELDS if field in said}

    def make(self, request: gr.Request, *values: Any) -> list[Any]:
        """The id of a new draft, for the page and for the browser to remember, and which fields are refused instead."""
        refused = asdict(Refusals(press=secrets.token_hex(8), said=self.check(request, *values)))
        if refused["said"]:
            return [gr.skip(), gr.skip(), refused]
        try:
            machine = self.studio.machine
            draft = self.studio.worker.submit(machine.plan(machine.read(_form(values))))
        except DraftError as error:
            raise toast(language_of(request), error) from error
        return [draft, draft, refused]

    def advise(self, request: gr.Request, *values: Any) -> tuple[str, dict[str, Any], dict[str, Any], str]:
        """The note under the sentence, the forecast, the form for the browser to remember, and the look it has."""
        form, language = _form(values), language_of(request)
        if watched := self._watched.get(str(request.session_hash)):
            watched.form = form
        known = self._words if form.model == MINIATURE.key else frozenset()
        note = note_unknown_words(spoken(form.prompt), known, language)
        return note, self._forecast(form, language), asdict(form), look_of(form, self.studio.looks)

    def fetch(self, request: gr.Request, event: gr.EventData) -> None:
        """Start or cancel a download, as the button under the forecast says, or neither for a page that found one."""
        model = event._data.get("fetch")
        try:
            if model:
                self.studio.fetcher.start(str(model))
            elif model == "":
                self.studio.fetcher.cancel()
        except DraftError as error:
            raise toast(language_of(request), error) from error

    async def follow_fetch(self, request: gr.Request, *values: Any) -> AsyncIterator[dict[str, Any]]:
        """The forecast of the form as it is meanwhile, with how far a download is, until it is over.

        One follower a page: when a second begins, the older one gives way.
        """
        page, running = str(request.session_hash), True
        self._watched[page] = mine = Watched(_form(values))
        try:
            while running and self._watched.get(page) is mine:
                status = self.studio.fetcher.status
                running = status is not None and status.state is FetchState.RUNNING
                yield self._forecast(mine.form, language_of(request))
                if running:
                    await asyncio.sleep(FETCH_SECONDS)
        finally:
            if self._watched.get(page) is mine:
                del self._watched[page]

    def stop_draft(self, request: gr.Request, draft: str | None) -> None:
        """Ask the worker to stop; what is finished is kept."""
        try:
            if draft:
                self.studio.worker.stop(draft)
        except DraftError as error:
            raise toast(language_of(request), error) from error

    def set_aside(self, request: gr.Request, event: gr.EventData) -> None:
        """Pause the draft on the page, or take it out of the queue."""
        draft, worker = str(event._data.get("draft", "")), self.studio.worker
        try:
            (worker.stop if event._data.get("way") == "remove" else worker.pause)(draft)
        except DraftError as error:
            raise toast(language_of(request), error) from error

    def resume_draft(self, request: gr.Request, draft: str | None) -> None:
        """Ask the worker to go on with an unfinished draft from what is finished of it."""
        try:
            if draft:
                self.studio.worker.resume(draft)
        except DraftError as error:
            raise toast(language_of(request), error) from error

    def edit_draft(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """The id of a draft made from the one on the page, twice: for the page and for the browser to remember."""
        asked = {key: event._data.get(key) for key in ("draft", "way", "amount", "sentence")}
        old, language = str(asked["draft"]), language_of(request)
        try:
            edit = read_edit(str(asked["way"]), float(asked["amount"] or 0), str(asked["sentence"] or ""))
            draft = self.studio.worker.edit(old, edit)
        except DraftError as error:
            raise toast(language, error) from error
        if self._end_image(old) and not self._end_image(draft):
            gr.Info(say(language, "edit_end_dropped"))
        return [draft, draft]

    def undo_edit(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """The id of the draft that Undo or Forward leads to, twice; the player is told of one that is gone."""
        draft, language = str(event._data.get("draft", "")), language_of(request)
        known = self.studio.worker.status(draft) is not None
        if known and (self.studio.machine.drafts / draft).is_dir():  # somebody may have taken the folder away
            return [draft, draft, gr.skip()]
        forward = event._data.get("way") == "forward"
        gr.Warning(say(language, "edit_forward_gone" if forward else "edit_undo_gone"))
        return [gr.skip(), gr.skip(), gr.update(gone=draft)]

    def restore(self, request: gr.Request, kept_draft: Any, kept_form: Any) -> list[Any]:
        """After a reload: the draft to follow, the form as it was, and at once what `follow` will show first.

        Who has no form from before is perhaps typing already.
        """
        status = self.studio.worker.status(kept_draft) if isinstance(kept_draft, str) else None
        language, shelf = language_of(request), self.library.draw(request)
        form = form_kept(kept_form, self.default)
        fields, model = fill(form), gr.update(choices=self._models(language), value=form.model)
        if kept_form is None:
            fields, model = [gr.skip()] * len(FIELDS), gr.update(choices=self._models(language))
        if self.studio.worker.read_only:
            gr.Warning(say(language, "read_only"))
        fields[FIELDS.index("model")] = model
        if status is None:
            return [None, *fields, *[gr.skip()] * 4, shelf]
        return [kept_draft, *fields, *self._updates(status, language, shelf, warm=self.studio.worker.ready)]

    def list_models(self, request: gr.Request) -> Any:
        """The models as they are here now."""
        return gr.update(choices=self._models(language_of(request)))

    async def follow(self, draft: str | None, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """The player, the buttons and the shelf, at every change, until the draft is over.

        One follower a page: when the page turns to another draft, the older follower gives way.
        """
        language, page = language_of(request), str(request.session_hash)
        older = self._followers.get(page)
        self._followers[page] = mine = Follower()
        seen = None
        try:
            if older is not None:
                await mine.come_after(older)
            while self._followers.get(page) is mine:
                status = self.studio.worker.status(draft) if draft else None
                if status is None:
                    ready, busy, hidden = _buttons(over=True, unfinished=False)
                    mine.settled.clear()
                    yield None, ready, busy, hidden, self.library.draw(request)
                    return
                warm = self.studio.worker.ready
                now = (status.version, status.ahead, warm)
                if now != seen:
                    shelf = self.library.draw(request) if seen is None or status.state.over else gr.skip()
                    seen = now
                    mine.settled.clear()
                    yield self._updates(status, language, shelf, warm=warm)
                    mine.settled.set()
                if status.state.over:
                    joins = await asyncio.to_thread(look_at_joins, self.studio.machine.drafts, status.draft)
                    for wait_seconds in (0.0, AGAIN_SECONDS) if joins else (AGAIN_SECONDS,):
                        await asyncio.sleep(wait_seconds)
                        if self._followers.get(page) is mine:
                            mine.settled.clear()
                            yield self._updates(status, language, gr.skip(), warm=warm, joins=joins)
                            mine.settled.set()
                    return
                await asyncio.sleep(FOLLOW_SECONDS)
        finally:
            mine.settled.set()
            if self._followers.get(page) is mine:
                del self._followers[page]

    def _end_image(self, draft: str) -> Any:
        status = self.studio.worker.status(draft)
        return status and status.request.get("end_image")

    def _forecast(self, form: Form, language: Language) -> dict[str, Any]:
        return asdict(advise(form, self.studio.machine, language, self.studio.fetcher.status))

    def _updates(
        self, status: DraftStatus, language: Language, shelf: Any, *, warm: bool, joins: Verdict | None = None
    ) -> tuple[Any, ...]:
        rests = status.state.over or status.state is DraftState.PAUSED
        unfinished = status.state in (DraftState.PAUSED, DraftState.STOPPED, DraftState.FAILED)
        view = show(status, language, warm=warm, joins=joins, told_at=time.time())
        return view, *_buttons(over=rests, unfinished=unfinished), shelf

    def _models(self, language: Language) -> list[tuple[str, str]]:
        """As the page offers them: those that can be used first."""
        found = [self.studio.machine.installation(spec) for spec in CATALOG.values()]
        return [(say_model(here, language), here.spec.key) for here in sorted(found, key=lambda here: not here.usable)]


def _buttons(*, over: bool, unfinished: bool) -> tuple[Any, Any, Any]:
    """Make, stop, and go on, which takes the place of stop for a draft that is not finished."""
    return (
        gr.update(interactive=over),
        gr.update(interactive=not over, visible=not unfinished),
        gr.update(visible=unfinished),
    )


def _form(values: tuple[Any, ...]) -> Form:
    named: Mapping[str, Any] = dict(zip(FIELDS, values, strict=True))
    return Form(**named)

"""Try other seeds: a sheet of short, quick takes of what the form asks for; a click on one makes the draft from it.

Takes are ordinary drafts, made one after the other because the engine denoises one clip at a time, and kept off the
shelf. A page's sheet is thrown away when it asks for another, and all are when Rushes starts.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from pipeline.drafts.finding import TAKE
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError
from pipeline.plan.takes import take_of
from pipeline.studio.advice import Machine
from pipeline.studio.following import ends_silently
from pipeline.studio.forms import FIELDS, SEED_BITS, Form
from pipeline.studio.language import language_of
from pipeline.studio.player import Strip, strip_of
from pipeline.studio.scripted import scripted
from pipeline.studio.texts import Language, say
from pipeline.studio.toast import toast
from pipeline.studio.translation import say_error
from pipeline.studio.wording import say_duration
from pipeline.worker import Worker

COUNTS = (4, 9)  # squares of two and of three
FOLLOW_SECONDS = 0.1
REMEMBERED_SHEETS = 64
Fill = Callable[[Form], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A button: how many takes, and what it says."""

    count: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A take on the sheet: `waiting`, `making` with a moving preview, `done` with a film, or `nothing` if none came."""

    draft: str
    state: str
    label: str
    seed: int
    file: str | None
    preview: Strip | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Takes that were asked for together, and the form they were asked for with."""

    form: Form
    drafts: tuple[str, ...]


class Takes:
    """The sheets and their events. `fill` are updates that put a form on the page."""

    def __init__(self, worker: Worker, machine: Machine, fill: Fill) -> None:
        self._worker, self._machine, self._fill = worker, machine, fill
        self._sheets: OrderedDict[str, Sheet] = OrderedDict()
        self._shown: dict[str, str | None] = {}  # by page, while one is followed
        self._counts = [n for n in COUNTS if worker.most_waiting is None or n <= worker.most_waiting]
        if not worker.read_only:
            self._throw_away([mark.parent.name for mark in machine.drafts.glob(f"*/{TAKE}")])

    def offer(self, request: gr.Request, *values: Any) -> dict[str, Any]:
        """The buttons with what they would take, and what a take is; without buttons where nothing can be made."""
        language, form = language_of(request), _form(values)
        try:
            whole = self._machine.plan(self._machine.read(replace(form, prompt=form.prompt or "a ball")))
            plan = self._machine.plan(take_of(whole, seed=0))
        except DraftError:
            return {"help": say(language, "takes_not_now"), "choices": []}
        one = plan.forecast.total_seconds
        choices = [
            Choice(count=n, label=say(language, "takes_choice", count=n, duration=say_duration(language, n * one)))
            for n in self._counts
        ]
        asked = plan.request
        said = say(language, "takes_help", seconds=asked.seconds, steps=asked.steps)
        return {"help": said, "choices": [asdict(choice) for choice in choices]}

    def start(self, request: gr.Request, event: gr.EventData, old: str | None, *values: Any) -> list[Any]:
        """A new sheet in the place of the old one: its name, twice, for the page and for the browser to remember."""
        count = event._data.get("count")
        form, language = _form(values), language_of(request)
        drafts = list[str]()
        try:
            whole = self._machine.plan(self._machine.read(form))
            self.stop(old)
            for _ in range(count if count in self._counts else self._counts[0]):
                draft = self._worker.submit(self._machine.plan(take_of(whole, secrets.randbits(SEED_BITS))))
                (self._machine.drafts / draft / TAKE).touch()
                drafts.append(draft)
        except DraftError as error:
            if not drafts:
                raise toast(language, error) from error
            gr.Warning(say(language, "takes_fewer", count=len(drafts), reason=say_error(language, error)))
        self._drop(old)
        self._sheets[drafts[0]] = Sheet(form=form, drafts=tuple(drafts))
        while len(self._sheets) > REMEMBERED_SHEETS:
            self._drop(next(iter(self._sheets)))
        return [drafts[0], drafts[0]]

    def restore(self, kept: Any) -> str | None:
        """After a reload: the sheet the browser remembers, if it is still there."""
        return kept if isinstance(kept, str) and kept in self._sheets else None

    async def follow(self, name: str | None, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        """The sheet at every change, until all its takes are over, it is thrown away or the page has another."""
        language, seen, over = language_of(request), None, False
        page = str(request.session_hash)
        self._shown[page] = name
        try:
            while not over and self._shown.get(page) == name:
                sheet = self._sheets.get(name or "")
                found = [self._worker.status(draft) for draft in sheet.drafts] if sheet else []
                takes = [status for status in found if status is not None]
                over = all(status.state.over for status in takes)
                version = [(status.draft, status.version) for status in takes]
                if version != seen:
                    seen = version
                    tiles = [asdict(_tile(status, number, language)) for number, status in enumerate(takes, 1)]
                    yield {"sheet": name if sheet else None, "making": not over, "tiles": tiles}
                if not over:
                    await asyncio.sleep(FOLLOW_SECONDS)
        finally:
            if self._shown.get(page) == name:
                del self._shown[page]

    def stop(self, name: str | None) -> None:
        """Make no more of a sheet's takes; those that are ready stay."""
        sheet = self._sheets.get(name or "")
        for draft in sheet.drafts if sheet else ():
            with suppress(DraftError):
                self._worker.stop(draft)

    def pick(self, request: gr.Request, event: gr.EventData, name: str | None) -> list[Any]:
        """The draft of a take: its id, for page and browser, and the form with the take's seed. What is still to be
        made of the sheet is not."""
        sheet, draft = self._sheets.get(name or ""), str(event._data.get("draft", ""))
        status = self._worker.status(draft) if sheet and draft in sheet.drafts else None
        if sheet is None or status is None:
            raise gr.Error(say(language_of(request), "takes_gone"), print_exception=False)
        form = replace(sheet.form, seed=str(status.request["seed"]))
        self.stop(name)
        try:
            made = self._worker.submit(self._machine.plan(self._machine.read(form)))
        except DraftError as error:
            raise toast(language_of(request), error) from error
        return [made, made, *self._fill(form)]

    def _drop(self, name: str | None) -> None:
        sheet = self._sheets.pop(name or "", None)
        if sheet is not None:
            self._throw_away(sheet.drafts)

    def _throw_away(self, drafts: tuple[str, ...] | list[str]) -> None:
        for draft in drafts:
            with suppress(DraftError):  # one that is just being made goes the next time
                self._worker.stop(draft)
                self._worker.delete(draft)


def takes_offer() -> gr.HTML:
    """The row that offers takes; its value is what `Takes.offer` returns."""
    return scripted("takes_offer", styles=("takes",))


def takes_sheet() -> gr.HTML:
    """The sheet; its value is what `Takes.follow` yields."""
    return scripted("takes_sheet", styles=("takes",))


def wire(
    takes: Takes, page: gr.Blocks, offer: gr.HTML, sheet: gr.HTML, *, states: list[Any], fields: list[Any], secret: str
) -> None:
    """What their events call; the offer is part of the form's answer. `states` are the draft on the page, as it and the
    browser know it."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    queued = quiet | {"concurrency_limit": None}
    name, kept = gr.State(None), gr.BrowserState(None, storage_key="rushes-takes", secret=secret)
    page.load(takes.restore, kept, name, **queued)
    offer.submit(takes.start, [name, *fields], [name, kept], **queued, preprocess=False)
    name.change(ends_silently(takes.follow), name, sheet, trigger_mode="multiple", **queued)
    sheet.stop(takes.stop, name, None, queue=False, **quiet)
    sheet.click(takes.pick, name, [*states, *fields], **queued)


def _tile(status: DraftStatus, number: int, language: Language) -> Tile:
    if status.state.over:
        state = "done" if status.state is DraftState.FINISHED else "nothing"
    else:
        state = "making" if status.step or status.chunks_done else "waiting"
    return Tile(
        draft=status.draft,
        state=state,
        label=say(language, f"take_{state}", number=number),
        seed=status.request["seed"],
        file=status.video if state == "done" else None,
        preview=strip_of(status) if state == "making" else None,
        seconds=status.seconds,
    )


def _form(values: tuple[Any, ...]) -> Form:
    return Form(**dict(zip(FIELDS, values, strict=True)))

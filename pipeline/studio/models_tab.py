"""The Models tab: what is on this machine and what could be, how it would fit, one click to bring it or to use it.

Nothing is downloaded unasked. All models are planned when the tab is opened, in a thread, and not before.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from pipeline.download import room_for_downloads
from pipeline.errors import DoesNotFit, DraftError
from pipeline.fetcher import FetchState, FetchStatus
from pipeline.installed import Installation, Presence
from pipeline.inventory import Entry, Fit, take_inventory
from pipeline.plan.catalog import CATALOG
from pipeline.plan.draft import DraftPlan
from pipeline.studio.advice import say_model
from pipeline.studio.desk import FETCH_SECONDS, Desk, Studio
from pipeline.studio.following import Follower, ends_silently
from pipeline.studio.form_desk import MODEL_FIELDS, FormDesk
from pipeline.studio.form_layout import FormControls
from pipeline.studio.form_wiring import QUEUED, QUIET, follow_download
from pipeline.studio.forms import FIELDS
from pipeline.studio.language import language_of
from pipeline.studio.scripted import scripted
from pipeline.studio.texts import Language, say
from pipeline.studio.toast import toast
from pipeline.studio.translation import say_error, say_name, translate
from pipeline.studio.wording import say_duration

PROFILE = "auto"  # the card as it is now
DESK, MODELS = "desk", "models"  # the tabs


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model as the tab shows it. `fit` is one of `inventory.Fit`; `action` is use, download, cancel or nothing, with
    what its button says in `label`; `done` is how much of a download has come, from 0 to 1; `note` is what went wrong
    or is in the way."""

    model: str
    title: str
    where: str
    fit: str
    forecast: str
    licence: str
    action: str = ""
    label: str = ""
    done: float | None = None
    note: str = ""


class ModelsTab:
    """The tab's events."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._followers: dict[str, Follower] = {}

    async def follow(self, request: gr.Request) -> AsyncIterator[list[dict[str, Any]]]:
        """The cards as they are now, and with how far a download is until it is over.

        One follower a page: an older one gives way, and is waited for.
        """
        language, page = language_of(request), str(request.session_hash)
        older = self._followers.get(page)
        self._followers[page] = mine = Follower()
        running = True
        try:
            if older is not None:
                await mine.come_after(older)
            mine.settled.clear()
            while running:
                fetched = self.studio.fetcher.status  # before the files, which may be whole a moment later
                running = fetched is not None and fetched.state is FetchState.RUNNING
                entries = await asyncio.to_thread(self.entries)
                if self._followers.get(page) is not mine:
                    return
                room_bytes = None if self.studio.fetcher.refusal else room_for_downloads()[1]
                yield [asdict(card) for card in lay_out(entries, fetched, room_bytes, language)]
                if running:
                    await asyncio.sleep(FETCH_SECONDS)
        finally:
            mine.settled.set()
            if self._followers.get(page) is mine:
                del self._followers[page]

    def entries(self) -> tuple[Entry, ...]:
        """Every model as it is here now, those that can be used first."""
        machine = self.studio.machine
        profile = machine.profiles[PROFILE]
        found = take_inventory(machine.device(profile), profile, machine.measurements, machine.weights)
        return tuple(sorted(found, key=lambda entry: not entry.installation.usable))

    def fetch(self, request: gr.Request, event: gr.EventData) -> None:
        """Start or cancel a download, as a card's button says."""
        try:
            if event._data.get("action") == "download":
                self.studio.fetcher.start(str(event._data.get("model")))
            elif event._data.get("action") == "cancel":
                self.studio.fetcher.cancel()
        except DraftError as error:
            raise toast(language_of(request), error) from error

    def use(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """The model of a card for the form, which lists it as it is now, and the tab with the form."""
        model = event._data.get("model")
        if model not in CATALOG:
            return [gr.skip(), gr.skip()]
        found = [
            (say_model(entry.installation, language_of(request)), entry.installation.spec.key)
            for entry in self.entries()
        ]
        return [gr.update(choices=found, value=model), gr.Tabs(selected=DESK)]


def models_list() -> gr.HTML:
    """The component; its value is a list of `Card` as plain values, None until it is known."""
    return scripted("models")


def lay_out(
    entries: tuple[Entry, ...], fetched: FetchStatus | None, room_bytes: int | None, language: Language
) -> tuple[Card, ...]:
    """A card for each entry.

    Args:
        entries: in their order.
        fetched: the latest download.
        room_bytes: that a download may take; None where nothing is downloaded.
        language: of the page.
    """
    running = fetched.model if fetched is not None and fetched.state is FetchState.RUNNING else ""
    return tuple(_lay_out(entry, fetched, running, room_bytes, language) for entry in entries)


def _lay_out(
    entry: Entry, fetched: FetchStatus | None, running: str, room_bytes: int | None, language: Language
) -> Card:
    here = entry.installation
    card = Card(
        model=here.spec.key,
        title=say_name(language, "model", here.spec.title),
        where=_say_where(here, language),
        fit=entry.fit,
        forecast=_say_fit(entry, language),
        licence=say(language, "models_licence", licence=say_name(language, "licence", here.spec.licence)),
    )
    if here.usable:
        return replace(card, action="use", label=say(language, "models_use"))
    if here.obstacle or not here.spec.repository:
        return replace(card, note=translate(language, here.obstacle) or here.command)
    if running == here.spec.key:
        assert fetched is not None
        total = fetched.total_bytes or here.here_bytes + here.download_bytes
        done = {"done": say_size(language, fetched.done_bytes), "total": say_size(language, total)}
        return replace(
            card,
            where=say(language, "models_fetching", **done),
            action="cancel",
            label=say(language, "models_cancel"),
            done=min(1.0, fetched.done_bytes / max(1, total)),
        )
    if room_bytes is None:
        return replace(card, note=say(language, "models_no_downloads"))
    if here.download_bytes > room_bytes:
        room = say_size(language, max(0, room_bytes))
        return replace(card, note=say(language, "models_no_room", room=room))
    if running:
        return replace(card, note=say(language, "models_busy"))
    failed = fetched is not None and fetched.model == here.spec.key and fetched.state is FetchState.FAILED
    key = "models_go_on" if here.presence is Presence.PARTIAL else "models_download"
    return replace(
        card,
        action="download",
        label=say(language, key, size=say_size(language, here.download_bytes)),
        note=translate(language, fetched.message) if failed and fetched else "",
    )


def _say_where(here: Installation, language: Language) -> str:
    size, rest = say_size(language, here.here_bytes), say_size(language, here.download_bytes)
    return say(language, f"models_{here.presence}", size=size, rest=rest)


def _say_fit(entry: Entry, language: Language) -> str:
    if entry.plan is not None:
        return say(language, f"models_fit_{entry.fit}", **_numbers(entry.plan, language))
    if entry.nearest is not None:
        return say(language, "models_fit_smaller", **_numbers(entry.nearest.plan, language))
    if isinstance(entry.refusal, DoesNotFit):
        need, budget = (say_size(language, size) for size in (entry.refusal.need_bytes, entry.refusal.budget_bytes))
        return say(language, f"models_fit_{Fit.NOT}", need=need, budget=budget)
    return say_error(language, entry.refusal) if entry.refusal else ""


def _numbers(plan: DraftPlan, language: Language) -> dict[str, Any]:
    shape = plan.request.shape
    duration = say_duration(language, plan.forecast.total_seconds)
    return {"seconds": plan.request.seconds, "width": shape.width, "height": shape.height, "duration": duration}


def say_size(language: Language, size_bytes: int) -> str:
    """`30 MB`, `14.8 GB`."""
    if size_bytes < 2**30:
        return say(language, "models_megabytes", size=size_bytes / 2**20)
    return say(language, "models_gigabytes", size=size_bytes / 2**30)


def wire(desk: Desk, tabs: gr.Tabs, tab: gr.Tab, cards: gr.HTML, form: FormControls) -> None:
    """Connect the tab, and the form to its models and their downloads."""
    studio = desk.studio
    room, own = ModelsTab(studio), FormDesk(studio.look, studio.looks)
    follow = ends_silently(room.follow)
    named = dict(zip(FIELDS, form.fields, strict=True))
    model, chosen = named["model"], [named[name] for name in MODEL_FIELDS]
    tab.select(follow, None, cards, trigger_mode="multiple", **QUEUED)
    asked = cards.click(room.fetch, None, None, queue=False, **QUIET)
    asked.success(follow, None, cards, trigger_mode="multiple", **QUEUED)
    follow_download(asked, desk, form)
    cards.submit(room.use, None, [model, tabs], queue=False, **QUIET).then(
        own.choose_model, [model, form.look], chosen, queue=False, **QUIET
    )

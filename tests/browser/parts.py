"""The parts of the page as a person or a screen reader finds them: by role and name, in the visitor's language."""

import re
from string import Formatter
from typing import TYPE_CHECKING

from pipeline.studio.texts import choose_language, say, sentences

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class Parts:
    """Where things are on a page whose visitor's browser speaks `locale`; texts are called by their keys."""

    def __init__(self, page: "Page", locale: str) -> None:
        self.page = page
        self.language = choose_language(locale)

    def says(self, key: str, *places: object, **values: object) -> str:
        """A sentence of the page; what a script fills in is given by its place."""
        said = say(self.language, key, **values)
        for number, place in enumerate(places, 1):
            said = said.replace(f"${number}", str(place))
        return said

    def like(self, key: str, **known: object) -> re.Pattern[str]:
        """A sentence of the server's of which only some values are known."""
        pattern = ""
        for words, name, form, _ in Formatter().parse(sentences(self.language)[key]):
            pattern += re.escape(words)
            if name is not None:
                pattern += re.escape(format(known[name], form or "")) if name in known else ".+"
        return re.compile(pattern)

    @property
    def stopped(self) -> re.Pattern[str]:
        """What is said of a draft that was stopped with something to keep, whether or not that saved time."""
        return re.compile("|".join(self.like(key).pattern for key in ("stopped_kept", "stopped_saved")))

    def button(self, key: str, *places: object) -> "Locator":
        """The one with just that name."""
        return self.page.get_by_role("button", name=self.says(key, *places), exact=True)

    def number(self, key: str) -> "Locator":
        """The field in which a slider's number is typed."""
        return self.page.get_by_label(self.says("gradio_number") + self.says(key))

    def count(self, key: str) -> "Locator":
        """A field for a number that has no slider."""
        return self.page.get_by_role("spinbutton", name=self.says(key), exact=True)

    def tab(self, key: str) -> "Locator":
        """The head of a tab, which opens it."""
        return self.page.get_by_role("tab", name=self.says(key))

    # The form

    @property
    def prompt(self) -> "Locator":
        """Where the sentence is written; its text is there, too, while cards stand for it."""
        return self.page.get_by_label(self.says("prompt"))

    @property
    def shots(self) -> "Locator":
        """The sentences of the cards."""
        words = map(re.escape, self.says("shot_sentence", "\0").split("\0"))
        return self.page.get_by_role("textbox", name=re.compile(r"\d+".join(words)))

    @property
    def length(self) -> "Locator":
        """In seconds."""
        return self.number("length")

    @property
    def model(self) -> "Locator":
        """Which says its name, and when pressed lists the others."""
        return self.page.get_by_role("combobox", name=self.says("model"))

    @property
    def seed(self) -> "Locator":
        return self.page.get_by_role("textbox", name=self.says("seed"))

    @property
    def make_button(self) -> "Locator":
        return self.button("make")

    @property
    def stop_button(self) -> "Locator":
        return self.button("stop")

    @property
    def more_button(self) -> "Locator":
        return self.button("more")

    @property
    def options(self) -> "Locator":
        """What More options unfolds."""
        return self.page.get_by_role("region", name=self.says("more"), exact=True)

    def refusal(self, said: str) -> "Locator":
        """What is wrong with a field, beside it."""
        return self.page.get_by_role("alert").filter(has_text=said)

    # The forecast

    @property
    def forecast(self) -> "Locator":
        return self.page.get_by_role("status", name=self.says("forecast_label"), exact=True)

    @property
    def line(self) -> "Locator":
        """How long it takes and how much it needs, or what is wrong."""
        return self.forecast.get_by_role("paragraph").first

    @property
    def need(self) -> "Locator":
        """What has to be downloaded first; hidden where nothing has."""
        return self.forecast.get_by_role("paragraph").nth(1)

    # The draft

    @property
    def player(self) -> "Locator":
        return self.page.get_by_role("group", name=self.says("player_label"), exact=True)

    @property
    def sentence(self) -> "Locator":
        """How far the draft is."""
        return self.player.get_by_role("status", name=self.says("meter_label"))

    @property
    def progress(self) -> "Locator":
        """The same, with when it will be ready or how long it took."""
        sentence = self.page.get_by_role("status", name=self.says("meter_label"))
        return self.player.get_by_role("paragraph").filter(has=sentence)

    @property
    def title(self) -> "Locator":
        """What the draft was made from."""
        return self.player.get_by_role("heading")

    @property
    def settings(self) -> "Locator":
        """What the draft was made with."""
        return self.player.get_by_text(self.like("settings"))

    @property
    def save(self) -> "Locator":
        """Enabled once the draft is over."""
        return self.page.get_by_role("link", name=self.says("save"))

    @property
    def saved(self) -> "Locator":
        """The same, only of a draft that is over."""
        return self.page.get_by_role("link", name=self.says("save"), disabled=False)

    @property
    def strip(self) -> "Locator":
        return self.player.get_by_role("list", name=self.says("strip_label"))

    @property
    def cells(self) -> "Locator":
        """A button for each chunk."""
        return self.strip.get_by_role("button")

    @property
    def surgery(self) -> "Locator":
        """What can be changed of a draft."""
        return self.player.get_by_role("group", name=self.says("edit_label"))

    # The rest

    @property
    def shelf(self) -> "Locator":
        return self.page.get_by_role("region", name=self.says("shelf"))

    @property
    def cards(self) -> "Locator":
        """A button for each draft on the shelf, which opens it."""
        return self.shelf.get_by_role("button", name=self.says("shelf_open", title=""))

    def card(self, title: str) -> "Locator":
        """The place on the shelf of a draft that is called so, the newest of them."""
        opener = self.page.get_by_role("button", name=self.says("shelf_open", title=title), exact=True)
        return self.shelf.get_by_role("listitem").filter(has=opener).first

    @property
    def toast(self) -> "Locator":
        """What is said in the corner of the page, and can be closed."""
        close = self.page.get_by_role("button", name=self.says("gradio_close"), exact=True)
        return self.page.get_by_role("status").filter(has=close)

    @property
    def document(self) -> "Locator":
        """All of it, whose language browsers are told."""
        return self.page.locator("html")

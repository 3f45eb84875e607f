"""A studio of its own and a visitor to it, for the tests that drive the page in a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.parts import Parts

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

START_SECONDS = 180
PATIENCE_MS = 120_000  # a busy machine; a quiet one needs a tenth of it
sync_api.expect.set_options(timeout=PATIENCE_MS / 2)
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
BOTH = ("en-GB", "zh-CN")  # what visitors' browsers speak
# Which the input method takes, not the page; the second as Safari tells it.
COMPOSED = ({"key": "Escape", "isComposing": True}, {"key": "Escape", "keyCode": 229})
VIDEO = "document.querySelector('.stage video')"
SENTENCE = "a red ball moves left over snow"
SAFARI = """() => addEventListener("mousedown", (event) => {
  if (event.defaultPrevented || !event.target.closest("button")) return;
  event.preventDefault();
  document.activeElement.blur();
})"""
SLOW = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1}
SAY = """(player, said) => {
  player.dataset.stage = "video";  // a phone shows no empty one
  [".sentence", ".detail", ".aside"].forEach((part, index) => (player.querySelector(part).textContent = said[index]));
  player.querySelector(".aside").hidden = !said[2];
  return player.getBoundingClientRect().height;
}"""
# A refused picture is a 422 answer; leaving the page breaks off the stream that Gradio listens to.
EXPECTED_MESSAGES = re.compile(r"status of 422|AbortError|Connection errored out")


class Visit(Parts):
    """One page of the studio, what it logged and what it asked for.

    What has no name for anybody, such as which of its pictures the stage shows, is found by CSS: here, nowhere else.
    """

    def __init__(self, page: sync_api.Page, address: str, locale: str = "en-GB") -> None:
        super().__init__(page, locale)
        self.address = address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: sync_api.Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    @property
    def unexpected(self) -> list[str]:
        """What was logged and should not have been."""
        return [error for error in self.errors if not EXPECTED_MESSAGES.search(error)]

    def open(self) -> None:
        self.page.goto(self.address)
        sync_api.expect(self.line).to_contain_text(self.like("forecast_detail"))  # which comes after the shelf

    def fill(self, sentence: str = SENTENCE, *, seconds: float = 3.0, steps: int = 6) -> None:
        self.prompt.fill(sentence)
        self.more_button.click()
        self.length.fill(str(seconds))
        self.number("steps").fill(str(steps))
        sync_api.expect(self.line).to_contain_text(f"{round((seconds * 24 - 1) / 8) * 8 + 1}")

    def press_as_in_safari(self) -> None:
        """From now on a button that is pressed gets no focus, and what had it loses it."""
        self.page.evaluate(SAFARI)

    def escape_composing(self, field: sync_api.Locator) -> None:
        """Esc in an input method's list of words, while something is typed into a field."""
        for event in COMPOSED:
            field.dispatch_event("keydown", event)

    def count_presses(self, button: sync_api.Locator) -> sync_api.JSHandle:
        """How often it is pressed from now on, by anybody; read it with `json_value`."""
        watch = "button => { const all = []; button.addEventListener('click', () => all.push(1)); return all; }"
        return button.evaluate_handle(watch)

    @contextmanager
    def slow_line(self) -> Iterator[None]:
        """Answers come late meanwhile."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.emulateNetworkConditions", SLOW)
        yield
        session.detach()

    def make(self) -> None:
        self.page.keyboard.press("Control+Enter")

    def expect_refused(self, field: sync_api.Locator, refusal: str) -> None:
        """The field says why, to those who see it and to those who hear it."""
        sync_api.expect(self.refusal(refusal)).to_be_visible()
        sync_api.expect(field).to_have_accessible_description(re.compile(re.escape(refusal)))

    def make_refused(self, field: sync_api.Locator, refusal: str) -> None:
        """Press the button, which a field says why not."""
        self.make()
        self.expect_refused(field, refusal)

    @property
    def form(self) -> sync_api.Locator:
        """All controls of a draft to be made."""
        return self.page.locator("#rushes-form")

    def visible_controls(self, kind: str) -> int:
        """How many of the form's elements that a selector names can be seen."""
        visible = "(all, kind) => [...all.querySelectorAll(kind)].filter(each => each.checkVisibility()).length"
        return int(self.form.evaluate(visible, kind))

    def stage(self, name: str) -> None:
        """Wait until the stage shows `empty`, `preview` or `video`."""
        self.page.locator(f'.player[data-stage="{name}"]').wait_for()

    @property
    def over(self) -> bool:
        return self.saved.is_visible()

    def wait_until_over(self) -> None:
        self.saved.wait_for()

    def film(self, expression: str) -> Any:
        """What a script says of the player's `video`, which has no name."""
        return self.page.evaluate(f"(video => {expression})({VIDEO})")

    def wait_for_film(self, condition: str) -> None:
        self.page.wait_for_function(f"(video => {condition})({VIDEO})")

    def wait_until_preview_moves(self) -> None:
        """Another picture than now is drawn while there is no film."""
        drawn = "document.querySelector('canvas.preview').toDataURL()"
        self.page.wait_for_function(f"before => {drawn} !== before", arg=self.page.evaluate(drawn))

    def seconds(self) -> float:
        return float(self.film("video.currentTime"))

    def wait_until_playing(self) -> None:
        self.wait_for_film("video.currentTime > 0.2")

    def height_saying(self, sentence: str, detail: str = "", aside: str = "") -> float:
        """Of the player, when this is said of the draft, with a button beside it or none."""
        return float(self.player.evaluate(SAY, [sentence, detail, aside]))

    def films(self, place: sync_api.Locator) -> sync_api.Locator:
        """Every `video` of a place."""
        return place.locator("video")

    def wait_for_films(self, place: sync_api.Locator, condition: str) -> None:
        """Until each is as said, and there is one at least."""
        each = f"(all => all.length && all.every(video => {condition}))([...place.querySelectorAll('video')])"
        self.page.wait_for_function(f"place => {each}", arg=place.element_handle())


@contextmanager
def visitor(browser: sync_api.Browser, address: str, locale: str = "en-GB", **settings: Any) -> Iterator[Visit]:
    """Somebody with a browser of his own, set up so, in front of the page."""
    with browser.new_context(**({"viewport": DESKTOP, "locale": locale} | settings)) as context:
        visit = Visit(context.new_page(), address, locale)
        visit.open()
        yield visit


@contextmanager
def open_studio(folder: Path, *options: str, before: tuple[str, ...] = (), port: int = 0) -> Iterator[str]:
    """A studio with an empty drafts folder and an empty cache of Hugging Face's, both in `folder`; its address.

    `before` is a command that starts it; a `port` of 0 is any.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--drafts", str(folder / "drafts"), "--no-browser"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub")}
    environment |= {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}  # which a Space heeds
    with subprocess.Popen([*before, *command, *options], cwd=ROOT, stderr=subprocess.DEVNULL, env=environment) as app:
        url = f"http://127.0.0.1:{port}/"
        try:
            _wait_for(url, app)
            yield url
        finally:
            app.send_signal(signal.SIGTERM)
            app.wait(timeout=30)


def _wait_for(url: str, app: subprocess.Popen[bytes]) -> None:
    stop = time.monotonic() + START_SECONDS
    while time.monotonic() < stop:
        assert app.poll() is None, f"the studio ended with {app.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:  # it wants a password
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the studio does not answer")

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

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

START_SECONDS = 180
PATIENCE_MS = 120_000  # a busy machine; a quiet one needs a tenth of it
sync_api.expect.set_options(timeout=PATIENCE_MS / 2)
SENTENCE = "a red ball moves left over snow"
# A refused picture is a 422 answer; leaving the page breaks off the stream that Gradio listens to.
EXPECTED_MESSAGES = re.compile(r"status of 422|AbortError|Connection errored out")


class Visit:
    """One page of the studio, what it logged and what it asked for."""

    def __init__(self, page: sync_api.Page, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: sync_api.Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def open(self) -> None:
        self.page.goto(self.address)
        sync_api.expect(self.page.locator("#rushes-forecast .line")).to_contain_text("frames")

    def fill(self, sentence: str = SENTENCE, *, seconds: float = 3.0, steps: int = 6) -> None:
        page = self.page
        page.locator("#rushes-prompt textarea").fill(sentence)
        page.locator("#rushes-more > button").click()
        page.get_by_label("number input for Length in seconds").fill(str(seconds))
        page.get_by_label("number input for Steps").fill(str(steps))
        sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text(
            f"{round((seconds * 24 - 1) / 8) * 8 + 1}"
        )

    def make(self) -> None:
        self.page.keyboard.press("Control+Enter")

    def make_refused(self, place: str, refusal: str) -> None:
        """Press the button, which a place says why not."""
        self.make()
        sync_api.expect(self.page.locator(place)).to_contain_text(refusal)

    def stage(self, name: str) -> None:
        """Wait until the stage shows `preview` or `video`."""
        self.page.locator(f'.player[data-stage="{name}"]').wait_for()

    @property
    def over(self) -> bool:
        return self.page.locator(".save").get_attribute("aria-disabled") == "false"

    def wait_until_over(self) -> None:
        self.page.locator('.save[aria-disabled="false"]').wait_for()

    def seconds(self) -> float:
        return float(self.page.evaluate("document.querySelector('.stage video').currentTime"))

    def wait_until_playing(self) -> None:
        self.page.wait_for_function("document.querySelector('.stage video').currentTime > 0.2")


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

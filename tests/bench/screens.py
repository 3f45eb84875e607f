"""Pictures of the page in every state that a person meets, into assets/screens/, as WebP.

    python -m tests.bench.screens [--only models,zh]

Starts the studio with an empty folder and does what is to be seen, by role and visible name.
"""

import argparse
import io
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.plan.catalog import CATALOG
from tests.bench.page.studio import CHROMIUM, ROOT, Studio
from tests.bench.page.visit import SENTENCE, Visit

SCREENS = ROOT / "assets" / "screens"
QUALITY = 82  # of WebP: letters stay sharp
MOST_BYTES = 2 * 2**20  # of all together
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SHOTS = (
    "[2s] a red ball moves left over snow / [2s] a purple ball moves left over snow / [1.5s cut] a star rises at night"
)


def rest(visit: Visit) -> None:
    """Nothing is made yet."""
    visit.wait_until_warm()


def make(visit: Visit, *, seconds: float) -> None:
    """Ask for a draft, and look at the page as one does who asked for nothing special."""
    visit.make(seconds=seconds, steps=24, seed=7)
    visit.page.get_by_role("button", name="More options").click()
    visit.page.evaluate("window.scrollTo(0, 0)")


def running(visit: Visit) -> None:
    """The first chunk plays, another is being made."""
    make(visit, seconds=6.0)
    visit.wait_until_running()
    visit.page.wait_for_function("() => document.querySelector('#rushes-player video').currentTime > 0.3")


def done(visit: Visit) -> None:
    """Finished."""
    make(visit, seconds=3.0)
    visit.wait_until_running()
    visit.wait_until_over()
    visit.page.wait_for_timeout(3000)


def stopped(visit: Visit) -> None:
    """Stopped after its first chunk."""
    running(visit)
    visit.stop()
    visit.wait_until_over()
    visit.page.wait_for_timeout(1000)


def not_fitting(visit: Visit) -> None:
    """More than there is."""
    page = visit.page
    page.get_by_role("textbox", name=re.compile("What happens")).first.fill(SENTENCE)
    page.get_by_role("button", name="More options").click()
    page.locator("#rushes-model input").click()
    page.get_by_role("option", name=re.compile("^Wan2.2 T2V-A14B ·")).click()
    expect(page.locator("#rushes-forecast .forecast.over")).to_be_visible()
    page.get_by_role("button", name="More options").click()
    page.wait_for_timeout(1000)  # until it is folded
    page.locator("#rushes-buttons").evaluate("row => row.scrollIntoView({ block: 'end' })")


def storyboard(visit: Visit) -> None:
    """Three shots."""
    visit.page.get_by_role("textbox", name=re.compile("What happens")).first.fill(SHOTS)
    visit.page.get_by_role("button", name="As cards").click()
    visit.page.wait_for_timeout(1500)


def takes(visit: Visit) -> None:
    """Other seeds to choose from."""
    page = visit.page
    page.get_by_role("textbox", name=re.compile("What happens")).first.fill(SENTENCE)
    page.get_by_role("button", name=re.compile("^4 takes")).click()
    ready = page.get_by_role("button", name=re.compile("ready: make the draft"))
    expect(ready).to_have_count(4)
    ready.last.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)


def shelf(visit: Visit) -> None:
    """Drafts of before."""
    visit.page.locator("#rushes-shelf").scroll_into_view_if_needed()
    visit.page.mouse.wheel(0, 2000)
    visit.page.wait_for_timeout(1000)


def models(visit: Visit) -> None:
    """What is here, what could be."""
    visit.page.get_by_role("tab", name=re.compile("Models|模型")).click()
    cards = visit.page.get_by_role("list", name=re.compile("Models|模型")).get_by_role("listitem")
    expect(cards).to_have_count(len(CATALOG))


def newest(visit: Visit) -> None:
    """The draft of before, as a reload shows it."""
    visit.page.get_by_role("button", name=re.compile("^(Open draft|打开草稿)")).last.click()
    visit.page.wait_for_timeout(2500)
    visit.page.evaluate("window.scrollTo(0, 0)")
    visit.page.wait_for_timeout(500)


STATES: dict[str, tuple[Callable[[Visit], None], dict[str, object]]] = {
    "rest": (rest, {}),
    "running": (running, {}),
    "done": (done, {}),
    "stopped": (stopped, {}),
    "not-fitting": (not_fitting, {}),
    "storyboard": (storyboard, {}),
    "takes": (takes, {}),
    "shelf": (shelf, {}),
    "models": (models, {}),
    "dark": (newest, {"color_scheme": "dark"}),
    "phone": (newest, {"viewport": PHONE}),
    "zh": (newest, {"locale": "zh-CN"}),
}


def take(browser: Browser, studio: Studio, name: str) -> None:
    """One picture, by a new visitor."""
    act, how = STATES[name]
    context = browser.new_context(**({"viewport": WIDE, "locale": "en-GB"} | how))  # type: ignore[arg-type]
    page: Page = context.new_page()
    visit = Visit(page, studio.url)
    visit.open()
    act(visit)
    Image.open(io.BytesIO(page.screenshot())).save(SCREENS / f"{name}.webp", quality=QUALITY, method=6)
    context.close()


def main() -> int:
    """Command line; 0 when all were made, and are small enough together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(STATES))
    names = parser.parse_args().only.split(",")
    SCREENS.mkdir(exist_ok=True)
    missed = []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright, Studio(Path(place)) as studio:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in names:
            try:
                take(browser, studio, name)
                print(f"{name}: {(SCREENS / f'{name}.webp').stat().st_size:,} bytes", flush=True)
            except Exception as error:
                missed.append(name)
                print(f"{name}: {str(error).splitlines()[0]}", flush=True)
        browser.close()
    total = sum(path.stat().st_size for path in SCREENS.glob("*.webp"))
    print(f"{total:,} of {MOST_BYTES:,} bytes")
    return 1 if missed or total > MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())

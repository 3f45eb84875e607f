"""The page against its targets, in headless Chromium: how soon it answers, follows, plays, stops, and what it leaves.

    python -m tests.bench.page [--drafts 30] [--minutes 10] [--starts 3] [--only starts short long]

Starts the studio as a person would and prints a Markdown table. What is looked for on the page are roles and names, and
the video itself.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.bench.page.rows import Row, print_table
from tests.bench.page.studio import CHROMIUM, Studio, copy_drafts
from tests.bench.page.visit import Visit

PARTS = ("starts", "short", "long")


def measure_starts(folder: Path, count: int) -> Row:
    """From the command to the first answer; nothing of a start before is left but the files in the system's cache."""
    found = []
    for index in range(count):
        with Studio(folder / f"start-{index}") as studio:
            found.append(studio.answered_seconds)
    return Row("page answering, from a cold start", found, "s", 6.0)


def measure_short(visit: Visit, studio: Studio) -> list[Row]:
    """What one draft after the other shows."""
    usable = [visit.open() for _ in range(3)]
    visit.wait_until_warm()
    forecast = visit.change_length([2.0 + index / 2 for index in range(20)])
    slices, stops, attached = list[float](), list[float](), list[float]()
    for seed in range(3):
        draft = visit.make(seconds=6.0, steps=8, seed=seed)
        slices += visit.watch_slices(draft, studio.drafts)
    for seed in range(3):
        visit.make(seconds=8.0, steps=30, seed=seed)
        visit.wait_until_running()
        attached.append(visit.reload())
        visit.wait_until_running()
        stops.append(visit.stop())
        visit.wait_until_over()
    copy_drafts(studio.drafts, 24)
    shelf = [visit.fill_shelf(20) for _ in range(3)]
    return [
        Row("page usable after that", usable, "s", 2.0),
        Row("slice ready, to on screen", slices, "ms", 150.0),
        Row("re-attached to a running draft after a reload", attached, "s", 1.0),
        Row("control changed, to forecast", forecast, "ms", 200.0),
        Row("stop, to its sentence", stops, "ms", 300.0),
        Row("20 drafts on the shelf", shelf, "ms", 500.0),
    ]


def measure_long(visit: Visit, drafts: int, minutes: float) -> Row:
    """Memory after the last five of many drafts ÷ after the third to the seventh.

    Medians, because one reading is off by what a film that plays has decoded just then.
    """
    began, found = time.monotonic(), list[float]()
    for index in range(drafts):
        visit.make(seconds=2.0, steps=4, seed=index)
        visit.wait_until_over()
        visit.page.wait_for_timeout(max(0.0, 1000 * (began + 60 * minutes * (index + 1) / drafts - time.monotonic())))
        found.append(visit.memory_bytes())
        print(f"draft {index + 1}: {found[-1] / 2**20:.0f} MiB", file=sys.stderr)
    before, after = statistics.median(found[2:7]), statistics.median(found[-5:])
    took = (time.monotonic() - began) / 60
    name = f"browser memory after {drafts} drafts in {took:.0f} minutes ÷ after 3 to 7 ({before / 2**20:.0f} MiB)"
    return Row(name, [after / before], "", 1.1)


def main() -> int:
    """Command line; 0 when every target is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drafts", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        rows = [measure_starts(folder, options.starts)] if "starts" in options.only else []
        with Studio(folder / "page") as studio:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--enable-precise-memory-info"]
            )
            visit = Visit(browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 800}), studio.url)
            if "short" in options.only:
                rows += measure_short(visit, studio)
            if "long" in options.only:
                visit.open()
                rows.append(measure_long(visit, options.drafts, options.minutes))
            rows.append(Row("console errors", [float(len(visit.errors))], "", 0.0))
            browser.close()
    print_table(rows)
    for error in visit.errors:
        print(f"- {error}")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

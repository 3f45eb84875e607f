"""How soon the bar above the button follows a control, in a real browser: from the change to the new line on the page.

    python -m tests.bench.forecast_bar [--changes 40]

Starts the studio as a person would, changes length, steps and model in turn, and prints a Markdown table.
"""

import argparse
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from tests.bench.page.visit import CHANGE

ROOT = Path(__file__).resolve().parents[2]
TARGET_MS = 200


def measure(page: Page, label: str, values: list[float]) -> list[float]:
    """Milliseconds for each value set one after the other."""
    found = []
    for value in values:
        found.append(float(page.evaluate(CHANGE, [f"number input for {label}", str(value)])))
        page.wait_for_timeout(300)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=40)
    count = parser.parse_args().changes
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, chromium = f"http://127.0.0.1:{port}/", shutil.which("chromium")
    with tempfile.TemporaryDirectory() as drafts:
        command = [sys.executable, "app.py", "--port", str(port), "--drafts", drafts, "--no-browser"]
        app = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(url, timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.1)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(locale="en-GB")
                page.goto(url)
                page.wait_for_function(
                    "document.querySelector('#rushes-forecast .line')?.textContent.includes('frames')"
                )
                page.wait_for_timeout(3000)  # the engine's process warms up beside it
                print(f"# The forecast bar, {time.strftime('%Y-%m-%d')}, {platform.machine()}\n")
                print("| control | median ms | 95 % | target |\n|---|---|---|---|")
                for label, values in (
                    ("Length in seconds", [2 + index / 2 for index in range(count)]),
                    ("Memory limit in GB", [1 + index / 4 for index in range(count)]),
                ):
                    found = measure(page, label, values)
                    print(f"| {label} | {np.median(found):.0f} | {np.percentile(found, 95):.0f} | {TARGET_MS} |")
                browser.close()
        finally:
            app.send_signal(signal.SIGTERM)
            app.wait(timeout=30)


if __name__ == "__main__":
    main()

"""A folder with many drafts for the shelf's tests: one is made, the others are copies of it with other sentences."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.browser.studio import ROOT

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "pink")


def put_drafts(drafts: Path, count: int) -> list[str]:
    """Ids of `count` finished drafts of a second, the oldest first."""
    command = [sys.executable, "-m", "pipeline", "draft", "a red ball rises over sea", "--seconds", "1", "--steps", "2"]
    subprocess.run([*command, "--drafts", str(drafts)], cwd=ROOT, check=True, capture_output=True, timeout=300)
    made = next(folder for folder in drafts.iterdir() if (folder / "plan.json").exists())
    names = [f"20260101-12{number // 60:02d}{number % 60:02d}-{number:016x}" for number in range(count)]
    for number, name in enumerate(names):
        folder = drafts / name
        shutil.copytree(made, folder)
        plan, request = (json.loads((folder / file).read_text()) for file in ("plan.json", "request.json"))
        for asked in (plan["request"], request):
            asked["shots"][0]["prompt"] = f"a {COLOURS[number % 8]} ball number {number} rises over sea"
            asked["seed"] = number
        (folder / "plan.json").write_text(json.dumps(plan))
        (folder / "request.json").write_text(json.dumps(request))
    shutil.rmtree(made)
    return names

"""A folder with many drafts for the shelf's tests: one is made, the others are copies of it with other sentences."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pipeline

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "pink")


def put_drafts(drafts: Path, count: int) -> list[str]:
    """Ids of `count` finished drafts of a second, the oldest first."""
    wanted = replace(pipeline.request("a red ball rises over sea", seconds=1, seed=7), steps=2)
    for _ in pipeline.draft(wanted, drafts):
        pass
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

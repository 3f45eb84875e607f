"""What fits where: every checkpoint on every size of card, as a Markdown table.

    python -m tests.bench.plan_table [--json]

Plans only: the cards are supposed, with main memory as the profiles have it and an RTX 3060's speed. A cell says the
peak on the card, the main memory, how the transformer's weights are held and the number of chunks, or what does not
fit. The targets at the end are checked; the exit code is 1 when one is missed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pipeline
from pipeline.errors import DoesNotFit
from pipeline.plan.alternatives import plan_draft, say_seconds
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import Device, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.presets import load_profiles
from pipeline.plan.spec import ModelSpec, VideoShape

CARDS_GB = (4, 6, 8, 12, 16, 24, 48, 80)
SIZES = {  # width, height, frames: a small look, the model's own, a large one
    "miniature": ((128, 96, 97), (256, 160, 97), (320, 320, 193)),
    "anyflow-1.3b": ((480, 256, 81), (832, 480, 81), (832, 480, 193)),
    "ltx-2b": ((512, 320, 97), (704, 480, 121), (1216, 704, 121)),
    "ltx-2b-distilled": ((512, 320, 97), (704, 480, 121), (1216, 704, 121)),
    "ltx-13b": ((512, 320, 97), (768, 512, 97), (1216, 704, 121)),
    "ltx-13b-distilled": ((512, 320, 97), (768, 512, 97), (1216, 704, 121)),
    "wan-5b": ((832, 480, 81), (1280, 704, 121), (1280, 704, 241)),
    "wan-a14b": ((832, 480, 81), (1280, 720, 81), (832, 480, 193)),
    "wan-a14b-lightning": ((832, 480, 81), (1280, 720, 81), (832, 480, 193)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What must fit: a request, a card and main memory."""

    model: str
    size: tuple[int, int, int]
    card_gb: int
    ram_gib: int


TARGETS = (
    Target(model="ltx-2b", size=(704, 480, 121), card_gb=4, ram_gib=10),
    Target(model="ltx-13b", size=(768, 512, 97), card_gb=8, ram_gib=24),
    Target(model="wan-5b", size=(1280, 704, 121), card_gb=8, ram_gib=24),
    Target(model="wan-a14b", size=(832, 480, 81), card_gb=8, ram_gib=32),
    Target(model="wan-a14b", size=(1280, 720, 81), card_gb=12, ram_gib=32),
)


def make_plan(spec: ModelSpec, size: tuple[int, int, int], card_gb: int, ram_gib: float | None = None) -> DraftPlan:
    """The plan for one cell. Raises DoesNotFit."""
    width, height, frames = size
    profile = load_profiles()[f"{card_gb}gb"]
    request = replace(
        pipeline.request("a paper boat crosses a gutter", model=spec.key, seed=1),
        shape=VideoShape(width=width, height=height),
        frames=frames,
        profile=profile.key,
        ram_limit_gib=ram_gib,
    )
    return plan_draft(request, _card(card_gb), profile)


def _card(card_gb: int) -> Device:
    """A card in a machine whose main memory and disk are not what limits."""
    plenty = 2**40
    return replace(suppose_card(card_gb), ram_total_bytes=plenty, ram_free_bytes=plenty, disk_free_bytes=plenty)


def say(plan: DraftPlan) -> str:
    """A cell."""
    choice = plan.memory.choices[Stage.DENOISE]
    held = {"bfloat16": "bf16"}.get(choice.precision, choice.precision.value)
    streamed = " streamed" if choice.placement is Placement.STREAMED else ""
    chunks = "" if len(plan.chunks) == 1 else f", {len(plan.chunks)} chunks"
    card, ram = plan.memory.peak_bytes / 2**30, plan.memory.ram_bytes / 2**30
    return f"{card:.1f} / {ram:.0f}, {held}{streamed}{chunks}, {say_seconds(plan.forecast.total_seconds)}"


def rows() -> Iterator[tuple[str, list[str]]]:
    """A line a request: its name and a cell a card."""
    for key, sizes in SIZES.items():
        for size in sizes:
            cells = []
            for card_gb in CARDS_GB:
                try:
                    cells.append(say(make_plan(CATALOG[key], size, card_gb)))
                except DoesNotFit as error:
                    cells.append(f"no: {error.stage} {error.need_bytes / 2**30:.1f}")
            yield f"{key} {size[0]}x{size[1]}x{size[2]}", cells


def check(target: Target) -> tuple[bool, str]:
    """Whether a target is met, and what is needed."""
    name = f"{target.model} {'x'.join(map(str, target.size))} on {target.card_gb} GB with {target.ram_gib} GiB of RAM"
    try:
        plan = make_plan(CATALOG[target.model], target.size, target.card_gb, target.ram_gib)
    except DoesNotFit as error:
        return False, f"{name}: does not fit. {error}"
    return len(plan.chunks) == 1, f"{name}: {say(plan)}"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    table, found = list(rows()), [check(target) for target in TARGETS]
    if parser.parse_args().json:
        print(json.dumps({"rows": dict(table), "targets": [said for _, said in found]}))
    else:
        print("GiB on the card / GiB of main memory, how the transformer is held, chunks, time on an RTX 3060\n")
        print(f"| width x height x frames | {' | '.join(f'{card} GB' for card in CARDS_GB)} |")
        print("|---" * (len(CARDS_GB) + 1) + "|")
        for name, cells in table:
            print(f"| {name} | {' | '.join(cells)} |")
        print()
        for met, said in found:
            print(f"- {'met' if met else 'MISSED'}: {said}")
    return 0 if all(met for met, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())

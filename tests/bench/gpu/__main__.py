"""The plan's promises on one NVIDIA card, with random weights of full size; nothing is downloaded. Ten minutes.

    python -m tests.bench.gpu [--minutes 10] [--only ltx-2b wan-a14b] [--steps 3] [--save figures.jsonl]

First a few drafts beside what diffusers makes of them on the whole card, then the same drafts on smaller cards, which
are played: torch's allocator is held to what the plan may use there. Rows come in the order of their value, each in a
process of its own, and are printed as they come; after `--minutes` what is left says "not run". `--only` names models,
`--save` keeps all figures as JSON, one line a row. Quantized weights and a text encoder's files are written meanwhile,
up to 40 GB on the disk of `--folder`.

Exit code 0 when no row went above its card's memory, 1 when one did or nothing could be measured, 2 without a card.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.plan.device import DeviceKind, probe_device
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.rows import CARDS, PEERS, Row

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="the whole command takes no longer")
    parser.add_argument("--only", nargs="+", choices=sorted({row.model for row in (*PEERS, *CARDS)}))
    parser.add_argument("--steps", type=int, help="of every row, at least 2; else as few as show what is to be seen")
    parser.add_argument(
        "--folder", type=Path, help="on which disk weights are kept meanwhile; else the system's for such files"
    )
    parser.add_argument("--save", type=Path, help="write all figures here, as JSON, one line a row")
    parser.add_argument("--commit", default=find_commit(), help="what is measured, where there is no repository")
    options = parser.parse_args()
    if options.steps is not None and options.steps < 2:
        parser.error("--steps must be at least 2: the first warms up")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        device = probe_device(folder=Path(folder))
        if device.kind is not DeviceKind.CUDA:
            print(f"There is no NVIDIA card here, only {device.name}.", file=sys.stderr)
            return 2

        def wanted(rows: tuple[Row, ...]) -> tuple[Row, ...]:
            chosen = (row for row in rows if not options.only or row.model in options.only)
            return tuple(replace(row, steps=options.steps or row.steps) for row in chosen)

        bench = Bench(device, Path(folder), minutes=options.minutes, save=options.save, commit=options.commit)
        return 0 if bench.run(wanted(PEERS), wanted(CARDS)) else 1


def find_commit() -> str:
    """What is measured; "unknown" in a copy of the tree without its repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

"""How long keeping where a chunk stands takes: 5 MB of latents written, synced, renamed, and the folder synced.

    python -m tests.bench.journal [--commits 200] [--drafts DIR]

Prints a Markdown table, and next to it what the same disk takes for the bare write and sync of as many bytes, which no
commit can beat.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.models.base import SamplingState
from pipeline.running import RunningChunk

LATENT_BYTES = 5 * 10**6
TARGET_MS = 10


def times(work: Callable[[int], None], count: int) -> np.ndarray:
    """Milliseconds of each call, given its number from 1 on."""
    found = []
    for number in range(1, count + 1):
        start = time.perf_counter()
        work(number)
        found.append(1000 * (time.perf_counter() - start))
    return np.array(found)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--drafts", type=Path, help="on the disk to measure; a temporary folder if not given")
    options = parser.parse_args()
    latents = torch.randn(LATENT_BYTES // 4)
    with tempfile.TemporaryDirectory(dir=options.drafts) as folder:
        journal = Journal(Path(folder), new_draft_id())
        journal.folder.mkdir()
        chunk = RunningChunk(journal)
        chunk.begin("bench", steps=options.commits + 2)

        def commit(step: int) -> None:
            chunk.keep(SamplingState(step=step, tensors={"latents": latents}))
            chunk.save()

        def write(_: int) -> None:
            with journal.path("bare").open("wb") as file:
                file.write(latents.numpy().data)
                file.flush()
                os.fsync(file.fileno())

        rows = {"commit": times(commit, options.commits), "bare write and sync": times(write, options.commits)}
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}\n")
    print(f"| {options.commits} x 5 MB | p50 ms | p95 ms | target p95 ms |\n|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {np.percentile(row, 50):.1f} | {np.percentile(row, 95):.1f} | {TARGET_MS} |")


if __name__ == "__main__":
    main()

"""Whether a chunk that is made again between its neighbours can be told: its two seams, before and after, in figures.

    python -m tests.bench.redo --pairs 12

Drafts of three chunks (113 frames, 192x128) of held-out sentences; the middle one is made again with another seed, what
follows stays. A seam is flagged as `python -m pipeline seams` does it. Pairs are those that settings are chosen with.
"""

import argparse
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from safetensors.torch import load_file

import pipeline
from pipeline.drafts.journal import Journal
from pipeline.events import Event, Started
from pipeline.plan.edits import Redo
from pipeline.plan.spec import VideoShape
from pipeline.seams.check import SeamFinding, judge, trace_film
from pipeline.seams.film import find_film
from pipeline.seams.metrics import Metric
from pipeline.video.mp4 import read_frames
from tests import judge as eye
from tests.bench.miniature import pairs

FRAMES, SHAPE, MIDDLE = 113, VideoShape(width=192, height=128), 1
OTHER_SEED = 5_000_000  # added to the draft's


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    count = parser.parse_args().pairs
    found: dict[str, list[SeamFinding]] = {"draft": [], "redo": []}
    right, moved = Counter[str](), []
    for words, sentence, seed in pairs(count, tuning=True):
        with tempfile.TemporaryDirectory() as folder:
            drafts = Path(folder)
            wanted = replace(pipeline.request(sentence, seconds=FRAMES / 24, seed=seed), frames=FRAMES, shape=SHAPE)
            old = _last(pipeline.draft(wanted, drafts))
            new = _last(pipeline.edit(old, Redo(chunk=MIDDLE, seed=seed + OTHER_SEED, alone=True), drafts))
            for name, draft in (("draft", old), ("redo", new)):
                film = find_film(draft, drafts)
                found[name] += judge(trace_film(film), film.seams or ()).findings
                said = eye.judge(np.stack(list(read_frames(film.path)))).words
                right[name] += (said.colour, said.shape) == (words.colour, words.shape)
            plan = Journal(drafts, new).read_plan()
            chunk, before = plan.chunks[MIDDLE], Journal(drafts, old).read_plan().chunks[MIDDLE]
            one, other = (
                load_file(Journal(drafts, draft).latents_path(MIDDLE))["latents"][:, :, place.overlap :][
                    :, :, : place.new_latents
                ]
                for draft, place in ((old, before), (new, chunk))
            )
            moved.append(float((one - other).abs().mean()))
        print(f"{sentence}: {[finding.beyond for name in found for finding in found[name][-2:]]}", flush=True)
    print(
        f"\n{count} drafts, {platform.processor() or platform.machine()}; latents moved by {median(moved):.3f} (median)"
    )
    print("| seams | flagged before the chunk | flagged behind it | median SR | SA | CS | MR | HD | colour and shape |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, findings in found.items():
        flagged = [sum(bool(finding.beyond) for finding in findings[side::2]) for side in (0, 1)]
        numbers = [f"{median(finding.values[metric] for finding in findings):.3f}" for metric in Metric]
        cells = (*(f"{number} of {count}" for number in flagged), *numbers, f"{right[name]} of {count}")
        print(f"| {name} | {' | '.join(cells)} |")


def _last(events: Iterator[Event]) -> str:
    """The id of the draft that the events are of, when it is over."""
    draft = ""
    for event in events:
        draft = event.draft if isinstance(event, Started) else draft
    return draft


if __name__ == "__main__":
    main()

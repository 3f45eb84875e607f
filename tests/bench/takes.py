"""How often the draft made from a take is like the take: `python -m tests.bench.takes`. Minutes, on the miniature.

For sentences and seeds drawn once, the take (plan/takes.py) and the draft's first chunk in full steps are made. Alike
is where the object is: the mean distance of its centre, over the frames that show it in both, as a share of the width.
Beside it stands the same distance to the take of the next seed, which is what chance gives.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import pipeline
from pipeline.plan.takes import take_of
from pipeline.video.mp4 import read_frames
from tests.judge import CONTRAST, SMALLEST_AREA, judge

SENTENCES = (
    "a red ball moves left over snow",
    "a yellow star rises over night",
    "a blue square falls over grass",
    "a green triangle moves right over sand",
)
SEEDS = (11, 12, 13, 14)
DRAFT_STEPS = 24
NEAR = 0.1  # of the width: an eye takes it for the same place


def film(request: pipeline.GenerationRequest, drafts: Path) -> NDArray[np.uint8]:
    """The frames of a draft [F, H, W, 3]."""
    for _ in pipeline.draft(request, drafts):
        pass
    newest = max(drafts.glob("*/draft.mp4"), key=lambda path: path.stat().st_mtime_ns)
    return np.stack(list(read_frames(newest)))


def centres(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the object is in each frame, [F, 2] in shares of the width; nan where it is not seen."""
    clip = frames.astype(np.float32)
    rows = np.median(clip.transpose(1, 0, 2, 3).reshape(clip.shape[1], -1, 3), axis=1)
    masks = np.abs(clip - rows[None, :, None, :]).max(axis=-1) > CONTRAST
    found = [np.argwhere(mask).mean(axis=0) if mask.sum() > SMALLEST_AREA else np.full(2, np.nan) for mask in masks]
    return np.asarray(found, np.float64) / float(frames.shape[2])


def apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The mean distance over frames that show the object in both."""
    length = min(len(one), len(other))
    return float(np.nanmean(np.linalg.norm(one[:length] - other[:length], axis=1)))


def main() -> None:
    """Make them and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=DRAFT_STEPS, help="of the draft")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(2, len(SEEDS) + 1), help="a sentence")
    options = parser.parse_args()
    seeds = SEEDS[: options.seeds]
    same, chance, moved = list[float](), list[float](), 0
    with TemporaryDirectory() as folder:
        drafts = Path(folder)
        for sentence in SENTENCES:
            takes, wholes = [], []
            for seed in seeds:
                wanted = replace(pipeline.request(sentence, seconds=2, seed=seed), steps=options.steps)
                take = take_of(pipeline.plan(wanted, drafts), seed)
                takes.append(film(take, drafts))
                wholes.append(film(wanted, drafts)[: len(takes[-1])])
            seen, meant = [centres(take) for take in takes], [centres(whole) for whole in wholes]
            same += [apart(*pair) for pair in zip(seen, meant, strict=True)]
            chance += [apart(seen[(number + 1) % len(seeds)], meant[number]) for number in range(len(seeds))]
            pairs = zip(takes, wholes, strict=True)
            moved += sum(judge(take).words.motion == judge(whole).words.motion for take, whole in pairs)
            print(f"{sentence}: {same[-len(seeds) :]}", flush=True)
    count = len(same)
    print(f"{count} takes of {take.steps} steps, {take.frames} frames, against drafts of {options.steps} steps")
    for name, values in (("the take's own draft", same), ("the draft of another seed", chance)):
        near = sum(value < NEAR for value in values)
        print(f"{name}: {np.nanmedian(values):.3f} of the width apart, {near} of {count} nearer than {NEAR}")
    print(f"the same motion: {moved} of {count}")


if __name__ == "__main__":
    main()

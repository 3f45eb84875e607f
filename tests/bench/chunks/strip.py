"""One picture of one seam, a row a way: the frames on both sides of it, side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pipeline
from pipeline.engine import Engine
from pipeline.plan.catalog import MINIATURE
from pipeline.video.mp4 import read_frames
from tests.bench.chunks.films import frames_of, make

SENTENCE, SEED = "a yellow star moves left over sea", 1001
OFFSETS = (-24, -16, -8, -1, 0, 8, 16, 24)  # frames from the seam
LABEL_PIXELS = 16
BEFORE = "two clips put end to end"


def paint(engine: Engine, tails: Sequence[str], picture: Path) -> None:
    """Make the drafts and write the picture, as PNG."""
    request = replace(pipeline.request(SENTENCE, seed=SEED), frames=frames_of(2))
    alone = [replace(request, frames=MINIATURE.native_frames, seed=SEED + index) for index in range(2)]
    rows = {BEFORE: np.concatenate([_frames(make(engine, pipeline.plan(clip))) for clip in alone])}
    for tail in tails:
        rows[tail] = _frames(make(engine, pipeline.plan(replace(request, tail=tail))))
    (seam,) = (seam.frame for seam in pipeline.plan(request).seams)
    strips = [_row(name, frames, seam) for name, frames in rows.items()]
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(strips)).save(picture, optimize=True)


def _frames(film: Path) -> NDArray[np.uint8]:
    return np.array(list(read_frames(film)), np.uint8)


def _row(name: str, frames: NDArray[np.uint8], seam: int) -> NDArray[np.uint8]:
    """The frames under a line that says how they were made, halved, with a gap where the chunks meet."""
    shown = [np.asarray(Image.fromarray(frames[seam + offset]).reduce(2)) for offset in OFFSETS]
    gap = np.full((shown[0].shape[0], 4, 3), 255, np.uint8)
    half = OFFSETS.index(0)
    strip = np.concatenate([*shown[:half], gap, *shown[half:]], axis=1)
    label = Image.new("RGB", (strip.shape[1], LABEL_PIXELS), "white")
    ImageDraw.Draw(label).text((4, 2), name, fill="black")
    return np.concatenate([np.asarray(label), strip])

"""What a clip of the miniature's world shows, by plain image measurements; knows nothing of how it was made.

Colour and background by distance to the palette, motion by centroid and area over time, shape by the harmonics of
the segmented outline, compared with a triangle, a square and a star, or, where the picture's edge cuts the object in
every frame, by the drawn shape that covers the same part of the picture. Drawn scenes are in tests/test_judge.py.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.training.scenes import BACKGROUNDS, COLOURS, SHAPES, Scene, Words, distance, render

CONTRAST = 30  # levels (of 255) in any channel by which an object's pixel differs from its row's background
SMALLEST_AREA = 60  # pixels; less is noise or an object about to leave
TRAVEL = 0.10  # of the picture's side in two seconds: the slowest scene moves 0.3
REVERSAL = 0.08  # of the height: a bounce rises at least 0.32
GROWTH = 1.6  # area ratio in two seconds: the slowest scene more than doubles
FRAMES_FOR_SHAPE = 9
FRAMES_TO_FIT = 3
NEIGHBOURS = np.array(list(product((-1, 0, 1), repeat=3)))  # one step across, down and in size
LEAST_STEP = 0.25  # of two pixels
SMALLEST_RADIUS, LARGEST_RADIUS = 0.05, 0.5  # of the picture's height
SECTORS = 60
MARGIN = (
    1 / 8
)  # of the picture's width at each side, where a large object in the middle leaves the background to be seen
LEAST_CORNERS = 0.17  # of the drawn shape's harmonic: less is round

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What was seen; `seen` is False when no object could be found."""

    words: Words
    seen: bool


def judge(frames: NDArray[np.uint8]) -> Verdict:
    """Judge a clip [F, H, W, 3] uint8."""
    clip = frames.astype(np.float32)
    rows = background_rows(frames)
    difference = np.abs(clip - rows[None, :, None, :]).max(axis=-1)
    masks = difference > CONTRAST
    background = _nearest_background(rows)
    if (masks.sum(axis=(1, 2)) > SMALLEST_AREA).sum() < len(frames) // 3:
        return Verdict(Words("", "", "", background), seen=False)
    solid = difference > np.percentile(difference[masks], 75) / 2  # half the object's own contrast: its true outline
    return Verdict(
        Words(_nearest_colour(clip, masks, difference), _nearest_shape(solid), _motion(masks), background), seen=True
    )


def background_rows(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The colour of each row behind the object, [H, 3], of a clip [F, H, W, 3].

    The row's median, or that of one margin of the picture, whichever is more like a background that there is: a large
    object may cover most of a row, or one margin all the time.
    """
    margin = round(MARGIN * frames.shape[2])
    parts = (frames, frames[:, :, :margin], frames[:, :, -margin:])
    medians = [np.median(part.transpose(1, 0, 2, 3).reshape(part.shape[1], -1, 3), axis=1) for part in parts]
    nearest = min(medians, key=lambda rows: min(_distances(rows).values()))
    return nearest.astype(np.float32)


def _nearest_background(rows: NDArray[np.float32]) -> str:
    distances = _distances(rows)
    return min(distances, key=lambda name: distances[name])


def _distances(rows: NDArray[np.floating]) -> dict[str, float]:
    """Mean distance of each row's colour to that of every background, in levels."""
    share = np.linspace(0, 1, len(rows))[:, None]
    return {
        name: float(np.abs(rows - (np.array(top) * (1 - share) + np.array(bottom) * share)).mean())
        for name, (top, bottom) in BACKGROUNDS.items()
    }


def _nearest_colour(clip: NDArray[np.float32], masks: Masks, difference: NDArray[np.float32]) -> str:
    strongest = difference > np.percentile(difference[masks], 40)  # the inside, without the blended edge
    seen = np.median(clip[masks & strongest], axis=0)
    brightness = np.linspace(0.85, 1.15, 13)[:, None]
    distances = {
        name: float(np.linalg.norm(np.clip(np.array(colour) * brightness, 0, 255) - seen, axis=1).min())
        for name, colour in COLOURS.items()
    }
    return min(distances, key=lambda name: distances[name])


def _motion(masks: Masks) -> str:
    _, height, width = masks.shape
    area = masks.sum(axis=(1, 2)).astype(float)
    present = np.flatnonzero(area > SMALLEST_AREA)
    down, across = np.arange(height), np.arange(width)
    y = (masks[present].sum(axis=2) * down).sum(axis=1) / area[present]
    x = (masks[present].sum(axis=1) * across).sum(axis=1) / area[present]
    steps = np.diff(present) == 1
    span = len(masks) - 1
    go_x = float(np.median(np.diff(x)[steps])) * span / width
    if abs(go_x) > TRAVEL:
        return "moves right" if go_x > 0 else "moves left"
    if _reversals(y, REVERSAL * height) >= 1:
        return "bounces"
    grown = _growth(masks, area, present)
    go_y = float(np.median(np.diff(y)[steps])) * span / height
    if abs(go_y) > TRAVEL and not (grown > GROWTH * 1.5 or grown < 1 / GROWTH / 1.5):
        return "falls" if go_y > 0 else "rises"
    if grown > GROWTH:
        return "grows"
    return "shrinks" if grown < 1 / GROWTH else "stands still"


def _reversals(y: NDArray[np.float64], least: float) -> int:
    """How often a height turns by more than `least` pixels; a wrap-around jump is no turn."""
    turns, low, high, direction = 0, y[0], y[0], 0
    for value in y:
        if direction >= 0 and value < high - least:
            turns, direction, low = turns + (direction > 0), -1, value
        elif direction <= 0 and value > low + least:
            turns, direction, high = turns + (direction < 0), 1, value
        low, high = (min(low, value), high) if direction < 0 else (low, max(high, value))
        if direction == 0:
            low, high = min(low, value), max(high, value)
    return turns


def _growth(masks: Masks, area: NDArray[np.float64], present: NDArray[np.int64]) -> float:
    """Area at the end over area at the start, among frames where the object is wholly in the picture."""
    edges = masks[:, 0].any(1) | masks[:, -1].any(1) | masks[:, :, 0].any(1) | masks[:, :, -1].any(1)
    whole = [index for index in present if not edges[index]]
    if len(whole) < 12:
        whole = list(present)
    return float(area[whole[-6:]].mean() / area[whole[:6]].mean())


def _nearest_shape(masks: Masks) -> str:
    """By the object's third, fourth and fifth harmonic: a triangle, a square and a star have one each, a ball none.

    From frames that hold all of it: what the picture's edge cuts has another outline, so that where all are cut, the
    shapes are laid upon what there is of it.
    """
    area = masks.sum(axis=(1, 2))
    edges = masks[:, 0].any(1) | masks[:, -1].any(1) | masks[:, :, 0].any(1) | masks[:, :, -1].any(1)
    whole = np.flatnonzero(~edges & (area >= SMALLEST_AREA))
    if not len(whole):
        return _fitting_shape(masks[np.argsort(-area)[:FRAMES_TO_FIT]])
    chosen = whole[np.argsort(-area[whole])[:FRAMES_FOR_SHAPE]]
    seen = np.mean([_harmonics(masks[index]) for index in chosen], axis=0)
    shares = {
        shape: float((seen * drawn.conj()).real.sum() / (abs(drawn) ** 2).sum()) for shape, drawn in CORNERS.items()
    }
    best = max(shares, key=lambda shape: shares[shape])
    return best if shares[best] > LEAST_CORNERS else "ball"


def _fitting_shape(masks: Masks) -> str:
    """The shape that, wherever and however large it is, covers most nearly the same pixels."""
    fits = {shape: sum(_overlap(mask, shape) for mask in masks) for shape in SHAPES}
    return max(fits, key=lambda shape: fits[shape])


def _overlap(mask: NDArray[np.bool_], shape: str) -> float:
    """Of what a mask or the best placed shape covers, the part that both do: 0 to 1."""
    seen = torch.from_numpy(mask[::2, ::2].copy())
    height, width = seen.shape
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    y, x = np.argwhere(seen.numpy()).mean(axis=0)
    radius = np.sqrt(seen.numpy().sum() / np.pi)
    best, step, fit = np.array([x, y, radius]), radius, 0.0
    while step > LEAST_STEP:
        tried = torch.tensor(best + step * NEIGHBOURS, dtype=torch.float32)
        tried[:, 2].clamp_(SMALLEST_RADIUS * height, LARGEST_RADIUS * height)
        places = tried[:, :, None, None]
        drawn = distance(shape, (across - places[:, 0]) / places[:, 2], (down - places[:, 1]) / places[:, 2]) < 0
        fits = (drawn & seen).sum(dim=(1, 2)) / (drawn | seen).sum(dim=(1, 2))
        at = int(fits.argmax())
        if fits[at] > fit:
            best, fit = tried[at].numpy().astype(float), float(fits[at])
        else:
            step /= 2
    return fit


def _harmonics(mask: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Third to fifth harmonic of the outline: how far it reaches in each direction, as a share of its mean reach."""
    y, x = np.nonzero(mask)
    if len(y) < SMALLEST_AREA:
        return np.zeros(3, dtype=complex)
    across, down = x - x.mean(), y - y.mean()
    sector = ((np.arctan2(down, across) / (2 * np.pi) % 1) * SECTORS).astype(int)
    # the area of a sector is half its squared reach
    reach = np.sqrt(np.bincount(sector, minlength=SECTORS))
    turns = np.exp(-2j * np.pi * np.outer([3, 4, 5], (np.arange(SECTORS) + 0.5) / SECTORS))
    return turns @ reach / reach.sum()


def _drawn(shape: str) -> NDArray[np.complex128]:
    scene = Scene(
        words=Words("red", shape, "stands still", "night"),
        width=128,
        height=128,
        radius=36,
        end_radius=36,
        x=64,
        y=64,
        speed=0,
        span=1,
        phase=0,
        tint=1,
    )
    picture = ((render(scene, frames=1)[:, 0] + 1) * 127.5).permute(1, 2, 0).to(torch.uint8).numpy()
    return _harmonics(picture[..., 0] > 130)


CORNERS = {shape: _drawn(shape) for shape in SHAPES if shape != "ball"}

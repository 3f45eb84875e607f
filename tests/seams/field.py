"""A film whose every frame is known: two textures, each moving on its own smooth path, and faults to put into it."""

import numpy as np
from numpy.typing import NDArray

from pipeline.video.blending import sigmoid_ramp

HEIGHT, WIDTH = 64, 104
MEAN_LEVEL, CONTRAST_LEVELS = 120.0, 22.0
DAWN_LEVELS, DAWN_FRAMES = 35.0, 60.0  # brightens by up to 0.6 levels a frame: no fault
SEAMS = (40, 64, 88, 112)
FRAMES = 136

Moments = NDArray[np.float64]
Frames = NDArray[np.uint8]
Levels = NDArray[np.float64]


def picture(moments: Moments, seed: int = 0) -> Levels:
    """The field at moments [F], in frames and fractions of one, as [F, HEIGHT, WIDTH, 3] 8-bit levels, unrounded."""
    down, across = np.fft.fftfreq(HEIGHT)[:, None, None], np.fft.fftfreq(WIDTH)[None, :, None]
    pitch = np.hypot(down, across)
    band = np.where((pitch > 0.02) & (pitch < 0.3), 1 / np.maximum(pitch, 0.02), 0)  # as pictures have it
    source = np.random.default_rng(seed)
    layers = [np.fft.fft2(source.normal(size=(HEIGHT, WIDTH, 3)), axes=(0, 1)) * band for _ in range(2)]
    made = []
    for t in moments:
        places = ((0.3 * t + 2 * np.sin(t / 12), 0.5 * t), (-0.2 * t, 0.3 * t + 2 * np.cos(t / 14)))
        moved = [
            layer * np.exp(-2j * np.pi * (down * y + across * x)) for layer, (y, x) in zip(layers, places, strict=True)
        ]
        made.append(np.fft.ifft2(sum(moved), axes=(0, 1)).real)
    levels = np.array(made)
    dawn = DAWN_LEVELS * np.sin(moments / DAWN_FRAMES - 1)[:, None, None, None]
    return MEAN_LEVEL + dawn + CONTRAST_LEVELS * levels / levels[0].std()


def to_frames(levels: Levels) -> Frames:
    """As a film has them."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def moments() -> Moments:
    """One a frame."""
    return np.arange(FRAMES, dtype=float)


def clean(seed: int = 0) -> Frames:
    """Without a fault."""
    return to_frames(picture(moments(), seed))


def cut() -> Frames:
    """Every chunk shows another field."""
    parts = [moments()[_chunk() == chunk] for chunk in range(len(SEAMS) + 1)]
    return np.concatenate([to_frames(picture(part, seed)) for seed, part in enumerate(parts)])


def jumping(by: float) -> Frames:
    """At every seam, time jumps ahead by so many frames; by -1, a frame is repeated."""
    return to_frames(picture(moments() + by * _chunk()))


def brighter(levels: float) -> Frames:
    """Every chunk has so many 8-bit levels more than the one before."""
    return to_frames(picture(moments()) + levels * _chunk()[:, None, None, None])


def gained(factor: float) -> Frames:
    """Every chunk is so many times as bright as the one before."""
    return to_frames(picture(moments()) * factor ** _chunk()[:, None, None, None])


def ghosting(by: float, fade: int = 16) -> Frames:
    """The frames before every seam are faded from the field to what it is `by` frames later, and go on from there."""
    levels = picture(moments() + by * _chunk())
    for seam in SEAMS:
        frames = slice(seam - fade, seam)
        later = picture(moments()[frames] + by * _chunk()[seam])
        weight = sigmoid_ramp(fade)[:, None, None, None]
        levels[frames] = levels[frames] * (1 - weight) + later * weight
    return to_frames(levels)


def _chunk() -> NDArray[np.int64]:
    return np.searchsorted(SEAMS, moments(), side="right")

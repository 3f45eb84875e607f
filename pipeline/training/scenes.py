"""The miniature's world: one coloured shape, one motion, one background, drawn on the fly.

A scene is a few numbers; a frame of it is computed, never stored, so there is no data set to download and a crop
costs only its own pixels. The world is stationary: whatever leaves the picture comes back in on the other side, so
that a clip can be continued for as long as a draft is long.

Nothing here knows about latents, models or sentences (see `sentences.py`).
"""

from dataclasses import dataclass
from itertools import product
from math import cos, hypot, pi, sin

import numpy as np
import torch
from torch import Tensor

FRAMES_PER_SECOND = 24
"""The miniature's clock. Twenty-four is what film and LTX-Video use."""

# sRGB, 0 to 255. Chosen so that every object stands out from every background by at least 48 levels in one channel.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 40, 38),
    "green": (84, 228, 84),
    "blue": (40, 80, 245),
    "yellow": (252, 228, 40),
    "purple": (140, 50, 190),
    "orange": (250, 132, 24),
    "white": (252, 252, 252),
    "pink": (252, 130, 195),
}
BACKGROUNDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {  # colour at the top, at the bottom
    "night": ((12, 14, 38), (34, 40, 82)),
    "snow": ((168, 188, 214), (204, 216, 230)),
    "grass": ((62, 128, 58), (34, 92, 42)),
    "sand": ((224, 200, 156), (200, 168, 118)),
    "sea": ((24, 132, 160), (10, 88, 122)),
}
SHAPES = ("ball", "square", "triangle", "star")
MOTIONS = ("moves left", "moves right", "rises", "falls", "bounces", "grows", "shrinks", "stands still")


@dataclass(frozen=True, slots=True)
class Words:
    """What a scene shows, in the canonical vocabulary: keys of COLOURS, SHAPES, MOTIONS and BACKGROUNDS."""

    colour: str
    shape: str
    motion: str
    background: str


ALL_WORDS = tuple(Words(*words) for words in product(COLOURS, SHAPES, MOTIONS, BACKGROUNDS))
"""Every sentence the miniature knows, 8 x 4 x 8 x 5 = 1,280 of them."""

HELD_OUT = frozenset(
    words
    for words in ALL_WORDS
    if (
        list(COLOURS).index(words.colour)
        + 3 * SHAPES.index(words.shape)
        + 5 * MOTIONS.index(words.motion)
        + 7 * list(BACKGROUNDS).index(words.background)
    )
    % 10
    == 0
)
"""Combinations no training step ever sees (about one in ten): what the bench asks for."""

TRAINED = tuple(words for words in ALL_WORDS if words not in HELD_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scene: what it shows and the numbers that place it. Lengths in pixels, times in frames."""

    words: Words
    width: int
    height: int
    radius: float
    end_radius: float  # reached by `grows` and `shrinks` after `span` frames
    x: float
    y: float
    speed: float  # pixels a frame
    span: float  # frames of one bounce, or of growing and shrinking
    phase: float  # of the bounce, 0 to 1
    tint: float  # brightness of the background, around 1

    def track(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centre and size of the object at each frame.

        Args:
            frames: [F] float, frame numbers on the scene's own clock; any value >= 0.

        Returns:
            x, y and radius, each [F] float, in pixels.
        """
        x, y = torch.full_like(frames, self.x), torch.full_like(frames, self.y)
        radius = torch.full_like(frames, self.radius)
        margin = 1.3 * self.radius
        match self.words.motion:
            case "moves left":
                x = _wrap(x - self.speed * frames, margin, self.width)
            case "moves right":
                x = _wrap(x + self.speed * frames, margin, self.width)
            case "rises":
                y = _wrap(y - self.speed * frames, margin, self.height)
            case "falls":
                y = _wrap(y + self.speed * frames, margin, self.height)
            case "bounces":
                y = y - self.speed * (pi * (frames / self.span + self.phase)).sin().abs()
            case "grows" | "shrinks":
                share = (frames / self.span).clamp(max=1.0)
                radius = self.radius + (self.end_radius - self.radius) * share
        return x, y, radius


def _wrap(position: Tensor, margin: float, length: int) -> Tensor:
    return (position + margin) % (length + 2 * margin) - margin


def draw_scene(words: Words, *, width: int, height: int, rng: np.random.Generator) -> Scene:
    """Place a scene at random, so that at frame 0 its object is in the picture and its motion has room.

    Args:
        words: what to show.
        width, height: the picture, in pixels.
        rng: the only source of chance.
    """
    unit = min(width, height)
    radius = end_radius = unit * rng.uniform(0.16, 0.24)
    x, y = width * rng.uniform(0.25, 0.75), height * rng.uniform(0.32, 0.68)
    speed, span = 0.0, 1.0
    match words.motion:
        case "moves left":
            x, speed = width * rng.uniform(0.6, 0.95), width * rng.uniform(0.15, 0.30) / FRAMES_PER_SECOND
        case "moves right":
            x, speed = width * rng.uniform(0.05, 0.4), width * rng.uniform(0.15, 0.30) / FRAMES_PER_SECOND
        case "rises":
            y, speed = height * rng.uniform(0.65, 0.95), height * rng.uniform(0.15, 0.30) / FRAMES_PER_SECOND
        case "falls":
            y, speed = height * rng.uniform(0.05, 0.35), height * rng.uniform(0.15, 0.30) / FRAMES_PER_SECOND
        case "bounces":
            y, speed, span = height * rng.uniform(0.7, 0.8), height * rng.uniform(0.32, 0.48), rng.uniform(22, 34)
        case "grows":
            radius, end_radius, span = (
                unit * rng.uniform(0.09, 0.12),
                unit * rng.uniform(0.32, 0.4),
                rng.uniform(72, 100),
            )
        case "shrinks":
            radius, end_radius, span = (
                unit * rng.uniform(0.32, 0.4),
                unit * rng.uniform(0.09, 0.12),
                rng.uniform(72, 100),
            )
    return Scene(
        words=words,
        width=width,
        height=height,
        radius=radius,
        end_radius=end_radius,
        x=x,
        y=y,
        speed=speed,
        span=span,
        phase=rng.uniform(0, 1),
        tint=rng.uniform(0.94, 1.06),
    )


def render(scene: Scene, *, start: float = 0.0, frames: int, crop: tuple[int, int, int, int] | None = None) -> Tensor:
    """Draw frames of a scene, antialiased.

    Args:
        scene: what to draw.
        start: first frame on the scene's clock; any number >= 0.
        frames: how many.
        crop: left, top, width, height in pixels of the part to draw; the whole picture if None.

    Returns:
        [3, F, H, W] float32 in [-1, 1], RGB.
    """
    left, top, width, height = crop or (0, 0, scene.width, scene.height)
    across = torch.arange(left, left + width, dtype=torch.float32) + 0.5
    down = torch.arange(top, top + height, dtype=torch.float32) + 0.5
    x, y, radius = (value.view(-1, 1, 1) for value in scene.track(start + torch.arange(frames, dtype=torch.float32)))
    local_x, local_y = (across - x) / radius, (down.view(-1, 1) - y) / radius
    alpha = (0.5 - radius * distance(scene.words.shape, local_x, local_y)).clamp(0, 1)

    upper, lower = (torch.tensor(colour) / 255 for colour in BACKGROUNDS[scene.words.background])
    share = (down / scene.height).view(1, 1, -1, 1)
    background = (upper.view(3, 1, 1, 1) * (1 - share) + lower.view(3, 1, 1, 1) * share) * scene.tint
    light = 1 - 0.1 * (local_x + local_y).clamp(-1.5, 1.5)  # lit from the upper left
    paint = torch.tensor(COLOURS[scene.words.colour]).view(3, 1, 1, 1) / 255 * light
    return ((background * (1 - alpha) + paint * alpha).clamp(0, 1) * 2 - 1).float()


def distance(shape: str, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to a shape of radius about 1, negative inside; y grows downwards."""
    match shape:
        case "ball":
            return (x * x + y * y).sqrt() - 1
        case "square":
            across, down = x.abs() - 0.86, y.abs() - 0.86
            return (across.clamp(min=0) ** 2 + down.clamp(min=0) ** 2).sqrt() + torch.maximum(across, down).clamp(max=0)
        case "triangle":
            return torch.maximum(y + 0.15, x.abs() * cos(pi / 6) - (y + 0.15) * sin(pi / 6)) - 0.55
        case "star":
            return _distance_to_star(x, y, points=5, outer=1.2, inner=0.5)
    raise ValueError(f"no such shape: {shape!r}")


def _distance_to_star(x: Tensor, y: Tensor, *, points: int, outer: float, inner: float) -> Tensor:
    """Distance to the nearest edge of a star, by folding the plane into one half of one point."""
    sector = pi / points
    angle = torch.atan2(x, -y)  # 0 is up
    folded = ((angle + sector) % (2 * sector) - sector).abs()
    length = (x * x + y * y).sqrt()
    along, beside = length * folded.cos(), length * folded.sin()
    edge_x, edge_y = inner * cos(sector) - outer, inner * sin(sector)  # from the tip to the notch
    return ((along - outer) * edge_y - beside * edge_x) / hypot(edge_x, edge_y)

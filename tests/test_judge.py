"""The judge on scenes as they are drawn, among them those it once took for others."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.training.scenes import COLOURS, SHAPES, Scene, Words, draw_scene, render
from tests.judge import judge

FRAMES = 17


def clip(scene: Scene, *, start: float = 0.0, frames: int = FRAMES) -> NDArray[np.uint8]:
    drawn = (render(scene, start=start, frames=frames).permute(1, 2, 3, 0).numpy() + 1) * 127.5
    return np.rint(drawn).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("background", ["night", "snow"])
@pytest.mark.parametrize("x", [0.3, 0.5, 0.7])
def test_an_object_that_covers_half_the_width_is_no_background(shape: str, background: str, x: float) -> None:
    words = Words("orange", shape, "stands still", background)
    scene = draw_scene(words, width=256, height=160, rng=np.random.default_rng(3))
    seen = judge(clip(replace(scene, radius=0.48 * 160, x=x * 256, y=80.0)))
    assert seen.seen
    assert seen.words == words


@pytest.mark.parametrize("motion", ["falls", "moves left"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_that_is_whole_at_the_end_only_keeps_its_shape(shape: str, motion: str) -> None:
    """One that comes in: the picture's edge cuts it in all frames but the last."""
    scene = draw_scene(Words("yellow", shape, motion, "sea"), width=256, height=160, rng=np.random.default_rng(4))
    inside, way = 1.25 * scene.radius, 47 * scene.speed
    falling, leftwards = replace(scene, y=inside - way), replace(scene, x=256 - inside + way)
    assert judge(clip(falling if motion == "falls" else leftwards, frames=49)).words.shape == shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("x", "y"), [(0, 80), (256, 80), (128, 0), (128, 160)], ids=["left", "right", "top", "bottom"])
@pytest.mark.parametrize("shown", [0.1, 0.3])
def test_an_object_that_an_edge_cuts_in_all_frames_keeps_its_shape(shape: str, x: int, y: int, shown: float) -> None:
    scene = draw_scene(
        Words("white", shape, "stands still", "sand"), width=256, height=160, rng=np.random.default_rng(6)
    )
    inwards = shown * scene.radius
    placed = replace(
        scene,
        x=x + (inwards if x == 0 else -inwards if x == 256 else 0),
        y=y + (inwards if y == 0 else -inwards if y == 160 else 0),
    )
    assert judge(clip(placed)).words.shape == shape


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_and_shape_of_usual_size_is_seen(colour: str) -> None:
    for index, shape in enumerate(SHAPES):
        words = Words(colour, shape, "stands still", "grass")
        scene = draw_scene(words, width=256, height=160, rng=np.random.default_rng(index))
        assert judge(clip(scene)).words == words


def test_nothing_is_seen_where_nothing_is() -> None:
    scene = draw_scene(
        Words("red", "ball", "stands still", "sand"), width=256, height=160, rng=np.random.default_rng(5)
    )
    seen = judge(clip(replace(scene, x=-500.0)))
    assert not seen.seen
    assert seen.words.background == "sand"

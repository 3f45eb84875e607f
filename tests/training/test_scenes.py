"""The miniature's world does what its words say, measured on the pixels that are drawn and not on the numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.training.scenes import (
    ALL_WORDS,
    BACKGROUNDS,
    COLOURS,
    HELD_OUT,
    MOTIONS,
    SHAPES,
    TRAINED,
    Scene,
    Words,
    draw_scene,
    render,
)

WIDTH, HEIGHT = 192, 128


def draw(words: Words, seed: int = 0) -> Scene:
    return draw_scene(words, width=WIDTH, height=HEIGHT, rng=np.random.default_rng(seed))


def empty(scene: Scene) -> Scene:
    """The same picture without its object."""
    return replace(scene, words=replace(scene.words, motion="stands still"), x=-1e4)


def covered(scene: Scene, clip: Tensor) -> Tensor:
    """Which pixels the object covers. [F, H, W] float32, 0 or 1."""
    return ((clip - render(empty(scene), frames=1)).abs().amax(0) > 0.1).float()


def measure(scene: Scene, frames: int, start: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Centroid across and down, and area, of what is seen. Each [F], in pixels."""
    mask = covered(scene, render(scene, start=start, frames=frames))
    area = mask.sum((1, 2))
    across = (mask.sum(1) * torch.arange(mask.shape[2])).sum(1) / area
    down = (mask.sum(2) * torch.arange(mask.shape[1])).sum(1) / area
    return across, down, area


def scenes_of(motion: str) -> list[Scene]:
    backgrounds = tuple(BACKGROUNDS)
    return [draw(Words("red", shape, motion, backgrounds[n]), seed=n) for n, shape in enumerate(SHAPES)]


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("moves left", 0, -1), ("moves right", 0, 1), ("rises", 1, -1), ("falls", 1, 1)]
)
def test_what_moves_moves_that_way_and_no_other(motion: str, axis: int, sign: int) -> None:
    for scene in scenes_of(motion):
        centroid = measure(scene, frames=17)[:2]
        steps = centroid[axis].diff() * sign
        assert (steps > -0.3).all()  # antialiasing moves a centroid by a fraction of a pixel
        assert steps.sum() > 0.07 * (WIDTH, HEIGHT)[axis]
        assert (centroid[1 - axis] - centroid[1 - axis][0]).abs().max() < 1.5


def test_what_bounces_goes_up_and_comes_down_again() -> None:
    for scene in scenes_of("bounces"):
        across, down, _ = measure(scene, frames=80)  # at least two bounces of at most 34 frames
        assert down.max() - down.min() > 0.25 * HEIGHT
        turns = (down.diff().sign().diff().abs() > 1).sum()
        assert turns >= 3
        assert (across - across[0]).abs().max() < 1.5


@pytest.mark.parametrize(("motion", "sign"), [("grows", 1), ("shrinks", -1)])
def test_what_grows_gets_larger_and_what_shrinks_gets_smaller(motion: str, sign: int) -> None:
    for scene in scenes_of(motion):
        across, down, area = measure(scene, frames=60)
        assert (area.diff() * sign >= -3).all()
        larger, smaller = (area[-1], area[0]) if sign > 0 else (area[0], area[-1])
        assert larger > 2.5 * smaller
        assert (across - across[0]).abs().max() < 4  # an edge of the picture may cut it
        assert (down - down[0]).abs().max() < 4


def test_what_stands_still_does_not_change_at_all() -> None:
    for scene in scenes_of("stands still"):
        clip = render(scene, frames=9)
        assert torch.equal(clip, clip[:, :1].expand_as(clip))


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_object_is_in_the_picture_at_the_start_and_comes_back(motion: str) -> None:
    for scene in scenes_of(motion):
        assert measure(scene, frames=1)[2] > 0.01 * WIDTH * HEIGHT
        later = [measure(scene, frames=1, start=1000.0 + n)[2].item() for n in range(0, 240, 12)]  # a whole round
        assert max(later) > 0.01 * WIDTH * HEIGHT


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_the_object_has_its_colour_and_no_other(colour: str, background: str) -> None:
    for shape in SHAPES:
        scene = draw(Words(colour, shape, "stands still", background))
        clip = render(scene, frames=1)
        inside = covered(scene, clip)[0].bool()
        seen = (clip[:, 0, inside].median(dim=1).values + 1) * 127.5
        distance = {name: (seen - torch.tensor(value)).norm().item() for name, value in COLOURS.items()}
        assert min(distance, key=lambda name: distance[name]) == colour


def test_every_colour_stands_out_from_every_background() -> None:
    for colour in COLOURS.values():
        for ends in BACKGROUNDS.values():
            for end in ends:
                assert max(abs(a - b) for a, b in zip(colour, end, strict=True)) >= 48  # white on snow


def test_shapes_differ_in_the_part_of_their_box_that_they_fill() -> None:
    """Measured on one large object each; a ball fills pi / 4 of its box, a square all of it."""
    filled = {}
    for shape in SHAPES:
        scene = replace(draw(Words("red", shape, "stands still", "night")), x=96.0, y=64.0, radius=45.0)
        mask = covered(scene, render(scene, frames=1))[0]
        rows, columns = mask.amax(1).sum(), mask.amax(0).sum()
        filled[shape] = (mask.sum() / (rows * columns)).item()
    assert filled["square"] > 0.97
    assert filled["ball"] == pytest.approx(torch.pi / 4, abs=0.03)
    assert filled["triangle"] == pytest.approx(0.5, abs=0.05)
    assert filled["star"] < 0.45


def test_about_a_tenth_of_the_combinations_is_held_out() -> None:
    assert len(ALL_WORDS) == len(COLOURS) * len(SHAPES) * len(MOTIONS) * len(BACKGROUNDS) == 1280
    assert 0.09 < len(HELD_OUT) / len(ALL_WORDS) < 0.11
    assert HELD_OUT.isdisjoint(TRAINED)
    assert HELD_OUT | set(TRAINED) == set(ALL_WORDS)


@pytest.mark.parametrize("field", ["colour", "shape", "motion", "background"])
def test_every_word_is_trained_and_asked_for_in_held_out_combinations(field: str) -> None:
    everything = {getattr(words, field) for words in ALL_WORDS}
    assert {getattr(words, field) for words in TRAINED} == everything
    assert {getattr(words, field) for words in HELD_OUT} == everything


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_same_chance_draws_the_same_pixels(motion: str) -> None:
    words = Words("blue", "star", motion, "sea")
    assert draw(words, seed=5) == draw(words, seed=5)
    assert draw(words, seed=5) != draw(words, seed=6)
    assert torch.equal(render(draw(words, seed=5), frames=3), render(draw(words, seed=5), frames=3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", ["moves left", "bounces", "grows"])
def test_a_crop_is_the_same_part_of_the_whole_picture(shape: str, motion: str) -> None:
    scene = draw(Words("green", shape, motion, "grass"), seed=3)
    left, top, width, height = 37, 11, 61, 53
    whole = render(scene, start=4.0, frames=5)[:, :, top : top + height, left : left + width]
    crop = render(scene, start=4.0, frames=5, crop=(left, top, width, height))
    assert crop.shape == (3, 5, height, width)
    torch.testing.assert_close(crop, whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_clip_that_starts_later_continues_the_same_scene(motion: str) -> None:
    scene = draw(Words("pink", "ball", motion, "sand"), seed=9)
    torch.testing.assert_close(render(scene, start=8.0, frames=4), render(scene, frames=12)[:, 8:], atol=1e-4, rtol=0)


def test_pixels_are_rgb_in_the_range_a_vae_takes() -> None:
    for n, words in enumerate(ALL_WORDS[::97]):
        clip = render(draw(words, seed=n), start=float(n), frames=2)
        assert clip.shape == (3, 2, HEIGHT, WIDTH)
        assert clip.dtype == torch.float32
        assert -1 <= clip.min() < clip.max() <= 1


def test_edges_are_antialiased() -> None:
    scene = draw(Words("white", "ball", "stands still", "night"))
    rise = (render(scene, frames=1) - render(empty(scene), frames=1))[0, 0]
    part = ((rise > 0.15) & (rise < 0.85)).sum()
    assert part > scene.radius  # about one such pixel for each pixel of the rim


def test_a_shape_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such shape: 'cube'"):
        render(draw(Words("red", "cube", "falls", "sea")), frames=1)

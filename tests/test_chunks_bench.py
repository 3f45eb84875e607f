"""What `python -m tests.bench.chunks` sees in films whose object is known: it stays, or it does not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.training.scenes import Words, draw_scene, render
from tests.bench.chunks.looks import END_FRAMES, Looks, centres, look, measure_fading, object_masks

FRAMES, SEAM = 2 * END_FRAMES, END_FRAMES
RED = Words("red", "square", "moves right", "night")


def drawn(words: Words, frames: int = FRAMES) -> NDArray[np.uint8]:
    """Slow enough to stay in the picture."""
    scene = draw_scene(words, width=160, height=96, rng=np.random.default_rng(3))
    clip = render(replace(scene, x=30.0, y=48.0, radius=18.0, end_radius=18.0, speed=0.8), frames=frames)
    return np.rint((clip.permute(1, 2, 3, 0).numpy() + 1) * 127.5).astype(np.uint8)


def seen(frames: NDArray[np.uint8]) -> Looks:
    return look(frames, [SEAM], motion=RED.motion)


def test_what_stays_the_same_is_seen_to() -> None:
    found = seen(drawn(RED))
    assert (found.seen, found.colour_kept, found.shape_kept, found.last_colour) == (True, True, True, "red")
    assert found.went_on == (True,)


@pytest.mark.parametrize("other", [replace(RED, colour="green"), replace(RED, shape="ball")], ids=["colour", "shape"])
def test_an_object_that_becomes_another_is_seen_to(other: Words) -> None:
    found = seen(np.concatenate([drawn(RED)[:SEAM], drawn(other)[SEAM:]]))
    assert (found.colour_kept, found.shape_kept) == (other.colour == "red", other.shape == "square")
    assert found.went_on == (True,)


def test_an_object_that_turns_round_at_the_seam_is_seen_to() -> None:
    there = drawn(RED)[:SEAM]
    assert seen(np.concatenate([there, there[::-1]])).went_on == (False,)


def test_where_the_object_is_cut_by_the_edge_nothing_is_said_of_its_direction() -> None:
    film = drawn(RED)
    places = centres(object_masks(film))
    assert np.isfinite(places).all()
    assert np.diff(places[:, 1]).mean() == pytest.approx(0.8, abs=0.02)
    film = film[:, :, 30:]
    assert np.isnan(centres(object_masks(film))[0]).all()
    assert look(film, [6], motion=RED.motion).went_on == ()
    assert look(film, [SEAM], motion="bounces").went_on == ()


def test_an_object_that_is_lost_is_not_kept() -> None:
    there = drawn(RED)
    empty = np.broadcast_to(np.median(there, axis=(0, 2), keepdims=True).astype(np.uint8), there.shape)
    found = seen(np.concatenate([there[:SEAM], empty[SEAM:]]))
    assert (found.seen, found.colour_kept, found.shape_kept) == (False, False, False)
    assert not seen(empty).colour_kept


def test_what_comes_back_comes_in_from_an_edge_or_out_of_nothing() -> None:
    there = drawn(RED, 400)  # it leaves on the right and comes in again on the left
    assert seen(there).came_in == (True,)
    empty = np.broadcast_to(np.median(there[:FRAMES], axis=(0, 2), keepdims=True).astype(np.uint8), there.shape)
    shown = there[:40]
    assert seen(np.concatenate([shown, empty[:40], shown])).came_in == (False,)
    assert seen(shown).came_in == seen(empty).came_in == ()


def test_colours_and_outlines_that_fade_are_measured_whatever_the_object_does() -> None:
    there = drawn(RED)
    still = measure_fading(there)
    assert (still.background, still.object) == (0, 0)
    assert (still.contrast, still.sharpness) == pytest.approx((1, 1), abs=0.03)

    def changed(at_the_end: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.concatenate([there[:SEAM], at_the_end])

    brighter = measure_fading(changed(there[SEAM:] + np.uint8(10)))
    assert (brighter.background, brighter.object) == pytest.approx((10, 10), abs=0.5)
    last = there[SEAM:].astype(np.float32)
    softer = sum(np.roll(last, (down, across), (1, 2)) for down in range(-2, 3) for across in range(-2, 3)) / 25
    assert measure_fading(changed(softer.astype(np.uint8))).sharpness < 0.7
    ground = np.median(last, axis=(0, 2), keepdims=True)
    assert measure_fading(changed(((last + ground) / 2).astype(np.uint8))).contrast == pytest.approx(0.5, abs=0.03)
    assert np.isnan(measure_fading(changed(np.broadcast_to(ground, last.shape).astype(np.uint8))).object)

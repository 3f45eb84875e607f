"""The miniature does what it is told, seen on pixels of the finished mp4: red is red, left is left.

Promises: a draft of a known sentence shows its colour, its motion and its background, to the end and across chunks;
another seed makes another draft; strange words do not break it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pipeline
from tests.judge import judge
from tests.watching import film_of


def make(prompt: str, folder: Path, *, frames: int = 49, seed: int = 11) -> NDArray[np.uint8]:
    """Frames of a finished draft, read back from its mp4."""
    return film_of(replace(pipeline.request(prompt, seed=seed), frames=frames), folder)


@pytest.fixture(scope="module")
def red_ball(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    """Four seconds in three chunks."""
    return make("a red ball moves left over snow", tmp_path_factory.mktemp("drafts"), frames=97)


def test_red_is_red_and_snow_is_snow(red_ball: NDArray[np.uint8]) -> None:
    seen = judge(red_ball[:49]).words
    assert (seen.colour, seen.background) == ("red", "snow")


def test_left_is_left_from_the_first_chunk_to_the_last(red_ball: NDArray[np.uint8]) -> None:
    assert judge(red_ball[:33]).words.motion == "moves left"
    assert judge(red_ball[-48:]).words.motion == "moves left"


def test_the_ball_keeps_its_colour_in_the_last_chunk(red_ball: NDArray[np.uint8]) -> None:
    assert judge(red_ball[-40:]).words.colour == "red"


def test_another_sentence_makes_another_picture(tmp_path: Path) -> None:
    seen = judge(make("over the grass, a white ball rising", tmp_path)).words
    assert (seen.colour, seen.motion, seen.background) == ("white", "rises", "grass")


@pytest.mark.slow
def test_another_seed_makes_another_draft(tmp_path: Path) -> None:
    first, second = (make("a blue ball bounces over sand", tmp_path, seed=seed).astype(int) for seed in (1, 2))
    assert np.abs(first - second).mean() > 2


def test_words_it_does_not_know_still_make_a_moving_picture(tmp_path: Path) -> None:
    frames = make("a zebra juggles seventeen umbrellas", tmp_path, frames=25)
    assert frames.shape == (25, 160, 256, 3)
    assert frames.std() > 5

"""The miniature with a drawn picture at its start or end: that is what the film shows there, and it goes on as told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pipeline
from pipeline.plan.spec import VideoShape
from pipeline.training.scenes import Words, draw_scene, render
from tests.judge import judge
from tests.watching import film_of

WIDTH, HEIGHT, FRAMES = 160, 96, 33
WORDS = Words("pink", "ball", "moves right", "sea")
SENTENCE = "a pink ball moves right over sea"  # without its colour the miniature lets it go: README
LIKE, UNLIKE = 26.0, 23.0  # dB; of 16 scenes 28.6 on average with a picture, 17.6 without: tests/bench/README.md


def drawn() -> NDArray[np.uint8]:
    scene = draw_scene(WORDS, width=WIDTH, height=HEIGHT, rng=np.random.default_rng(4))
    clip = render(scene, frames=FRAMES).permute(1, 2, 3, 0).numpy()
    return np.rint((clip + 1) * 127.5).astype(np.uint8)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """In dB."""
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def make(folder: Path, start: NDArray[np.uint8] | None, end: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The finished film of a draft that is given pictures."""
    names = []
    for picture in (start, end):
        path = folder / "picture.png"
        if picture is not None:
            Image.fromarray(picture).save(path)
        names.append(None if picture is None else pipeline.keep_picture(path, folder))
    wanted = replace(
        pipeline.request(SENTENCE, seed=5),
        shape=VideoShape(width=WIDTH, height=HEIGHT),
        frames=FRAMES,
        steps=16,
        start_image=names[0],
        end_image=names[1],
    )
    return film_of(wanted, folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    return make(tmp_path_factory.mktemp("plain"), None, None)


def test_a_film_begins_with_the_picture_and_its_object_keeps_its_colour(
    tmp_path: Path, plain: NDArray[np.uint8]
) -> None:
    scene = drawn()
    film = make(tmp_path, scene[0], None)
    assert psnr(plain[0], scene[0]) < UNLIKE
    assert psnr(film[0], scene[0]) > LIKE
    seen = judge(film).words
    assert (seen.colour, seen.motion, seen.background) == (WORDS.colour, WORDS.motion, WORDS.background)
    assert judge(film[-9:]).words.colour == WORDS.colour


@pytest.mark.slow
def test_a_film_ends_with_the_picture(tmp_path: Path, plain: NDArray[np.uint8]) -> None:
    scene = drawn()
    film = make(tmp_path, scene[0], scene[-1])
    assert psnr(film[0], scene[0]) > LIKE
    assert psnr(film[-1], scene[-1]) > psnr(plain[-1], scene[-1]) + 3
    assert psnr(film[-1], scene[-1]) > UNLIKE

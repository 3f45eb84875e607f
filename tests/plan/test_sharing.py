"""How many latents the shots of a storyboard have, against every other way to share them out."""

from collections.abc import Sequence
from itertools import pairwise, product
from math import fsum
from random import Random

import pytest

from pipeline.plan.sharing import share_latents

FPS = 24


def lengths(scenes: Sequence[Sequence[float]], frames: int, stride: int) -> list[int]:
    """Frames of each scene."""
    stops = [0, *share_latents(scenes, frames=frames, stride=stride)]
    lasts = [0]
    for scene in scenes:
        lasts.append(lasts[-1] + len(scene))
    return [(stops[last] - stops[first] - 1) * stride + 1 for first, last in pairwise(lasts)]


def on_grid(scenes: Sequence[Sequence[float]], stride: int) -> int:
    seconds = fsum(map(fsum, scenes))
    return max(len(scenes), round((seconds * FPS - len(scenes)) / stride)) * stride + len(scenes)


@pytest.mark.parametrize(
    ("scenes", "frames", "expected"),
    [
        ([[2, 1.5], [1]], 106, [81, 25]),
        ([[6], [0.7]], 162, [145, 17]),
        ([[0.7], [1], [1], [1], [5]], 205, [17, 25, 25, 25, 113]),
        ([[3]], 73, [73]),
    ],
)
def test_scenes_have_the_frames_that_their_seconds_say(
    scenes: list[list[float]], frames: int, expected: list[int]
) -> None:
    assert lengths(scenes, frames, 8) == expected


@pytest.mark.parametrize("stride", [4, 8])
def test_no_other_way_to_share_them_out_is_nearer(stride: int) -> None:
    random = Random(stride)
    for _ in range(200):
        scenes = [[random.uniform(0.5, 3) for _ in range(random.randint(1, 2))] for _ in range(random.randint(2, 3))]
        frames = on_grid(scenes, stride)
        together = fsum(map(fsum, scenes))
        wanted = [fsum(scene) / together * frames for scene in scenes]

        def miss(found: Sequence[int], wanted: list[float] = wanted) -> float:
            return fsum(abs(has - want) for has, want in zip(found, wanted, strict=True))

        found = lengths(scenes, frames, stride)
        assert sum(found) == frames
        others = (
            [has + way * stride for has, way in zip(found, ways, strict=True)]
            for ways in product((-1, 0, 1), repeat=len(scenes))
            if sum(ways) == 0
        )
        assert miss(found) <= min(map(miss, others)) + 1e-6


def test_shots_of_a_scene_meet_at_the_latent_nearest_to_where_their_seconds_do() -> None:
    assert share_latents([[2, 4]], frames=145, stride=8) == (7, 19)  # 49 frames are 2 s
    assert share_latents([[1, 1, 1], [2, 1]], frames=146, stride=8) == (4, 7, 10, 17, 20)


def test_a_shot_of_no_length_to_speak_of_has_nothing() -> None:
    assert share_latents([[4], [0.01]], frames=98, stride=8) == (13, 14)
    assert share_latents([[4, 0.01]], frames=97, stride=8) == (13, 13)

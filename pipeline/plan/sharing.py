"""How many of a draft's latents each shot has: those whose frames are nearest to what its seconds say.

A scene's first latent stands for one frame, every other for a whole stride of them (plan/scenes.py). So frames are
shared out among scenes first, a stride at a time, each next one to the scene that lacks most of one; a scene's shots
then meet at the latents nearest to where their seconds do.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import floor, fsum


def share_latents(scenes: Sequence[Sequence[float]], *, frames: int, stride: int) -> tuple[int, ...]:
    """The latent at which each shot ends, counted through all scenes. A shot that is too short may have none.

    Args:
        scenes: the seconds of each scene's shots; they say shares of `frames`, whatever their sum.
        frames: of the draft; `stride` k + the number of scenes.
        stride: frames that a latent stands for.
    """
    together = fsum(map(fsum, scenes))
    wanted = [(fsum(scene) / together * frames - 1) / stride for scene in scenes]
    given = [floor(strides) for strides in wanted]
    for _ in range((frames - len(scenes)) // stride - sum(given)):
        lacking = [want - has for want, has in zip(wanted, given, strict=True)]
        given[lacking.index(max(lacking))] += 1
    stops, start = list[int](), 0
    for scene, strides in zip(scenes, given, strict=True):
        own = fsum(scene)
        passed = [seconds / own * (strides * stride + 1) for seconds in accumulate(scene[:-1])]
        stops += [start + 1 + round((end - 1) / stride) for end in passed]
        start += strides + 1
        stops.append(start)
    return tuple(stops)

"""A draft with cuts: between two of them is a scene, a latent timeline of its own, one after the other.

A scene's first latent stands for one picture, as a draft's does without cuts, and no window reaches across a cut:

    latents      0 1 2 3 4 5 6 | 7 8 9 10
    chunk 0      [-----------] |             adds 0..6, 49 frames of 8 a latent
    chunk 1                    | [------]    is given nothing, adds 7..10, 25 frames
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from pipeline.plan.chunks import Chunk, Seam, Slice, plan_seams, plan_slices


def plan_all_slices(chunks: Sequence[Chunk], *, window: int, stride: int, causal: bool = False) -> tuple[Slice, ...]:
    """The decode windows of all scenes, in order; see `plan_slices`. Nothing is held back or faded across a cut."""
    slices: list[Slice] = []
    done = 0
    for start, scene in _scenes(chunks):
        for piece in plan_slices(scene, window=window, stride=stride, causal=causal):
            slices.append(
                replace(
                    piece,
                    index=len(slices),
                    start=piece.start + start,
                    stop=piece.stop + start,
                    first_frame=piece.first_frame + done,
                    scene_start=start,
                )
            )
        done += _frames(scene, stride)
    return tuple(slices)


def plan_all_seams(chunks: Sequence[Chunk], slices: Sequence[Slice], *, stride: int) -> tuple[Seam, ...]:
    """Where chunks of one scene meet, in order; a cut is none."""
    seams: list[Seam] = []
    done = 0
    for start, scene in _scenes(chunks):
        own = tuple(
            replace(piece, first_frame=piece.first_frame - done) for piece in slices if piece.scene_start == start
        )
        seams += [replace(seam, frame=seam.frame + done) for seam in plan_seams(scene, own, stride=stride)]
        done += _frames(scene, stride)
    return tuple(seams)


def find_cuts(chunks: Sequence[Chunk], *, stride: int) -> tuple[int, ...]:
    """The first frame of each scene after the first."""
    stops = chunk_stops(chunks, stride=stride)
    return tuple(stops[chunk.index - 1] for chunk in chunks[1:] if chunk.opens_scene)


def chunk_stops(chunks: Sequence[Chunk], *, stride: int) -> tuple[int, ...]:
    """How many frames there are when each chunk is decoded to its end."""
    stops: list[int] = []
    done = 0
    for _, scene in _scenes(chunks):
        stops += [done + (chunk.stop - 1) * stride + 1 for chunk in scene]
        done = stops[-1]
    return tuple(stops)


def longest_scene(chunks: Sequence[Chunk]) -> int:
    """Latents of the longest of them."""
    return max(scene[-1].stop for _, scene in _scenes(chunks))


def _scenes(chunks: Sequence[Chunk]) -> list[tuple[int, tuple[Chunk, ...]]]:
    """Where each scene begins, and its chunks as if the draft began there."""
    return [
        (start, tuple(replace(chunk, start=chunk.start - start, stop=chunk.stop - start) for chunk in scene))
        for start, scene in groupby(chunks, key=lambda chunk: chunk.scene_start)
    ]


def _frames(scene: Sequence[Chunk], stride: int) -> int:
    return (scene[-1].stop - 1) * stride + 1

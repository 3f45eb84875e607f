"""Whether the chunks and slices of a plan that was read from a file fit together, as those of one that was made do."""

from collections.abc import Sequence

from pipeline.plan.chunks import Chunk, Slice


def check_chunks(chunks: Sequence[Chunk], *, latents: int, shots: int) -> None:
    """Raises ValueError unless they add every one of `latents` once, in order, each of shots that are there.

    Args:
        shots: how many there are.
    """
    done = scene = 0
    for index, chunk in enumerate(chunks):
        named = {chunk.shot, *(shot for shot, _ in chunk.mix)}
        fits = (
            chunk.index == index
            and chunk.start <= chunk.start + chunk.overlap == done < chunk.stop
            and chunk.scene_start in (scene, done)
            and chunk.scene_start <= chunk.start
            and 0 <= chunk.ahead <= latents - chunk.stop
            and named <= set(range(shots))
            and 0 <= chunk.seed < 2**32
            and all(block > 0 for block in chunk.blocks)
            and sum(chunk.blocks) <= chunk.new_latents
            and all(chunk.start <= start < stop <= chunk.stop for start, stop in chunk.windows)
        )
        if not fits:
            raise ValueError(f"chunk {index + 1} does not fit the others")
        done, scene = chunk.stop, chunk.scene_start
    if done != latents:
        raise ValueError(f"its chunks make {done} of {latents} latents")


def check_slices(slices: Sequence[Slice], *, chunks: int, latents: int, frames: int) -> None:
    """Raises ValueError unless they show every one of `frames` once, in order, each decoded from latents that its chunk
    has made.

    Args:
        chunks, latents: how many there are.
    """
    done = before = 0
    for index, piece in enumerate(slices):
        fits = (
            (piece.index, piece.first_frame) == (index, done)
            and before <= piece.chunk < chunks
            and 0 <= piece.scene_start <= piece.start < piece.stop <= latents
            and min(piece.skip, piece.fade, piece.hold) >= 0
            and piece.frames > 0
        )
        if not fits:
            raise ValueError(f"slice {index + 1} does not fit the others")
        done, before = done + piece.frames, piece.chunk
    if done != frames:
        raise ValueError(f"its slices show {done} of {frames} frames")

"""More chunks behind those of a draft that is there. Integers only, as in plan/chunks.py."""

from dataclasses import replace

from pipeline.plan.chunks import Chunk, plan_chunks, split_new


def extend_chunks(
    chunks: tuple[Chunk, ...], latents: int, *, longest: int, overlap: int, shot: int
) -> tuple[Chunk, ...]:
    """The chunks, and as few more as possible, of nearly equal length, up to `latents`.

    Args:
        chunks: at least one; they stay as they are.
        latents: length of the timeline then.
        longest: most latents in a new window; more than `overlap`.
        overlap: latents that each new chunk is given; fewer where its scene has no more.
        shot: theirs. Each has the seed after that of the chunk before it.
    """
    last = chunks[-1]
    given = min(overlap, last.stop - last.scene_start)
    start = last.stop - given
    windows = plan_chunks(
        latents - start, longest=longest, overlap=overlap, seed=last.seed + 1, shot_stops=(latents - start,)
    )
    more = (
        replace(
            window,
            index=len(chunks) + window.index,
            start=start + window.start,
            stop=start + window.stop,
            overlap=window.overlap if window.index else given,
            shot=shot,
            scene_start=last.scene_start,
        )
        for window in windows
    )
    return (*chunks, *more)


def extend_rollout(
    chunks: tuple[Chunk, ...], latents: int, *, longest: int, overlap: int | None, block: int, shot: int
) -> tuple[Chunk, ...]:
    """The chunks of a causal model, and its next blocks, up to `latents`.

    Args:
        overlap: latents that a chunk is given, where its scene has so many; None for as many as there is room for.
        block: latents denoised together. A last block that is cut short stays so.
    """
    found = list(chunks)
    start = chunks[-1].scene_start
    for blocks in split_new(chunks[-1].stop - start, latents - start, block, longest=longest, overlap=overlap):
        done = found[-1].stop
        stop = done + sum(blocks)
        room = longest - sum(blocks)
        given = min(done - chunks[-1].scene_start, room if overlap is None else min(room, overlap))
        found.append(
            Chunk(
                index=len(found),
                start=done - given,
                stop=stop,
                overlap=given,
                seed=(found[-1].seed + 1) % 2**32,
                shot=shot,
                blocks=blocks,
                scene_start=chunks[-1].scene_start,
            )
        )
    return tuple(found)

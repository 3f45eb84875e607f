"""What chunks before it a chunk follows in its own shot. Integers only."""

from pipeline.plan.chunks import Chunk


def goes_on(chunks: tuple[Chunk, ...], chunk: Chunk) -> bool:
    """Whether a chunk shows nothing but the shot that the one before it shows, which has to be among `chunks`."""
    alike = chunk.scene_start, chunk.shot, ()
    before = (one for one in chunks if one.index == chunk.index - 1)
    return not chunk.mix and any((one.scene_start, one.shot, one.mix) == alike for one in before)


def first_of_shot(chunks: tuple[Chunk, ...], chunk: Chunk) -> Chunk | None:
    """The chunk before another that first shows the same shot, and nothing of the shot before; None where none does."""
    alike = chunk.scene_start, chunk.shot, ()
    before = (one for one in chunks if one.index < chunk.index)
    return next((one for one in before if (one.scene_start, one.shot, one.mix) == alike), None)


def recallable(chunks: tuple[Chunk, ...], chunk: Chunk) -> range:
    """Places on the timeline of what the first chunk of its shot added, those that a chunk is given left out.

    A scene's very first latent, too, which stands for one frame only.
    """
    first = None if chunk.mix else first_of_shot(chunks, chunk)
    if first is None:
        return range(0)
    start = max(first.start + first.overlap, first.scene_start + 1)
    return range(start, max(start, min(first.stop, chunk.start)))

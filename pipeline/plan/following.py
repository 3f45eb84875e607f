"""What chunks before it a chunk follows in its own shot. How it is guided follows from that."""

from pipeline.plan.chunks import Chunk
from pipeline.plan.spec import Continuity


def goes_on(chunks: tuple[Chunk, ...], chunk: Chunk) -> bool:
    """Whether a chunk shows nothing but the shot that the one before it shows, which has to be among `chunks`."""
    alike = chunk.scene_start, chunk.shot, ()
    before = (one for one in chunks if one.index == chunk.index - 1)
    return not chunk.mix and any((one.scene_start, one.shot, one.mix) == alike for one in before)


def leaves(chunks: tuple[Chunk, ...], chunk: Chunk) -> int | None:
    """The shot that what a chunk is given still shows, and the chunk itself less or no more; None where there is none.

    The chunk before has to be among `chunks`.
    """
    if goes_on(chunks, chunk):
        return None
    told = next((one for one in chunks if (one.index, one.scene_start) == (chunk.index - 1, chunk.scene_start)), None)
    if told is None:
        return None
    shot = (told.mix or ((told.shot, 1.0),))[0][0]
    return shot if shot != chunk.shot else None


def share_guided(chunks: tuple[Chunk, ...], chunk: Chunk, continuity: Continuity) -> float:
    """The share of its steps, the last ones, in which a chunk that is guided at all is guided."""
    if goes_on(chunks, chunk):
        return continuity.guided_share
    turns = continuity.turn_away and leaves(chunks, chunk) is not None
    return continuity.turn_away if turns else 1.0


def first_of_shot(chunks: tuple[Chunk, ...], chunk: Chunk) -> Chunk | None:
    """The chunk before another that first shows the same shot, and nothing of the shot before; None where none does."""
    alike = chunk.scene_start, chunk.shot, ()
    before = (one for one in chunks if one.index < chunk.index)
    return next((one for one in before if (one.scene_start, one.shot, one.mix) == alike), None)


def sharing_noise(chunks: tuple[Chunk, ...], chunk: Chunk, share: float) -> range:
    """Places in the window of its scene's first chunk whose noise a chunk's first new latents begin from: those that
    lie as far from its end as what the chunk adds, `share` of that in whole latents. None for that chunk itself."""
    if chunk.opens_scene:
        return range(0)
    first = next(one for one in chunks if one.scene_start == chunk.scene_start)
    start = max(0, first.latents - chunk.new_latents)
    return range(start, min(start + round(share * chunk.new_latents), first.latents))


def recallable(chunks: tuple[Chunk, ...], chunk: Chunk) -> range:
    """Places on the timeline of what the first chunk of its shot added, those that a chunk is given left out.

    A scene's very first latent, too, which stands for one frame only.
    """
    first = None if chunk.mix else first_of_shot(chunks, chunk)
    if first is None:
        return range(0)
    start = max(first.start + first.overlap, first.scene_start + 1)
    return range(start, max(start, min(first.stop, chunk.start)))

"""Shorter chunks for what is left of a draft: those that are finished stay as they are. Integers only.

finished   0 1 2 3 4 5 6 7 8                   longest 5, overlap 2
was                [===----------------)
is                 [===--)
                      [==---)                  and so on to the same end
"""

from dataclasses import replace

from pipeline.plan.chunks import Chunk

SEEDS_APART = 2**16
"""For each latent that a further piece begins later: chunks' own seeds count up by one, and none may come twice."""


def recut(chunks: tuple[Chunk, ...], done: int, *, longest: int, overlap: int | None, seed: int) -> tuple[Chunk, ...]:
    """The first `done` chunks, then the others cut into such of at most `longest` latents where they are longer.

    Args:
        overlap: latents that each further piece of a chunk is given. None for a causal model, whose chunks are not cut
            but given less.
        seed: the draft's.
    """
    found = list(chunks[:done])
    for chunk in chunks[done:]:
        pieces = _see_less(chunk, longest) if overlap is None or chunk.blocks else _split(chunk, longest, overlap, seed)
        found += [replace(piece, index=len(found) + number) for number, piece in enumerate(pieces)]
    return tuple(found)


def _split(chunk: Chunk, longest: int, overlap: int, seed: int) -> list[Chunk]:
    """Pieces of nearly equal length, the first with what the chunk was given and its seed."""
    if chunk.latents <= longest or longest <= max(overlap, chunk.overlap):
        return [chunk]
    count = 1 + -(-(chunk.latents - longest) // (longest - overlap))
    total = chunk.latents + (count - 1) * overlap
    lengths = [total // count + (index < total % count) for index in range(count)]
    if lengths[0] <= chunk.overlap:
        return [chunk]
    pieces, start = [], chunk.start
    for number, length in enumerate(lengths):
        given = overlap if number else chunk.overlap
        own = (seed + SEEDS_APART * (start + given)) % 2**32 if number else chunk.seed
        pieces.append(replace(chunk, start=start, stop=start + length, overlap=given, seed=own))
        start += length - overlap
    return pieces


def _see_less(chunk: Chunk, longest: int) -> list[Chunk]:
    """The chunk, given no more of what came before than fits; always something where it was given anything."""
    given = min(chunk.overlap, max(1, longest - chunk.new_latents))
    return [replace(chunk, start=chunk.start + chunk.overlap - given, overlap=given)]

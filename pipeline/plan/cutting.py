"""Where a request is cut into chunks: what was asked for and its model, as the integers of plan/chunks.py.

Chunks end where shots do, but for a causal model's, which are blocks of one length. Where two shots meet smoothly, the
sentence of the first passes into that of the second over the first latents of the second, as many as chunks share or,
of a causal model, as a block has: a chunk is made of both with the mean weights of the latents it adds. Nothing before
such a place knows what follows.
"""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.plan.chunks import Chunk, denoise_together, plan_chunks, plan_rollout
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Keyframe, Tail


def cut(request: GenerationRequest, longest: int) -> tuple[Chunk, ...]:
    """Chunks of at most `longest` latents, but never of fewer than add something to what they are given."""
    longest, stops, chunks = max(longest, least_latents(request)), request.shot_stops, list[Chunk]()
    for scene in request.scenes:
        start = stops[scene.start - 1] if scene.start else 0
        ends = {shot: stops[shot] - start for shot in scene}
        for chunk in _cut_scene(request, ends, longest):
            moved = replace(
                chunk,
                index=len(chunks),
                start=chunk.start + start,
                stop=chunk.stop + start,
                seed=(request.seed + len(chunks)) % 2**32,
                scene_start=start,
                mix=_mix(chunk, ends, passage=request.spec.block_latents or overlap_latents(request) or 0),
            )
            if moved.blocks and not chunks and Keyframe.START in request.pictures:
                moved = replace(moved, blocks=moved.blocks[1:])  # the picture is its first block
            chunks.append(moved)
    return denoise_together(tuple(chunks)) if request.continued_by is Tail.CO_DENOISE else tuple(chunks)


def least_latents(request: GenerationRequest) -> int:
    """Of a chunk that adds something to what it is given."""
    return (overlap_latents(request) or 1) + (request.spec.block_latents or 1)


def told_by(request: GenerationRequest, chunk: Chunk) -> Tail:
    """How one chunk is told what came before: in the model's usual way behind what was denoised together."""
    if chunk.windows:
        return Tail.CO_DENOISE
    apart = request.continued_by is Tail.CO_DENOISE and chunk.overlap
    return request.spec.tail if apart else request.continued_by


def overlap_latents(request: GenerationRequest) -> int | None:
    """Latents that neighbouring chunks share; None for as many as there is room for, as a causal model takes them."""
    spec = request.spec
    if request.overlap_frames is None:
        return None if spec.block_latents else spec.latents_of(spec.overlap_frames)
    return spec.latents_of(request.overlap_frames)


def _cut_scene(request: GenerationRequest, ends: Mapping[int, int], longest: int) -> list[Chunk]:
    """The chunks of a scene as if it were the draft; `ends` is where each of its shots ends."""
    overlap, block = overlap_latents(request), request.spec.block_latents
    if block:
        stops, first = tuple(ends.values()), min(ends)
        rolled = plan_rollout(
            stops[-1], longest=longest, overlap=overlap, block=block, seed=request.seed, shot_stops=stops
        )
        return [replace(chunk, shot=first + chunk.shot) for chunk in rolled]
    assert overlap is not None
    chunks: list[Chunk] = []
    done = 0
    for shot, end in ends.items():
        given = min(overlap, done)
        start, total = done - given, end - done + given
        for chunk in plan_chunks(total, longest=longest, overlap=overlap, seed=request.seed, shot_stops=(total,)):
            shared = chunk.overlap if chunk.index else given
            chunks.append(replace(chunk, start=start + chunk.start, stop=start + chunk.stop, overlap=shared, shot=shot))
        done = end
    return chunks


def _mix(chunk: Chunk, ends: Mapping[int, int], *, passage: int) -> tuple[tuple[int, float], ...]:
    """Shots and their weights in a chunk of a scene; nothing where it is one shot's alone."""
    weights = dict.fromkeys(ends, 0.0)
    added = range(chunk.start + chunk.overlap, chunk.stop)
    first, start = min(ends), 0
    for shot, end in ends.items():
        length = min(passage, (end - start) // 2) if shot != first else 0  # half of a short shot is all its own
        for latent in range(max(start, added.start), min(end, added.stop)):
            own = min(1.0, (latent - start + 0.5) / length) if length else 1.0
            weights[shot] += own / len(added)
            if own < 1:
                weights[shot - 1] += (1 - own) / len(added)
        start = end
    told = tuple((shot, weight) for shot, weight in weights.items() if weight > 0)
    return told if len(told) > 1 else ()

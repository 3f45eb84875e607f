"""Where a request is cut into chunks: what was asked for and its model, as the integers of plan/chunks.py."""

from pipeline.plan.chunks import Chunk, denoise_together, plan_chunks, plan_rollout
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Tail


def cut(request: GenerationRequest, longest: int) -> tuple[Chunk, ...]:
    """Chunks of at most `longest` latents, but never of fewer than add something to what they are given."""
    spec, overlap = request.spec, overlap_latents(request)
    total, longest = spec.latents_of(request.frames), max(longest, least_latents(request))
    stops = _shot_stops(request, total)
    if spec.block_latents:
        return plan_rollout(
            total, longest=longest, overlap=overlap, block=spec.block_latents, seed=request.seed, shot_stops=stops
        )
    assert overlap is not None
    chunks = plan_chunks(total, longest=longest, overlap=overlap, seed=request.seed, shot_stops=stops)
    return denoise_together(chunks) if request.continued_by is Tail.CO_DENOISE else chunks


def least_latents(request: GenerationRequest) -> int:
    """Of a chunk that adds something to what it is given."""
    return (overlap_latents(request) or 1) + (request.spec.block_latents or 1)


def overlap_latents(request: GenerationRequest) -> int | None:
    """Latents that neighbouring chunks share; None for as many as there is room for, as a causal model takes them."""
    spec = request.spec
    if request.overlap_frames is None:
        return None if spec.block_latents else spec.latents_of(spec.overlap_frames)
    return spec.latents_of(request.overlap_frames)


def _shot_stops(request: GenerationRequest, total: int) -> tuple[int, ...]:
    seconds = [shot.seconds for shot in request.shots]
    passed = [sum(seconds[: index + 1]) / sum(seconds) for index in range(len(seconds))]
    return (*(round(share * total) for share in passed[:-1]), total)

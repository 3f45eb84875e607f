"""What the folder of a draft will hold, and whether there is room for as much."""

from pipeline.errors import DoesNotFit
from pipeline.plan.chunks import Chunk
from pipeline.plan.placement import Budget
from pipeline.plan.request import GenerationRequest

LATENT_BYTES = 4  # float32 on disk
VIDEO_BYTES_PER_PIXEL = 0.1  # of every frame, slices and joined; H.264 at crf 20 stays far below for most pictures


def disk_bytes(request: GenerationRequest, chunks: tuple[Chunk, ...]) -> int:
    """What the folder of a draft in these chunks will hold."""
    spec, shape = request.spec, request.shape
    cells = (shape.width // spec.latent_pixels) * (shape.height // spec.latent_pixels)
    longest = max(chunk.latents for chunk in chunks)
    running = 2 * spec.sampler_tensors * longest  # where a chunk stands, and the next such file before it replaces it
    latents = (sum(chunk.latents for chunk in chunks) + running) * cells * spec.latent_channels * LATENT_BYTES
    pictures = 3 * shape.pixels * len(request.pictures)  # as PNG no more
    return latents + pictures + int(2 * VIDEO_BYTES_PER_PIXEL * shape.pixels * request.frames)


def check_disk(need_bytes: int, budget: Budget) -> None:
    """Raise DoesNotFit where the disk has no room for as much."""
    if need_bytes > budget.disk_bytes:
        raise DoesNotFit("drafts folder", need_bytes, budget.disk_bytes, "Free some disk space.", where="disk")

"""What a chunk is told before it is denoised: sentences, what follows it, and afterwards the look it keeps."""

from collections.abc import Mapping

from torch import Tensor

from pipeline.models.base import Sampling
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import Transition
from pipeline.prompt.cache import PromptEmbeds
from pipeline.prompt.mixing import mix_embeds
from pipeline.video.look import keep_look


def sampling_of(
    plan: DraftPlan, chunk: Chunk, embeds: Mapping[str, PromptEmbeds], behind: Mapping[int, Tensor]
) -> Sampling:
    """How a chunk is denoised.

    Args:
        embeds: by sentence.
        behind: latents [1, C, F, h, w], overlap included, of chunks that are finished behind it, by index.
    """
    request = plan.request
    shots = chunk.mix or ((chunk.shot, 1.0),)
    return Sampling(
        shape=request.shape,
        steps=request.steps,
        guidance=request.guidance,
        positive=mix_embeds([(embeds[request.shots[shot].prompt], weight) for shot, weight in shots]),
        negative=embeds[request.negative_prompt] if plan.guided else None,
        ahead=_ahead(plan, chunk, behind.get(chunk.index + 1)),
        tail=request.continued_by,
    )


def _ahead(plan: DraftPlan, chunk: Chunk, follows: Tensor | None) -> Tensor | None:
    """The first latents behind a chunk, where they are given and there."""
    if not chunk.ahead or follows is None:
        return None
    first = plan.chunks[chunk.index + 1].overlap
    return follows[:, :, first : first + chunk.ahead]


def keeping_look(plan: DraftPlan, chunk: Chunk, latents: Tensor, timeline: Tensor | None) -> Tensor:
    """A chunk's latents, with the first chunk's look where it comes after a cut that keeps it.

    Args:
        timeline: the draft's latents so far.
    """
    keeps = plan.request.shots[chunk.shot].transition is Transition.SAME_LOOK
    if timeline is None or not chunk.opens_scene or not keeps:
        return latents
    return keep_look(latents, timeline[:, :, : plan.chunks[0].stop])

"""What a chunk is told before it is denoised: sentences, pictures, what follows; and afterwards the look it keeps."""

from collections.abc import Mapping

from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.drafts.pictures import read_beside
from pipeline.models.base import Sampling, VideoModel
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import Transition
from pipeline.plan.spec import Keyframe, Tail
from pipeline.prompt.cache import PromptEmbeds
from pipeline.prompt.mixing import mix_embeds
from pipeline.video.look import keep_look


def sampling_of(
    plan: DraftPlan,
    chunk: Chunk,
    embeds: Mapping[str, PromptEmbeds],
    behind: Mapping[int, Tensor],
    end: Tensor | None = None,
) -> Sampling:
    """How a chunk is denoised.

    Args:
        embeds: by sentence.
        behind: latents [1, C, F, h, w], overlap included, of chunks that are finished behind it, by index.
        end: from `picture_of`, where the chunk ends with a picture.
    """
    request = plan.request
    begins_with_picture = chunk.index == 0 and Keyframe.START in request.pictures
    shots = chunk.mix or ((chunk.shot, 1.0),)
    return Sampling(
        shape=request.shape,
        steps=request.steps,
        guidance=request.guidance,
        positive=mix_embeds([(embeds[request.shots[shot].prompt], weight) for shot, weight in shots]),
        negative=embeds[request.negative_prompt] if plan.guided else None,
        ahead=end if plan.spec.holds_end and end is not None else _ahead(plan, chunk, behind.get(chunk.index + 1)),
        keyframe=None if plan.spec.holds_end else end,
        tail=Tail.LATENTS if begins_with_picture else request.continued_by,  # a picture is held, however chunks go on
    )


def picture_of(plan: DraftPlan, chunk: Chunk, place: Keyframe, model: VideoModel, journal: Journal) -> Tensor | None:
    """The latent [1, C, 1, h, w] of a picture that is given to a chunk: to the first at its start, to the last at its
    end; None for others.

    Raises:
        InvalidRequest: when the picture is not beside the draft.
    """
    index = 0 if place is Keyframe.START else len(plan.chunks) - 1
    if chunk.index != index or place not in plan.request.pictures:
        return None
    frames = read_beside(journal, place, plan.request.shape)
    if place is Keyframe.END and plan.spec.holds_end:
        return model.encode_frames(frames.repeat(1 + plan.spec.frame_stride, axis=0))[:, :, 1:]
    return model.encode_frames(frames)


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

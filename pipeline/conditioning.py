"""What a chunk is told before it is denoised: sentences, pictures, what follows; the look it is given afterwards; and
what a decode window sees of it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.drafts.pictures import read_beside
from pipeline.models.base import Recalled, Sampling, SharedNoise, VideoModel
from pipeline.models.recalling import recall
from pipeline.plan.chunks import Chunk, Slice
from pipeline.plan.cutting import told_by
from pipeline.plan.draft import DraftPlan
from pipeline.plan.following import first_of_shot, leaves, recallable, share_guided, sharing_noise
from pipeline.plan.request import Transition
from pipeline.plan.spec import Keyframe, Tail
from pipeline.prompt.cache import PromptEmbeds
from pipeline.prompt.mixing import mix_embeds
from pipeline.video.look import anchor_look, keep_look


def sampling_of(
    plan: DraftPlan,
    chunk: Chunk,
    embeds: Mapping[str, PromptEmbeds],
    timeline: Tensor | None,
    behind: Mapping[int, Tensor],
    end: Tensor | None = None,
) -> Sampling:
    """How a chunk is denoised.

    Args:
        embeds: by sentence.
        timeline: the draft's latents [1, C, F, h, w] so far, up to where the chunk's own begin; None for none.
        behind: latents [1, C, F, h, w], overlap included, of chunks that are finished behind it, by index.
        end: from `picture_of`, where the chunk ends with a picture.
    """
    request = plan.request
    begins_with_picture = chunk.index == 0 and Keyframe.START in request.pictures
    shots = chunk.mix or ((chunk.shot, 1.0),)
    recalled = _recalled(plan, chunk, timeline)
    return Sampling(
        shape=request.shape,
        steps=request.steps,
        guidance=request.guidance,
        positive=mix_embeds([(embeds[request.shots[shot].prompt], weight) for shot, weight in shots]),
        negative=_negative(plan, chunk, embeds) if plan.guided else None,
        ahead=end if plan.spec.holds_end and end is not None else _ahead(plan, chunk, behind.get(chunk.index + 1)),
        keyframe=None if plan.spec.holds_end else end,
        # A picture is held and certain, however chunks go on
        tail=Tail.LATENTS if begins_with_picture else told_by(request, chunk),
        tail_strength=1.0 if begins_with_picture else request.continuity.tail_strength,
        shared_noise=_shared_noise(plan, chunk),
        # What is still in view guides a chunk well enough; of what has gone the sentence knows more
        guided_share=1.0 if recalled else share_guided(plan.chunks, chunk, request.continuity),
        recalled=recalled,
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


def _negative(plan: DraftPlan, chunk: Chunk, embeds: Mapping[str, PromptEmbeds]) -> PromptEmbeds:
    """What a chunk is guided away from."""
    request, shot = plan.request, leaves(plan.chunks, chunk)
    if shot is None or not request.continuity.turn_away:
        return embeds[request.negative_prompt]
    before, own = (request.shots[one].prompt for one in (shot, chunk.shot))
    return embeds[request.negative_prompt if before == own else before]  # away from its own would lead nowhere


def _ahead(plan: DraftPlan, chunk: Chunk, follows: Tensor | None) -> Tensor | None:
    """The first latents behind a chunk, where they are given and there."""
    if not chunk.ahead or follows is None:
        return None
    first = plan.chunks[chunk.index + 1].overlap
    return follows[:, :, first : first + chunk.ahead]


def _shared_noise(plan: DraftPlan, chunk: Chunk) -> SharedNoise | None:
    """What a chunk begins from of its scene's first one's noise; None for that chunk itself, and where nothing is."""
    shared = sharing_noise(plan.chunks, chunk, plan.request.continuity.shared_noise)
    if not shared:
        return None
    first = next(other for other in plan.chunks if other.scene_start == chunk.scene_start)
    return SharedNoise(seed=first.seed, latents=first.latents, start=shared.start, stop=shared.stop)


def _recalled(plan: DraftPlan, chunk: Chunk, timeline: Tensor | None) -> Recalled | None:
    """What its shot's first chunk showed and the end of what is there does not."""
    share = plan.request.continuity.recall
    if not share or timeline is None:
        return None
    return recall(timeline, recallable(plan.chunks, chunk), start=chunk.start, share=share)


def keeping_look(plan: DraftPlan, chunk: Chunk, latents: Tensor, timeline: Tensor | None) -> Tensor:
    """A chunk's latents: with the draft's first chunk's look after a cut that keeps it, anchored to that of their
    shot's first chunk elsewhere. What a chunk is given stays as it is, a picture at its
    end among it, and so does one that is made between two.

    Args:
        timeline: the draft's latents so far.
    """
    if timeline is None:
        return latents
    held = plan.spec.holds_end and Keyframe.END in plan.request.pictures and chunk.index == len(plan.chunks) - 1
    given, new, end = latents.tensor_split((chunk.overlap, latents.shape[2] - held), dim=2)
    if not new.numel():
        return latents
    if chunk.opens_scene:
        if plan.request.shots[chunk.shot].transition is not Transition.SAME_LOOK:
            return latents
        new = keep_look(new, timeline[:, :, : plan.chunks[0].stop])
    else:
        anchor = first_of_shot(plan.chunks, chunk)
        factor = plan.request.continuity.anchor
        if not factor or anchor is None or chunk.ahead:
            return latents
        new = anchor_look(new, timeline[:, :, anchor.start + anchor.overlap : anchor.stop], factor)
    return torch.cat([given, new, end], dim=2)


def seen_by(piece: Slice, chunks: Sequence[Chunk], timeline: Tensor, overlaps: Mapping[int, Tensor]) -> Tensor:
    """The latents [1, C, F, h, w] of a decode window.

    Args:
        timeline: the draft's latents so far.
        overlaps: by chunk, the version of the latents that it was given which takes their place once it is there.
    """
    latents = timeline[:, :, piece.start : piece.stop]
    for chunk in chunks[: piece.chunk + 1]:
        first, stop = max(chunk.start, piece.start), min(chunk.start + chunk.overlap, piece.stop)
        if chunk.index in overlaps and first < stop:
            latents = latents.clone()
            version = overlaps[chunk.index][:, :, first - chunk.start : stop - chunk.start]
            latents[:, :, first - piece.start : stop - piece.start] = version
    return latents

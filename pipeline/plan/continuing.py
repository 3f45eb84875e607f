"""What may be asked of how chunks go on from one another: the way, what else holds them together, their lengths."""

from dataclasses import asdict

from pipeline.errors import InvalidRequest
from pipeline.plan.spec import LOOSE, Continuity, ModelSpec, Tail

RANGES = {
    "tail_strength": (0.5, 1.0),
    "anchor": (0.0, 1.0),
    "shared_noise": (0.0, 0.5),
    "match_colour": (0.0, 1.0),
    "guided_share": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "turn_away": (0.0, 1.0),
}
"""Least and most. With less than half of its strength a tail is more noise than picture; where more than half of the
noise is shared, another seed hardly makes another chunk."""
PARTLY_HELD = (Tail.LATENTS, Tail.REPAINT)
"""Ways whose overlap is the timeline's own latents, which noise can be added to and two versions be made one of."""


def check_tail(spec: ModelSpec, tail: str | None, *, shots: int) -> None:
    """Refuse a way that a model does not have, or that so many shots cannot go."""
    if tail is None:
        return
    if tail not in spec.tails:
        raise InvalidRequest(
            "tail",
            f"{spec.title} cannot go on by {tail!r}: it can by {', '.join(spec.tails)}.",
            f"Nearest: {spec.tail}, its usual way.",
        )
    if tail == Tail.CO_DENOISE and shots > 1:
        raise InvalidRequest(
            "tail",
            f"All chunks are denoised together by {tail}, so they have one sentence, not {shots}.",
            f"Nearest: {spec.tail}.",
        )


def check_continuity(spec: ModelSpec, tail: Tail, continuity: Continuity) -> None:
    """Refuse values out of range, and what chunks of a model that go on by `tail` cannot be held by."""
    for field, value in asdict(continuity).items():
        least, most = RANGES[field]
        if not least <= value <= most:  # NaN is neither
            nearest = min(max(value, least), most) if value == value else getattr(LOOSE, field)
            raise InvalidRequest(
                field,
                f"{field.replace('_', ' ').capitalize()} cannot be {value:g}: {least:g} to {most:g}.",
                f"Nearest: {nearest:g}.",
            )
    if continuity.tail_strength < 1 and tail not in PARTLY_HELD:
        raise InvalidRequest(
            "tail_strength",
            f"Chunks that go on by {tail} take what they are given as it is: a tail strength of "
            f"{continuity.tail_strength:g} is possible by {', '.join(PARTLY_HELD)} only.",
            f"Nearest: {LOOSE.tail_strength:g}.",
        )
    if continuity.shared_noise and tail is Tail.CO_DENOISE:
        raise InvalidRequest(
            "shared_noise",
            f"All chunks are denoised together by {tail}, none before another: shared noise cannot be "
            f"{continuity.shared_noise:g}.",
            f"Nearest: {LOOSE.shared_noise:g}.",
        )
    if continuity.guided_share < 1 and not spec.batched_guidance:
        raise InvalidRequest(
            "guided_share",
            f"{spec.title} cannot be guided in a part of its steps: guided share cannot be "
            f"{continuity.guided_share:g}.",
            f"Nearest: {LOOSE.guided_share:g}.",
        )
    if continuity.turn_away not in (0, 1) and not spec.batched_guidance:
        raise InvalidRequest(
            "turn_away",
            f"{spec.title} cannot be guided in a part of its steps: turn away cannot be {continuity.turn_away:g}.",
            f"Nearest: {round(continuity.turn_away)}.",
        )
    if continuity.recall and not spec.recalls:
        raise InvalidRequest(
            "recall",
            f"{spec.title} cannot be given latents of long ago beside a chunk: recall cannot be {continuity.recall:g}.",
            f"Nearest: {LOOSE.recall:g}.",
        )


def check_chunking(spec: ModelSpec, *, chunk: int | None, overlap: int | None) -> None:
    """Refuse lengths in frames that are off the model's grid or leave nothing new in a chunk."""
    # A chunk adds at least one latent, or a causal model's block, to what it is given. That is the catalog's unless set
    # by hand; a causal model is given less where a chunk has no room for as much.
    added = spec.frame_stride * (spec.block_latents or 1)
    least = 1 + added if overlap is not None or spec.block_latents else spec.overlap_frames + added
    if chunk is not None:
        _check_window(spec, "chunk_frames", chunk, least=least, most=spec.native_frames)
    if overlap is not None:
        longest = spec.native_frames if chunk is None else chunk
        most = min(spec.longest_overlap_frames, longest - added)
        _check_window(spec, "overlap_frames", overlap, least=1, most=most)


def _check_window(spec: ModelSpec, field: str, frames: int, *, least: int, most: int) -> None:
    """Refuse `frames` off the grid or outside [least, most]; both ends lie on the grid."""
    stride = spec.frame_stride
    if (frames - 1) % stride or not least <= frames <= most:
        nearest = round((min(max(frames, least), most) - 1) / stride) * stride + 1
        raise InvalidRequest(
            field,
            f"{spec.title} cannot use {field.replace('_', ' ')} of {frames}: {stride} k + 1, {least} to {most}.",
            f"Nearest: {nearest}.",
        )

"""The plan, and what to change where there is none or it is slow: the change that loses least first, each really tried.

In order of loss: a text encoder that leaves, chunks, length, resolution, precision, model. Shorter chunks come so early
because they keep all that was asked for; what they lose is at their seams, where each goes on from the last frames of
the one before. The planner prefers none (pipeline/plan/planner.py), so they are offered where a draft is slow:
attention grows with the square of what it sees at once.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.catalog import CATALOG
from pipeline.plan.cutting import cut, least_latents
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Experience, no_experience
from pipeline.plan.limits import LOWEST_PRECISIONS
from pipeline.plan.memory import Precision
from pipeline.plan.planner import decide
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import LONGEST_SECONDS, GenerationRequest, frames_for
from pipeline.plan.spec import ModelSpec

SLOW_SECONDS = 300.0  # of waiting for a draft, beyond which changes are offered although it fits
WORTHWHILE = 0.7  # of the time: a change that saves less is not offered for being faster
# Chunks lose least, so less has to be gained by them; but a tenth is less than the forecast can promise, as it counts
# attention and everything else at one rate. What the best cut takes: wan-a14b 0.75 to 0.80 at 1280x720x81 in one chunk
# and 0.89 at 832x480x81, wan-5b 0.82 at 1280x704x121, LTX-Video 0.97 at 1216x704x121 and more at its own size.
WORTHWHILE_CHUNKS = 0.85
MOST_CHANGES = 4
LENGTHS = (0.75, 0.5, 0.33)
SCALES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


class ChangeKind(StrEnum):
    """What a change touches, the least loss first."""

    ENCODER = "encoder"
    CHUNKS = "chunks"
    LENGTH = "length"
    RESOLUTION = "resolution"
    PRECISION = "precision"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A request that fits, one change away, with its plan."""

    kind: ChangeKind
    plan: DraftPlan

    @property
    def request(self) -> GenerationRequest:
        """What would be asked for."""
        return self.plan.request

    @property
    def name(self) -> str:
        """For people: `704 x 480 pixels instead of …` without the instead."""
        request = self.request
        match self.kind:
            case ChangeKind.ENCODER:
                return "a text encoder that leaves the card"
            case ChangeKind.CHUNKS:
                lengths = [latents for chunk in self.plan.chunks for latents in chunk.passes]
                frames = request.spec.frames_of(max(lengths))
                return f"{len(lengths)} shorter chunks, of up to {frames} frames"
            case ChangeKind.LENGTH:
                return f"{request.seconds:.1f} seconds"
            case ChangeKind.RESOLUTION:
                return f"{request.shape.width} x {request.shape.height} pixels"
            case ChangeKind.PRECISION:
                coarsest = {choice.precision for choice in self.plan.memory.choices.values()}
                return "4-bit weights" if Precision.INT4 in coarsest else "8-bit weights"
            case ChangeKind.MODEL:
                return request.spec.title


def plan_draft(
    request: GenerationRequest, device: Device, profile: VramProfile, experience: Experience | None = None
) -> DraftPlan:
    """Decide everything; where nothing fits, say what would.

    Raises:
        DoesNotFit: with the changes that would fit, and the first of them as its hint.
        InvalidRequest: when the overlap leaves nothing new in a chunk.
    """
    try:
        return decide(request, device, profile, experience)
    except DoesNotFit as error:
        changes = offer_changes(request, device, profile, experience)
        raise DoesNotFit(
            error.stage,
            error.need_bytes,
            error.budget_bytes,
            _hint(error, changes),
            where=error.where,
            changes=changes,
        ) from None


def offer_changes(
    request: GenerationRequest,
    device: Device,
    profile: VramProfile,
    experience: Experience | None = None,
    *,
    slow: DraftPlan | None = None,
) -> tuple[Change, ...]:
    """Up to MOST_CHANGES changes that fit, one of a kind, in order of least loss.

    With `slow`, the request's plan, only such as save a good part of its time. Experience is of one model, so a change
    of model is forecast by the formula from the same rates.
    """
    untaught = no_experience(experience.rates) if experience else None
    found: list[Change] = []
    for kind, candidates in _candidates(request, slow):
        for candidate in candidates:
            same = candidate.model == request.model
            try:
                plan = decide(candidate, device, profile, experience if same else untaught)
            except (DoesNotFit, InvalidRequest):
                continue
            if slow and not _is_worthwhile(kind, plan, slow):
                continue
            found.append(Change(kind=kind, plan=plan))
            break
        if len(found) == MOST_CHANGES:
            break
    return tuple(found)


def offer_faster(plan: DraftPlan, profile: VramProfile, experience: Experience | None = None) -> tuple[Change, ...]:
    """Changes that would make a slow plan a good deal faster; none where it is not slow."""
    if plan.forecast.total_seconds < SLOW_SECONDS:
        return ()
    return offer_changes(plan.request, plan.memory.device, profile, experience, slow=plan)


def _is_worthwhile(kind: ChangeKind, plan: DraftPlan, slow: DraftPlan) -> bool:
    share = WORTHWHILE_CHUNKS if kind is ChangeKind.CHUNKS else WORTHWHILE
    return plan.forecast.total_seconds <= share * slow.forecast.total_seconds


def _hint(error: DoesNotFit, changes: tuple[Change, ...]) -> str:
    if not changes:
        return error.hint or "Close other programs."
    fitting = changes[0]
    seconds = fitting.plan.forecast.total_seconds
    return f"What fits: {fitting.name} (about {say_seconds(seconds)})."


def say_seconds(seconds: float) -> str:
    """For people: `41 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _candidates(
    request: GenerationRequest, slow: DraftPlan | None
) -> Iterator[tuple[ChangeKind, Iterator[GenerationRequest]]]:
    if request.encoder == "resident":
        yield ChangeKind.ENCODER, iter((replace(request, encoder="auto"),))
    if slow:  # what does not fit was tried in shorter chunks already
        yield ChangeKind.CHUNKS, _in_shorter_chunks(slow)
    yield ChangeKind.LENGTH, _shorter(request)
    yield ChangeKind.RESOLUTION, _smaller(request)
    coarser = LOWEST_PRECISIONS[LOWEST_PRECISIONS.index(request.lowest_precision) + 1 :]
    yield ChangeKind.PRECISION, (replace(request, lowest_precision=lowest) for lowest in coarser)
    yield ChangeKind.MODEL, _lighter(request)


def _in_shorter_chunks(plan: DraftPlan) -> Iterator[GenerationRequest]:
    """The draft in every larger number of chunks, the fewest first."""
    request, spec = plan.request, plan.spec
    if spec.block_latents:  # its chunks are blocks already
        return
    for longest in range(max(max(chunk.passes) for chunk in plan.chunks) - 1, least_latents(request) - 1, -1):
        chunks = cut(request, longest)
        if any(longest in chunk.passes for chunk in chunks):  # else these are the chunks of a `longest` to come
            yield replace(request, chunk_frames=spec.frames_of(longest))


def _shorter(request: GenerationRequest) -> Iterator[GenerationRequest]:
    spec = request.spec
    for share in LENGTHS:
        frames = spec.nearest_frames(share * request.frames, len(request.scenes))
        if frames < request.frames:
            with suppress(InvalidRequest):  # a shot may become too short
                yield replace(request, frames=frames)


def _smaller(request: GenerationRequest) -> Iterator[GenerationRequest]:
    seen = {request.shape}
    for scale in SCALES:
        shape = request.spec.scaled(request.shape, scale)
        if shape not in seen and shape.pixels < request.shape.pixels:
            seen.add(shape)
            yield replace(request, shape=shape)


def _lighter(request: GenerationRequest) -> Iterator[GenerationRequest]:
    """Other models, the nearest to this one first: the same networks in fewer steps, then less and less work."""
    own = request.spec
    others = [spec for spec in CATALOG.values() if _work(spec) < _work(own)]
    for spec in sorted(others, key=lambda spec: (spec.networks == own.networks, _work(spec)), reverse=True):
        with suppress(InvalidRequest):  # a shot may be too short for it
            yield _with_model(request, spec)


def _work(spec: ModelSpec) -> float:
    """Weights times steps: what tells a distilled model from its teacher, and a small one from a large."""
    return spec.parameters * spec.default_steps


def _with_model(request: GenerationRequest, spec: ModelSpec) -> GenerationRequest:
    shape = next((shape for shape in spec.shapes if shape.name == request.shape.name), spec.shapes[0])
    return replace(
        request,
        model=spec.key,
        shape=shape,
        # the last frame may stand beyond
        frames=frames_for(spec, min(request.seconds, LONGEST_SECONDS), len(request.scenes)),
        steps=spec.default_steps,
        guidance=spec.default_guidance,
        chunk_frames=None,
        overlap_frames=None,
        tail=None,
        continuity=spec.continuity,
    )

"""The plan of an edited draft: what stays of the old one, and what is made anew.

What comes before the change is not touched: its chunks and slices are those of the old plan. Neither is what follows a
chunk that is made again alone, where its family can be told what comes behind: its window is moved on by a latent, so
that it ends with the first one of what follows, given as those before it are:

    before       [=====--------)
                       [=====--------)
    redo           [===--------=)              one latent less is given in front, one is behind
                       [.....--------)         stays; what it was given (.) is no more what is there
"""

import math
from dataclasses import replace
from itertools import takewhile

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import Chunk, Slice, held_frames
from pipeline.plan.cutting import least_latents, overlap_latents
from pipeline.plan.device import Device
from pipeline.plan.disk import check_disk, disk_bytes
from pipeline.plan.draft import DraftPlan, MemoryPlan, Parent
from pipeline.plan.duration import Experience, forecast_duration, no_experience
from pipeline.plan.edits import Branch, Cut, Edit, Extend, Redo, Reprompt, name_of
from pipeline.plan.extending import extend_chunks, extend_rollout
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide, workload
from pipeline.plan.rates import guess_rates
from pipeline.plan.request import LONGEST_SECONDS, GenerationRequest, Shot, Transition
from pipeline.plan.retreat import check_device, fit_again
from pipeline.plan.scenes import chunk_stops, longest_scene, plan_all_slices
from pipeline.plan.spec import Tail
from pipeline.plan.storyboard import check_sentence


def edit_plan(
    plan: DraftPlan, edit: Edit, *, draft: str, made: int, device: Device, experience: Experience | None = None
) -> DraftPlan:
    """The plan after an edit; `parent` says how many chunks of the old one stay.

    Args:
        plan: of the draft that is edited.
        draft: its id.
        made: how many of its chunks are finished, from the first on.
        device: as it is now.
        experience: for the forecast of what is to be made.

    Raises:
        InvalidRequest: for a chunk that is not there or not finished, a length or sentence that cannot be, and a draft
            that was made on another kind of device.
        DoesNotFit: when what is to be made needs more memory or disk than there is.
    """
    check_device(plan, device)
    request, chunks, kept = _change(plan, edit, made)
    memory = plan.memory
    if isinstance(edit, Extend):
        fresh = decide(request, device, plan.memory.profile, experience)
        # A draft that could be made in one chunk may still be no longer than an overlap and nothing.
        longest = max(least_latents(request), *(chunk.latents for chunk in fresh.chunks))
        chunks, memory = _extend(chunks, request, longest), fresh.memory
    first = next((chunk.index for chunk in chunks if chunk.index not in kept), len(chunks))
    stay, slices = _slices(plan, chunks, first, memory)
    changed = DraftPlan(
        request=request,
        memory=memory,
        chunks=chunks,
        slices=slices,
        forecast=plan.forecast,
        reasons=plan.reasons,
        parent=Parent(draft=draft, edit=name_of(edit), kept=kept),
    )
    changed = fit_again(changed, device, chunks_done=first, slices_done=stay)
    anew = tuple(chunk for chunk in changed.chunks if chunk.index not in kept)
    if anew:  # what stays is linked and takes no more
        check_disk(disk_bytes(request, anew), changed.memory.budget)
    forecast = forecast_duration(
        changed.memory.choices,
        workload(request, changed.chunks),
        chunks=anew,
        slices=changed.slices[stay:],
        steps=request.steps,
        device=device,
        experience=experience or no_experience(guess_rates(device)),
    )
    return replace(
        changed,
        memory=replace(changed.memory, disk_bytes=disk_bytes(request, changed.chunks)),
        forecast=forecast,
        reasons=(
            _explain(draft, edit, len(anew), len(changed.chunks)),
            *_besides(
                loses_end=bool(plan.request.end_image and not request.end_image),
                changes_way=plan.request.continued_by is not request.continued_by,
            ),
            *changed.reasons,
        ),
    )


def _change(plan: DraftPlan, edit: Edit, made: int) -> tuple[GenerationRequest, tuple[Chunk, ...], tuple[int, ...]]:
    """Request and chunks after an edit, and the numbers of those that stay; what extends a draft is still missing."""
    request, chunks = _in_turn(plan, edit), plan.chunks
    match edit:
        case Redo(chunk=first, seed=seed, alone=wanted):
            _check_chunk(first, made, len(chunks))
            replace(request, seed=seed)  # refuses what is none
            alone = _between(plan, first, made) if wanted else None
            if wanted and not alone:
                raise InvalidRequest(
                    "alone",
                    f"Chunk {first + 1} cannot be made again alone: it is not between two that are finished, or "
                    f"{plan.spec.title} cannot be told what follows.",
                    "Have what follows made again, too.",
                )
            anew = replace(alone or _free(chunks[first]), seed=seed)
            follow = chunks[first + 1 :] if alone else map(_free, chunks[first + 1 :])
            chunks = (*chunks[:first], anew, *follow)
            kept = (*range(first), *(range(first + 1, made) if alone else ()))
            return replace(request, seed=chunks[0].seed), chunks, kept
        case Branch(chunk=first, seed=seed):
            _check_chunk(first, made, len(chunks), next_too=True)
            replace(request, seed=seed)  # refuses what is none
            new = (replace(_free(chunk), seed=(seed + chunk.index - first) % 2**32) for chunk in chunks[first:])
            chunks = (*chunks[:first], *new)
            return replace(request, seed=chunks[0].seed), chunks, tuple(range(first))
        case Reprompt(chunk=first, prompt=prompt):
            check_sentence(prompt)
            _check_chunk(first, made, len(chunks), next_too=True)
            chunks = (*chunks[:first], *map(_free, chunks[first:]))
            return *_say_differently(request, chunks, first, prompt), tuple(range(first))
        case Cut(chunk=last):
            _check_chunk(last, made, len(chunks))
            if last == len(chunks) - 1:
                raise InvalidRequest("chunk", f"Nothing comes after chunk {last + 1}: there is nothing to cut.")
            stay = chunks[: last + 1]
            shots = (*request.shots[: stay[-1].shot], _shortened(request, chunks, stay))
            frames = chunk_stops(stay, stride=request.spec.frame_stride)[-1]
            return replace(request, shots=shots, frames=frames, end_image=None), stay, tuple(range(last + 1))
        case Extend(seconds=seconds, prompt=prompt):
            check_sentence(prompt or "")
            return _longer(request, seconds, prompt), chunks, tuple(range(made))


def _in_turn(plan: DraftPlan, edit: Edit) -> GenerationRequest:
    """What was asked for; where chunks come behind what was denoised together they go on in the model's usual way."""
    request = plan.request
    if request.continued_by is not Tail.CO_DENOISE or not (isinstance(edit, Extend) or len(plan.chunks) > 1):
        return request
    return replace(request, tail=None)


def _between(plan: DraftPlan, number: int, made: int) -> Chunk | None:
    """A chunk given latents of both its neighbours; None where it has not two or its family cannot be told of both."""
    chunk = plan.chunks[number]
    if plan.spec.tail is not Tail.LATENTS or not chunk.overlap or number + 1 >= made:
        return None
    if plan.chunks[number + 1].opens_scene:
        return None
    if chunk.ahead:
        return chunk
    if chunk.overlap < 2:
        return None
    return replace(chunk, start=chunk.start + 1, overlap=chunk.overlap - 1, ahead=1)


def _free(chunk: Chunk) -> Chunk:
    """A chunk of which nothing that follows is there any more."""
    if not chunk.ahead:
        return chunk
    return replace(chunk, start=chunk.start - chunk.ahead, overlap=chunk.overlap + chunk.ahead, ahead=0)


def _check_chunk(chunk: int, made: int, count: int, *, next_too: bool = False) -> None:
    """Refuse one that is not there or not finished; with `next_too` the first that is not finished will do."""
    last = min(made, count - 1) if next_too else made - 1
    if 0 <= chunk <= last:
        return
    if not 0 <= chunk < count:
        raise InvalidRequest(
            "chunk",
            f"There is no chunk {chunk + 1}: the draft has {f'chunks 1 to {count}' if count > 1 else 'one chunk'}.",
            f"Nearest: {min(max(chunk + 1, 1), max(last + 1, 1))}.",
        )
    if made == 0:
        raise InvalidRequest("chunk", "No chunk of the draft is finished, or none can be read.", "Go on with it first.")
    raise InvalidRequest(
        "chunk",
        f"Chunk {chunk + 1} is not finished, or cannot be read; {made} of {count} chunks are.",
        f"Nearest: {last + 1}.",
    )


def _say_differently(
    request: GenerationRequest, chunks: tuple[Chunk, ...], first: int, prompt: str
) -> tuple[GenerationRequest, tuple[Chunk, ...]]:
    """Another sentence from a chunk to the end of its shot, which is divided there unless the chunk begins it."""
    number = chunks[first].shot
    shot, before = request.shots[number], [chunk for chunk in chunks[:first] if chunk.shot == number]
    if not before:
        shots = (*request.shots[:number], replace(shot, prompt=prompt), *request.shots[number + 1 :])
        return replace(request, shots=shots), chunks
    head = _shortened(request, chunks, chunks[:first])
    tail = replace(shot, prompt=prompt, seconds=shot.seconds - head.seconds, transition=Transition.SMOOTH)
    shots = (*request.shots[:number], head, tail, *request.shots[number + 1 :])
    anew = (
        replace(chunk, shot=chunk.shot + 1, mix=tuple((told + 1, weight) for told, weight in chunk.mix))
        for chunk in chunks[first:]
    )
    return replace(request, shots=shots), (*chunks[:first], *anew)


def _shortened(request: GenerationRequest, chunks: tuple[Chunk, ...], stay: tuple[Chunk, ...]) -> Shot:
    """The shot of the last chunk that stays, as long as its chunks among them are."""
    number = stay[-1].shot
    parts = [sum(chunk.new_latents for chunk in some if chunk.shot == number) for some in (stay, chunks)]
    shot = request.shots[number]
    return replace(shot, seconds=shot.seconds * parts[0] / parts[1])


def _longer(request: GenerationRequest, seconds: float, prompt: str | None) -> GenerationRequest:
    spec = request.spec
    room = LONGEST_SECONDS - request.seconds
    if not math.isfinite(seconds) or seconds <= 0 or seconds > room:
        most, stride = math.floor(10 * room) / 10, spec.frame_stride / spec.fps  # what is said can be had
        least = min(math.ceil(10 * stride) / 10, most)
        raise InvalidRequest(
            "seconds",
            f"A draft of {request.seconds:.1f} seconds cannot be extended by {seconds:g}: the longest is "
            f"{LONGEST_SECONDS:g} seconds.",
            f"Choose {least:.1f} to {most:.1f} seconds." if room >= stride else "Cut something first.",
        )
    added = max(1, round(seconds * spec.fps / spec.frame_stride)) * spec.frame_stride
    frames = min(request.frames + added, spec.nearest_frames(LONGEST_SECONDS * spec.fps, len(request.scenes)))
    more = (frames - request.frames) / spec.fps
    scale = request.seconds / sum(shot.seconds for shot in request.shots)  # seconds of a shot are a share of the draft
    *before, last = (replace(shot, seconds=shot.seconds * scale) for shot in request.shots)
    if prompt is None:
        shots = (*before, replace(last, seconds=min(last.seconds + more, LONGEST_SECONDS)))
    else:
        shots = (*before, last, Shot(prompt=prompt, seconds=more))
    return replace(request, shots=shots, frames=frames, end_image=None)


def _extend(chunks: tuple[Chunk, ...], request: GenerationRequest, longest: int) -> tuple[Chunk, ...]:
    """With new chunks behind the others, of the last shot."""
    spec, overlap, shot = request.spec, overlap_latents(request), len(request.shots) - 1
    total = request.latents
    if spec.block_latents:
        return extend_rollout(chunks, total, longest=longest, overlap=overlap, block=spec.block_latents, shot=shot)
    assert overlap is not None
    return extend_chunks(chunks, total, longest=longest, overlap=overlap, shot=shot)


def _slices(
    plan: DraftPlan, chunks: tuple[Chunk, ...], first: int, memory: MemoryPlan
) -> tuple[int, tuple[Slice, ...]]:
    """How many slices of the old plan stay, of those before chunk `first`, and all slices.

    The last one is decoded again where it held other frames back than it has to now, or all of its frames are needed
    once more in a larger window than there is room for.
    """
    spec, ends = plan.spec, {chunk.scene_start: chunk.stop for chunk in chunks}
    window = min(memory.choices[Stage.DECODE].window_latents, longest_scene(chunks))
    stay = [piece for piece in plan.slices if piece.chunk < first]
    causal, stride = spec.causal_decoder, spec.frame_stride
    while stay and (
        stay[-1].hold != (0 if stay[-1].stop == ends[stay[-1].scene_start] else held_frames(stride, causal=causal))
        or (stay[-1].stop - stay[-1].start > window and not causal)
    ):
        stay.pop()
    return len(stay), plan_all_slices(chunks, window=window, stride=stride, causal=causal, written=stay)


def _explain(draft: str, edit: Edit, anew: int, count: int) -> str:
    made = f"{anew} of {count} chunks are made" if anew else "no chunk is made"
    return f"From draft {draft} by {name_of(edit)}: {made}, the rest stays."


def _besides(*, loses_end: bool, changes_way: bool) -> list[str]:
    lines = list[str]()
    if loses_end:
        lines.append("The end frame is dropped: the draft ends elsewhere now.")
    if changes_way:
        lines.append("What is added goes on in the model's usual way: what is there was denoised together.")
    return lines


def unasked(plan: DraftPlan) -> tuple[str, ...]:
    """What the edit that a plan comes from does besides what it was asked for; nothing of edits before it."""
    known = _besides(loses_end=True, changes_way=True)
    return tuple(takewhile(lambda reason: reason in known, plan.reasons[1:]))

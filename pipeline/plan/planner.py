"""Takes every decision: the longest chunk that fits, each stage the fastest way that fits, and why.

Chunks come first: a clip in one piece has no seams, so a longer chunk is preferred to a faster placement.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from pipeline.errors import DoesNotFit, say_bytes
from pipeline.plan.chunks import SHARED_LATENTS, Chunk
from pipeline.plan.cutting import cut, least_latents, told_by
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.disk import check_disk, disk_bytes
from pipeline.plan.draft import DraftPlan, MemoryPlan
from pipeline.plan.duration import Experience, forecast_duration, no_experience, stage_seconds, visit_seconds
from pipeline.plan.following import recallable
from pipeline.plan.memory import Placement, Precision, Stage, Workload
from pipeline.plan.placement import (
    FINEST_FIRST,
    Budget,
    Choice,
    beside_bytes,
    choices,
    fits,
    host_choices,
    keep_beside,
    parked_bytes,
    say_misfit,
)
from pipeline.plan.presets import VramProfile
from pipeline.plan.rates import Rates, guess_rates
from pipeline.plan.reasons import explain
from pipeline.plan.request import GenerationRequest
from pipeline.plan.scenes import longest_scene, plan_all_slices
from pipeline.plan.spec import ModelSpec, Tail

DISK_RESERVE_BYTES = 2**28  # a disk is never filled to the brim


def decide(
    request: GenerationRequest, device: Device, profile: VramProfile, experience: Experience | None = None
) -> DraftPlan:
    """Decide everything. Deterministic in its arguments.

    Raises:
        DoesNotFit: when even the shortest chunk, placed as sparingly as can be, needs more than is allowed.
        InvalidRequest: when the overlap leaves nothing new in a chunk.
    """
    spec = request.spec
    if not profile.use_card and device.kind is DeviceKind.CUDA:
        raise ValueError("a profile without a card needs the processor's Device")
    taught = experience or no_experience(guess_rates(device))
    budget = budget_for(request, device, profile)
    wanted = spec.latents_of(spec.native_frames if request.chunk_frames is None else request.chunk_frames)
    wanted = min(wanted, request.latents)
    chunks, chosen, reasons = _longest_that_fits(request, device, budget, taught, wanted)
    window = min(chosen[Stage.DECODE].window_latents, longest_scene(chunks))
    slices = plan_all_slices(chunks, window=window, stride=spec.frame_stride, causal=spec.causal_decoder)
    load = workload(request, chunks)
    chosen = _share_memory(chosen, load, budget, device)
    if request.encoder != "unload":
        chosen = _keep_encoder(chosen, spec, budget, device, taught)
    memory = MemoryPlan(
        device=device,
        profile=profile,
        dtype=device.dtype,
        choices=chosen,
        disk_bytes=disk_bytes(request, chunks),
        budget=budget,
    )
    check_disk(memory.disk_bytes, budget)
    forecast = forecast_duration(
        chosen, load, chunks=chunks, slices=slices, steps=request.steps, device=device, experience=taught
    )
    return DraftPlan(
        request=request,
        memory=memory,
        chunks=chunks,
        slices=slices,
        forecast=forecast,
        reasons=(*explain(request, memory, chunks), *reasons),
    )


def budget_for(request: GenerationRequest, device: Device, profile: VramProfile) -> Budget:
    """What may be used: what is free now less the reserves, and never more than profile and request allow."""
    card_gib = profile.card_gib if request.vram_limit_gib is None else request.vram_limit_gib
    ram_gib = profile.ram_gib if request.ram_limit_gib is None else request.ram_limit_gib
    ram = _least(device.ram_free_bytes - int(profile.ram_reserve_gib * 2**30), ram_gib)
    card = _least(device.free_bytes - int(profile.reserve_gib * 2**30), card_gib)
    return Budget(
        card_bytes=card if device.kind is DeviceKind.CUDA else ram,
        ram_bytes=ram,
        disk_bytes=max(0, device.disk_free_bytes - DISK_RESERVE_BYTES),
    )


def decide_again(plan: DraftPlan, device: Device, experience: Experience) -> DraftPlan:
    """The plan if it still fits what `device` has free now, and no stage of it ran out of memory so in another draft
    since; else another, which says so.

    Raises:
        DoesNotFit: when nothing fits any more.
    """
    budget = budget_for(plan.request, device, plan.memory.profile)
    chosen = plan.memory.choices
    if all(fits(choice, _allowed(stage, budget, experience)) for stage, choice in chosen.items()):
        return plan
    again = decide(plan.request, device, plan.memory.profile, experience)
    before = max(plan.memory.budget_bytes, plan.memory.budget.ram_bytes)
    now = max(budget.card_bytes, budget.ram_bytes)
    why = f"Planned again when it began: {say_bytes(before)} were free when it was asked for, {say_bytes(now)} are now."
    if all(fits(choice, budget) for choice in chosen.values()):
        why = "Planned again when it began: memory ran out since in a draft that was made in the same way."
    return replace(again, reasons=(why, *again.reasons))


def _least(free_bytes: int, limit_gib: float | None) -> int:
    return max(0, free_bytes if limit_gib is None else min(free_bytes, int(limit_gib * 2**30)))


def workload(request: GenerationRequest, chunks: tuple[Chunk, ...], left: tuple[Chunk, ...] | None = None) -> Workload:
    """What the longest chunk of a request has to hold, the one that needs most if there are several; only of those
    that are `left` where some are finished."""
    spec, recalls, left = request.spec, request.continuity.recall > 0, left or chunks
    recalled = {chunk.index: int(recalls and bool(recallable(chunks, chunk))) for chunk in left}
    longest = max(left, key=lambda chunk: (chunk.latents + recalled[chunk.index], chunk.latents, chunk.overlap))
    together = max(longest.passes)
    load = Workload(
        spec=spec,
        shape=request.shape,
        chunk_latents=together,
        blocks=longest.blocks,
        tail=told_by(request, chunks[-1]),
        reencoded_latents=max(chunk.overlap for chunk in left) if request.continued_by is Tail.FRAMES else 0,
        keyframes=tuple(request.pictures),
        guided=request.guidance > 1,
        chunks=chunks,
        continuity=request.continuity,
        recalled=recalled[longest.index],
        continued=any(chunk.overlap for chunk in chunks),
        decode_float32=request.decode_float32,
        # A window may be longer than a chunk: it begins within the one before. A shorter one would never end.
        window_latents=min(spec.decode_window_latents, max(together, SHARED_LATENTS + 1), longest_scene(left)),
        sentences=len({shot.prompt for shot in request.shots}),
    )
    # A causal model's chunks of one length differ in what they read of it and what they denoise
    alike = {chunk.blocks for chunk in left if chunk.blocks and chunk.latents == longest.latents}
    return max((replace(load, blocks=blocks) for blocks in alike), key=Workload.denoising_bytes, default=load)


def _longest_that_fits(
    request: GenerationRequest, device: Device, budget: Budget, taught: Experience, wanted: int
) -> tuple[tuple[Chunk, ...], Mapping[Stage, Choice], tuple[str, ...]]:
    """The longest chunks within the budget, from `wanted` downwards, how to run them, and why not otherwise.

    Every chunk adds something to its overlap; a draft that is itself no longer than an overlap is tried whole. Chunks
    are kept with what they are given, so those of a causal model take less disk the shorter they are, others' more.
    """
    spec = request.spec
    shortest = min(wanted, least_latents(request))
    refusal = ""
    for longest in range(wanted, shortest - 1, -1):
        chunks = cut(request, longest)
        load = workload(request, chunks)
        try:
            if spec.block_latents:
                check_disk(disk_bytes(request, chunks), budget)
            chosen, reasons = _place(load, chunks, request, device, budget, taught)
        except DoesNotFit as error:
            if longest == shortest or error.stage == Stage.ENCODE:  # shorter chunks change nothing there
                raise
            refusal = refusal or error.message
            continue
        if longest < wanted:
            frames = spec.frames_of(load.chunk_latents)
            reasons = (f"Chunks of {frames} frames instead of more: {refusal}", *reasons)
        return chunks, chosen, reasons
    raise AssertionError("the shortest chunk either fits or raises")


def _place(
    load: Workload,
    chunks: tuple[Chunk, ...],
    request: GenerationRequest,
    device: Device,
    budget: Budget,
    taught: Experience,
) -> tuple[Mapping[Stage, Choice], tuple[str, ...]]:
    """For each stage the fastest choice that fits, and why the faster ones do not."""
    chosen: dict[Stage, Choice] = {}
    reasons: dict[tuple[object, ...], str] = {}
    stays = request.encoder == "resident" and device.kind is DeviceKind.CUDA
    for stage in Stage:
        allowed = _allowed(stage, budget, taught)
        options = sorted(
            choices(stage, load, device, lowest=Precision(request.lowest_precision)),
            key=lambda choice: (
                seconds_of(choice, load, chunks, taught.rates, device, steps=request.steps),
                FINEST_FIRST.index(choice.precision),
                not choice.parked,  # what waits in main memory is there for the next draft, too
                choice.ram_bytes,
                choice.card_bytes,
            ),
        )
        if allowed != budget:  # memory ran out here before: the last way, which is else none, counts, too
            ran_out = say_bytes(taught.too_much_bytes[stage])
            reasons[(stage,)] = f"The {stage} stage ran out of memory here at {ran_out} by the forecast: it gets less."
            waits = stage is Stage.DECODE and chosen[Stage.DENOISE].parked
            beside = parked_bytes(load, device, chosen[Stage.DENOISE].precision) if waits else 0
            options += host_choices(stage, load, device, beside_bytes=beside)
        if stays and stage is Stage.ENCODE:
            options = [choice for choice in options if choice.placement is Placement.VISITING]
        best = next((choice for choice in options if fits(choice, allowed)), None)
        if best is None:
            raise _refusal(stage, options, allowed, device)
        chosen[stage] = best
        for choice in options[: options.index(best)]:  # one reason a way, whether parked or read again
            reason = say_misfit(choice, allowed, device)
            way = stage, choice.precision, choice.placement, choice.tile_pixels, choice.together
            reasons.setdefault(way, reason)
        if stays and stage is Stage.ENCODE:  # from here on there is only what it leaves
            left = budget.card_bytes - beside_bytes(best, load.spec.text_encoder)
            budget = replace(budget, card_bytes=max(0, left))
    return chosen, tuple(reasons.values())


def seconds_of(
    choice: Choice, load: Workload, chunks: tuple[Chunk, ...], rates: Rates, device: Device, *, steps: int
) -> float:
    """What tells a faster choice of a stage from a slower one, as the forecast counts it; for DECODE of one latent."""
    part = replace(load, tile_pixels=choice.tile_pixels, window_latents=choice.window_latents or 1)
    match choice.stage:
        case Stage.ENCODE:
            return stage_seconds(choice, part, rates, device, steps=steps)
        case Stage.DECODE:
            shared = 0 if load.spec.causal_decoder else SHARED_LATENTS
            return stage_seconds(choice, part, rates, device, steps=steps) / max(1, choice.window_latents - shared)
        case Stage.DENOISE:
            told = [(part.of(chunk), latents) for chunk in chunks for latents in chunk.passes]
            alike = Counter((latents, one.blocks, one.guided_share, one.recalled) for one, latents in told)
            passes = 0.0
            for (latents, blocks, share, recalled), count in alike.items():
                one = replace(part, chunk_latents=latents, blocks=blocks, guided_share=share, recalled=recalled)
                passes += count * stage_seconds(choice, one, rates, device, steps=steps)
            first, again = (visit_seconds(choice, load, rates, device, first=first) for first in (True, False))
            return first + (len(chunks) - 1) * again + passes


def _allowed(stage: Stage, budget: Budget, taught: Experience) -> Budget:
    """The budget, less where the stage ran out of memory although less was forecast."""
    too_much = taught.too_much_bytes.get(stage)
    return budget if too_much is None else replace(budget, card_bytes=min(budget.card_bytes, too_much - 1))


def _refusal(stage: Stage, options: list[Choice], budget: Budget, device: Device) -> DoesNotFit:
    """What the most sparing choice lacks."""
    within_card = [choice for choice in options if choice.card_bytes <= budget.card_bytes]
    if within_card:
        least = min(within_card, key=lambda choice: choice.ram_bytes)
        return DoesNotFit(stage, least.ram_bytes, budget.ram_bytes, where="main memory")
    least = min(options, key=lambda choice: choice.card_bytes)
    where = "the card" if device.kind is DeviceKind.CUDA else "main memory"
    return DoesNotFit(stage, least.card_bytes, budget.card_bytes, where=where)


def _share_memory(
    chosen: Mapping[Stage, Choice], load: Workload, budget: Budget, device: Device
) -> Mapping[Stage, Choice]:
    """The VAE waits in main memory if the transformer does; both may while the text encoder is there, if they fit."""
    encode, denoise, decode = (chosen[stage] for stage in Stage)
    beside = encode.ram_bytes + parked_bytes(load, device, denoise.precision) <= budget.ram_bytes
    return {
        Stage.ENCODE: replace(encode, parked=denoise.parked and beside),
        Stage.DENOISE: denoise,
        Stage.DECODE: replace(decode, parked=denoise.parked),
    }


def _keep_encoder(
    chosen: Mapping[Stage, Choice], spec: ModelSpec, budget: Budget, device: Device, taught: Experience
) -> Mapping[Stage, Choice]:
    """Leave the text encoder on the card where there is room beside all else: the next sentence starts at once."""
    encoder = chosen[Stage.ENCODE]
    if device.kind is not DeviceKind.CUDA or encoder.placement is not Placement.VISITING:
        return chosen
    beside = {
        stage: replace(choice, placement=Placement.KEPT)
        if choice is encoder
        else keep_beside(choice, encoder, spec.text_encoder)
        for stage, choice in chosen.items()
    }
    room = all(fits(choice, _allowed(stage, budget, taught)) for stage, choice in beside.items())
    return beside if room else chosen

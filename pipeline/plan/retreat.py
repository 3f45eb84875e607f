"""The same draft with less memory: for a draft that goes on where less is free, and when memory ran out after all.

What is finished stays finished. Of what is left the next way down is taken, the one that costs the draft least first:

    any       the text encoder leaves the card · another way in the same precision: streamed, in tiles, in windows
    denoise   shorter chunks of what is left · then coarser weights, as far as was allowed
    encode    coarser weights · then the processor
    decode    the processor

Each needs less on the device than the one before by the forecast, so there is a last one.
"""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.errors import DoesNotFit, InvalidRequest, OutOfMemory
from pipeline.plan.alternatives import offer_changes
from pipeline.plan.chunks import Chunk
from pipeline.plan.combinations import SETTLED
from pipeline.plan.cutting import least_latents, overlap_latents
from pipeline.plan.device import Device
from pipeline.plan.disk import disk_bytes
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import no_experience
from pipeline.plan.memory import Placement, Precision, Stage, Workload
from pipeline.plan.placement import Choice, choices, fits, host_choices, keep_beside, parked_bytes
from pipeline.plan.planner import budget_for, seconds_of, workload
from pipeline.plan.rates import guess_rates
from pipeline.plan.recutting import recut
from pipeline.plan.scenes import longest_scene, plan_all_slices
from pipeline.plan.spec import Tail

SHORTER = 0.75  # of the longest chunk: activations shrink about as much; fewer rungs would lose longer chunks that fit


def retreat(plan: DraftPlan, stage: Stage, *, chunks_done: int = 0, slices_done: int = 0) -> DraftPlan | None:
    """The next way down for `stage`; None where none is left.

    Precision goes no lower than what was asked for allows, main memory no higher than what may be used.

    Args:
        chunks_done: chunks that are denoised; these stay as they are.
        slices_done: slices that are written; these do, too.
    """
    if plan.memory.choices[Stage.ENCODE].placement is Placement.KEPT:
        alone = _without_encoder(plan, stage)
        if stage is not Stage.ENCODE:
            return alone
        plan = alone  # which changes nothing yet where it computes itself
    rest = plan.chunks[chunks_done:] or plan.chunks
    options = [choice for choice in _options(plan, stage, rest) if _is_less(choice, plan)]
    same = [choice for choice in options if choice.precision == plan.memory.choices[stage].precision]
    if same:
        return _with(plan, _fastest(same, plan, rest), slices_done=slices_done)
    if stage is Stage.DENOISE and (shorter := _in_shorter_chunks(plan, chunks_done, slices_done)):
        return shorter
    last = options or [choice for choice in _host_options(plan, stage, rest) if _is_less(choice, plan)]
    return _with(plan, _fastest(last, plan, rest), slices_done=slices_done) if last else None


def check_device(plan: DraftPlan, device: Device) -> None:
    """Raise InvalidRequest where a draft was begun on another kind of device than `device`."""
    if device.kind is not plan.memory.device.kind:
        raise InvalidRequest(
            "device",
            f"This draft was begun on {plan.memory.device.name}, which is not here.",
            "Its finished part can be played; make it anew to have it whole.",
        )


def exhausted(plan: DraftPlan, stage: Stage) -> OutOfMemory:
    """What to say where no way down is left: the need, what is allowed, and the nearest request that needs less."""
    need, budget = plan.memory.choices[stage].card_bytes, plan.memory.budget_bytes
    taught = replace(no_experience(guess_rates(plan.memory.device)), too_much_bytes={stage: need})
    changes = offer_changes(plan.request, plan.memory.device, plan.memory.profile, taught)
    hint = f"What should fit: {changes[0].name}." if changes else "Close other programs."
    return OutOfMemory(stage, hint, plan, need_bytes=need, budget_bytes=budget)


def fit_again(plan: DraftPlan, device: Device, *, chunks_done: int = 0, slices_done: int = 0) -> DraftPlan:
    """A plan whose draft is begun already, as `device` is now: each stage that no longer fits is run the next way.

    Raises:
        DoesNotFit: when no way is left.
    """
    budget = budget_for(plan.request, device, plan.memory.profile)
    plan = replace(plan, memory=replace(plan.memory, device=device, budget=budget))
    for stage in Stage:
        while not fits(choice := plan.memory.choices[stage], budget):
            lower = retreat(plan, stage, chunks_done=chunks_done, slices_done=slices_done)
            if lower is None:
                where, need, allowed = "the card", choice.card_bytes, budget.card_bytes
                if need <= allowed:
                    where, need, allowed = "main memory", choice.ram_bytes, budget.ram_bytes
                raise DoesNotFit(stage, need, allowed, "Close other programs; what is finished is kept.", where=where)
            plan = lower
    return plan


def _without_encoder(plan: DraftPlan, stage: Stage) -> DraftPlan:
    """A text encoder that was to stay on the card leaves: it costs the draft nothing."""
    encoder = plan.memory.choices[Stage.ENCODE]
    alone = {
        other: replace(choice, placement=Placement.VISITING)
        if choice is encoder
        else keep_beside(choice, encoder, plan.spec.text_encoder, leaves=True)
        for other, choice in plan.memory.choices.items()
    }
    why = f"Memory ran out in the {stage} stage, so the text encoder leaves the device."
    return replace(plan, memory=replace(plan.memory, choices=alone), reasons=(why, *plan.reasons))


def _in_shorter_chunks(plan: DraftPlan, chunks_done: int, slices_done: int) -> DraftPlan | None:
    """What is left in the longest chunks, of some steps downwards, that need less in the same precision.

    None where all windows are denoised together: such a draft has no chunks that go on from one another.
    """
    if any(chunk.ahead or chunk.windows for chunk in plan.chunks[chunks_done:]):
        return None  # the chunk behind it is there already, under its number; windows belong to one
    request, present = plan.request, plan.memory.choices[Stage.DENOISE]
    if request.continued_by is Tail.CO_DENOISE:
        return None
    least = least_latents(request)
    longest = max((chunk.latents for chunk in plan.chunks[chunks_done:]), default=least)
    while longest > least:
        longest = max(least, int(longest * SHORTER))
        chunks = recut(plan.chunks, chunks_done, longest=longest, overlap=overlap_latents(request), seed=request.seed)
        rest = chunks[chunks_done:]
        options = [
            choice
            for choice in _options(replace(plan, chunks=chunks), Stage.DENOISE, rest)
            if _is_less(choice, plan) and choice.precision == present.precision
        ]
        if options:
            best = _fastest(options, plan, rest)
            frames = request.spec.frames_of(max(chunk.latents for chunk in rest))
            lower = _with(replace(plan, chunks=chunks), best, slices_done=slices_done)
            why = f"Memory ran out in the denoise stage, so it goes on in chunks of {frames} frames, with {best.name}."
            memory = replace(lower.memory, disk_bytes=disk_bytes(request, chunks))
            return replace(lower, memory=memory, reasons=(why, *plan.reasons))
    return None


def _options(plan: DraftPlan, stage: Stage, rest: tuple[Chunk, ...]) -> Iterable[Choice]:
    return choices(stage, _load(plan, rest), plan.memory.device, lowest=Precision(plan.request.lowest_precision))


def _host_options(plan: DraftPlan, stage: Stage, rest: tuple[Chunk, ...]) -> Iterable[Choice]:
    """While decoding, the transformers wait in main memory if they do so between chunks."""
    load, device, denoise = _load(plan, rest), plan.memory.device, plan.memory.choices[Stage.DENOISE]
    waits = stage is Stage.DECODE and denoise.parked
    beside = parked_bytes(load, device, denoise.precision) if waits else 0
    return host_choices(stage, load, device, beside_bytes=beside)


def _load(plan: DraftPlan, rest: tuple[Chunk, ...]) -> Workload:
    """Of the chunks that are left; decode windows are no longer than the plan's."""
    window = plan.memory.choices[Stage.DECODE].window_latents
    return replace(workload(plan.request, plan.chunks, rest), window_latents=window)


def _is_less(choice: Choice, plan: DraftPlan) -> bool:
    """Whether it holds less on the device than what is done now, and no more in main memory than may be used.

    A transformer waits where it waited before, between chunks, or, where it cannot, on the disk.
    """
    present, ram = plan.memory.choices[choice.stage], plan.memory.budget.ram_bytes
    moved = choice.stage is Stage.DENOISE and choice.parked != present.parked and choice.precision not in SETTLED
    return choice.card_bytes < present.card_bytes and choice.ram_bytes <= ram and not moved


def _fastest(options: list[Choice], plan: DraftPlan, rest: tuple[Chunk, ...]) -> Choice:
    load, device, steps = _load(plan, rest), plan.memory.device, plan.request.steps
    rates = guess_rates(device)
    return min(options, key=lambda c: (seconds_of(c, load, rest, rates, device, steps=steps), c.card_bytes))


def _with(plan: DraftPlan, choice: Choice, *, slices_done: int) -> DraftPlan:
    """The plan with one stage run another way; slices that are not written follow chunks and window."""
    stage, spec = choice.stage, plan.spec
    if choice.placement is not Placement.HOST and stage is not Stage.DENOISE:
        choice = replace(choice, parked=plan.memory.choices[stage].parked)
    chosen = dict(plan.memory.choices) | {stage: choice}
    if not chosen[Stage.DENOISE].parked:  # nor does anything else wait in main memory then
        chosen = {known: replace(other, parked=False) for known, other in chosen.items()}
    slices = plan_all_slices(
        plan.chunks,
        window=min(chosen[Stage.DECODE].window_latents, longest_scene(plan.chunks)),
        stride=spec.frame_stride,
        causal=spec.causal_decoder,
        written=plan.slices[:slices_done],
    )
    why = f"Memory ran out in the {stage} stage, so it goes on with {choice.name}."
    memory = replace(plan.memory, choices=chosen)
    return replace(plan, memory=memory, slices=slices, reasons=(why, *plan.reasons))

"""The same chunks with less memory: for a draft that goes on where less is free, and when memory ran out after all.

What is finished stays finished; only where weights are, and how much of a picture is decoded at once, changes.
"""

from dataclasses import replace

from pipeline.errors import DoesNotFit, InvalidRequest
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import choices, fits, keep_beside
from pipeline.plan.planner import budget_for, seconds_of, workload
from pipeline.plan.rates import guess_rates


def retreat(plan: DraftPlan, stage: Stage) -> DraftPlan | None:
    """The same draft with `stage` run the fastest way that holds less on the device at once; None where none is left.

    A text encoder that was to stay on the card leaves first, as it costs the draft nothing. Precision goes no lower
    than what was asked for allows, main memory no higher than what may be used.
    """
    present, memory, request = plan.memory.choices[stage], plan.memory, plan.request
    encoder = memory.choices[Stage.ENCODE]
    if encoder.placement is Placement.KEPT and stage is not Stage.ENCODE:
        alone = {
            other: replace(choice, placement=Placement.VISITING)
            if choice is encoder
            else keep_beside(choice, encoder, request.spec.text_encoder, leaves=True)
            for other, choice in memory.choices.items()
        }
        why = f"Memory ran out in the {stage} stage, so the text encoder leaves the device."
        return replace(plan, memory=replace(memory, choices=alone), reasons=(why, *plan.reasons))
    load = workload(request, plan.chunks)
    smaller = [
        choice
        for choice in choices(stage, load, memory.device, lowest=Precision(request.lowest_precision))
        if choice.card_bytes < present.card_bytes
        and choice.ram_bytes <= memory.budget.ram_bytes
        and (stage is not Stage.DECODE or choice.window_latents == present.window_latents)  # else slices would shift
        and (stage is not Stage.DENOISE or choice.parked == present.parked)
    ]
    if not smaller:
        return None
    rates = guess_rates(memory.device)
    best = min(
        smaller,
        key=lambda c: (seconds_of(c, load, plan.chunks, rates, memory.device, steps=request.steps), c.card_bytes),
    )
    chosen = dict(memory.choices) | {stage: replace(best, parked=present.parked)}
    why = f"Memory ran out in the {stage} stage, so it goes on with {best.name}."
    return replace(plan, memory=replace(memory, choices=chosen), reasons=(why, *plan.reasons))


def check_device(plan: DraftPlan, device: Device) -> None:
    """Raise InvalidRequest where a draft was begun on another kind of device than `device`."""
    if device.kind is not plan.memory.device.kind:
        raise InvalidRequest(
            "device",
            f"This draft was begun on {plan.memory.device.name}, which is not here.",
            "Its finished part can be played; make it anew to have it whole.",
        )


def fit_again(plan: DraftPlan, device: Device) -> DraftPlan:
    """A plan whose draft is begun already, as `device` is now: each stage that no longer fits is run the next way.

    Raises:
        DoesNotFit: when no way is left.
    """
    budget = budget_for(plan.request, device, plan.memory.profile)
    plan = replace(plan, memory=replace(plan.memory, device=device, budget=budget))
    for stage in Stage:
        while not fits(choice := plan.memory.choices[stage], budget):
            lower = retreat(plan, stage)
            if lower is None:
                where, need, allowed = "the card", choice.card_bytes, budget.card_bytes
                if need <= allowed:
                    where, need, allowed = "main memory", choice.ram_bytes, budget.ram_bytes
                raise DoesNotFit(stage, need, allowed, "Close other programs; what is finished is kept.", where=where)
            plan = lower
    return plan

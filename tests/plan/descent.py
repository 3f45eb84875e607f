"""Down the whole ladder of a plan."""

from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.retreat import retreat


def descend(plan: DraftPlan, stage: Stage, **done: int) -> list[DraftPlan]:
    """A plan and every way down from it, in order."""
    plans = [plan]
    while (lower := retreat(plans[-1], stage, **done)) is not None:
        plans.append(lower)
        assert len(plans) < 50
    return plans


def need(plan: DraftPlan, stage: Stage) -> int:
    """What a stage of a plan takes on the device."""
    return plan.memory.choices[stage].card_bytes

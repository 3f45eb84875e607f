"""What is measured, the most valuable first, and how each row is planned. Plain values, no torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pipeline
from pipeline.plan.catalog import find_model
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import CARD_CONTEXT_BYTES, Placement, Stage
from pipeline.plan.planner import decide
from pipeline.plan.presets import find_profile
from pipeline.plan.spec import ModelSpec, VideoShape

GIB = 2**30
SENTENCE = "a paper boat crosses a gutter"
WHOLE_CARD = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A draft on a card of `card_gib`, or, without one, beside what diffusers makes of it on the whole card.

    At least two `steps`: the first warms up.
    """

    model: str
    width: int
    height: int
    frames: int
    steps: int
    card_gib: int | None = None

    @property
    def name(self) -> str:
        """Of the draft."""
        return f"{self.model} {self.width}x{self.height}x{self.frames}"

    @property
    def spec(self) -> ModelSpec:
        """The catalog entry."""
        return find_model(self.model)


LTX_2B = Row(model="ltx-2b", width=704, height=480, frames=121, steps=6)
LTX_2B_LARGER = Row(model="ltx-2b", width=768, height=512, frames=97, steps=6)
LTX_13B = Row(model="ltx-13b", width=768, height=512, frames=97, steps=4)
WAN_5B = Row(model="wan-5b", width=1280, height=704, frames=121, steps=3)
WAN_A14B = Row(model="wan-a14b", width=832, height=480, frames=81, steps=2)
WAN_A14B_LARGER = Row(model="wan-a14b", width=1280, height=720, frames=81, steps=2)

PEERS = (LTX_2B, WAN_A14B, WAN_5B, LTX_13B, LTX_2B_LARGER)


def _on(card_gib: int, *rows: Row) -> Iterator[Row]:
    return (replace(row, card_gib=card_gib) for row in rows)


CARDS = (
    # what the plan promises on the smallest cards
    *_on(4, LTX_2B),
    *_on(8, replace(WAN_A14B, steps=3), WAN_5B, LTX_13B),  # the third step is the second expert's first
    *_on(12, WAN_A14B_LARGER),
    # weights in 8 bits, whole on the card, and a text encoder that stays there
    *_on(6, LTX_2B),
    *_on(24, WAN_A14B),
    *_on(12, WAN_5B),
    *_on(16, LTX_13B),
    *_on(24, LTX_2B),
    *_on(16, WAN_5B),
    *_on(8, LTX_2B),
    # the rest; what is run as on a smaller card is not run again
    *_on(12, WAN_A14B, LTX_13B),
    *_on(16, WAN_A14B),
    *_on(24, WAN_5B, LTX_13B),
    *(row for card_gib in (4, 6, 8, 24) for row in _on(card_gib, LTX_2B_LARGER)),
    *_on(24, WAN_A14B_LARGER),
)


def make_plan(row: Row, device: Device) -> DraftPlan:
    """The plan of a whole draft, of which the row's few steps are measured.

    It is for a card of that size in a machine with its profile's main memory, at an RTX 3060's speed: how the README's
    table says it is run. Where a step is a pass with the sentence and then one without it, the second is left out: it
    takes as long and holds nothing more.

    Raises:
        DoesNotFit: when it does not.
    """
    spec = row.spec
    request = replace(
        pipeline.request(SENTENCE, model=row.model, seed=1),
        shape=VideoShape(width=row.width, height=row.height),
        frames=row.frames,
    )
    if row.card_gib is None:
        plan = decide(request, device, find_profile(WHOLE_CARD))
    else:
        size = row.card_gib * GIB
        card = replace(device, name=f"a card with {row.card_gib} GB", total_bytes=size, free_bytes=size)
        profile = find_profile(f"{row.card_gib}gb")
        plan = decide(replace(request, profile=profile.key, vram_limit_gib=float(row.card_gib)), card, profile)
    guidance = spec.default_guidance if spec.batched_guidance else 1.0
    return replace(plan, request=replace(plan.request, steps=row.steps, guidance=guidance))


def stages_of(plan: DraftPlan) -> tuple[Stage, ...]:
    """In the order in which they are measured: the dearest in preparation last; a text encoder that is to stay on the
    card has to be there first."""
    if plan.memory.choices[Stage.ENCODE].placement is Placement.KEPT:
        return tuple(Stage)
    return Stage.DENOISE, Stage.DECODE, Stage.ENCODE


def context_bytes(plan: DraftPlan) -> int:
    """What the plan counts on a card besides tensors."""
    return CARD_CONTEXT_BYTES if plan.memory.device.kind is DeviceKind.CUDA else 0


def cap_bytes(plan: DraftPlan) -> int:
    """What torch's allocator may hold on the card that is played: what is allowed there, less a context."""
    return plan.memory.budget_bytes - context_bytes(plan)


def forecast_bytes(plan: DraftPlan, stage: Stage) -> int:
    """What torch's allocator is forecast to hold: the stage's need less a context."""
    return plan.memory.choices[stage].card_bytes - context_bytes(plan)


def sees_both_experts(spec: ModelSpec, steps: int) -> bool:
    """Whether so few steps reach the second of two transformers: whether the last step's noise is below its boundary.

    Steps go down evenly from 1, shifted (`WanModel._scheduler`).
    """
    last = spec.sigma_shift / (steps + spec.sigma_shift - 1)
    return spec.expert_boundary is None or last < spec.expert_boundary

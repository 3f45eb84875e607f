"""Every rung of a card's ladder is carried out, not only planned: a card is pretended, and the processor computes.

The plans are a card's, with weights that stream and are quantized, the memory is its that runs out; what computes are
the real modules in their real forms.
"""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from huggingface_hub import constants
from optimum.quanto.tensor import WeightQBitsTensor
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import T5EncoderModel

from pipeline import engine as engine_module
from pipeline import making
from pipeline.drafts.journal import Journal
from pipeline.engine import Engine
from pipeline.errors import OutOfMemory
from pipeline.events import ChunkDenoised, Event, Finished, Retreated, StepDone
from pipeline.gpu import residency
from pipeline.models import ltx
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.device import DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Precision, Stage
from pipeline.plan.placement import choices
from pipeline.plan.planner import workload
from pipeline.plan.spec import Component, VideoShape
from tests.conftest import DeviceMaker, ProfileMaker, RequestMaker
from tests.tiny import count_frames, of

pytestmark = pytest.mark.usefixtures("tiny")
DRAFT = "20260101-120000-0123456789abcdef"
NETWORKS: dict[Stage, type[Any]] = {
    Stage.ENCODE: T5EncoderModel,
    Stage.DENOISE: LTXVideoTransformer3DModel,
    Stage.DECODE: AutoencoderKLLTXVideo,
}


@pytest.fixture
def make_card_plan(
    make_request: RequestMaker,
    make_device: DeviceMaker,
    make_profile: ProfileMaker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[[int, float], DraftPlan]:
    """Plans in two chunks for a card whose work the processor does, of square pictures."""
    card = make_device(8.0, DeviceKind.CUDA, name="a pretended card")
    monkeypatch.setattr(engine_module, "probe_device", lambda **_: card)
    for module in (residency, ltx):
        monkeypatch.setattr(module, "torch_device", lambda _: torch.device("cpu"))
    monkeypatch.setattr(making, "peak_bytes", lambda _: 0)
    monkeypatch.setattr(residency.torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(side: int, guidance: float) -> DraftPlan:
        request = make_request(
            shape=VideoShape(width=side, height=side), frames=57, steps=2, guidance=guidance, lowest_precision="int4"
        )
        return plan_draft(request, card, make_profile())

    return make


class Crowded:
    """A card on which a stage runs out of memory until it was told so many times."""

    def __init__(self, stage: Stage, rungs: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage, self.rungs = stage, rungs
        self.events = list[Event]()
        self.given: list[weakref.ref[Tensor]] = []
        self.held = 0  # tensors of an attempt that failed which were there when the next began
        network = NETWORKS[stage]
        name = "decode" if stage is Stage.DECODE else "forward"
        whole: Callable[..., Any] = getattr(network, name)

        def compute(module: Any, *arguments: Any, **named: Any) -> Any:
            first = next(value for value in (*arguments, *named.values()) if isinstance(value, Tensor))
            self.held += sum(ref() is not None and ref() is not first for ref in self.given)
            self.given.clear()
            if len(of(Retreated, self.events)) < self.rungs:
                mine = first.clone()
                self.given.append(weakref.ref(mine))
                self.run_out(mine)
            return whole(module, *arguments, **named)

        monkeypatch.setattr(network, name, compute)

    def run_out(self, part: Tensor) -> None:
        """Holding on to what was computed, as a traceback does."""
        computed = part * 2
        self.given.append(weakref.ref(computed))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def run(self, drafts: Path, plan: DraftPlan) -> list[Event]:
        self.events.clear()
        Engine(drafts).run(plan, DRAFT, self.events.append)
        return self.events


def ladder(crowded: Crowded, drafts: Path, plan: DraftPlan) -> list[DraftPlan]:
    """All plans that were tried when none was enough."""
    with pytest.raises(OutOfMemory, match=f"busy with {crowded.stage} in the way that needs least"):
        crowded.run(drafts, plan)
    return [said.plan for said in of(Retreated, crowded.events)]


@pytest.mark.fault(1, 2, 3, 5, 6)
@pytest.mark.parametrize(
    ("stage", "side", "guidance", "ways"),
    [
        (Stage.ENCODE, 96, 1.0, ["streamed from disk", "in int8", "on the processor"]),
        (Stage.DENOISE, 256, 3.0, ["bfloat16 streamed", "one after the other", "in chunks of", "in fp8 streamed"]),
        (Stage.DENOISE, 96, 1.0, ["in fp8 streamed", "in chunks of"]),
        (Stage.DECODE, 96, 1.0, ["the text encoder leaves", "4 latents at a time", "on the processor"]),
    ],
)
def test_each_rung_takes_less_lets_go_of_the_last_one_and_makes_the_draft(
    tmp_path: Path,
    make_card_plan: Callable[[int, float], DraftPlan],
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage,
    side: int,
    guidance: float,
    ways: list[str],
) -> None:
    plan = make_card_plan(side, guidance)
    crowded = Crowded(stage, 99, monkeypatch)
    gc.disable()
    try:
        tried = ladder(crowded, tmp_path / "none", plan)
    finally:
        gc.enable()
    assert not crowded.held
    needs = [tried_plan.memory.choices[stage].card_bytes for tried_plan in (plan, *tried)]
    assert needs == sorted(set(needs), reverse=True)
    reasons = [rung.reasons[0] for rung in tried]
    for way in ways:
        assert any(way in reason for reason in reasons), (way, reasons)
    for rungs, rung in enumerate(tried, start=1):
        crowded.rungs = rungs
        drafts = tmp_path / str(rungs)
        events = crowded.run(drafts, plan)
        assert isinstance(events[-1], Finished), rung.memory.choices[stage].name
        assert len(of(Retreated, events)) == rungs
        journal = Journal(drafts, DRAFT)
        assert count_frames(journal.video_path()) == 57
        assert len(of(ChunkDenoised, events)) == len(rung.chunks)  # none was denoised twice
        assert len(of(StepDone, events)) == 2 * len(rung.chunks)
        for chunk in rung.chunks:
            assert load_file(journal.latents_path(chunk.index))["latents"].isfinite().all()


def test_weights_in_4_bits_are_read_to_where_they_compute_for_each_chunk(
    make_card_plan: Callable[[int, float], DraftPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And moved from nowhere: quanto would unpack them first."""
    plan, read = make_card_plan(96, 1.0), list[str]()
    load, device = workload(plan.request, plan.chunks), plan.memory.device
    offered = choices(Stage.DENOISE, load, device, lowest=Precision.INT4)
    smallest = next(choice for choice in offered if choice.precision is Precision.INT4)
    chosen = dict(plan.memory.choices) | {Stage.DENOISE: smallest}
    opened = residency.open_quantized

    def watched(*arguments: Any) -> nn.Module:
        read.append(str(arguments[-1]))
        return opened(*arguments)

    monkeypatch.setattr(residency, "open_quantized", watched)
    monkeypatch.setattr(residency, "_move", lambda *_: pytest.fail("weights moved"))
    model = ltx.LTXModel(plan.request.spec, device)
    model.follow({stage: replace(choice, parked=smallest.parked) for stage, choice in chosen.items()})
    for _ in plan.chunks:
        with model.residency.on_device(Component.TRANSFORMER) as transformer:
            assert any(isinstance(weight, WeightQBitsTensor) for weight in transformer.parameters())
    assert read == ["cpu"] * len(plan.chunks)

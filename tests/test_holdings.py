"""What the engine holds between drafts is free for the next one, whatever the system counts as taken."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline import holdings as holdings_module
from pipeline.engine import Engine
from pipeline.gpu.held import held_here
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.quantization import open_quantized
from pipeline.holdings import Holdings
from pipeline.models.base import VideoModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import Device, DeviceKind, Held
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Precision
from pipeline.plan.spec import Component
from pipeline.worker import Worker
from tests.conftest import DeviceMaker, PlanMaker
from tests.workers import follow, idle, over, short

__all__ = ["idle", "short"]

GIB = 2**30


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Device], None]:
    """Decide what the system says of the device."""

    def say(device: Device) -> None:
        monkeypatch.setattr(holdings_module, "probe_device", lambda **_: device)

    return say


def test_what_is_held_counts_as_free_but_never_as_more_than_there_is(make_device: DeviceMaker) -> None:
    card = replace(make_device(8, DeviceKind.CUDA, ram_gib=32), free_bytes=2 * GIB, ram_free_bytes=4 * GIB)
    found = card.without(Held(card_bytes=5 * GIB, ram_bytes=20 * GIB))
    assert (found.free_bytes, found.ram_free_bytes) == (7 * GIB, 24 * GIB)
    found = card.without(Held(card_bytes=9 * GIB, ram_bytes=90 * GIB))
    assert (found.free_bytes, found.ram_free_bytes) == (8 * GIB, 32 * GIB)
    for kind in (DeviceKind.CPU, DeviceKind.MPS):  # where there is one memory
        host = replace(make_device(16, kind), free_bytes=2 * GIB, ram_free_bytes=2 * GIB)
        found = host.without(Held(ram_bytes=5 * GIB))
        assert (found.free_bytes, found.ram_free_bytes) == (7 * GIB, 7 * GIB)


def test_while_a_draft_is_made_the_next_finds_what_was_there_before(
    probed: Callable[[Device], None], make_device: DeviceMaker
) -> None:
    busy = list[bool]()
    holdings = Holdings(lambda: bool(busy))
    whole = make_device(8, DeviceKind.CUDA)
    probed(whole)
    assert holdings.probe() == whole
    busy.append(True)
    probed(replace(whole, free_bytes=GIB, ram_free_bytes=GIB, disk_free_bytes=5))
    assert holdings.probe() == replace(whole, disk_free_bytes=5)
    busy.clear()
    holdings.keep(Held(card_bytes=GIB))
    assert holdings.probe().free_bytes == 2 * GIB


def test_the_engine_tells_what_it_holds_when_a_draft_is_over(
    idle: Worker, short: DraftPlan, probed: Callable[[Device], None], make_device: DeviceMaker
) -> None:
    taken = replace(make_device(16), free_bytes=0, ram_free_bytes=0)
    probed(taken)
    assert idle.holdings.probe().free_bytes == 0
    idle.start()
    follow(idle, idle.submit(short), over)
    follow(idle, idle.submit(short), over)  # what was held after the first is told before it begins
    assert idle.holdings.probe().free_bytes > MINIATURE.transformer.parameters  # converted to float32: 4 bytes each


def test_a_second_draft_is_not_planned_again_for_what_the_first_one_holds(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan()
    need_bytes = max(choice.card_bytes for choice in plan.memory.choices.values())
    now = replace(plan.memory.device, free_bytes=need_bytes // 2, ram_free_bytes=need_bytes // 2)
    engine = Engine(tmp_path, probe=lambda **_: now)

    class Parked:
        def held(self) -> Held:
            return Held(ram_bytes=64 * GIB)

    parked: VideoModel = Parked()  # type: ignore[assignment]
    engine._model = parked
    assert engine._as_things_are_now(plan, chunks_done=0, slices_done=0) is plan


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8])
def test_pages_of_a_file_are_nobody_s_but_what_was_converted_is_held(
    precision: Precision, make_device: DeviceMaker
) -> None:
    device, checkpoint = make_device(), find_checkpoint(MINIATURE)
    stored = checkpoint.load(Component.VAE, torch.float16, "cpu")  # as its file has it
    converted = checkpoint.load(Component.VAE, torch.float32, "cpu")
    weights = sum(weight.nbytes for weight in converted.parameters())
    if sys.platform == "linux":  # which tells
        assert held_here(device, [stored]) == Held()
    assert held_here(device, [converted]).ram_bytes == pytest.approx(weights, rel=0.05)
    assert held_here(device, [converted, converted]).ram_bytes == held_here(device, [converted]).ram_bytes

    network = MINIATURE.networks[Component.TRANSFORMER]
    cpu = torch.device("cpu")
    quantized = open_quantized(checkpoint, Component.TRANSFORMER, network, precision, torch.bfloat16, cpu)
    half = 2 * sum(weight.numel() for weight in quantized.parameters())
    assert 0.4 * half < held_here(device, [quantized]).ram_bytes < 0.8 * half
    assert held_here(device, [nn.Identity()]) == Held()

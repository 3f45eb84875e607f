"""What is read off a card: in which order, and, where there is one, whether it is true."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import psutil
import pytest
import torch

from pipeline.gpu.backend import peak_bytes
from pipeline.plan.device import Device, DeviceKind, probe_device
from tests.bench.gpu.clock import Laps, begin_stage, context_bytes, hold_to, host_peak_bytes, live_peak_bytes, settle
from tests.conftest import DeviceMaker

MIB = 2**20


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What torch was asked for on a card of 140 GiB that is not there."""
    asked: list[object] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: asked.append(name)

    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, note(name))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=140 * 2**30))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)
    return asked


def test_a_card_is_played_by_its_share_of_this_one(calls: list[object], make_device: DeviceMaker) -> None:
    card = make_device(kind=DeviceKind.CUDA)
    hold_to(card, 7 * 2**30)
    hold_to(card, 200 * 2**30)
    assert calls == [0.05, 1.0]
    hold_to(make_device(), 1)
    assert len(calls) == 2


def test_a_stage_begins_when_all_is_done_and_given_back(calls: list[object], make_device: DeviceMaker) -> None:
    begin_stage(make_device(kind=DeviceKind.CUDA))
    assert calls == ["synchronize", "empty_cache", "reset_peak_memory_stats"]


def test_a_lap_ends_when_the_card_is_done(
    calls: list[object], make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: time.sleep(0.05))
    laps = Laps(make_device(kind=DeviceKind.CUDA))
    laps.lap()
    assert laps.seconds[0] >= 0.05
    assert not calls


def test_the_first_lap_does_not_count(make_device: DeviceMaker) -> None:
    laps = Laps(make_device())
    laps.seconds = [1.0, 3.0, 2.0]
    assert laps.shortest == 2.0


def test_main_memory_is_counted_at_its_largest() -> None:
    before = host_peak_bytes()
    more = before - psutil.Process().memory_info().rss + 64 * MIB
    torch.ones(more, dtype=torch.uint8)
    assert host_peak_bytes() - before > 32 * MIB


@pytest.mark.gpu
def test_a_card_gives_no_more_than_it_is_held_to_and_tells_what_it_gave() -> None:
    device: Device = probe_device()
    try:
        hold_to(device, 512 * MIB)
        begin_stage(device)
        held = peak_bytes(device)
        tensor = torch.ones(256 * MIB, dtype=torch.uint8, device="cuda")
        assert 256 * MIB <= live_peak_bytes(device) <= peak_bytes(device) <= 512 * MIB
        with pytest.raises(torch.OutOfMemoryError):
            torch.ones(512 * MIB, dtype=torch.uint8, device="cuda")
        del tensor
        begin_stage(device)
        assert peak_bytes(device) <= held
        assert context_bytes(device) > 0
        settle(device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

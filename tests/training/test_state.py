"""A training run that was stopped goes on exactly as if it never had been."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.training.state import State, learning_rate

DECAY = 0.9


def begin(path: Path) -> State:
    """A small module with the optimizers the miniature is trained with, always the same at the start."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    matrices = [parameter for parameter in module.parameters() if parameter.ndim == 2]
    rest = [parameter for parameter in module.parameters() if parameter.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=0.01)
    adam = torch.optim.AdamW(rest, lr=0.01)
    return State(path, module, muon, adam, decay=DECAY)


def train(state: State, start: int, stop: int) -> None:
    for step in range(start, stop):
        chance = torch.Generator().manual_seed(step)
        state.module.zero_grad()
        state.module(torch.randn(16, 4, generator=chance)).square().mean().backward()
        for optimizer in state.optimizers:
            optimizer.step()
        state.average()


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_a_run_that_was_stopped_ends_with_the_same_weights_and_average(tmp_path: Path) -> None:
    straight = begin(tmp_path / "straight.pt")
    train(straight, 0, 12)
    first = begin(tmp_path / "stopped.pt")
    train(first, 0, 5)
    first.save(5)
    second = begin(tmp_path / "stopped.pt")
    assert second.load() == 5
    train(second, 5, 12)
    assert_same(second.module, straight.module)
    assert_same(second.average_module, straight.average_module)


def test_without_a_saved_state_training_begins_at_nothing(tmp_path: Path) -> None:
    state = begin(tmp_path / "none.pt")
    assert state.load() == 0
    assert_same(state.module, begin(tmp_path / "none.pt").module)


def test_a_save_that_is_cut_off_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = begin(tmp_path / "state.pt")
    train(state, 0, 3)
    state.save(3)

    def cut_off(_value: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        state.save(4)
    monkeypatch.undo()
    assert begin(tmp_path / "state.pt").load() == 3


def test_the_average_follows_the_weights_and_is_not_trained(tmp_path: Path) -> None:
    state = begin(tmp_path / "state.pt")
    start = [parameter.clone() for parameter in state.average_module.parameters()]
    train(state, 0, 30)
    for mean, now, before in zip(state.average_module.parameters(), state.module.parameters(), start, strict=True):
        assert not mean.requires_grad
        assert (mean - now).norm() < (before - now).norm()
        assert not torch.equal(mean, now)
    with state.averaged() as averaged:
        assert not averaged.training
    assert state.module.training


def test_the_average_of_weights_that_stay_is_those_weights(tmp_path: Path) -> None:
    state = begin(tmp_path / "state.pt")
    with torch.no_grad():
        for parameter in state.module.parameters():
            parameter.fill_(1.0)
    for _ in range(200):
        state.average()
    for mean in state.average_module.parameters():
        torch.testing.assert_close(mean, torch.ones_like(mean))


def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_twentieth() -> None:
    rates = [learning_rate(step, 1000, 2e-3, warmup=100) for step in range(1001)]
    assert 0 < rates[0] < 3e-5
    assert rates[:100] == sorted(rates[:100])
    assert max(rates) == pytest.approx(rates[100]) == pytest.approx(2e-3)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4)
    assert learning_rate(5000, 1000, 2e-3, warmup=100) == pytest.approx(1e-4)

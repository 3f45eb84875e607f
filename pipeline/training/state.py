"""What a training run keeps on disk, so that it can be stopped at any moment and go on."""

import copy
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn


def learning_rate(step: int, steps: int, peak: float, *, warmup: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))


class State:
    """A module, its optimizers and a running average of its weights, saved together.

    Args:
        path: file of the saved state; loaded with `weights_only=True`.
        module: what is trained.
        optimizers: what trains it.
        decay: of the average, per step; the first steps use less so that it forgets the random start.
    """

    def __init__(self, path: Path, module: nn.Module, *optimizers: torch.optim.Optimizer, decay: float) -> None:
        self.path, self.module, self.optimizers, self.decay = path, module, optimizers, decay
        self.average_module = copy.deepcopy(module).eval().requires_grad_(False)
        self.steps = 0

    def average(self) -> None:
        """Move the average one step towards the current weights."""
        self.steps += 1
        weight = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for mean, now in zip(self.average_module.parameters(), self.module.parameters(), strict=True):
                mean.lerp_(now, weight)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The averaged module, in eval mode; give it back unchanged."""
        yield self.average_module

    def save(self, step: int) -> None:
        """Write everything to a temporary name, then rename."""
        temporary = self.path.with_suffix(".tmp")
        torch.save(
            {
                "step": step,
                "module": self.module.state_dict(),
                "average": self.average_module.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            },
            temporary,
        )
        os.replace(temporary, self.path)

    def load(self) -> int:
        """Load what was saved, if anything; returns the step to go on from."""
        if not self.path.exists():
            return 0
        saved = torch.load(self.path, map_location="cpu", weights_only=True)
        self.module.load_state_dict(saved["module"])
        self.average_module.load_state_dict(saved["average"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.steps = saved["step"]
        return int(saved["step"])

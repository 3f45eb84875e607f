"""Both passes of guidance, with the sentence and without, where one batch of the two would hold too much, or where the
one without is not asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def one_after_the_other(transformer: nn.Module) -> Iterator[None]:
    """Have each call with a batch of two, guidance's, run as two calls with one: half as much is live at once.

    Batched inputs are those whose first dimension is that of `hidden_states`; the rest is shared.
    """
    whole = transformer.forward

    def forward(hidden_states: Tensor, **shared: Any) -> tuple[Tensor]:
        count = hidden_states.shape[0]
        batched = {name: value for name, value in shared.items() if _counts(value) == count}
        parts = [
            whole(
                hidden_states=hidden_states[index : index + 1],
                **shared | {name: value[index : index + 1] for name, value in batched.items()},
            )[0]
            for index in range(count)
        ]
        return (torch.cat(parts),)

    transformer.forward = forward
    try:
        yield
    finally:
        transformer.forward = whole


@contextmanager
def unguided_at_first(transformer: nn.Module, calls: int) -> Iterator[None]:
    """Have the first so many calls with guidance's batch of two run with its second, the sentence, only.

    What comes out says the same of both, so that guidance of any strength leaves the sentence's: u + g (c - u) = c.
    """
    whole, left = transformer.forward, calls

    def forward(hidden_states: Tensor, **shared: Any) -> tuple[Tensor]:
        nonlocal left
        if left <= 0:
            guided: tuple[Tensor] = whole(hidden_states=hidden_states, **shared)
            return guided
        left -= 1
        count = hidden_states.shape[0]
        told = {name: value[count // 2 :] if _counts(value) == count else value for name, value in shared.items()}
        said = whole(hidden_states=hidden_states[count // 2 :], **told)[0]
        return (torch.cat((said, said)),)

    transformer.forward = forward
    try:
        yield
    finally:
        transformer.forward = whole


def _counts(value: object) -> int | None:
    return value.shape[0] if isinstance(value, Tensor) and value.dim() > 0 else None

"""Both passes of guidance, with the sentence and without, where one batch of the two would hold too much."""

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


def _counts(value: object) -> int | None:
    return value.shape[0] if isinstance(value, Tensor) and value.dim() > 0 else None

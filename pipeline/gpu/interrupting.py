"""What has no steps, such as reading weights or a sentence, is left between two of torch's operations.

A draft says once what to ask (`heeding`); whoever begins something long asks it before every operation (`asking`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Check = Callable[[], None]

PAUSE_SECONDS = 0.01  # between two questions: one costs a look at the disk, and a fast operation takes microseconds
_SWITCH = torch._C._set_grad_enabled  # computes nothing; a `no_grad` that ends with an error there stays on for good
_heeded: ContextVar[Check | None] = ContextVar("heeded", default=None)


class _Asking(TorchFunctionMode):
    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check, self._asked_at = check, time.monotonic()
        self.raised: Exception | None = None

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not _SWITCH and time.monotonic() - self._asked_at >= PAUSE_SECONDS:
            try:
                self._check()
            except Exception as error:
                self.raised = error
                raise
            self._asked_at = time.monotonic()
        return function(*args, **(kwargs or {}))


@contextmanager
def heeding(check: Check) -> Iterator[None]:
    """`check` is what is asked inside, by `asking`; it raises to end what runs."""
    before = _heeded.set(check)
    try:
        yield
    finally:
        _heeded.reset(before)


@contextmanager
def asking() -> Iterator[None]:
    """Ask what is heeded before torch's operations inside, in this thread, and at the end; nothing where nobody does.

    What it raises ends the block as itself: libraries turn what goes wrong while they read into errors of their own.
    """
    check = _heeded.get()
    if check is None:
        yield
        return
    mode = _Asking(check)
    try:
        with mode:
            yield
    except Exception as error:
        if mode.raised is None or error is mode.raised:
            raise
        raise mode.raised from error
    check()

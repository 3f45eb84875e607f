"""What is long and has no steps is left between two of torch's operations."""

from collections.abc import Callable

import pytest
import torch

from pipeline.errors import StopRequested
from pipeline.gpu import interrupting
from pipeline.gpu.interrupting import asking, heeding


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupting, "PAUSE_SECONDS", 0.0)


def stopping_after(operations: int) -> Callable[[], None]:
    left = [operations]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StopRequested

    return check


def test_it_ends_before_the_next_operation() -> None:
    tensor = torch.zeros(1)

    def count() -> None:
        for _ in range(10):
            tensor.add_(1)

    with pytest.raises(StopRequested), heeding(stopping_after(3)), asking():
        count()
    assert tensor.item() == 3


def test_a_library_that_makes_another_error_of_it_changes_nothing() -> None:
    def read() -> None:
        try:
            torch.zeros(1).add(1)
        except StopRequested as error:
            raise OSError("weights cannot be read") from error

    with pytest.raises(StopRequested), heeding(stopping_after(0)), asking():
        read()


def test_an_error_of_its_own_stays_what_it_is() -> None:
    def read() -> None:
        torch.zeros(1).add(1)
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"), heeding(lambda: None), asking():
        read()


def test_what_is_through_is_asked_once_more() -> None:
    with pytest.raises(StopRequested), heeding(stopping_after(0)), asking():
        pass


def test_nobody_is_asked_outside_and_the_innermost_is_heeded() -> None:
    with asking():
        torch.zeros(1).add(1)
    with heeding(stopping_after(0)), heeding(lambda: None), asking():
        torch.zeros(1).add(1)


def test_an_operation_gives_what_it_gives() -> None:
    values = torch.arange(6.0)
    with heeding(lambda: None), asking():
        inside = torch.stack([values.view(2, 3).sum(dim=1), torch.zeros(2)]).tolist()
    assert inside == [[3.0, 12.0], [0.0, 0.0]]


def test_gradients_are_as_they_were_wherever_it_ends() -> None:
    def compute() -> None:
        for _ in range(2):
            with torch.no_grad():
                torch.zeros(1).add(1)

    for operations in range(4):
        with pytest.raises(StopRequested), heeding(stopping_after(operations)), asking():
            compute()
        assert torch.is_grad_enabled(), operations

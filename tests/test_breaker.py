"""Three failures in a row, a pause, one attempt that decides."""

import pytest

from pipeline.breaker import FAILURES, PAUSE_SECONDS, Breaker
from pipeline.errors import DraftError

pytestmark = pytest.mark.fault(22)


class Clock:
    """Time that passes only when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(breaker: Breaker) -> str:
    with pytest.raises(DraftError) as refusal:
        breaker.check()
    return str(refusal.value)


def test_it_opens_after_three_failures_in_a_row_and_says_which_and_how_long(clock: Clock) -> None:
    breaker = Breaker("Downloading", clock)
    for reason in ("The first.", "The second.", "No network."):
        breaker.check()
        breaker.failed(reason)
    assert refused(breaker) == "Downloading failed 3 times in a row: No network. It can be tried again in 60 s."
    clock.now += PAUSE_SECONDS - 1
    assert "in 1 s" in refused(breaker)


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    breaker = Breaker("Downloading", clock)
    for outcome in (breaker.failed, breaker.failed, lambda _: breaker.succeeded(), breaker.failed, breaker.failed):
        breaker.check()
        outcome("No network.")
    breaker.check()


@pytest.mark.parametrize("well", [True, False])
def test_after_the_pause_one_attempt_decides(clock: Clock, well: bool) -> None:
    breaker = Breaker("Downloading", clock)
    for _ in range(FAILURES):
        breaker.failed("No network.")
    clock.now += PAUSE_SECONDS
    breaker.check()
    if well:
        breaker.succeeded()
        for _ in range(FAILURES - 1):
            breaker.failed("No network.")
        breaker.check()
    else:
        breaker.failed("Still none.")
        assert "Still none." in refused(breaker)

"""Downloads for the page: progress, cancel, one at a time, and a pause after three that failed; with real processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.breaker import PAUSE_SECONDS
from pipeline.errors import DraftError, InvalidRequest
from pipeline.fetcher import Fetcher, FetchState, FetchStatus
from pipeline.plan.catalog import LTX_2B
from tests.fake_hub import FakeHub
from tests.test_breaker import Clock

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
BLOCK_BYTES = 10 * 2**20  # which huggingface_hub writes at once
PATIENCE_SECONDS = 90


@pytest.fixture
def cache(fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What other processes take for Hugging Face's cache; they ask the hub on this machine."""
    for name, value in {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": fake_hub.url,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "cache"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetcher(cache: Path, clock: Clock) -> Iterator[Fetcher]:
    assert not cache.exists()
    fetcher = Fetcher(clock)
    yield fetcher
    fetcher.cancel()


def wait(fetcher: Fetcher, until: Callable[[FetchStatus], bool]) -> FetchStatus:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert fetcher.status is not None
        if until(fetcher.status):
            return fetcher.status
        time.sleep(0.02)
    raise AssertionError(fetcher.status)


def unfinished_bytes(cache: Path) -> int:
    """Of the file that is being downloaded; small ones come and go before the large one."""
    with suppress(FileNotFoundError):
        return max((path.stat().st_size for path in cache.rglob("*.incomplete")), default=0)
    return 0


def ended(status: FetchStatus) -> bool:
    return status.state is not FetchState.RUNNING


@pytest.mark.fault(18)
def test_a_download_is_cancelled_in_mid_air_and_goes_on_from_there(
    fetcher: Fetcher, fake_hub: FakeHub, cache: Path
) -> None:
    assert fetcher.status is None
    fetcher.cancel()  # there is nothing to cancel
    fake_hub.files[LTX_2B.repository][TRANSFORMER] = save({"a": np.zeros(BLOCK_BYTES + 2**20, dtype=np.uint8)})
    fake_hub.stalls[TRANSFORMER] = BLOCK_BYTES + 2**19
    fetcher.start("ltx-2b")
    with pytest.raises(DraftError, match=r"LTX-Video 2B 0\.9\.5 is being downloaded\. Wait for it, or cancel it\."):
        fetcher.start("wan-5b")
    running = wait(fetcher, lambda status: status.done_bytes > 0 and unfinished_bytes(cache) > 2**20)
    assert (running.state, running.model) == (FetchState.RUNNING, "ltx-2b")
    assert running.total_bytes > running.done_bytes > 0
    fetcher.cancel()
    cancelled = wait(fetcher, ended)
    assert cancelled.state is FetchState.CANCELLED
    (unfinished,) = cache.rglob("*.incomplete")
    came = unfinished.stat().st_size
    assert 0 < came <= BLOCK_BYTES
    fake_hub.let_go.set()
    fake_hub.stalls.clear()
    fake_hub.asked.clear()
    fetcher.start("ltx-2b")
    done = wait(fetcher, ended)
    assert (done.state, done.done_bytes, done.message) == (FetchState.DONE, done.total_bytes, "")
    assert [asked.start for asked in fake_hub.fetched() if asked.name == TRANSFORMER] == [came]
    assert not list(cache.rglob("*.incomplete"))


@pytest.mark.fault(22)
def test_after_three_that_failed_there_is_a_pause(fetcher: Fetcher, fake_hub: FakeHub, clock: Clock) -> None:
    fake_hub.refuses["list"] = 503
    for _ in range(3):
        fetcher.start("ltx-2b")
        failed = wait(fetcher, ended)
        assert failed.state is FetchState.FAILED
        assert "answered with an error (503)" in failed.message
    asked = len(fake_hub.asked)
    with pytest.raises(DraftError, match=r"failed 3 times in a row: .*503.* again in 60 s"):
        fetcher.start("ltx-2b")
    assert len(fake_hub.asked) == asked
    clock.now += PAUSE_SECONDS
    fake_hub.refuses.clear()
    fetcher.start("ltx-2b")
    assert wait(fetcher, ended).state is FetchState.DONE


def test_what_is_no_model_is_refused(fetcher: Fetcher) -> None:
    with pytest.raises(InvalidRequest):
        fetcher.start("somebody/something")
    assert fetcher.status is None

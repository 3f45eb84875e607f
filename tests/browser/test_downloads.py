"""A download from the page, of a hub on this machine: progress, cancel, going on, and a model that can be used then."""

import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.plan.catalog import LTX_2B
from tests.browser.studio import Visit, open_studio, sync_api
from tests.browser.test_models import options
from tests.fake_hub import FakeHub
from tests.tiny import make_tiny_checkpoint

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
BLOCK_BYTES = 10 * 2**20  # which huggingface_hub writes at once


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    with FakeHub().open() as hub:
        hub.add(LTX_2B.repository, make_tiny_checkpoint(tmp_path_factory.mktemp("hub") / "checkpoint"))
        hub.files[LTX_2B.repository][TRANSFORMER] = save({"a": np.zeros(BLOCK_BYTES + 2**20, dtype=np.uint8)})
        yield hub


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, hub: FakeHub) -> Iterator[str]:
    """A studio that asks the hub on this machine."""
    online = ("env", "HF_HUB_OFFLINE=0", f"HF_ENDPOINT={hub.url}", "HF_HUB_DISABLE_XET=1")
    with open_studio(tmp_path_factory.mktemp("studio"), before=online) as url:
        yield url


@pytest.mark.slow
def test_a_model_is_downloaded_from_the_page(visit: Visit, hub: FakeHub) -> None:
    need = visit.need
    hub.stalls[TRANSFORMER] = BLOCK_BYTES + 2**19
    options(visit).filter(has_text="LTX-Video 2B 0.9.5").click()
    need.get_by_role("button", name="Download").click()
    sync_api.expect(need).to_contain_text(re.compile(r"Downloading LTX-Video 2B 0\.9\.5: \d+\.\d of \d+\.\d"))
    assert hub.stalled.wait(60)
    need.get_by_role("button", name="Cancel the download").click()
    sync_api.expect(need.get_by_role("code")).to_have_text("python -m pipeline download ltx-2b")
    hub.let_go.set()
    hub.let_go, hub.stalled = threading.Event(), threading.Event()
    hub.stalls[TRANSFORMER] = 2**18  # of what is still to come
    need.get_by_role("button", name="Download").click()
    assert hub.stalled.wait(60)
    visit.page.reload()  # the page follows it, though nothing was pressed there
    sync_api.expect(need).to_contain_text("Downloading")
    hub.stalls.clear()
    hub.let_go.set()
    sync_api.expect(need).to_be_hidden()
    sync_api.expect(options(visit).nth(1)).to_have_text(re.compile(r"LTX-Video 2B 0\.9\.5$"))


@pytest.mark.slow
def test_a_download_that_fails_says_why(visit: Visit) -> None:
    need = visit.need
    options(visit).filter(has_text="Wan2.2 TI2V-5B").click()
    need.get_by_role("button", name="Download").click()
    sync_api.expect(need).to_contain_text("Hugging Face shows no repository")
    sync_api.expect(need.get_by_role("button", name="Download")).to_be_visible()

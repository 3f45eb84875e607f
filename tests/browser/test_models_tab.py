"""The Models tab in a real browser: what is here can be used, what is not can be brought, in Chinese, too."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.plan.catalog import CATALOG, LTX_2B
from tests.browser.studio import Visit, open_studio, sync_api
from tests.browser.test_downloads import BLOCK_BYTES, TRANSFORMER, hub
from tests.fake_hub import FakeHub

__all__ = ["hub"]
expect = sync_api.expect


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, hub: FakeHub) -> Iterator[str]:
    """A studio that asks the hub on this machine."""
    online = ("env", "HF_HUB_OFFLINE=0", f"HF_ENDPOINT={hub.url}", "HF_HUB_DISABLE_XET=1")
    with open_studio(tmp_path_factory.mktemp("studio"), before=online) as url:
        yield url


def card(page: sync_api.Page, title: str) -> sync_api.Locator:
    """A model by its heading."""
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.get_by_role("listitem").filter(has=heading)


def open_tab(visit: Visit, name: str = "Models") -> sync_api.Page:
    visit.page.get_by_role("tab", name=name).click()
    expect(visit.page.get_by_role("list", name=name).get_by_role("listitem")).to_have_count(len(CATALOG))
    return visit.page


def test_every_model_tells_size_licence_and_whether_it_fits(visit: Visit, hub: FakeHub) -> None:
    hub.asked.clear()
    page = open_tab(visit)
    expect(page.get_by_role("listitem").first).to_contain_text("Miniature")
    for title in (spec.title for spec in CATALOG.values()):
        expect(card(page, title)).to_contain_text("Licence: ")
        expect(card(page, title)).to_contain_text(re.compile("Fits|Does not fit"))
    expect(card(page, LTX_2B.title)).to_contain_text("Not here · 14.8\u00a0GB to download")
    assert not hub.asked  # nobody pressed a button


def test_a_model_is_downloaded_cancelled_and_goes_on_and_is_used(visit: Visit, hub: FakeHub) -> None:
    page = open_tab(visit)
    ltx = card(page, LTX_2B.title)
    hub.files[LTX_2B.repository][TRANSFORMER] = save({"a": np.zeros(BLOCK_BYTES + 2**20, dtype=np.uint8)})
    hub.stalls[TRANSFORMER] = BLOCK_BYTES + 2**19
    ltx.get_by_role("button", name="Download").click()
    expect(ltx.get_by_role("progressbar")).to_be_visible()
    assert hub.stalled.wait(60)
    expect(ltx).to_contain_text(re.compile(r"Downloading: \d+\u00a0MB of \d+\u00a0MB"))
    expect(card(page, "Wan2.2 TI2V-5B")).to_contain_text("Another model is being downloaded")
    ltx.get_by_role("button", name="Cancel").click()
    expect(ltx).to_contain_text("Partly here")
    hub.let_go.set()
    hub.stalls.clear()
    ltx.get_by_role("button", name="Go on").click()
    use = page.get_by_role("button", name=f"Use this model: {LTX_2B.title}")
    expect(use).to_be_visible()
    use.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Drafts")).to_have_attribute("aria-selected", "true")
    visit.more_button.click()
    expect(visit.model).to_have_value(re.compile(r"^LTX-Video 2B 0\.9\.5"))
    expect(visit.length).to_have_value("5")


def test_a_download_that_fails_says_why_at_its_model(visit: Visit) -> None:
    page = open_tab(visit)
    wan = card(page, "Wan2.2 TI2V-5B")
    wan.get_by_role("button", name="Download").click()
    expect(wan.get_by_role("status")).to_contain_text("Hugging Face shows no repository")
    expect(wan.get_by_role("button", name="Download")).to_be_visible()


def test_the_address_opens_the_tab_and_follows_it(visit: Visit) -> None:
    page = visit.page
    page.goto("about:blank")
    page.goto(f"{visit.address}#models")
    expect(page.get_by_role("tab", name="Models")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("list", name="Models").get_by_role("listitem")).to_have_count(len(CATALOG))
    page.get_by_role("tab", name="Drafts").click()
    page.wait_for_url("**/#desk")
    expect(visit.prompt).to_be_visible()


def test_the_tab_speaks_chinese_on_a_phone_and_nothing_is_cut_off(browser: sync_api.Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    page = context.new_page()
    page.goto(f"{address}#models")
    cards = page.get_by_role("list", name="模型").get_by_role("listitem")
    expect(cards).to_have_count(len(CATALOG))
    expect(page.get_by_role("button", name="使用这个模型: 微型模型")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()

"""The Models tab in a real browser: what is here can be used, what is not can be brought, in Chinese, too."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.plan.catalog import CATALOG, LTX_2B
from pipeline.studio.translation import say_name
from tests.browser.studio import BOTH, Visit, open_studio, sync_api
from tests.browser.test_downloads import BLOCK_BYTES, TRANSFORMER, hub
from tests.fake_hub import FakeHub

__all__ = ["hub"]
expect = sync_api.expect
NO_REPOSITORY = {"en-GB": "Hugging Face shows no repository", "zh-CN": "Hugging Face 上看不到仓库"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, hub: FakeHub) -> Iterator[str]:
    """A studio that asks the hub on this machine."""
    online = ("env", "HF_HUB_OFFLINE=0", f"HF_ENDPOINT={hub.url}", "HF_HUB_DISABLE_XET=1")
    with open_studio(tmp_path_factory.mktemp("studio"), before=online) as url:
        yield url


def cards(visit: Visit) -> sync_api.Locator:
    """All models."""
    return visit.page.get_by_role("list", name=visit.says("models_label")).get_by_role("listitem")


def card(visit: Visit, title: str) -> sync_api.Locator:
    """A model by its heading."""
    heading = visit.page.get_by_role("heading", name=title, exact=True)
    return cards(visit).filter(has=heading)


def open_tab(visit: Visit) -> sync_api.Page:
    visit.tab("tab_models").click()
    expect(cards(visit)).to_have_count(len(CATALOG))
    return visit.page


@pytest.mark.parametrize("locale", BOTH)
def test_every_model_tells_size_licence_and_whether_it_fits(visit: Visit, hub: FakeHub) -> None:
    hub.asked.clear()
    open_tab(visit)
    fits = "|".join(visit.like(f"models_fit_{how}").pattern for how in ("whole", "coarser", "smaller", "not"))
    for spec in CATALOG.values():
        told = card(visit, say_name(visit.language, "model", spec.title))
        expect(told).to_contain_text(visit.says("models_licence", licence=""))
        expect(told).to_contain_text(re.compile(fits))
    expect(cards(visit).first).to_contain_text(say_name(visit.language, "model", "Miniature"))
    rest = visit.says("models_gigabytes", size=14.8)
    expect(card(visit, LTX_2B.title)).to_contain_text(visit.says("models_absent", rest=rest))
    assert not hub.asked  # nobody pressed a button


def test_a_model_is_downloaded_cancelled_and_goes_on_and_is_used(visit: Visit, hub: FakeHub) -> None:
    page = open_tab(visit)
    ltx = card(visit, LTX_2B.title)
    hub.files[LTX_2B.repository][TRANSFORMER] = save({"a": np.zeros(BLOCK_BYTES + 2**20, dtype=np.uint8)})
    hub.stalls[TRANSFORMER] = BLOCK_BYTES + 2**19
    ltx.get_by_role("button", name="Download").click()
    expect(ltx.get_by_role("progressbar")).to_be_visible()
    assert hub.stalled.wait(60)
    expect(ltx).to_contain_text(re.compile(r"Downloading: \d+\u00a0MB of \d+\u00a0MB"))
    expect(card(visit, "Wan2.2 TI2V-5B")).to_contain_text("Another model is being downloaded")
    ltx.get_by_role("button", name="Cancel").click()
    expect(ltx).to_contain_text("Partly here")
    hub.let_go.set()
    hub.stalls.clear()
    ltx.get_by_role("button", name="Go on").click()
    use = page.get_by_role("button", name=f"Use this model: {LTX_2B.title}")
    expect(use).to_be_visible()
    use.focus()
    page.keyboard.press("Enter")
    expect(visit.tab("tab_desk")).to_have_attribute("aria-selected", "true")
    visit.more_button.click()
    expect(visit.model).to_have_value(re.compile(r"^LTX-Video 2B 0\.9\.5"))
    expect(visit.length).to_have_value("5")


@pytest.mark.parametrize("locale", BOTH)
def test_a_download_that_fails_says_why_at_its_model(visit: Visit, locale: str) -> None:
    open_tab(visit)
    wan = card(visit, "Wan2.2 TI2V-5B")
    download = wan.get_by_role("button", name=visit.like("models_download"))
    download.click()
    expect(wan.get_by_role("status")).to_contain_text(NO_REPOSITORY[locale])
    expect(download).to_be_visible()


def test_the_address_opens_the_tab_and_follows_it(visit: Visit) -> None:
    page = visit.page
    page.goto("about:blank")
    page.goto(f"{visit.address}#models")
    expect(visit.tab("tab_models")).to_have_attribute("aria-selected", "true")
    expect(cards(visit)).to_have_count(len(CATALOG))
    visit.tab("tab_desk").click()
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

"""A studio that ends and comes back, as its page sees it: one calm sentence, then all as it was."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.studio import open_studio, sync_api

pytestmark = pytest.mark.slow

expect = sync_api.expect
GONE = {"en-GB": "The studio does not answer.", "zh-CN": "工作室没有回应。"}


@pytest.mark.parametrize("locale", GONE)
def test_a_studio_that_is_gone_is_told_and_what_was_typed_meanwhile_is_there_when_it_is_back(
    browser: sync_api.Browser, tmp_path: Path, locale: str
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale=locale)
    page = context.new_page()
    with open_studio(tmp_path) as address:
        page.goto(address)
        expect(page.locator("#rushes-forecast .line")).to_contain_text("97")
        page.locator("#rushes-prompt textarea").fill("a red ball falls")
        page.wait_for_timeout(1000)
    told = page.get_by_role("status").filter(has_text=GONE[locale])
    expect(told).to_be_visible()
    page.locator("#rushes-prompt textarea").fill("a blue star rises over sea")
    with open_studio(tmp_path, port=urlsplit(address).port or 0):
        expect(told).to_be_hidden()
        expect(page.locator("#rushes-forecast .line")).to_contain_text("97")
        expect(page.locator("#rushes-prompt textarea")).to_have_value("a blue star rises over sea")
    context.close()

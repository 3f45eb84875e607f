"""A studio that ends and comes back, as its page sees it: one calm sentence, then all as it was."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.studio import DESKTOP, Visit, open_studio, sync_api

pytestmark = pytest.mark.slow

expect = sync_api.expect
GONE = {"en-GB": "The studio does not answer.", "zh-CN": "工作室没有回应。"}


@pytest.mark.parametrize("locale", GONE)
def test_a_studio_that_is_gone_is_told_and_what_was_typed_meanwhile_is_there_when_it_is_back(
    browser: sync_api.Browser, tmp_path: Path, locale: str
) -> None:
    context = browser.new_context(viewport=DESKTOP, locale=locale)
    with open_studio(tmp_path) as address:
        visit = Visit(context.new_page(), address, locale)
        visit.open()
        visit.prompt.fill("a red ball falls")
        visit.page.wait_for_timeout(1000)
    told = visit.page.get_by_role("status").filter(has_text=GONE[locale])
    expect(told).to_be_visible()
    visit.prompt.fill("a blue star rises over sea")
    with open_studio(tmp_path, port=urlsplit(address).port or 0):
        expect(told).to_be_hidden()
        expect(visit.line).to_contain_text("97")
        expect(visit.prompt).to_have_value("a blue star rises over sea")
    context.close()

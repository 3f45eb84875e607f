"""The language of the page in a real browser: the browser's, until another is chosen, which is remembered."""

from pathlib import Path

import pytest

from pipeline.studio.texts import Language
from tests.browser.studio import Visit, open_studio, sync_api, visitor

expect = sync_api.expect


def speaks(visit: Visit, language: str) -> None:
    """Labels, our scripts, the server and the document itself."""
    page, chinese = visit.page, language == "zh"
    visit.language = Language(language)
    expect(visit.document).to_have_attribute("lang", "zh-CN" if chinese else "en")
    expect(page.get_by_role("button", name="生成草稿" if chinese else "Make draft")).to_be_visible()
    expect(page.get_by_text("写一句话" if chinese else "Type a sentence")).to_be_visible()
    expect(visit.line).to_contain_text("帧" if chinese else "frames")
    expect(visit.player).to_contain_text("草稿会" if chinese else "Your draft")
    expect(page.get_by_role("button", name="中文")).to_have_attribute("aria-pressed", str(chinese).lower())


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh"), ("zh-HK", "zh"), ("fr-FR", "en")])
def test_the_browsers_language_is_the_first(
    browser: sync_api.Browser, address: str, locale: str, language: str
) -> None:
    with visitor(browser, address, locale) as visit:
        speaks(visit, language)


def test_a_choice_keeps_the_sentence_and_outlives_reloads_and_new_windows(visit: Visit) -> None:
    page = visit.page
    visit.prompt.fill("a red ball falls")
    expect(visit.line).to_contain_text("97")
    page.wait_for_timeout(1000)  # until the newest form is kept
    page.get_by_role("button", name="中文").click()
    speaks(visit, "zh")
    expect(visit.prompt).to_have_value("a red ball falls")
    page.reload()
    speaks(visit, "zh")
    other = Visit(page.context.new_page(), visit.address, "zh-CN")
    other.open()
    speaks(other, "zh")
    other.page.get_by_role("button", name="English").click()
    speaks(other, "en")


@pytest.mark.slow
def test_a_choice_outlives_the_studio(browser: sync_api.Browser, tmp_path: Path) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    with open_studio(tmp_path) as address:
        visit = Visit(page, address)
        visit.open()
        page.get_by_role("button", name="中文").click()
        speaks(visit, "zh")
    with open_studio(tmp_path) as address:
        visit = Visit(page, address, "zh-CN")
        visit.open()
        speaks(visit, "zh")
    context.close()

"""The language of the page in a real browser: the browser's, until another is chosen, which is remembered."""

from pathlib import Path

import pytest

from tests.browser.studio import Visit, open_studio, sync_api

expect = sync_api.expect


def speaks(page: sync_api.Page, language: str) -> None:
    """Labels, our scripts, the server and the document itself."""
    chinese = language == "zh"
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if chinese else "en")
    expect(page.get_by_role("button", name="生成草稿" if chinese else "Make draft")).to_be_visible()
    expect(page.locator(".tagline")).to_contain_text("写一句话" if chinese else "Type a sentence")
    expect(page.locator("#rushes-forecast .line")).to_contain_text("帧" if chinese else "frames")
    expect(page.locator(".player .empty")).to_contain_text("草稿会" if chinese else "Your draft")
    expect(page.get_by_role("button", name="中文")).to_have_attribute("aria-pressed", str(chinese).lower())


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh"), ("zh-HK", "zh"), ("fr-FR", "en")])
def test_the_browsers_language_is_the_first(
    browser: sync_api.Browser, address: str, locale: str, language: str
) -> None:
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(address)
    speaks(page, language)
    context.close()


def test_a_choice_keeps_the_sentence_and_outlives_reloads_and_new_windows(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").fill("a red ball falls")
    expect(page.locator("#rushes-forecast .line")).to_contain_text("97")
    page.wait_for_timeout(1000)  # until the newest form is kept
    page.get_by_role("button", name="中文").click()
    speaks(page, "zh")
    expect(page.locator("#rushes-prompt textarea")).to_have_value("a red ball falls")
    page.reload()
    speaks(page, "zh")
    other = page.context.new_page()
    other.goto(visit.address)
    speaks(other, "zh")
    other.get_by_role("button", name="English").click()
    speaks(other, "en")


@pytest.mark.slow
def test_a_choice_outlives_the_studio(browser: sync_api.Browser, tmp_path: Path) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    with open_studio(tmp_path) as address:
        page.goto(address)
        page.get_by_role("button", name="中文").click()
        speaks(page, "zh")
    with open_studio(tmp_path) as address:
        page.goto(address)
        speaks(page, "zh")
    context.close()

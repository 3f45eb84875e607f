"""Takes in a real browser: a sheet of moving pictures, and the draft of the one that is chosen, in both languages."""

import pytest

from tests.browser.studio import EXPECTED_MESSAGES, Visit, sync_api

SENTENCE = "a red ball moves left over snow"
WORDS = {
    "en-GB": {
        "ask": "4 takes · about",
        "ready": "ready: make the draft",
        "open": "Open draft",
        "stop": "Stop and keep",
    },
    "zh-CN": {"ask": "4 个试拍", "ready": "已完成：用它生成草稿", "open": "打开草稿"},
}


@pytest.mark.slow
@pytest.mark.parametrize("locale", WORDS)
def test_a_take_is_chosen_and_its_draft_is_made(browser: sync_api.Browser, address: str, locale: str) -> None:
    words = WORDS[locale]
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, locale=locale)
    visit = Visit(context.new_page(), address)
    page = visit.page
    page.goto(address)
    sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text("97")  # which comes after the shelf
    before = page.get_by_role("button", name=words["open"]).count()
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.get_by_role("button", name=words["ask"]).click()
    ready = page.get_by_role("button", name=words["ready"])
    sync_api.expect(ready).to_have_count(4, timeout=120_000)
    page.wait_for_function("document.querySelectorAll('.takes_sheet video').length === 4")
    page.wait_for_function("[...document.querySelectorAll('.takes_sheet video')].every(film => film.currentTime > 0)")
    assert page.get_by_role("button", name=words["open"]).count() == before  # takes are not on the shelf
    page.reload()
    sync_api.expect(ready).to_have_count(4)
    seed = ready.nth(1).inner_text().split()[-1]
    ready.nth(1).click()
    sync_api.expect(page.locator(".player .settings")).to_contain_text(seed)
    sync_api.expect(page.locator(".player .title")).to_have_text(SENTENCE)
    visit.stage("preview")
    page.keyboard.press("Escape")
    page.locator('.player[data-over="true"]').wait_for()
    assert not [error for error in visit.errors if not EXPECTED_MESSAGES.search(error)]
    assert not visit.elsewhere
    context.close()

"""Two drafts side by side: they play, stop, and go frame by frame together."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.drafts import put_drafts
from tests.browser.studio import Visit, open_studio, sync_api

APART = """() => { const [a, b] = document.querySelectorAll('dialog video');
  return Math.abs(a.currentTime - b.currentTime); }"""
WORDS = {
    "en-GB": ("More", "Compare", "Side by side", "Pause", "One frame on", "Play", "Close"),
    "zh-CN": ("更多", "比较", "并排比较", "暂停", "前进一帧", "播放", "关闭"),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("studio")
    put_drafts(folder / "drafts", 3)
    with open_studio(folder) as url:
        yield url


@pytest.mark.parametrize("locale", WORDS)
def test_two_drafts_play_and_step_together(browser: sync_api.Browser, address: str, locale: str) -> None:
    more, compare, title, pause, on, play, close = WORDS[locale]
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, locale=locale)
    visit = Visit(context.new_page(), address)
    page = visit.page
    page.goto(address)
    card = page.get_by_role("listitem").filter(has_text="number 1")
    card.get_by_role("button", name=more).click()
    card.get_by_role("button", name=compare).click()
    page.get_by_role("button", name="number 2").first.click()
    both = page.get_by_role("dialog", name=title)
    sync_api.expect(both.get_by_text("number 1")).to_be_visible()
    sync_api.expect(both.get_by_text("number 2")).to_be_visible()
    page.wait_for_function("[...document.querySelectorAll('dialog video')].every(video => video.currentTime > 0.3)")
    both.get_by_role("button", name=pause).click()
    page.wait_for_function(f"({APART})() < 0.07")
    both.get_by_role("slider").fill("0.5")
    page.wait_for_function(
        "[...document.querySelectorAll('dialog video')].every(video => Math.abs(video.currentTime - 0.5) < 0.05)"
    )
    both.get_by_role("button", name=on).click()
    page.wait_for_function(
        "[...document.querySelectorAll('dialog video')].every(v => Math.floor(v.currentTime * 24) === 13 && v.paused)"
    )
    both.get_by_role("button", name=play, exact=True).click()
    page.wait_for_function("[...document.querySelectorAll('dialog video')].every(video => !video.paused)")
    both.get_by_role("button", name=close).click()
    sync_api.expect(both).to_be_hidden()
    assert not visit.errors
    context.close()

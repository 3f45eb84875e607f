"""Two drafts side by side: they play, stop, and go frame by frame together."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.drafts import put_drafts
from tests.browser.studio import open_studio, sync_api, visitor

WORDS = {
    "en-GB": ("More", "Compare", "Side by side", "Pause", "One frame on", "Play", "Close"),
    "zh-CN": ("更多", "比较", "并排比较", "暂停", "前进一帧", "播放", "关闭"),
}

# A film that has ended is paused by itself until it begins again.
PRESS_AT_THE_END = """button => button.closest('dialog').querySelector('video').addEventListener(
    'ended', () => button.click(), { once: true })"""
LONGER_THAN_A_TICK_MS = 300


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("studio")
    put_drafts(folder / "drafts", 3)
    with open_studio(folder) as url:
        yield url


@pytest.mark.parametrize("locale", WORDS)
def test_two_drafts_play_and_step_together(browser: sync_api.Browser, address: str, locale: str) -> None:
    more, compare, title, pause, on, play, close = WORDS[locale]
    with visitor(browser, address, locale, viewport={"width": 1280, "height": 1000}) as visit:
        page = visit.page
        card = page.get_by_role("listitem").filter(has_text="number 1")
        card.get_by_role("button", name=more).click()
        card.get_by_role("button", name=compare).click()
        page.get_by_role("button", name="number 2").first.click()
        both = page.get_by_role("dialog", name=title)
        sync_api.expect(both.get_by_text("number 1")).to_be_visible()
        sync_api.expect(both.get_by_text("number 2")).to_be_visible()
        sync_api.expect(visit.films(both)).to_have_count(2)
        visit.wait_for_films(both, "video.currentTime > 0.3")
        both.get_by_role("button", name=pause).click()
        visit.wait_for_films(both, "Math.abs(video.currentTime - all[0].currentTime) < 0.07")
        both.get_by_role("slider").fill("0.5")
        visit.wait_for_films(both, "Math.abs(video.currentTime - 0.5) < 0.05")
        both.get_by_role("button", name=on).click()
        visit.wait_for_films(both, "Math.floor(video.currentTime * 24) === 13 && video.paused")
        both.get_by_role("button", name=play, exact=True).click()
        visit.wait_for_films(both, "!video.paused")
        both.get_by_role("button", name=pause).evaluate(PRESS_AT_THE_END)
        sync_api.expect(both.get_by_role("button", name=play, exact=True)).to_be_visible()
        page.wait_for_timeout(LONGER_THAN_A_TICK_MS)
        visit.wait_for_films(both, "video.paused")
        both.get_by_role("button", name=play, exact=True).click()
        visit.wait_for_films(both, "!video.paused && video.currentTime < 0.9 * video.duration")
        presses = visit.count_presses(visit.make_button)
        page.keyboard.press("Control+Enter")
        page.keyboard.press("?")
        assert presses.json_value() == []
        sync_api.expect(page.get_by_role("dialog")).to_have_count(1)  # no list of keys on top
        page.keyboard.press("Escape")
        sync_api.expect(both).to_be_hidden()
        card.get_by_role("button", name=more).click()
        card.get_by_role("button", name=compare).click()
        page.get_by_role("button", name="number 2").first.click()
        both.get_by_role("button", name=close).click()
        sync_api.expect(both).to_be_hidden()
        assert not visit.errors

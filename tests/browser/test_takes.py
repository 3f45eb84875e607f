"""Takes in a real browser: a sheet of moving pictures, and the draft of the one that is chosen, in both languages."""

import pytest

from tests.browser.studio import BOTH, SENTENCE, sync_api, visitor

expect = sync_api.expect


@pytest.mark.slow
@pytest.mark.parametrize("locale", BOTH)
def test_a_take_is_chosen_and_its_draft_is_made(browser: sync_api.Browser, address: str, locale: str) -> None:
    with visitor(browser, address, locale, viewport={"width": 1280, "height": 1000}) as visit:
        page = visit.page
        before = visit.cards.count()
        visit.prompt.fill(SENTENCE)
        page.get_by_role("button", name=visit.like("takes_choice", count=4)).click()
        ready = page.get_by_role("button", name=visit.like("take_done"))
        expect(ready).to_have_count(4, timeout=120_000)
        sheet = page.get_by_role("list", name=visit.says("takes_title"))
        expect(visit.films(sheet)).to_have_count(4)
        visit.wait_for_films(sheet, "video.currentTime > 0")
        assert visit.cards.count() == before  # takes are not on the shelf
        page.reload()
        expect(ready).to_have_count(4)
        seed = ready.nth(1).inner_text().split()[-1]
        ready.nth(1).click()
        expect(visit.settings).to_contain_text(seed)
        expect(visit.title).to_have_text(SENTENCE)
        visit.stage("preview")
        page.keyboard.press("Escape")
        expect(visit.button("go_on")).to_be_visible()
        assert not visit.unexpected
        assert not visit.elsewhere

"""My drafts in a real browser, in both languages: found, looked at, named, kept, deleted, opened, gone on with."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.drafts import put_drafts
from tests.browser.studio import BOTH, Visit, open_studio, sync_api, visitor

COUNT = 23
WORDS = {
    "en-GB": {"open": "Open draft", "search": "Search the sentences", "only": "Favourites", "older": "Older",
              "newer": "Newer", "favourite": "Favourite", "more": "More", "rename": "Rename",
              "name": "Name of this draft",
              "delete": "Delete…", "sure": "Delete it", "keep": "Keep it", "nothing": "No draft is like that.",
              "frees": "That frees", "deleted": "Deleted.", "counted": "1 to 20 of 23", "stay": "until you delete them",
              "gone": "This draft is not there any more."},
    "zh-CN": {"open": "打开草稿", "search": "在句子中搜索", "only": "收藏", "older": "较旧",
              "newer": "较新", "favourite": "收藏", "more": "更多", "rename": "重命名", "name": "这份草稿的名称",
              "delete": "删除…", "sure": "删除", "keep": "保留", "nothing": "没有符合条件的草稿。",
              "frees": "将释放", "deleted": "已删除", "counted": "第 1–20 个，共 23 个", "stay": "直到您删除",
              "gone": "这份草稿已经不在了"},
}  # fmt: skip
PUT_CARD = """() => {
  const urlOf = (draft, file) => `/media/${draft}/${file}`;
  const card = new Rushes.Card({ draft: "" }, { texts: {}, urlOf, acts: {}, longestTitle: 9 });
  document.body.prepend(card.place);
  scrollTo(0, 0);
  return card;
}"""
Shelf = tuple[Visit, dict[str, str], Path]


@pytest.fixture(scope="module", params=WORDS)
def shelf(
    request: pytest.FixtureRequest, browser: sync_api.Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shelf]:
    """A visitor in front of 23 drafts, what things are called, and the folder."""
    folder = tmp_path_factory.mktemp("shelf")
    put_drafts(folder / "drafts", COUNT)
    tall = {"width": 1280, "height": 1000}
    with open_studio(folder) as address, visitor(browser, address, request.param, viewport=tall) as visit:
        visit.cards.first.wait_for()
        yield visit, WORDS[request.param], folder / "drafts"
        assert not visit.unexpected
        assert not visit.elsewhere


def test_drafts_are_found_named_kept_and_deleted(shelf: Shelf) -> None:
    visit, words, drafts = shelf
    page = visit.page
    cards = page.get_by_role("button", name=words["open"])
    sync_api.expect(cards).to_have_count(20)
    sync_api.expect(page.get_by_text(words["counted"])).to_be_visible()
    sync_api.expect(page.get_by_text(words["stay"])).to_be_visible()
    page.get_by_role("button", name=words["older"]).click()  # all are in reach
    sync_api.expect(cards).to_have_count(3)
    page.get_by_role("button", name=words["newer"]).click()
    sync_api.expect(cards).to_have_count(20)

    visit.press_as_in_safari()
    search = page.get_by_role("searchbox", name=words["search"])
    with visit.slow_line():
        search.fill("Number 2")
        page.wait_for_timeout(350)  # asked, and not yet answered
        search.fill("Number 21")
        sync_api.expect(cards).to_have_count(1)
    card = page.get_by_role("listitem").filter(has=cards)
    card.hover()
    visit.wait_for_films(card, "video.currentTime > 0.6")
    card.get_by_role("button", name=words["favourite"]).click()
    sync_api.expect(card.get_by_role("button", name=words["favourite"])).to_have_attribute("aria-pressed", "true")
    card.get_by_role("button", name=words["more"]).click()
    card.get_by_role("button", name=words["rename"]).click()
    visit.escape_composing(card.get_by_role("textbox", name=words["name"]))
    card.get_by_role("textbox", name=words["name"]).fill("<b>the one</b>")
    page.keyboard.press("Enter")
    sync_api.expect(card.get_by_text("<b>the one</b>")).to_be_visible()

    search.fill("")
    sync_api.expect(cards).to_have_count(20)
    page.get_by_role("button", name=re.compile(f"{words['only']}$")).click()
    sync_api.expect(cards).to_have_count(1)
    card.get_by_role("button", name=words["more"]).focus()
    page.keyboard.press("Enter")
    card.get_by_role("button", name=words["delete"], exact=True).click()
    sync_api.expect(card.get_by_text(words["frees"])).to_be_visible()
    sync_api.expect(card.get_by_role("button", name=words["keep"], exact=True)).to_be_focused()
    page.keyboard.press("Escape")  # neither deleted nor anything stopped
    sync_api.expect(cards).to_have_count(1)
    card.get_by_role("button", name=words["more"]).click()
    card.get_by_role("button", name=words["delete"], exact=True).click()
    card.get_by_role("button", name=words["sure"], exact=True).click()
    sync_api.expect(page.get_by_text(words["deleted"])).to_be_visible()
    sync_api.expect(page.get_by_text(words["nothing"])).to_be_visible()
    assert len([folder for folder in drafts.iterdir() if (folder / "plan.json").exists()]) == COUNT - 1


def test_a_draft_opens_with_its_settings_and_one_that_is_gone_is_told(shelf: Shelf) -> None:
    visit, words, drafts = shelf
    page = visit.page
    cards = page.get_by_role("button", name=words["open"])
    page.reload()  # as the test before left it, without its draft number 21
    cards.first.click()
    sync_api.expect(visit.prompt).to_have_value("a white ball number 22 rises over sea")
    visit.wait_until_playing()
    for folder in sorted(drafts.iterdir(), reverse=True):
        if folder.name.endswith(f"{20:016x}"):
            shutil.rmtree(folder)  # in another window, or by hand
    cards.nth(1).click()
    sync_api.expect(page.get_by_text(words["gone"])).to_be_visible()
    sync_api.expect(visit.prompt).to_have_value("a white ball number 22 rises over sea")
    sync_api.expect(page.get_by_role("button", name="number 20")).to_have_count(0)
    visit.errors[:] = [error for error in visit.errors if "404" not in error]  # its picture was asked for


def test_a_picture_in_view_moves_on_with_its_drafts_newest_film(shelf: Shelf) -> None:
    visit, _, drafts = shelf
    page = visit.page
    place = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="two films"))
    card = page.evaluate_handle(PUT_CARD)
    for draft in sorted(folder.name for folder in drafts.glob("2026*"))[:2]:
        card.evaluate("(card, draft) => card.draw({ draft, file: 'draft.mp4', label: 'two films' })", draft)
        visit.wait_for_films(place, f"video.currentSrc.includes('{draft}') && video.readyState > 1")
        visit.prompt.hover()
        place.hover()
        visit.wait_for_films(place, "video.currentTime > 0.6")
    card.evaluate("card => card.place.remove()")


def test_who_wants_less_motion_sees_stills(shelf: Shelf, browser: sync_api.Browser) -> None:
    with visitor(browser, shelf[0].address, reduced_motion="reduce") as visit:
        visit.cards.first.hover()
        visit.page.wait_for_timeout(800)
        assert visit.films(visit.shelf).evaluate_all("all => all.length && all.every(video => video.paused)")


@pytest.mark.slow
@pytest.mark.parametrize("locale", BOTH)
def test_an_unfinished_draft_goes_on_from_the_shelf(visit: Visit) -> None:
    title = "a green square falls over snow"
    visit.fill(title, seconds=6, steps=6)
    visit.make()
    visit.stage("video")
    visit.stop_button.click()
    go_on = visit.card(title).get_by_role("button", name=f"{visit.says('shelf_go_on')}: {title}")
    go_on.click()
    visit.page.get_by_text(visit.says("finished", seconds=6.0)).wait_for()
    sync_api.expect(go_on).to_be_hidden()


@pytest.mark.slow
def test_the_shelf_keeps_what_is_looked_at_when_a_draft_ends(visit: Visit) -> None:
    page = visit.page
    visit.fill("a pink star rises over night", seconds=1, steps=2)
    visit.make()
    visit.wait_until_over()
    page.get_by_role("searchbox", name="Search the sentences").fill("pink star rises over night")
    cards = page.get_by_role("button", name="Open draft")
    sync_api.expect(cards).to_have_count(1)
    visit.prompt.fill("a blue ball falls over sea")
    visit.make()
    page.get_by_text("a blue ball falls over sea").first.wait_for()
    visit.wait_until_over()
    sync_api.expect(cards).to_have_count(1)

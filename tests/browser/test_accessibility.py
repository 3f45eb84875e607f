"""Everybody can use the page: no violation of WCAG 2.2 AA that axe-core finds, a list of keys, the player first on a
phone, and nothing that moves by itself for who does not want it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.browser.studio import PHONE, SENTENCE, Visit, sync_api, visitor

pytestmark = pytest.mark.slow

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
STORY = "[2s] a red ball falls over snow / [2s cut] a blue star rises over sea"
Open = Callable[..., Visit]
FOCUSED = """(() => { const focused = document.activeElement;
  const ringed = (element) => getComputedStyle(element).outlineStyle !== "none";
  return [focused.outerHTML.slice(0, 120), focused.matches("textarea, input:not([type=range], [type=radio])"),
    ringed(focused) || ringed(focused.parentElement)]; })()"""


@pytest.fixture
def open_page(browser: sync_api.Browser, address: str) -> Iterator[Open]:
    """A visitor with a screen, a colour scheme and a language."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(visitor(browser, address, **settings))


def violations(page: sync_api.Page) -> list[str]:
    """What axe-core finds, each with the elements it means."""
    found = axe.Axe().run(page, options=WCAG).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}" for each in found]


def tell_shots(visit: Visit) -> None:
    visit.prompt.fill(STORY)
    visit.button("storyboard_cards").click()
    visit.shots.nth(1).wait_for()


def refuse(visit: Visit) -> None:
    visit.make()
    visit.page.get_by_role("alert").wait_for()


def open_models(visit: Visit) -> None:
    visit.tab("tab_models").click()
    visit.page.get_by_role("list", name=visit.says("models_label")).get_by_role("listitem").first.wait_for()


def fail(visit: Visit) -> None:
    """What does not fit is refused in the corner."""
    visit.prompt.fill(SENTENCE)
    visit.more_button.click()
    visit.number("ram_limit").fill("0.5")
    sync_api.expect(visit.line).to_contain_text("512")
    visit.make_button.click()
    visit.toast.wait_for()


STATES: dict[str, Callable[[Visit], Any]] = {
    "rest": lambda _visit: None,
    "storyboard": tell_shots,
    "more options": lambda visit: visit.more_button.click(),
    "keys": lambda visit: visit.button("keys_title").click(),
    "refused": refuse,
    "models": open_models,
    "toast": fail,
}
PAGES: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True},
    "dark phone in Chinese": {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"},
    "Chinese": {"locale": "zh-CN"},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_no_violation(open_page: Open, kind: str, state: str) -> None:
    visit = open_page(**PAGES[kind])
    STATES[state](visit)
    visit.page.wait_for_timeout(600)  # until colours have faded to where they stay
    assert violations(visit.page) == []


def test_axe_finds_no_violation_while_a_draft_runs_and_when_it_is_over(open_page: Open) -> None:
    visit = open_page()
    visit.fill(SENTENCE, seconds=3, steps=6)
    visit.make()
    visit.stage("preview")
    assert violations(visit.page) == []
    visit.wait_until_over()
    assert violations(visit.page) == []


@pytest.fixture(scope="module")
def two_drafts(browser: sync_api.Browser, address: str) -> None:
    """On everybody's shelf."""
    with visitor(browser, address) as visit:
        visit.fill(seconds=1, steps=1)
        for sentence in ("a red ball falls", "a blue star rises"):
            visit.prompt.fill(sentence)
            visit.make()
            sync_api.expect(visit.title).to_have_text(sentence)
            visit.wait_until_over()


@pytest.mark.usefixtures("two_drafts")
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_no_violation_on_the_shelf_nor_in_what_opens_there(open_page: Open, kind: str) -> None:
    visit = open_page(**PAGES[kind])
    page, card, opener = visit.page, visit.shelf.get_by_role("listitem").first, visit.cards.first
    more = card.get_by_role("button", name=f"{visit.says('shelf_more')}: ")
    opener.wait_for()
    assert violations(page) == []
    for entry in ("shelf_rename", "shelf_delete"):
        more.click()
        assert violations(page) == []
        visit.button(entry).click()
        assert violations(page) == []
        page.keyboard.press("Escape")
    opener.click()
    visit.wait_until_over()
    visit.cells.first.click()
    visit.button("edit_reprompt").click()
    assert violations(page) == []
    more.click()
    visit.button("compare").click()
    visit.cards.nth(1).click()
    page.get_by_role("dialog", name=visit.says("compare_title")).wait_for()
    assert violations(page) == []


def test_axe_finds_no_violation_in_a_sheet_of_takes(open_page: Open) -> None:
    visit = open_page()
    visit.prompt.fill(SENTENCE)
    visit.page.get_by_role("button", name=visit.like("takes_choice", count=4)).click()
    visit.page.get_by_role("button", name=visit.like("take_making")).first.wait_for()
    assert violations(visit.page) == []
    visit.button("takes_stop").click()


@pytest.mark.parametrize(
    ("locale", "title", "line"),
    [("en-GB", "Keys", "Make draft"), ("zh-CN", "快捷键", "生成草稿")],
)
def test_a_question_mark_lists_the_keys_and_escape_closes_the_list(
    open_page: Open, locale: str, title: str, line: str
) -> None:
    visit = open_page(locale=locale)
    page, box = visit.page, visit.prompt
    box.click()
    page.keyboard.type("what?")  # while somebody writes it is a question mark
    sync_api.expect(box).to_have_value("what?")
    dialog = page.get_by_role("dialog", name=title)
    sync_api.expect(dialog).to_be_hidden()
    page.get_by_role("radiogroup", name=visit.says("look")).get_by_role("radio").nth(1).focus()
    page.keyboard.press("?")
    sync_api.expect(dialog).to_be_visible()
    sync_api.expect(dialog).to_contain_text(line)
    page.keyboard.press("Escape")
    sync_api.expect(dialog).to_be_hidden()
    page.get_by_role("button", name=title).click()
    sync_api.expect(dialog).to_be_visible()


def test_on_a_phone_the_player_comes_first_then_the_sentence_then_the_buttons(open_page: Open) -> None:
    visit = open_page(viewport=PHONE)
    page, shape = visit.page, visit.page.get_by_role("radiogroup", name=visit.says("shape"))
    places = [part.bounding_box() or {} for part in (visit.player, visit.prompt, visit.make_button, shape)]
    tops = [place["y"] for place in places]
    assert tops == sorted(tops)
    assert tops[2] + places[2]["height"] < PHONE["height"]
    tell_shots(visit)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    visit.more_button.click()
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_every_control_can_be_reached_by_tab_and_shows_that_it_is(open_page: Open) -> None:
    visit = open_page()
    page = visit.page
    named = {key: page.get_by_role("radiogroup", name=visit.says(key)) for key in ("shape", "look")}
    named |= {"length": page.get_by_role("slider", name=visit.says("length")), "make": visit.make_button}
    named |= {"memory": page.get_by_role("combobox", name=visit.says("memory")), "more": visit.more_button}
    visit.prompt.focus()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached |= {key for key, part in named.items() if part.evaluate("it => it.contains(document.activeElement)")}
        what, written, ringed = page.evaluate(FOCUSED)
        # What is written into has the caret and another frame; after the last control comes the browser's own.
        assert written or ringed or what.startswith("<body"), what
    assert reached == set(named)


def test_who_wants_no_motion_sees_none(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce").page
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    )
    assert moving == 0

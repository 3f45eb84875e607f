"""Everybody can use the page: no violation of WCAG 2.2 AA that axe-core finds, a list of keys, the player first on a
phone, and nothing that moves by itself for who does not want it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api

pytestmark = pytest.mark.slow

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
STORY = "[2s] a red ball falls over snow / [2s cut] a blue star rises over sea"
Open = Callable[..., Visit]
FOCUSED = """(() => { const focused = document.activeElement;
  const ringed = (element) => getComputedStyle(element).outlineStyle !== "none";
  return [focused.outerHTML.slice(0, 120), focused.matches("textarea, input:not([type=range], [type=radio])"),
    ringed(focused) || ringed(focused.parentElement)]; })()"""


@pytest.fixture
def open_page(browser: sync_api.Browser, address: str) -> Iterator[Open]:
    """A visitor with a screen, a colour scheme and a language."""
    contexts = []

    def make(**settings: Any) -> Visit:
        context = browser.new_context(**({"viewport": DESKTOP, "locale": "en-GB"} | settings))
        contexts.append(context)
        visit = Visit(context.new_page(), address)
        visit.page.goto(address)
        sync_api.expect(visit.page.locator("#rushes-forecast .line")).to_contain_text("97")
        return visit

    yield make
    for context in contexts:
        context.close()


def violations(page: sync_api.Page) -> list[str]:
    """What axe-core finds, each with the elements it means."""
    found = axe.Axe().run(page, options=WCAG).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}" for each in found]


def tell_shots(page: sync_api.Page) -> None:
    page.locator("#rushes-prompt textarea").fill(STORY)
    page.locator("#rushes-storyboard .turn").click()
    page.locator("#rushes-storyboard .shot").nth(1).wait_for()


def refuse(page: sync_api.Page) -> None:
    page.keyboard.press("Control+Enter")
    page.locator("#rushes-prompt .rushes-refusal").wait_for()


def open_models(page: sync_api.Page) -> None:
    page.locator("#rushes-tab-models-button").click()
    page.locator(".models li").first.wait_for()


def fail(page: sync_api.Page) -> None:
    """What does not fit is refused in the corner."""
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.locator("#rushes-more > button").click()
    page.locator("#rushes-ram-limit input[type=number]").fill("0.5")
    page.locator("#rushes-forecast .over").wait_for()
    page.locator("#rushes-make").click()
    page.locator(".toast-message-text").wait_for()


STATES: dict[str, Callable[[sync_api.Page], Any]] = {
    "rest": lambda _page: None,
    "storyboard": tell_shots,
    "more options": lambda page: page.locator("#rushes-more > button").click(),
    "keys": lambda page: page.locator(".top .keys").click(),
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
    page = open_page(**PAGES[kind]).page
    STATES[state](page)
    page.wait_for_timeout(600)  # until colours have faded to where they stay
    assert violations(page) == []


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
    context = browser.new_context(viewport=DESKTOP, locale="en-GB")
    visit = Visit(context.new_page(), address)
    visit.open()
    visit.fill(seconds=1, steps=1)
    for sentence in ("a red ball falls", "a blue star rises"):
        visit.page.locator("#rushes-prompt textarea").fill(sentence)
        visit.make()
        sync_api.expect(visit.page.locator(".player .title")).to_have_text(sentence)
        visit.wait_until_over()
    context.close()


@pytest.mark.usefixtures("two_drafts")
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_no_violation_on_the_shelf_nor_in_what_opens_there(open_page: Open, kind: str) -> None:
    page = open_page(**PAGES[kind]).page
    card = page.locator(".spines li").first
    card.locator(".open").wait_for()
    assert violations(page) == []
    for entry in (1, 2):  # rename, delete
        card.locator(".more").click()
        assert violations(page) == []
        card.locator(".menu button").nth(entry).click()
        assert violations(page) == []
        page.keyboard.press("Escape")
    card.locator(".open").click()
    page.locator('.save[aria-disabled="false"]').wait_for()
    page.locator(".strip button").first.click()
    page.locator('.surgery [data-way="reprompt"]').click()
    assert violations(page) == []
    card.locator(".more").click()
    card.locator(".menu button").first.click()  # compare
    page.locator(".spines li .open").nth(1).click()
    page.locator("dialog.compare[open]").wait_for()
    assert violations(page) == []


def test_axe_finds_no_violation_in_a_sheet_of_takes(open_page: Open) -> None:
    page = open_page().page
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.locator("#rushes-takes-offer button").first.click()
    page.locator("#rushes-takes-sheet button[data-state=making]").first.wait_for()
    assert violations(page) == []
    page.locator("#rushes-takes-sheet .stop").click()


@pytest.mark.parametrize(
    ("locale", "title", "line"),
    [("en-GB", "Keys", "Make draft"), ("zh-CN", "快捷键", "生成草稿")],
)
def test_a_question_mark_lists_the_keys_and_escape_closes_the_list(
    open_page: Open, locale: str, title: str, line: str
) -> None:
    page = open_page(locale=locale).page
    box = page.locator("#rushes-prompt textarea")
    box.click()
    page.keyboard.type("what?")  # while somebody writes it is a question mark
    sync_api.expect(box).to_have_value("what?")
    dialog = page.get_by_role("dialog", name=title)
    sync_api.expect(dialog).to_be_hidden()
    page.locator("#rushes-look input").nth(1).focus()
    page.keyboard.press("?")
    sync_api.expect(dialog).to_be_visible()
    sync_api.expect(dialog).to_contain_text(line)
    page.keyboard.press("Escape")
    sync_api.expect(dialog).to_be_hidden()
    page.get_by_role("button", name=title).click()
    sync_api.expect(dialog).to_be_visible()


def test_on_a_phone_the_player_comes_first_then_the_sentence_then_the_buttons(open_page: Open) -> None:
    page = open_page(viewport=PHONE).page
    places = [
        page.locator(selector).bounding_box() or {}
        for selector in (".player .stage", "#rushes-prompt textarea", "#rushes-make", "#rushes-shape")
    ]
    tops = [place["y"] for place in places]
    assert tops == sorted(tops)
    assert tops[2] + places[2]["height"] < PHONE["height"]
    tell_shots(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#rushes-more > button").click()
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_every_control_can_be_reached_by_tab_and_shows_that_it_is(open_page: Open) -> None:
    page = open_page().page
    page.locator("#rushes-prompt textarea").focus()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('[id^=rushes-]')?.id"))
        what, written, ringed = page.evaluate(FOCUSED)
        # What is written into has the caret and another frame; after the last control comes the browser's own.
        assert written or ringed or what.startswith("<body"), what
    assert reached >= {"rushes-make", "rushes-shape", "rushes-length", "rushes-look", "rushes-memory", "rushes-more"}


def test_who_wants_no_motion_sees_none(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce").page
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    )
    assert moving == 0

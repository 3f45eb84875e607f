"""The storyboard in a real browser: a card for each shot, the text behind it the truth, both ways."""

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api

expect = sync_api.expect
STORY = "[2s] a red ball falls / [3s cut] a blue star rises / [1.5s cut, same look] a pink square grows"
SENTENCES = ["a red ball falls", "a blue star rises", "a pink square grows"]


def paste(page: sync_api.Page, text: str) -> None:
    """As from a clipboard, into the prompt."""
    page.locator("#rushes-prompt textarea").click()
    page.evaluate(
        "text => { const box = document.querySelector('#rushes-prompt textarea');"
        " box.dispatchEvent(new ClipboardEvent('paste', { bubbles: true }));"
        " document.execCommand('insertText', false, text); }",
        text,
    )


def text_of(page: sync_api.Page) -> str:
    return str(page.locator("#rushes-prompt textarea").input_value())


def expect_text(page: sync_api.Page, text: str) -> None:
    expect(page.locator("#rushes-prompt textarea")).to_have_value(text)


def sentences(page: sync_api.Page) -> list[str]:
    return [box.input_value() for box in page.locator("#rushes-storyboard .sentence").all()]


def test_a_sentence_grows_into_a_storyboard_and_back(visit: Visit) -> None:
    page = visit.page
    add = page.get_by_role("button", name="Add a shot")
    expect(add).to_be_hidden()  # one control, until there is a sentence
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    add.click()
    second = page.get_by_role("textbox", name="What happens in shot 2")
    expect(second).to_be_focused()
    expect(page.locator("#rushes-prompt textarea")).to_be_hidden()
    second.fill("a blue star rises over sea")
    page.get_by_label("How shot 2 comes in").select_option("Cut")
    page.get_by_label("Seconds of shot 2").fill("3")
    expect_text(page, f"[4s] {SENTENCE} / [3s cut] a blue star rises over sea")
    expect(page.get_by_label("number input for Length in seconds")).to_have_value("7")
    expect(page.locator("#rushes-forecast .line")).to_contain_text("170 frames")
    page.get_by_role("button", name="Remove shot 2").click()
    expect_text(page, SENTENCE)
    page.locator("#rushes-make").focus()
    expect(page.locator("#rushes-prompt textarea")).to_be_visible()
    expect(page.get_by_label("number input for Length in seconds")).to_have_value("4")


def test_a_pasted_storyboard_is_shown_as_cards_and_comes_out_as_text(visit: Visit) -> None:
    page = visit.page
    paste(page, STORY)
    expect(page.get_by_role("listitem", name="Shot 3")).to_be_visible()
    assert sentences(page) == SENTENCES
    expect(page.get_by_label("How shot 3 comes in")).to_have_value("cut, same look")
    expect(page.get_by_label("How shot 1 comes in")).to_be_hidden()
    page.get_by_role("button", name="As text").click()
    expect(page.locator("#rushes-prompt textarea")).to_be_visible()
    assert text_of(page) == STORY
    page.get_by_role("button", name="As cards").click()
    expect(page.get_by_role("listitem", name="Shot 3")).to_be_visible()


def test_a_typed_storyboard_stays_text_until_cards_are_asked_for(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").press_sequentially("[2s] a red ball falls / [2s] a blue star")
    expect(page.get_by_role("button", name="As cards")).to_be_visible()
    expect(page.locator("#rushes-prompt textarea")).to_be_focused()
    page.get_by_role("button", name="As cards").click()
    assert sentences(page) == ["a red ball falls", "a blue star"]


def test_shots_are_ordered_by_keys_by_buttons_and_by_dragging(visit: Visit) -> None:
    page = visit.page
    paste(page, STORY)
    page.get_by_role("button", name="Shot 1: drag it").focus()
    page.keyboard.press("ArrowDown")
    expect_text(page, "[3s] a blue star rises / [2s] a red ball falls / [1.5s cut, same look] a pink square grows")
    expect(page.get_by_role("button", name="Shot 2: drag it")).to_be_focused()
    expect(page.locator("#rushes-storyboard").get_by_role("status")).to_have_text("Now shot 2 of 3.")
    page.get_by_role("button", name="Move shot 2 up").click()
    expect_text(page, "[2s] a red ball falls / [3s] a blue star rises / [1.5s cut, same look] a pink square grows")
    grip = page.get_by_role("button", name="Shot 3: drag it")
    grip.hover()  # once it stands still
    held, top = grip.bounding_box(), page.get_by_role("listitem", name="Shot 1").bounding_box()
    assert held
    assert top
    page.mouse.down()
    page.mouse.move(held["x"] + 8, top["y"] + top["height"] + 30, steps=4)
    page.mouse.move(held["x"] + 8, top["y"] + 12, steps=4)
    page.mouse.up()
    expect_text(page, "[1.5s] a pink square grows / [2s] a red ball falls / [3s] a blue star rises")


def test_a_shot_without_a_sentence_is_refused_and_survives_a_reload(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.get_by_role("button", name="Add a shot").click()
    expect(page.locator("#rushes-forecast .line")).to_contain_text("Shot 2 has no sentence")
    visit.make_refused("#rushes-prompt", "Shot 2 has no sentence")
    page.reload()
    expect(page.get_by_role("textbox", name="What happens in shot 2")).to_have_value("")
    expect(page.get_by_role("textbox", name="What happens in shot 1")).to_have_value(SENTENCE)


def test_typing_in_a_card_is_not_disturbed_by_what_the_server_answers(visit: Visit) -> None:
    page = visit.page
    paste(page, STORY)
    box = page.get_by_role("textbox", name="What happens in shot 1")
    box.fill("")
    box.press_sequentially("  a red   ball bounces over grass ", delay=60)
    expect(box).to_have_value("  a red   ball bounces over grass ")
    page.locator("#rushes-make").focus()
    expect(box).to_have_value("a red ball bounces over grass")


def test_markup_on_a_card_stays_text(visit: Visit) -> None:
    page = visit.page
    paste(page, "[2s] <img src=x onerror='window.struck=1'> / [2s] ${window.struck=1}")
    expect(page.get_by_role("textbox", name="What happens in shot 2")).to_have_value("${window.struck=1}")
    assert page.evaluate("window.struck") is None


@pytest.mark.parametrize("locale", ["zh-CN"])
def test_the_storyboard_speaks_chinese(browser: sync_api.Browser, address: str, locale: str) -> None:
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#rushes-forecast .line")).to_contain_text("97")
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.get_by_role("button", name="添加镜头").click()
    expect(page.get_by_role("textbox", name="镜头 2 里发生了什么")).to_be_focused()
    expect(page.get_by_label("镜头 2 如何出现")).to_be_visible()
    context.close()

"""The storyboard in a real browser: a card for each shot, the text behind it the truth, both ways."""

from itertools import pairwise

import pytest

from tests.browser.studio import BOTH, SENTENCE, Visit, sync_api

expect = sync_api.expect
STORY = "[2s] a red ball falls / [3s cut] a blue star rises / [1.5s cut, same look] a pink square grows"
SENTENCES = ["a red ball falls", "a blue star rises", "a pink square grows"]


def paste(visit: Visit, text: str) -> None:
    """As from a clipboard, into the prompt."""
    visit.prompt.click()
    visit.prompt.evaluate(
        "(box, text) => { box.dispatchEvent(new ClipboardEvent('paste', { bubbles: true }));"
        " document.execCommand('insertText', false, text); }",
        text,
    )


def sentences(visit: Visit) -> list[str]:
    return [box.input_value() for box in visit.shots.all()]


def shot(visit: Visit, number: int) -> sync_api.Locator:
    """The sentence on a card."""
    return visit.page.get_by_role("textbox", name=visit.says("shot_sentence", number))


@pytest.mark.parametrize("locale", BOTH)
def test_a_sentence_grows_into_a_storyboard_and_back(visit: Visit) -> None:
    page, second = visit.page, shot(visit, 2)
    add = visit.button("shot_add")
    expect(add).to_be_hidden()  # one control, until there is a sentence
    visit.prompt.fill(SENTENCE)
    add.click()
    expect(second).to_be_focused()
    expect(visit.prompt).to_be_hidden()
    second.fill("a blue star rises over sea")
    page.get_by_label(visit.says("shot_how", 2)).select_option(visit.says("shot_cut"))
    page.get_by_label(visit.says("shot_seconds", 2)).fill("3")
    expect(visit.prompt).to_have_value(f"[4s] {SENTENCE} / [3s cut] a blue star rises over sea")
    expect(visit.length).to_have_value("7")
    expect(visit.line).to_contain_text("170")
    visit.button("shot_remove", 2).click()
    expect(visit.prompt).to_have_value(SENTENCE)
    visit.make_button.focus()
    expect(visit.prompt).to_be_visible()
    expect(visit.length).to_have_value("4")


@pytest.mark.parametrize("locale", BOTH)
def test_a_pasted_storyboard_is_shown_as_cards_and_comes_out_as_text(visit: Visit) -> None:
    page = visit.page
    third = page.get_by_role("listitem", name=visit.says("shot", 3))
    paste(visit, STORY)
    expect(third).to_be_visible()
    assert sentences(visit) == SENTENCES
    expect(page.get_by_label(visit.says("shot_how", 3))).to_have_value("cut, same look")
    expect(page.get_by_label(visit.says("shot_how", 1))).to_be_hidden()
    visit.button("storyboard_text").click()
    expect(visit.prompt).to_be_visible()
    assert visit.prompt.input_value() == STORY
    visit.button("storyboard_cards").click()
    expect(third).to_be_visible()


NARROW = (320, 390, 480)  # windows, which on a desktop have a mouse
# Whether the seconds can be read whole, and where the controls in their line begin and end
LINE = """box => [box.scrollWidth <= box.clientWidth, [...box.closest(".row").children]
  .filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect()).map(at => [at.left, at.right])]"""


def test_seconds_are_read_whole_in_a_narrow_window_and_nothing_lies_on_anything(visit: Visit) -> None:
    paste(visit, "[12.5s] a red ball falls / [22.25s cut, same look] a blue star rises")
    expect(shot(visit, 2)).to_be_visible()
    for width in NARROW:
        visit.page.set_viewport_size({"width": width, "height": 844})
        for number in (1, 2):
            whole, places = visit.page.get_by_label(visit.says("shot_seconds", number)).evaluate(LINE)
            assert whole, (width, number)
            assert all(before[1] <= after[0] for before, after in pairwise(places)), (width, places)
            assert places[-1][1] <= width


# The last letters and the button, before anything of the former is read
FINISH = """(box, button) => {
  box.value += "ue star";
  box.dispatchEvent(new Event("input", { bubbles: true }));
  button.click();
}"""


def test_a_typed_storyboard_stays_text_until_cards_are_asked_for(visit: Visit) -> None:
    as_cards = visit.button("storyboard_cards")
    visit.prompt.press_sequentially("[2s] a red ball falls / [2s] a bl")
    expect(as_cards).to_be_visible()
    expect(visit.prompt).to_be_focused()
    visit.prompt.evaluate(FINISH, as_cards.element_handle())
    expect(visit.shots.nth(1)).to_have_value("a blue star")
    assert sentences(visit) == ["a red ball falls", "a blue star"]


@pytest.mark.parametrize("locale", BOTH)
def test_shots_are_ordered_by_keys_by_buttons_and_by_dragging(visit: Visit) -> None:
    page, text = visit.page, visit.prompt
    paste(visit, STORY)
    visit.button("shot_grip", 1).focus()
    page.keyboard.press("ArrowDown")
    expect(text).to_have_value(
        "[3s] a blue star rises / [2s] a red ball falls / [1.5s cut, same look] a pink square grows"
    )
    expect(visit.button("shot_grip", 2)).to_be_focused()
    expect(page.get_by_role("status").filter(has_text=visit.says("shot_moved", 2, 3))).to_be_visible()
    visit.press_as_in_safari()
    shot(visit, 2).click()
    visit.button("shot_up", 2).click()
    expect(text).to_have_value(
        "[2s] a red ball falls / [3s] a blue star rises / [1.5s cut, same look] a pink square grows"
    )
    grip = visit.button("shot_grip", 3)
    grip.hover()  # once it stands still
    held = grip.bounding_box()
    top = page.get_by_role("listitem", name=visit.says("shot", 1)).bounding_box()
    assert held
    assert top
    page.mouse.down()
    page.mouse.move(held["x"] + 8, top["y"] + top["height"] + 30, steps=4)
    page.mouse.move(held["x"] + 8, top["y"] + 12, steps=4)
    page.mouse.up()
    expect(text).to_have_value("[1.5s] a pink square grows / [2s] a red ball falls / [3s] a blue star rises")


def test_a_shot_without_a_sentence_is_refused_and_survives_a_reload(visit: Visit) -> None:
    refusal = "Shot 2 has no sentence"
    visit.prompt.fill(SENTENCE)
    visit.button("shot_add").click()
    expect(visit.line).to_contain_text(refusal)
    visit.make_refused(visit.prompt, refusal)
    visit.page.reload()
    expect(shot(visit, 2)).to_have_value("")
    expect(shot(visit, 1)).to_have_value(SENTENCE)


def test_typing_in_a_card_is_not_disturbed_by_what_the_server_answers(visit: Visit) -> None:
    box = shot(visit, 1)
    paste(visit, STORY)
    box.fill("")
    box.press_sequentially("  a red   ball bounces over grass ", delay=60)
    expect(box).to_have_value("  a red   ball bounces over grass ")
    visit.make_button.focus()
    expect(box).to_have_value("a red ball bounces over grass")


def test_a_draft_is_what_the_cards_say_however_slow_the_line(visit: Visit) -> None:
    second = shot(visit, 2)
    paste(visit, "[0.5s] a red ball falls / [0.5s] a green")
    expect(second).to_have_value("a green")
    with visit.slow_line():
        second.press("End")
        second.press_sequentially(" star rises", delay=60)  # answers to what came before are on their way
        visit.make()
        expect(visit.title).to_have_text("a red ball falls / a green star rises")
    visit.wait_until_over()


def test_markup_on_a_card_stays_text(visit: Visit) -> None:
    paste(visit, "[2s] <img src=x onerror='window.struck=1'> / [2s] ${window.struck=1}")
    expect(shot(visit, 2)).to_have_value("${window.struck=1}")
    assert visit.page.evaluate("window.struck") is None

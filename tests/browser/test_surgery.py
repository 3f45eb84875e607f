"""Chunk surgery in a real browser: what can be changed of a finished draft, and how it is undone."""

import pytest

from tests.browser.studio import Visit, sync_api

ANOTHER_IS_OVER = """first => {
  const save = document.querySelector('.save');
  return save.href !== first && save.getAttribute('aria-disabled') === 'false';
}"""


def test_a_chunk_is_redone_and_the_old_draft_comes_back_by_undo(visit: Visit) -> None:
    page, surgery = visit.page, visit.page.locator(".surgery")
    visit.fill(steps=2)
    sync_api.expect(surgery).to_be_hidden()
    visit.make()
    visit.stage("preview")
    sync_api.expect(surgery).to_be_hidden()
    visit.wait_until_over()
    sync_api.expect(surgery.get_by_role("button")).to_have_text(["Extend"])
    before = page.locator(".player").bounding_box()
    first = page.locator(".save").evaluate("link => link.href")
    page.locator(".strip button").last.click()
    sync_api.expect(surgery.get_by_role("button")).to_have_text(["Redo", "Say it differently", "Branch", "Extend"])
    assert page.locator(".player").bounding_box() == before

    surgery.get_by_role("button", name="Redo").click()
    page.wait_for_function(ANOTHER_IS_OVER, arg=first)
    sync_api.expect(page.locator(".sentence")).to_have_text("Done: 3.0 seconds of video")
    assert page.locator(".save").evaluate("link => link.href") != first
    assert page.request.get(first).status == 200

    surgery.get_by_role("button", name="Undo").click()
    page.wait_for_function("first => document.querySelector('.save').href === first", arg=first)
    sync_api.expect(surgery.get_by_role("button", name="Undo")).to_be_hidden()

    surgery.get_by_role("button", name="Forward").click()  # what was undone is still there
    page.wait_for_function(ANOTHER_IS_OVER, arg=first)
    sync_api.expect(surgery.get_by_text("The draft before this one is kept, too")).to_be_visible()


@pytest.mark.slow
def test_a_chunk_is_chosen_and_changed_with_keys_alone(visit: Visit) -> None:
    page, surgery = visit.page, visit.page.locator(".surgery")
    visit.fill(steps=2)
    visit.make()
    visit.wait_until_over()
    first = page.locator(".save").evaluate("link => link.href")
    sync_api.expect(surgery.get_by_text("Choose a chunk above")).to_be_visible()
    page.get_by_role("button", name="Chunk 2, ready").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    sync_api.expect(surgery.get_by_role("button", name="Redo")).to_be_focused()
    sync_api.expect(surgery.get_by_text("This chunk with another seed")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_function(ANOTHER_IS_OVER, arg=first)


def test_a_chunk_is_said_differently_and_what_cannot_be_is_told(visit: Visit) -> None:
    page, surgery = visit.page, visit.page.locator(".surgery")
    visit.fill(seconds=3, steps=2)
    visit.make()
    visit.wait_until_over()
    page.locator(".strip button").last.click()
    surgery.get_by_role("button", name="Say it differently").click()
    sentence = surgery.get_by_label("Sentence")
    sync_api.expect(sentence).to_have_value("a red ball moves left over snow")
    sync_api.expect(sentence).to_be_focused()
    page.keyboard.press("Escape")
    sync_api.expect(sentence).to_be_hidden()
    surgery.get_by_role("button", name="Extend").click()
    surgery.get_by_label("Seconds more").fill("58")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(".toast-body")).to_contain_text("cannot be extended by 58")
    page.locator(".strip button").last.click()
    surgery.get_by_role("button", name="Say it differently").click()
    sentence.fill("a blue star rises over sea")
    page.keyboard.press("Enter")
    title = "a red ball moves left over snow / a blue star rises over sea"
    sync_api.expect(page.locator(".player .title")).to_have_text(title)
    visit.wait_until_over()

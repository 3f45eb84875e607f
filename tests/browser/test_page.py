"""The page in a real browser, with the real model: a sentence becomes moving pictures that outlive reloads.

Drafts are two chunks of few steps; what they show is tested elsewhere.
"""

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api

CANVAS = "document.querySelector('canvas.preview').toDataURL()"


def test_a_sentence_becomes_moving_pictures_before_the_draft_is_finished(visit: Visit) -> None:
    page = visit.page
    visit.fill()
    visit.make()
    visit.stage("preview")
    page.wait_for_function(f"(before => {CANVAS} !== before)", arg=page.evaluate(CANVAS))  # it moves
    visit.stage("video")
    visit.wait_until_playing()
    assert not visit.over
    visit.wait_until_over()
    sync_api.expect(page.locator(".sentence")).to_have_text("Done: 3.0 seconds of video")
    assert page.evaluate("document.querySelector('.stage video').loop")
    assert [cell.is_enabled() for cell in page.locator(".strip button").all()] == [True, True]
    answer = page.request.get(page.locator(".save").evaluate("link => link.href"))
    assert (answer.status, answer.headers["content-type"]) == (200, "video/mp4")
    assert page.request.get(answer.url.replace("draft.mp4", "request.json")).status == 404


@pytest.mark.fault(11)
def test_a_draft_is_made_while_nobody_watches(visit: Visit, address: str) -> None:
    page = visit.page
    visit.fill("a pink square grows over sand")
    visit.make()
    visit.stage("preview")
    page.goto("about:blank")
    page.wait_for_timeout(500)
    while page.request.get(f"{address}health").json()["status"] == "busy":
        page.wait_for_timeout(200)
    page.goto(address)
    sync_api.expect(page.locator(".sentence")).to_have_text("Done: 3.0 seconds of video")
    visit.wait_until_playing()


@pytest.mark.fault(11)
def test_a_reload_finds_the_draft_and_the_form_again(visit: Visit) -> None:
    page = visit.page
    visit.fill("a blue star rises over sea")
    visit.make()
    visit.stage("preview")
    page.reload()
    sync_api.expect(page.locator("#rushes-prompt textarea")).to_have_value("a blue star rises over sea")
    sync_api.expect(page.locator(".player .title")).to_have_text("a blue star rises over sea")
    sync_api.expect(page.locator("#rushes-stop")).to_be_enabled()
    visit.wait_until_over()
    visit.wait_until_playing()


def test_stop_keeps_what_was_finished(visit: Visit) -> None:
    visit.fill(seconds=8, steps=8)
    visit.make()
    visit.stage("video")
    visit.page.keyboard.press("Escape")
    sync_api.expect(visit.page.locator(".sentence")).to_contain_text("Stopped. The first")
    visit.wait_until_over()
    sync_api.expect(visit.page.locator("#rushes-make")).to_be_enabled()


def test_a_pause_is_respected_when_more_arrives(visit: Visit) -> None:
    visit.fill()
    visit.make()
    visit.stage("video")
    visit.page.evaluate("document.querySelector('.stage video').pause()")
    stood = visit.seconds()
    visit.wait_until_over()
    visit.page.wait_for_timeout(500)
    assert visit.seconds() == stood
    visit.page.locator(".strip button").last.click()
    visit.page.wait_for_function(f"document.querySelector('.stage video').currentTime > {stood} + 0.3")


def test_nothing_moves_while_a_draft_is_made(visit: Visit) -> None:
    page = visit.page
    visit.fill()
    stage, button = page.locator(".player .stage").bounding_box(), page.locator("#rushes-make").bounding_box()
    visit.make()
    visit.stage("preview")
    assert (page.locator(".player .stage").bounding_box(), page.locator("#rushes-make").bounding_box()) == (
        stage,
        button,
    )
    before = page.locator(".player").bounding_box(), button
    visit.stage("video")
    assert (page.locator(".player").bounding_box(), page.locator("#rushes-make").bounding_box()) == before
    visit.wait_until_over()
    assert (page.locator(".player").bounding_box(), page.locator("#rushes-make").bounding_box()) == before


@pytest.mark.parametrize(
    ("sentence", "refusal"),
    [
        pytest.param("", "There is no sentence yet.", id="empty"),
        pytest.param("x" * 10_000, "The sentence has 10,000 characters", id="10,000 characters"),
        pytest.param("a red\x07 ball", "control characters", id="control character"),
    ],
)
def test_a_wrong_sentence_is_refused_at_its_field_and_kept(visit: Visit, sentence: str, refusal: str) -> None:
    field = visit.page.locator("#rushes-prompt")
    field.locator("textarea").fill(sentence)
    if sentence:  # the forecast refuses it before the button does
        sync_api.expect(visit.page.locator("#rushes-forecast .line")).to_contain_text(refusal)
    visit.make_refused("#rushes-prompt", refusal)
    sync_api.expect(field.locator("textarea")).to_have_value(sentence)


def test_a_wrong_seed_is_refused_at_its_field(visit: Visit) -> None:
    visit.fill()
    visit.page.locator("#rushes-seed input, #rushes-seed textarea").fill("-3")
    sync_api.expect(visit.page.locator("#rushes-forecast .line")).to_contain_text("-3 is no seed")
    visit.make_refused("#rushes-more", "-3 is no seed")
    sync_api.expect(visit.page.locator("#rushes-prompt textarea")).to_have_value(SENTENCE)


def test_a_wrong_length_is_refused_at_its_field(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.get_by_label("number input for Length in seconds").fill("3600")
    sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text("3600 seconds cannot be made")
    visit.make_refused("#rushes-length", "Choose a length between")


def test_strange_words_get_a_note_and_the_forecast_follows(visit: Visit) -> None:
    visit.page.locator("#rushes-prompt textarea").fill("a red dragon")
    sync_api.expect(visit.page.locator(".note")).to_contain_text("“dragon”")
    visit.page.get_by_label("number input for Length in seconds").fill("1")
    sync_api.expect(visit.page.locator("#rushes-forecast .line")).to_contain_text("25 frames")


def test_markup_in_a_sentence_stays_text(visit: Visit) -> None:
    page = visit.page
    sentence = '<img src=x onerror="window.struck=1"> ${window.struck=1} {{window.struck=1}}'
    visit.fill(sentence, seconds=1, steps=1)
    visit.make()
    sync_api.expect(page.locator(".player .title")).to_have_text(sentence)
    visit.wait_until_over()
    sync_api.expect(page.locator(".spines .title").first).to_have_text(sentence)
    assert page.evaluate("window.struck") is None


def test_a_draft_on_the_shelf_opens_with_its_settings(visit: Visit) -> None:
    page = visit.page
    visit.fill("a pink square grows over sand", seconds=1, steps=2)
    visit.make()
    visit.wait_until_over()
    page.locator("#rushes-prompt textarea").fill("something else")
    page.locator(".spines button").first.click()
    sync_api.expect(page.locator("#rushes-prompt textarea")).to_have_value("a pink square grows over sand")
    sync_api.expect(page.locator(".player .title").first).to_have_text("a pink square grows over sand")

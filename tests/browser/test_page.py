"""The page in a real browser, with the real model: a sentence becomes moving pictures that outlive reloads.

Drafts are two chunks of few steps; what they show is tested elsewhere.
"""

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api

# Of the window, all together, by its width; 0.1 is still called good (web.dev/cls). On a phone words move others more.
MOST_SHIFT = {390: 0.03, 1280: 0.01}
WATCH_SHIFTS = """() => { window.shifts = []; new PerformanceObserver((list) => window.shifts.push(
  ...list.getEntries().filter((shift) => !shift.hadRecentInput).map(({ value, sources }) => (
    { value, moved: sources.map(({ node }) => node?.id || node?.className || node?.nodeName) }))
)).observe({ type: "layout-shift" }) }"""
PLACES = """() => [".player", "#rushes-make"].map((name) => document.querySelector(name).getBoundingClientRect())
  .map(({ left, top, width, height }) => [left, top + scrollY, width, height])"""  # on the page, which may scroll
WATCH_PLAYING = """() => { window.broken = [];
  const video = document.querySelector(".stage video"), { dataset } = document.querySelector(".player");
  video.addEventListener("emptied", () => window.broken.push("emptied"));
  for (const what of ["seeking", "pause", "ratechange"])
    video.addEventListener(what, () => dataset.over === "true" || window.broken.push(what)); }"""
CANVAS = "document.querySelector('canvas.preview').toDataURL()"


def test_a_sentence_becomes_moving_pictures_before_the_draft_is_finished(visit: Visit) -> None:
    page = visit.page
    visit.fill()
    visit.make()
    visit.stage("preview")
    page.wait_for_function(f"(before => {CANVAS} !== before)", arg=page.evaluate(CANVAS))  # it moves
    visit.stage("video")
    page.evaluate(WATCH_PLAYING)
    visit.wait_until_playing()
    assert not visit.over
    visit.wait_until_over()
    visit.page.wait_for_timeout(500)
    assert page.evaluate("window.broken") == []  # it neither restarted nor jumped nor stopped while more came
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


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_nothing_moves_by_itself_while_a_draft_is_made(visit: Visit, width: int) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 844})
    visit.fill()
    visit.make()
    page.locator(".player .strip").wait_for()  # the press itself unfolds what a draft needs
    page.evaluate("() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))")
    page.evaluate(WATCH_SHIFTS)
    visit.stage("preview")
    before = page.evaluate(PLACES)
    visit.stage("video")
    assert page.evaluate(PLACES) == before
    visit.wait_until_over()
    assert page.evaluate(PLACES) == before
    shifts = page.evaluate("window.shifts")
    assert sum(shift["value"] for shift in shifts) < MOST_SHIFT[width], shifts


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


def test_a_book_that_is_pasted_is_refused_as_any_long_sentence(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").focus()
    page.evaluate("document.execCommand('insertText', false, '\u7ea2'.repeat(400_000))")  # 1.2 MB
    sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text("The sentence has 65,280 characters")
    visit.make_refused("#rushes-prompt", "The sentence has 65,280 characters; at most 2,000 are read.")
    sync_api.expect(page.locator(".toast-body")).to_have_count(0)


def test_a_wrong_seed_is_refused_at_its_field(visit: Visit) -> None:
    visit.fill()
    page, seed = visit.page, visit.page.get_by_role("textbox", name="Seed")
    seed.fill("-3")
    page.get_by_role("button", name="More options").click()
    sync_api.expect(seed).to_be_hidden()
    visit.make_refused("#rushes-seed", "-3 is no seed")
    sync_api.expect(seed).to_be_focused()  # unfolded for it
    sync_api.expect(seed).to_have_accessible_description(
        "-3 is no seed: seeds are whole numbers from 0 to 4294967295. Leave it empty."
    )
    sync_api.expect(page.locator("#rushes-prompt textarea")).to_have_value(SENTENCE)
    seed.fill("3")
    sync_api.expect(page.locator("#rushes-seed")).not_to_contain_text("is no seed")


def test_typing_is_answered_and_then_nothing_more_is_asked(visit: Visit) -> None:
    page = visit.page
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#rushes-prompt textarea").press_sequentially(SENTENCE, delay=30)  # faster than answers come
    page.get_by_label("number input for Length in seconds").fill("3")
    sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text("73 frames")
    for _ in range(60):
        asked.clear()
        page.wait_for_timeout(1000)
        if not any("/gradio_api/run/" in url for url in asked):
            return
    raise AssertionError("the page does not come to rest")


def test_a_lost_connection_is_said_by_the_page_at_once_and_by_nobody_else(visit: Visit) -> None:
    page = visit.page
    line = page.get_by_role("status").filter(has_text="The studio does not answer.")
    page.context.set_offline(True)
    try:
        page.locator("#rushes-make").click()
        sync_api.expect(line).to_be_visible()
        sync_api.expect(page.get_by_text("Attempting reconnection")).to_be_hidden()
    finally:
        page.context.set_offline(False)
    sync_api.expect(line).to_be_hidden()
    visit.errors.clear()  # of what was asked meanwhile


def test_a_refusal_stands_until_its_field_is_changed(visit: Visit) -> None:
    page = visit.page
    box = page.locator("#rushes-prompt textarea")
    box.press_sequentially("a red", delay=10)
    box.fill("")
    visit.make_refused("#rushes-prompt", "There is no sentence yet.")  # while answers to typing are on their way
    page.get_by_label("number input for Length in seconds").fill("1")
    sync_api.expect(page.locator("#rushes-forecast .line")).to_contain_text("25 frames")
    sync_api.expect(page.locator("#rushes-prompt")).to_contain_text("There is no sentence yet.")
    box.fill("a red ball")
    sync_api.expect(page.locator("#rushes-prompt")).not_to_contain_text("There is no sentence yet.")


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


def test_two_tabs_show_one_draft_and_one_tells_when_the_other_has_deleted_it(visit: Visit) -> None:
    page = visit.page
    visit.fill("a green star falls over night", seconds=1, steps=1)
    visit.make()
    visit.wait_until_over()
    other = page.context.new_page()
    other.goto(visit.address)
    sync_api.expect(other.locator(".player .title")).to_have_text("a green star falls over night")
    sync_api.expect(other.locator("#rushes-prompt textarea")).to_have_value("a green star falls over night")
    other.get_by_role("button", name="More: a green star falls over night").first.click()
    other.get_by_role("button", name="Delete…").click()
    other.get_by_role("button", name="Delete it").click()
    other.locator('.player[data-stage="empty"]').wait_for()
    page.get_by_role("link", name="Save video").click()
    sync_api.expect(page.get_by_text("This draft is not there any more.")).to_be_visible()
    page.get_by_role("button", name="Extend").click()
    page.get_by_label("Seconds more").fill("1")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(".toast-message-text")).to_contain_text("There is no such draft.")
    assert page.url == visit.address
    visit.errors.clear()  # of the film that is gone


def test_a_double_click_makes_one_draft_which_opens_with_its_settings(visit: Visit) -> None:
    page = visit.page
    visit.fill("an orange triangle falls over night", seconds=1, steps=2)
    page.locator("#rushes-make").dblclick(delay=200)  # slow: the first click is answered before the second
    visit.wait_until_over()
    sync_api.expect(page.locator(".spines .title", has_text="an orange triangle falls over night")).to_have_count(1)
    page.locator("#rushes-prompt textarea").fill("something else")
    page.locator(".spines button").first.click()
    sync_api.expect(page.locator("#rushes-prompt textarea")).to_have_value("an orange triangle falls over night")
    sync_api.expect(page.locator(".player .title").first).to_have_text("an orange triangle falls over night")

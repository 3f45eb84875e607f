"""The page in a real browser, with the real model: a sentence becomes moving pictures that outlive reloads.

Drafts are two chunks of few steps; what they show is tested elsewhere.
"""

import re

import pytest

from tests.browser.studio import BOTH, SENTENCE, Visit, sync_api

expect = sync_api.expect

# Of the window, all together, by its width; 0.1 is still called good (web.dev/cls). On a phone words move others more.
MOST_SHIFT = {390: 0.03, 1280: 0.01}
WATCH_SHIFTS = """() => { window.shifts = []; new PerformanceObserver((list) => window.shifts.push(
  ...list.getEntries().filter((shift) => !shift.hadRecentInput).map(({ value, sources }) => (
    { value, moved: sources.map(({ node }) => node?.id || node?.className || node?.nodeName) }))
)).observe({ type: "layout-shift" }) }"""
PLACE = """element => (({ left, top, width, height }) => [left, top + scrollY, width, height])
  (element.getBoundingClientRect())"""  # on the page, which may scroll
WATCH_PLAYING = """(() => { window.broken = [];
  const { dataset } = video.closest("section");
  video.addEventListener("emptied", () => window.broken.push("emptied"));
  for (const what of ["seeking", "pause", "ratechange"])
    video.addEventListener(what, () => dataset.over === "true" || window.broken.push(what)); })()"""


@pytest.mark.parametrize("locale", BOTH)
def test_a_sentence_becomes_moving_pictures_before_the_draft_is_finished(visit: Visit) -> None:
    page = visit.page
    visit.fill()
    visit.make()
    visit.stage("preview")
    visit.wait_until_preview_moves()
    visit.stage("video")
    visit.film(WATCH_PLAYING)
    visit.wait_until_playing()
    assert not visit.over
    visit.wait_until_over()
    visit.page.wait_for_timeout(500)
    assert page.evaluate("window.broken") == []  # it neither restarted nor jumped nor stopped while more came
    expect(visit.sentence).to_have_text(visit.says("finished", seconds=3.0))
    assert visit.film("video.loop")
    assert [cell.is_enabled() for cell in visit.cells.all()] == [True, True]
    answer = page.request.get(visit.save.evaluate("link => link.href"))
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
    expect(visit.sentence).to_have_text("Done: 3.0 seconds of video")
    visit.wait_until_playing()


@pytest.mark.fault(11)
@pytest.mark.parametrize("locale", BOTH)
def test_a_reload_finds_the_draft_and_the_form_again(visit: Visit) -> None:
    page = visit.page
    visit.fill("a blue star rises over sea", seconds=8, steps=8)  # not over before a busy browser has read the page
    visit.make()
    visit.stage("preview")
    page.reload()
    expect(visit.prompt).to_have_value("a blue star rises over sea")
    expect(visit.title).to_have_text("a blue star rises over sea")
    expect(visit.stop_button).to_be_enabled()
    visit.stage("video")
    visit.stop_button.click()
    visit.wait_until_over()
    visit.wait_until_playing()


@pytest.mark.parametrize("locale", BOTH)
def test_stop_keeps_what_was_finished(visit: Visit) -> None:
    visit.fill(seconds=8, steps=8)
    visit.make()
    visit.stage("video")
    stops = visit.count_presses(visit.stop_button)
    search = visit.page.get_by_role("searchbox", name=visit.says("shelf_search"))
    search.fill("no draft is like that")
    visit.page.keyboard.press("Escape")
    expect(search).to_have_value("")
    visit.escape_composing(visit.prompt)
    assert stops.json_value() == []
    visit.more_button.focus()  # unfolded, but no list that Escape would close
    visit.page.keyboard.press("Escape")
    expect(visit.sentence).to_have_text(visit.stopped)
    visit.wait_until_over()
    expect(visit.make_button).to_be_enabled()


def test_a_pause_is_respected_when_more_arrives(visit: Visit) -> None:
    visit.fill()
    visit.make()
    visit.stage("video")
    visit.film("video.pause()")
    stood = visit.seconds()
    visit.wait_until_over()
    visit.page.wait_for_timeout(500)
    assert visit.seconds() == stood
    visit.cells.last.click()
    visit.wait_for_film(f"video.currentTime > {stood} + 0.3")


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_nothing_moves_by_itself_while_a_draft_is_made(visit: Visit, width: int) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 844})
    visit.prompt.fill(SENTENCE)  # numbers stay: a forecast of others may come late, and be longer
    visit.make()
    visit.strip.wait_for()  # the press itself unfolds what a draft needs
    page.evaluate("() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))")
    page.evaluate(WATCH_SHIFTS)
    visit.stage("preview")
    parts = (visit.player, visit.make_button)
    before = [part.evaluate(PLACE) for part in parts]
    visit.stage("video")
    assert [part.evaluate(PLACE) for part in parts] == before
    visit.wait_until_over()
    assert [part.evaluate(PLACE) for part in parts] == before
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
    visit.prompt.fill(sentence)
    if sentence:  # the forecast refuses it before the button does
        expect(visit.line).to_contain_text(refusal)
    visit.make_refused(visit.prompt, refusal)
    expect(visit.prompt).to_have_value(sentence)


def test_a_book_that_is_pasted_is_refused_as_any_long_sentence(visit: Visit) -> None:
    visit.prompt.focus()
    visit.page.evaluate("document.execCommand('insertText', false, '\u7ea2'.repeat(400_000))")  # 1.2 MB
    expect(visit.line).to_contain_text("The sentence has 65,280 characters")
    visit.make_refused(visit.prompt, "The sentence has 65,280 characters; at most 2,000 are read.")
    expect(visit.toast).to_have_count(0)


def test_a_wrong_seed_is_refused_at_its_field(visit: Visit) -> None:
    visit.fill()
    seed = visit.seed
    seed.fill("-3")
    visit.more_button.click()
    expect(seed).to_be_hidden()
    visit.make_refused(seed, "-3 is no seed")
    expect(seed).to_be_focused()  # unfolded for it
    expect(seed).to_have_accessible_description(
        "-3 is no seed: seeds are whole numbers from 0 to 4294967295. Leave it empty."
    )
    expect(visit.prompt).to_have_value(SENTENCE)
    seed.fill("3")
    expect(visit.refusal("is no seed")).to_be_hidden()
    expect(seed).not_to_have_accessible_description(re.compile("is no seed"))


def test_typing_is_answered_and_then_nothing_more_is_asked(visit: Visit) -> None:
    page = visit.page
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    visit.prompt.press_sequentially(SENTENCE, delay=30)  # faster than answers come
    visit.length.fill("3")
    expect(visit.line).to_contain_text("73 frames")
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
        visit.make_button.click()
        expect(line).to_be_visible()
        expect(page.get_by_text("Attempting reconnection")).to_be_hidden()
    finally:
        page.context.set_offline(False)
    expect(line).to_be_hidden()
    visit.errors.clear()  # of what was asked meanwhile


def test_a_proxy_that_answers_for_a_studio_that_is_gone_is_not_taken_for_it(visit: Visit) -> None:
    page = visit.page
    line = page.get_by_role("status").filter(has_text="The studio does not answer.")
    page.route("**/robots.txt", lambda route: route.fulfill(status=502, body="Bad gateway"))
    page.evaluate("window.same = true")
    expect(line).to_be_visible()
    with page.expect_response("**/robots.txt"):  # asked again, it is still gone
        pass
    page.wait_for_timeout(300)
    assert page.evaluate("window.same")
    page.unroute("**/robots.txt")
    page.wait_for_function("!window.same")
    expect(line).to_be_hidden()
    visit.errors.clear()  # of what the proxy said


def test_a_refusal_stands_until_its_field_is_changed(visit: Visit) -> None:
    box, refusal = visit.prompt, "There is no sentence yet."
    box.press_sequentially("a red", delay=10)
    box.fill("")
    visit.make_refused(box, refusal)  # while answers to typing are on their way
    visit.length.fill("1")
    expect(visit.line).to_contain_text("25 frames")
    visit.expect_refused(box, refusal)
    box.fill("a red ball")
    expect(visit.refusal(refusal)).to_be_hidden()


def test_a_wrong_length_is_refused_at_its_field(visit: Visit) -> None:
    visit.prompt.fill(SENTENCE)
    visit.length.fill("3600")
    expect(visit.line).to_contain_text("3600 seconds cannot be made")
    visit.make_refused(visit.length, "Choose a length between")


def test_strange_words_get_a_note_and_the_forecast_follows(visit: Visit) -> None:
    visit.prompt.fill("a red dragon")
    expect(visit.page.get_by_role("status").filter(has_text="“dragon”")).to_be_visible()
    visit.length.fill("1")
    expect(visit.line).to_contain_text("25 frames")


def test_markup_in_a_sentence_stays_text(visit: Visit) -> None:
    page = visit.page
    sentence = '<img src=x onerror="window.struck=1"> ${window.struck=1} {{window.struck=1}}'
    visit.fill(sentence, seconds=1, steps=1)
    visit.make()
    expect(visit.title).to_have_text(sentence)
    visit.wait_until_over()
    expect(visit.cards.first).to_have_accessible_name(f"Open draft: {sentence}")
    expect(visit.cards.first).to_contain_text(sentence)
    assert page.evaluate("window.struck") is None


def test_two_tabs_show_one_draft_and_one_tells_when_the_other_has_deleted_it(visit: Visit) -> None:
    page = visit.page
    visit.fill("a green star falls over night", seconds=1, steps=1)
    visit.make()
    visit.wait_until_over()
    other = Visit(page.context.new_page(), visit.address)
    other.open()
    expect(other.title).to_have_text("a green star falls over night")
    expect(other.prompt).to_have_value("a green star falls over night")
    other.card("a green star falls over night").get_by_role("button", name="More: ").click()
    other.button("shelf_delete").click()
    other.button("shelf_delete_do").click()
    other.stage("empty")
    visit.save.click()
    expect(page.get_by_text("This draft is not there any more.")).to_be_visible()
    visit.button("edit_extend").click()
    page.get_by_label("Seconds more").fill("1")
    page.keyboard.press("Enter")
    expect(visit.toast).to_contain_text("There is no such draft.")
    assert page.url == visit.address
    visit.errors.clear()  # of the film that is gone


def test_a_double_click_makes_one_draft_which_opens_with_its_settings(visit: Visit) -> None:
    title = "an orange triangle falls over night"
    visit.fill(title, seconds=1, steps=2)
    visit.make_button.dblclick(delay=200)  # slow: the first click is answered before the second
    visit.wait_until_over()
    expect(visit.page.get_by_role("button", name=f"Open draft: {title}", exact=True)).to_have_count(1)
    visit.prompt.fill("something else")
    visit.cards.first.click()
    expect(visit.prompt).to_have_value(title)
    expect(visit.title).to_have_text(title)

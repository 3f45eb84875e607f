"""The form in a real browser: eight controls at rest, everything else under More options, and all of it remembered."""

from collections.abc import Iterator

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api

expect = sync_api.expect
RESTING = {
    "en": ("What happens in the shot?", "Shape", "Length in seconds", "Look", "Graphics memory", "More options"),
    "zh": ("这个镜头里发生了什么？", "画幅", "时长（秒）", "精细程度", "显存", "更多选项"),
}
BUTTONS = {"en": ("Make draft", "Stop and keep"), "zh": ("生成草稿", "停止并保留")}
LOOKS = {"en": ("Quick look", "Balanced", "Careful"), "zh": ("快速预览", "均衡", "精细")}
MORE = (
    "Model", "Seed", "Steps", "Guidance", "Negative prompt", "Start frame", "End frame", "Frames",
    "Longest chunk in frames", "Overlap in frames", "How a chunk goes on", "Tail strength", "Colour anchor",
    "Shared noise", "Colour matching", "Smallest weights", "Text encoder", "Develop in 32 bit",
    "Most main memory in GB",
)  # fmt: skip


@pytest.fixture
def chinese(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:
    """The page of a visitor whose browser speaks Chinese."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN").new_page()
    page.goto(address)
    expect(page.locator("#rushes-forecast .line")).to_contain_text("97")
    yield page
    page.context.close()


def resting(page: sync_api.Page, language: str) -> None:
    """Eight controls, by role and name, and no other."""
    form = page.locator("#rushes-form")
    prompt, shape, length, look, memory, more = RESTING[language]
    expect(form.get_by_role("textbox", name=prompt)).to_be_visible()
    for group in (shape, look):
        expect(form.get_by_role("radiogroup", name=group, exact=True)).to_be_visible()
    expect(form.get_by_role("slider", name=length)).to_be_visible()
    expect(form.get_by_role("combobox", name=memory)).to_be_visible()
    for button in (*BUTTONS[language], more):
        expect(form.get_by_role("button", name=button)).to_be_visible()
    visible = (
        "(list => list.filter(e => e.checkVisibility()).length)([...document.querySelectorAll('#rushes-form %s')])"
    )
    kinds = ("textarea", "fieldset", "[type=range]", "button", "[role=combobox]", "select", "[type=checkbox]")
    assert [page.evaluate(visible % kind) for kind in kinds] == [1, 2, 1, 3, 1, 0, 0]


def test_eight_controls_at_rest(visit: Visit) -> None:
    resting(visit.page, "en")


def test_eight_controls_at_rest_in_chinese(chinese: sync_api.Page) -> None:
    resting(chinese, "zh")
    for look in LOOKS["zh"]:
        expect(chinese.get_by_role("radio", name=look, exact=True)).to_be_visible()


def test_a_look_sets_the_details_and_a_changed_detail_is_a_look_of_its_own(visit: Visit) -> None:
    page = visit.page
    steps = page.get_by_label("number input for Steps")
    page.get_by_role("button", name="More options").click()
    lines = []
    for look, count in zip(LOOKS["en"], ("8", "24", "40"), strict=True):
        page.get_by_role("radio", name=look, exact=True).check(force=True)
        expect(steps).to_have_value(count)
        page.wait_for_timeout(500)
        lines.append(page.locator("#rushes-forecast .line strong").inner_text())
    assert len(set(lines)) == 3  # what each costs
    expect(page.get_by_role("radio", name="Custom")).to_be_hidden()
    steps.fill("11")
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    steps.fill("24")
    expect(page.get_by_role("radio", name="Balanced")).to_be_checked()
    page.get_by_role("radio", name="Balanced").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Careful")).to_be_checked()
    expect(steps).to_have_value("40")


def test_more_options_hold_everything_with_a_sentence_and_a_default(visit: Visit) -> None:
    page, more = visit.page, visit.page.locator("#rushes-more")
    page.get_by_role("button", name="More options").click()
    for name in MORE:
        expect(more.get_by_text(name, exact=True).first).to_be_visible()
    assert more.get_by_text("Default: ").count() == len(MORE)


def test_frames_by_hand_go_before_the_length_and_off_the_grid_they_are_refused(visit: Visit) -> None:
    page, frames = visit.page, visit.page.get_by_label("Frames", exact=True)
    page.locator("#rushes-prompt textarea").fill(SENTENCE)
    page.get_by_role("button", name="More options").click()
    frames.fill("57")
    expect(page.locator("#rushes-forecast .line")).to_contain_text("57 frames")
    expect(page.get_by_label("number input for Length in seconds")).to_be_disabled()
    frames.fill("58")
    visit.make()
    expect(page.locator("#rushes-forecast .line")).to_contain_text("Nearest: 57")
    expect(page.locator("#rushes-stop")).to_be_disabled()
    frames.fill("0")
    expect(page.get_by_label("number input for Length in seconds")).to_be_enabled()
    page.get_by_label("number input for Length in seconds").fill("4")
    expect(page.locator("#rushes-forecast .line")).to_contain_text("97 frames")


def test_an_idea_on_the_empty_stage_becomes_the_sentence(visit: Visit) -> None:
    visit.page.get_by_role("button", name="a pink star falls over sand").click()
    expect(visit.page.locator("#rushes-prompt textarea")).to_have_value("a pink star falls over sand")


def test_the_form_comes_back_after_a_reload(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-prompt textarea").fill("a blue star rises over sea")
    page.get_by_role("button", name="More options").click()
    page.get_by_role("radio", name="Never").check(force=True)
    page.get_by_label("Overlap in frames").fill("9")
    page.locator("#rushes-seed input, #rushes-seed textarea").fill("12")
    page.wait_for_function("localStorage.getItem('rushes-form')")
    page.wait_for_timeout(1000)  # until the newest form is kept
    page.reload()
    expect(page.locator("#rushes-prompt textarea")).to_have_value("a blue star rises over sea")
    page.get_by_role("button", name="More options").click()
    expect(page.get_by_role("radio", name="Never")).to_be_checked()
    expect(page.get_by_label("Overlap in frames")).to_have_value("9")
    expect(page.locator("#rushes-seed input, #rushes-seed textarea")).to_have_value("12")

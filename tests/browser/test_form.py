"""The form in a real browser: eight controls at rest, everything else under More options, and all of it remembered."""

import pytest

from pipeline.studio.texts import Language
from tests.browser.studio import BOTH, SENTENCE, Visit, sync_api, visitor

expect = sync_api.expect
RESTING = {
    Language.EN: ("What happens in the shot?", "Shape", "Length in seconds", "Look", "Graphics memory", "More options"),
    Language.ZH: ("这个镜头里发生了什么？", "画幅", "时长（秒）", "精细程度", "显存", "更多选项"),
}
BUTTONS = {Language.EN: ("Make draft", "Stop and keep"), Language.ZH: ("生成草稿", "停止并保留")}
LOOKS = {Language.EN: ("Quick look", "Balanced", "Careful"), Language.ZH: ("快速预览", "均衡", "精细")}
MORE = (
    "Model", "Seed", "Steps", "Guidance", "Negative prompt", "Start frame", "End frame", "Frames",
    "Longest chunk in frames", "Overlap in frames", "How a chunk goes on", "Tail strength", "Colour anchor",
    "Shared noise", "Colour matching", "Guided share", "Recall", "Turning away", "Smallest weights",
    "Text encoder", "Develop in 32 bit", "Most main memory in GB",
)  # fmt: skip


def resting(visit: Visit) -> None:
    """Eight controls, by role and name, and no other."""
    form = visit.form
    prompt, shape, length, look, memory, more = RESTING[visit.language]
    expect(form.get_by_role("textbox", name=prompt)).to_be_visible()
    for group in (shape, look):
        expect(form.get_by_role("radiogroup", name=group, exact=True)).to_be_visible()
    expect(form.get_by_role("slider", name=length)).to_be_visible()
    expect(form.get_by_role("combobox", name=memory)).to_be_visible()
    for button in (*BUTTONS[visit.language], more):
        expect(form.get_by_role("button", name=button)).to_be_visible()
    kinds = ("textarea", "fieldset", "[type=range]", "button", "[role=combobox]", "select", "[type=checkbox]")
    assert [visit.visible_controls(kind) for kind in kinds] == [1, 2, 1, 3, 1, 0, 0]


def test_eight_controls_at_rest(visit: Visit) -> None:
    resting(visit)


def test_eight_controls_at_rest_in_chinese(browser: sync_api.Browser, address: str) -> None:
    with visitor(browser, address, "zh-CN") as visit:
        resting(visit)
        for look in LOOKS[Language.ZH]:
            expect(visit.page.get_by_role("radio", name=look, exact=True)).to_be_visible()


def test_a_look_sets_the_details_and_a_changed_detail_is_a_look_of_its_own(visit: Visit) -> None:
    page = visit.page
    steps = visit.number("steps")
    visit.more_button.click()
    lines = []
    for look, count in zip(LOOKS[Language.EN], ("8", "24", "40"), strict=True):
        page.get_by_role("radio", name=look, exact=True).check(force=True)
        expect(steps).to_have_value(count)
        page.wait_for_timeout(500)
        lines.append(visit.line.get_by_role("strong").inner_text())
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
    expect(visit.more_button).to_have_attribute("aria-expanded", "false")
    visit.more_button.click()
    expect(visit.more_button).to_have_attribute("aria-expanded", "true")
    for name in MORE:
        expect(visit.options.get_by_text(name, exact=True).first).to_be_visible()
    assert visit.options.get_by_text("Default: ").count() == len(MORE)


def test_frames_by_hand_go_before_the_length_and_off_the_grid_they_are_refused(visit: Visit) -> None:
    frames = visit.count("frames")
    visit.prompt.fill(SENTENCE)
    visit.more_button.click()
    frames.fill("57")
    expect(visit.line).to_contain_text("57 frames")
    expect(visit.length).to_be_disabled()
    frames.fill("58")
    visit.make()
    expect(visit.line).to_contain_text("Nearest: 57")
    expect(visit.stop_button).to_be_disabled()
    frames.fill("0")
    expect(visit.length).to_be_enabled()
    visit.length.fill("4")
    expect(visit.line).to_contain_text("97 frames")


def test_an_idea_on_the_empty_stage_becomes_the_sentence(visit: Visit) -> None:
    visit.page.get_by_role("button", name="a pink star falls over sand").click()
    expect(visit.prompt).to_have_value("a pink star falls over sand")


def test_what_was_typed_a_moment_before_a_reload_is_there_after_it(visit: Visit) -> None:
    """Before the studio has answered it, as where it is gone and Gradio reads the page again when it is back."""
    visit.prompt.fill("a blue star rises over sea")
    visit.page.reload()
    expect(visit.prompt).to_have_value("a blue star rises over sea")


@pytest.mark.parametrize("locale", BOTH)
def test_the_form_comes_back_after_a_reload(visit: Visit) -> None:
    page = visit.page
    never, overlap = page.get_by_role("radio", name=visit.says("encoder_unload")), visit.count("overlap")
    visit.prompt.fill("a blue star rises over sea")
    visit.more_button.click()
    never.check(force=True)
    overlap.fill("9")
    visit.seed.fill("12")
    page.wait_for_function("localStorage.getItem('rushes-form')")
    page.wait_for_timeout(1000)  # until the newest form is kept
    page.reload()
    expect(visit.prompt).to_have_value("a blue star rises over sea")
    visit.more_button.click()
    expect(never).to_be_checked()
    expect(overlap).to_have_value("9")
    expect(visit.seed).to_have_value("12")

"""The page in Chinese, in a real browser: whatever is refused, forecast or made, no English is to be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.studio import SENTENCE, Visit, sync_api, visitor
from tests.browser.test_pictures import Field, png
from tests.studio.english import english_in

OWN = ("[2s] a red ball falls / [3s cut] a blue star rises", "[2s] a ball / [x] a star", "qwertz", "Rushes")
LICENCES = ("Apache-2.0", "LTX-Video Open Weights License 0.X", "NVIDIA's NSCLv1")
NOT_CHINESE = ".ideas, .speech"  # sentences of the miniature's, which knows English only; the way to English
SAID = """not_chinese => {
  const said = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (element.closest(not_chinese) || element.closest('script, style') || !element.checkVisibility()) continue;
    if (node === element) {
      for (const name of ['aria-label', 'aria-valuetext', 'title', 'alt', 'placeholder'])
        if (node.getAttribute(name)) said.push(node.getAttribute(name));
    } else if (node.data.trim()) said.push(node.data.trim());
  }
  return said;
}"""


def english_on(page: "sync_api.Page") -> dict[str, list[str]]:
    """The texts on a page, and the names that a screen reader reads, that have English words in them."""
    said = page.evaluate(SAID, NOT_CHINESE)
    assert len(said) > 30
    found = {text: english_in(text, SENTENCE, *OWN, *LICENCES) for text in said}
    return {text: words for text, words in found.items() if set(words) - {"Ctrl", "Enter", "Esc", "API", "PNG", "zip"}}


@pytest.fixture
def visit(browser: "sync_api.Browser", address: str) -> Iterator[Visit]:
    """A visitor whose browser speaks Chinese, with all that unfolds unfolded."""
    with visitor(browser, address, "zh-CN", viewport={"width": 1280, "height": 900}) as visit:
        visit.prompt.fill(SENTENCE)
        visit.more_button.click()
        visit.forecast.get_by_text("为什么？").click()
        yield visit
        assert not visit.unexpected


def test_the_page_and_why_a_plan_is_as_it_is(visit: Visit) -> None:
    page = visit.page
    sync_api.expect(page.get_by_label("数字框：步数")).to_be_visible()
    reasons = visit.forecast.get_by_role("listitem")
    sync_api.expect(reasons.first).to_be_visible()
    assert reasons.count() > 3
    assert visit.document.get_attribute("lang") == "zh-CN"
    assert not english_on(page)


def test_what_does_not_fit_above_the_button_and_in_a_toast(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("数字框：内存上限（GB）").fill("0.5")
    sync_api.expect(visit.line).to_contain_text("只允许使用 512 MB。")
    assert not english_on(page)
    visit.make()
    sync_api.expect(visit.toast).to_contain_text("只允许使用 512 MB。")
    sync_api.expect(visit.toast.get_by_text("出错了", exact=True)).to_be_visible()
    assert not english_on(page)


def test_refused_fields(visit: Visit) -> None:
    page = visit.page
    visit.prompt.fill(OWN[1])
    visit.seed.fill("qwertz")
    visit.count("chunk").fill("30")
    sync_api.expect(visit.line).to_contain_text("没有写明秒数")
    visit.make_refused(visit.prompt, "没有写明秒数")
    visit.expect_refused(visit.seed, "“qwertz”不能作种子")
    visit.expect_refused(visit.count("chunk"), "每段帧数不能是 30")
    assert not english_on(page)


def test_the_models(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="模型").click()
    sync_api.expect(page.get_by_text("LTX-Video 2B 0.9.8（蒸馏版）")).to_be_visible()
    assert not english_on(page)


@pytest.mark.slow
def test_a_download_that_cannot_be(visit: Visit) -> None:
    page = visit.page
    visit.model.click()
    page.get_by_role("option", name="LTX-Video 2B 0.9.5").click()
    visit.forecast.get_by_role("button", name="下载", exact=True).click()
    sync_api.expect(visit.need).to_contain_text("设置了 HF_HUB_OFFLINE，所以不会下载。")
    assert not english_on(page)


@pytest.mark.slow
def test_a_draft_and_an_edit_that_cannot_be(visit: Visit) -> None:
    page, surgery = visit.page, visit.surgery
    page.get_by_label("数字框：步数").fill("2")
    visit.make()
    visit.stage("preview")
    assert not english_on(page)
    visit.wait_until_over()
    surgery.get_by_role("button", name="加长").click()
    surgery.get_by_label("再加几秒").fill("58")
    page.keyboard.press("Enter")
    sync_api.expect(visit.toast).to_contain_text("不能再加 58 秒：最长 60 秒。")
    sync_api.expect(visit.cards.first).to_be_visible()
    assert not english_on(page)


@pytest.mark.slow
def test_what_is_told_in_a_toast_and_refuses_nothing(visit: Visit, folder: Path) -> None:
    page, field = visit.page, Field(visit, "end_image")
    page.get_by_label("数字框：步数").fill("2")
    visit.length.fill("1")
    field.choose(png("red"))
    sync_api.expect(field.shown).to_be_visible()
    visit.make()
    visit.wait_until_over()
    before = visit.save.evaluate("link => link.href")
    visit.button("edit_extend").click()
    visit.surgery.get_by_label("再加几秒").fill("1")
    page.keyboard.press("Enter")
    sync_api.expect(visit.toast).to_contain_text("结束画面不再使用")
    sync_api.expect(visit.toast.get_by_text("提示", exact=True)).to_be_visible()
    sync_api.expect(visit.saved).not_to_have_attribute("href", before)
    made = visit.save.evaluate("link => link.href")
    visit.button("edit_undo").click()
    sync_api.expect(visit.saved).to_have_attribute("href", before)
    shutil.rmtree(folder / "drafts" / made.split("/")[-2])
    visit.button("edit_forward").click()
    told = visit.toast.filter(has_text="被撤销的那份草稿已经不在了。")
    sync_api.expect(told.get_by_text("请注意", exact=True)).to_be_visible()
    sync_api.expect(visit.button("edit_forward")).to_be_hidden()
    assert not english_on(page)

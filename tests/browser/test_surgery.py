"""Chunk surgery in a real browser: what can be changed of a finished draft, and how it is undone."""

import shutil
from pathlib import Path

import pytest

from pipeline.seams.metrics import Metric
from pipeline.studio.joins import say_joins
from pipeline.studio.texts import Language
from tests.browser.studio import BOTH, PHONE, Visit, sync_api
from tests.studio.test_joins import verdict

expect = sync_api.expect
JUDGED_MS = 1500  # after which the joins of three seconds have been looked at
HEIGHT = "element => element.getBoundingClientRect().height"
SMALL_PHONE = {"width": 320, "height": 844}  # as WCAG 1.4.10 asks for
SAY_OF_JOINS = "(element, said) => element.querySelector('[aria-live]').textContent = said"
BAD = {Metric.SR: 12.9, Metric.SA: 12.9, Metric.CS: 99.9, Metric.MR: 12.9, Metric.HD: 0.4}
JUDGED = [  # "", and of twelve joins that a limit is passed, each limit by far, and that only their median's is
    "",
    say_joins(verdict(*[{Metric.SR: 2.0}] * 12), Language.EN, fps=24).sentence,
    *(say_joins(verdict(*[{metric: value}] * 12), Language.EN, fps=24).sentence for metric, value in BAD.items()),
]


def file_of(visit: Visit) -> str:
    """What Save saves."""
    return str(visit.save.evaluate("link => link.href"))


def wait_for_another(visit: Visit, first: str) -> None:
    """Until another draft than `first` is over."""
    expect(visit.saved).not_to_have_attribute("href", first)


def redo(visit: Visit) -> str:
    """Make the first chunk again; the file of the draft that has it."""
    first = file_of(visit)
    visit.cells.first.click()
    visit.button("edit_redo").click()
    wait_for_another(visit, first)
    return file_of(visit)


def turn(visit: Visit, way: str, file: str) -> None:
    """Press Undo or Forward, which lead to that draft."""
    visit.button(f"edit_{way}").click()
    expect(visit.saved).to_have_attribute("href", file)


def height_with(visit: Visit, judged: str) -> float:
    """Of the player, when this is said of the joins."""
    visit.player.evaluate(SAY_OF_JOINS, judged)
    return float(visit.player.evaluate(HEIGHT))


@pytest.mark.parametrize("locale", BOTH)
def test_a_chunk_is_redone_and_the_old_draft_comes_back_by_undo(visit: Visit) -> None:
    page, surgery = visit.page, visit.surgery
    of_a_chunk = [visit.says(f"edit_{way}") for way in ("redo", "reprompt", "branch", "extend")]
    visit.fill(steps=2)
    expect(surgery).to_be_hidden()
    visit.make()
    visit.stage("preview")
    expect(surgery).to_be_hidden()
    visit.wait_until_over()
    expect(surgery.get_by_role("button")).to_have_text(of_a_chunk[-1:])
    before = visit.player.bounding_box()
    first = file_of(visit)
    visit.cells.last.click()
    expect(surgery.get_by_role("button")).to_have_text(of_a_chunk)
    assert visit.player.bounding_box() == before

    visit.button("edit_redo").click()
    wait_for_another(visit, first)
    expect(visit.sentence).to_have_text(visit.says("finished", seconds=3.0))
    assert file_of(visit) != first
    assert page.request.get(first).status == 200

    visit.button("edit_undo").click()  # while the joins of what was made are still looked at
    expect(visit.save).to_have_attribute("href", first)
    page.wait_for_timeout(JUDGED_MS)
    assert file_of(visit) == first
    expect(visit.button("edit_undo")).to_be_hidden()

    visit.button("edit_forward").click()  # what was undone is still there
    wait_for_another(visit, first)
    expect(surgery.get_by_text(visit.says("edit_kept"))).to_be_visible()


def test_forward_goes_through_all_that_was_undone_until_something_else_is_changed(visit: Visit, folder: Path) -> None:
    page, forward = visit.page, visit.button("edit_forward")
    visit.fill("a pink star bounces over sand, there and back", seconds=1, steps=2)
    visit.make()
    visit.wait_until_over()
    made = [file_of(visit), *(redo(visit) for _ in range(3))]
    expect(forward).to_be_hidden()
    for file in made[-2::-1]:
        turn(visit, "undo", file)
    turn(visit, "forward", made[1])
    page.reload()  # and still
    for file in made[2:]:
        turn(visit, "forward", file)
    expect(forward).to_be_hidden()

    turn(visit, "undo", made[2])
    other = redo(visit)  # from here on another way
    expect(forward).to_be_hidden()
    turn(visit, "undo", made[2])
    turn(visit, "undo", made[1])
    shutil.rmtree(folder / "drafts" / made[2].split("/")[-2])  # in another window, or by hand
    forward.click()
    expect(visit.toast).to_contain_text(visit.says("edit_forward_gone"))
    turn(visit, "forward", other)  # the one after that

    for card, file in ((1, made[3]), (2, made[1])):  # and looking at another draft begins a new way, too
        visit.cards.nth(card).click()
        expect(visit.saved).to_have_attribute("href", file)
        expect(forward).to_be_hidden()


@pytest.mark.slow
def test_a_chunk_is_chosen_and_changed_with_keys_alone(visit: Visit) -> None:
    page, surgery = visit.page, visit.surgery
    visit.fill(steps=2)
    visit.make()
    visit.wait_until_over()
    first = file_of(visit)
    expect(surgery.get_by_text("Choose a chunk above")).to_be_visible()
    page.get_by_role("button", name="Chunk 2, ready").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(surgery.get_by_role("button", name="Redo")).to_be_focused()
    expect(surgery.get_by_text("This chunk with another seed")).to_be_visible()
    page.keyboard.press("Enter")
    wait_for_another(visit, first)


def test_a_chunk_is_said_differently_and_what_cannot_be_is_told(visit: Visit) -> None:
    page, surgery = visit.page, visit.surgery
    visit.fill(seconds=3, steps=2)
    visit.make()
    visit.wait_until_over()
    visit.cells.last.click()
    page.set_viewport_size(PHONE)
    before = visit.player.evaluate(HEIGHT)
    for button in surgery.get_by_role("button").all():
        button.hover()  # what is then said of it is longer or shorter
        assert visit.player.evaluate(HEIGHT) == before
    for size in (PHONE, SMALL_PHONE):  # nor does what is found of the joins a moment after the end move anything
        page.set_viewport_size(size)
        heights = {visit.player.evaluate(HEIGHT)} | {height_with(visit, said) for said in JUDGED}
        assert len(heights) == 1, heights
    surgery.get_by_role("button", name="Say it differently").click()
    sentence = surgery.get_by_label("Sentence")
    expect(sentence).to_have_value("a red ball moves left over snow")
    expect(sentence).to_be_focused()
    visit.escape_composing(sentence)
    expect(sentence).to_be_visible()
    page.keyboard.press("Escape")
    expect(sentence).to_be_hidden()
    surgery.get_by_role("button", name="Extend").click()
    surgery.get_by_label("Seconds more").fill("58")
    page.keyboard.press("Enter")
    expect(visit.toast).to_contain_text("cannot be extended by 58")
    visit.cells.last.click()
    surgery.get_by_role("button", name="Say it differently").click()
    sentence.fill("a blue star rises over sea")
    page.keyboard.press("Enter")
    title = "a red ball moves left over snow / a blue star rises over sea"
    expect(visit.title).to_have_text(title)
    visit.wait_until_over()


@pytest.mark.slow
@pytest.mark.parametrize("locale", BOTH)
def test_a_draft_is_cut_branched_and_extended_and_each_time_the_first_is_kept(visit: Visit) -> None:
    visit.fill(steps=2)
    visit.make()
    visit.wait_until_over()
    first = file_of(visit)
    for way, chunks, seconds in (("cut", 1, None), ("branch", 2, 3.0), ("extend", 3, 4.0)):
        visit.cells.first.click()
        visit.button(f"edit_{way}").click()
        if way == "extend":
            visit.surgery.get_by_label(visit.says("edit_seconds")).fill("1")
            visit.button("edit_make").click()
        wait_for_another(visit, first)
        expect(visit.cells).to_have_count(chunks)
        done = visit.like("finished") if seconds is None else visit.says("finished", seconds=seconds)
        expect(visit.sentence).to_have_text(done)
        visit.button("edit_undo").click()
        expect(visit.save).to_have_attribute("href", first)

"""A draft that was stopped goes on from the page, in the same player, and says so there."""

import pytest

from tests.browser.studio import BOTH, Visit, sync_api, visitor


@pytest.mark.parametrize("locale", BOTH)
def test_continue_takes_the_place_of_stop_and_finishes_the_draft(visit: Visit) -> None:
    page = visit.page
    stop, go_on = visit.stop_button, visit.button("go_on")
    visit.fill(seconds=6, steps=6)
    visit.make()
    visit.stage("video")
    stop.click()
    sync_api.expect(visit.sentence).to_have_text(visit.stopped)
    sync_api.expect(stop).to_be_hidden()
    go_on.click()
    sync_api.expect(go_on).to_be_hidden()
    page.get_by_text(visit.says("finished", seconds=6.0)).wait_for()
    sync_api.expect(stop).to_be_disabled()
    assert not any(cell.is_disabled() for cell in visit.cells.all())


@pytest.mark.slow
def test_pause_beside_the_progress_rests_the_draft_until_continue(visit: Visit) -> None:
    page = visit.page
    pause, go_on = visit.button("aside_pause"), visit.button("go_on")
    visit.fill(seconds=6, steps=6)
    sync_api.expect(pause).to_be_hidden()
    visit.make()
    visit.stage("preview")
    pause.click()
    sync_api.expect(visit.sentence).to_have_text("Paused. What is finished is kept.")
    sync_api.expect(pause).to_be_hidden()
    go_on.click()
    sync_api.expect(go_on).to_be_hidden()
    page.get_by_text("Done: 6.0 seconds of video").wait_for()
    sync_api.expect(pause).to_be_hidden()


@pytest.mark.slow
def test_a_draft_in_line_says_its_place_and_can_be_removed(visit: Visit, browser: sync_api.Browser) -> None:
    visit.fill(seconds=20, steps=20)
    visit.make()
    visit.stage("preview")
    with visitor(browser, visit.address) as second:  # another browser, which remembers no draft
        second.fill(seconds=2)
        second.make()
        sync_api.expect(second.sentence).to_have_text("In line: one draft before this one.")
        remove = second.button("aside_remove")
        remove.click()
        sync_api.expect(second.sentence).to_contain_text("Stopped before the first pictures were ready")
        sync_api.expect(remove).to_be_hidden()
    visit.stop_button.click()
    sync_api.expect(visit.sentence).to_contain_text("Stopped")

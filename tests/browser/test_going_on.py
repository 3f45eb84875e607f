"""A draft that was stopped goes on from the page, in the same player, and says so there."""

from tests.browser.studio import Visit, sync_api


def test_continue_takes_the_place_of_stop_and_finishes_the_draft(visit: Visit) -> None:
    page = visit.page
    stop, go_on = page.get_by_role("button", name="Stop and keep"), page.get_by_role("button", name="Continue")
    visit.fill(seconds=6, steps=6)
    visit.make()
    visit.stage("video")
    stop.click()
    sync_api.expect(page.locator(".sentence")).to_contain_text("Stopped. The first")
    sync_api.expect(stop).to_be_hidden()
    go_on.click()
    sync_api.expect(go_on).to_be_hidden()
    page.get_by_text("Done: 6.0 seconds of video").wait_for()
    sync_api.expect(stop).to_be_disabled()
    assert not any(cell.is_disabled() for cell in page.locator(".strip button").all())

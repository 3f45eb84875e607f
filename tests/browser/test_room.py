"""Room is kept for the longest that is said of a draft, so that the next sentence moves nothing, on any screen."""

import pytest

from pipeline.studio.wording import say_duration
from tests.browser.studio import BOTH, Visit

WIDTHS = (320, 340, 380, 390, 600, 720, 768, 900, 1023, 1024, 1279, 1280)
LONG_SECONDS = 59 * 60


@pytest.mark.parametrize("locale", BOTH)
def test_no_sentence_moves_what_stands_below_it(visit: Visit) -> None:
    long = say_duration(visit.language, LONG_SECONDS)
    making = visit.says("making", chunk=18, chunks=24)
    etas = [visit.says("eta_first", duration=long), visit.says("eta_all", duration=long)]
    details = [[visit.says(f"retreated_{what}"), *etas] for what in ("encode", "denoise", "decode")]
    pause, remove = visit.says("aside_pause"), visit.says("aside_remove")
    said = [
        ("", "", ""),
        (visit.says("no_room", need=123_456, free=100_000), "", pause),
        (visit.says("ahead_many", count=199), "", remove),
        *((making, " · ".join(detail), pause) for detail in details),
        (visit.says("finished", seconds=60.0), visit.says("finished_took", forecast=long, duration=long), ""),
        (visit.says("stopped_saved", seconds=59.5, saved=long), "", ""),
        (visit.says("stopped_empty_saved", saved=long), "", ""),
    ]
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 844})
        heights = {visit.height_saying(*each) for each in said}
        assert len(heights) == 1, (width, heights)

"""The page in a real browser, against words and films that try to be more than that; and behind its password."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.events import ChunkDenoised, Encoded, Finished, SliceReady, Started
from pipeline.plan.request import Shot
from pipeline.video.mp4 import join_slices, write_slice
from tests.browser.studio import Visit, open_studio, sync_api, visitor
from tests.conftest import PlanMaker

HOSTILE = (
    "<script>window.OWNED=1</script><img src=x onerror=window.OWNED=1><svg onload=window.OWNED=1> "
    "[link](javascript:window.OWNED=1) **bold** ![x](http://127.0.0.1:9/x.png) "
    "${Reflect.set(window,/OWNED/.source,1)} {{Reflect.set(window,/OWNED/.source,1)}} &lt;b&gt; \u202egnp"
)
MARKUP = "img[src='x'], svg[onload], a[href^='javascript'], script:not([src])"
COUNT = f'document.querySelectorAll("{MARKUP}").length'


@pytest.fixture
def kept(tmp_path: Path, make_plan: PlanMaker) -> str:
    """A finished draft that somebody else put into the folder, with markup wherever words can be."""
    plan = make_plan(shots=(Shot(prompt=HOSTILE, seconds=1.0),), frames=25)
    journal = Journal(tmp_path / "drafts", new_draft_id())
    journal.begin(plan)
    write_slice(np.full((25, 96, 128, 3), 128, np.uint8), journal.slice_path(0), fps=24)
    join_slices([journal.slice_path(0)], journal.video_path(), title=HOSTILE, settings={"shots": HOSTILE})
    for event in (
        Started(draft=journal.draft, plan=plan),
        Encoded(sentences=1, cached=0, seconds=0.1),
        ChunkDenoised(chunk=0, seconds=0.1),
        SliceReady(index=0, chunk=0, file="slice-000.mp4", first_frame=0, frames=25, seconds=0.1),
        Finished(file="draft.mp4", frames=25, seconds=1.0, peak_bytes=1),
    ):
        journal.note(event)
    return journal.draft


@pytest.fixture
def visit(browser: sync_api.Browser, tmp_path: Path, kept: str) -> Iterator[Visit]:
    """A visitor of the studio whose only draft is `kept`."""
    assert (tmp_path / "drafts" / kept).is_dir()
    with open_studio(tmp_path) as address, visitor(browser, address) as visit:
        yield visit


def unharmed(visit: Visit, scripts: int) -> None:
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate("window.OWNED") is None
    assert visit.page.evaluate(COUNT) == scripts
    assert not visit.unexpected
    assert not visit.elsewhere


@pytest.mark.fault(36)
def test_words_stay_words_wherever_the_page_shows_them(visit: Visit) -> None:
    page = visit.page
    scripts = page.evaluate(COUNT)
    spine = visit.cards.first
    sync_api.expect(spine).to_contain_text(HOSTILE)  # on the shelf, from the disk
    unharmed(visit, scripts)
    spine.click()
    sync_api.expect(visit.title).to_have_text(HOSTILE)  # in the player
    sync_api.expect(visit.prompt).to_have_value(HOSTILE)  # in the form
    visit.stage("video")
    unharmed(visit, scripts)
    visit.fill(f"{HOSTILE} again", seconds=1, steps=1)  # in the note and the forecast
    visit.make()
    sync_api.expect(visit.title).to_have_text(f"{HOSTILE} again")
    visit.wait_until_over()
    unharmed(visit, scripts)
    page.reload()
    sync_api.expect(visit.cards.first).to_contain_text(f"{HOSTILE} again")
    unharmed(visit, scripts)


@pytest.mark.slow
def test_markup_that_got_into_the_page_all_the_same_would_do_nothing(visit: Visit) -> None:
    """The second wall: the policy in the page's headers."""
    page = visit.page
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.OWNED=1'>");
            document.body.append(Object.assign(document.createElement("script"), { textContent: "window.OWNED=2" }));
            const frame = document.createElement("iframe");
            frame.src = "http://127.0.0.1:9/";
            document.body.append(frame);
            new Image().src = "http://127.0.0.1:9/stolen";
        }"""
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.OWNED") is None
    assert sum("Content Security Policy" in error for error in visit.errors) >= 3


@pytest.mark.slow
@pytest.mark.fault(38)
def test_behind_a_password_the_page_works_as_ever(
    browser: sync_api.Browser, tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSHES_AUTH", "ada:engine number 1")
    with open_studio(tmp_path, "--listen") as address:
        stranger = browser.new_context()
        answer = stranger.request.get(f"{address}media/{kept}/draft.mp4")
        assert answer.status == 401
        stranger.close()
        ada = {"username": "ada", "password": "engine number 1"}
        with visitor(browser, address, http_credentials=ada) as visit:
            visit.cards.first.click()
            visit.stage("video")
            visit.wait_until_playing()
            assert not visit.unexpected

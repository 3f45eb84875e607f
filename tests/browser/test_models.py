"""Models in a real browser: what is not here is marked and refused with its command, and a download shows by itself."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.gpu.loading import ASSETS
from pipeline.plan.catalog import CATALOG, LTX_2B
from tests.browser.studio import Visit, open_studio, sync_api
from tests.test_installed import whole
from tests.test_weights import REVISION

COMMAND = "python -m pipeline download ltx-2b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studio's drafts and cache are, and the miniature as somebody's own."""
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(ASSETS / "miniature", folder / "mine")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A studio that takes the miniature from a folder of one's own."""
    with open_studio(folder, "--weights", f"miniature={folder / 'mine'}") as url:
        yield url


@pytest.fixture
def downloaded(folder: Path) -> Iterator[Path]:
    """A repository's place in the cache, for a test to fill; nothing stays there."""
    place = folder / "hub" / f"models--{LTX_2B.repository.replace('/', '--')}"
    yield place
    shutil.rmtree(place, ignore_errors=True)


def download(place: Path) -> None:
    """Leave the names of a whole checkpoint, as the command does in another terminal."""
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(REVISION)
    for name in whole(LTX_2B):
        file = place / "snapshots" / REVISION / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")


def options(visit: Visit) -> sync_api.Locator:
    """The list of models, opened."""
    visit.prompt.click()
    if not visit.model.is_visible():
        visit.more_button.click()
    visit.model.click()
    return visit.page.get_by_role("listbox").get_by_role("option")


@pytest.mark.slow
def test_a_model_that_is_not_here_is_marked_forecast_and_refused_with_its_command(visit: Visit) -> None:
    sync_api.expect(options(visit)).to_have_count(len(CATALOG))
    sync_api.expect(options(visit).first).to_have_text(re.compile("Miniature$"))
    options(visit).filter(has_text="LTX-Video 2B 0.9.5 · not downloaded, 14.8").click()
    sync_api.expect(visit.line).to_contain_text(re.compile("121 frames|needs about"))
    sync_api.expect(visit.need.get_by_role("code")).to_have_text(COMMAND)
    visit.prompt.fill("a boat leaves the harbour")
    visit.make_refused(visit.model, COMMAND)
    sync_api.expect(visit.stop_button).to_be_disabled()
    assert visit.cards.count() == 0


@pytest.mark.slow
def test_a_download_shows_without_a_restart(visit: Visit, downloaded: Path) -> None:
    page = visit.page
    options(visit).filter(has_text="LTX-Video 2B 0.9.5").click()
    sync_api.expect(visit.need).to_be_visible()
    download(downloaded)
    sync_api.expect(options(visit).nth(1)).to_have_text(re.compile(r"LTX-Video 2B 0\.9\.5$"))
    sync_api.expect(visit.need).to_be_hidden()
    options(visit).filter(has_text="Wan2.2 TI2V-5B").click()  # the list has another order now
    sync_api.expect(page.get_by_role("radio", name="Wide 1280×704")).to_be_checked()
    shutil.rmtree(downloaded)
    page.reload()
    sync_api.expect(options(visit).nth(1)).to_contain_text("not downloaded")


@pytest.mark.slow
def test_a_folder_of_ones_own_that_breaks_is_said_to(visit: Visit, folder: Path) -> None:
    (folder / "mine" / "vae").rename(folder / "mine" / "away")
    try:
        sync_api.expect(options(visit).first).to_have_text(re.compile("Miniature · cannot be used$"))
        sync_api.expect(visit.need).to_contain_text(f"{folder / 'mine' / 'vae'}")
    finally:
        (folder / "mine" / "away").rename(folder / "mine" / "vae")
    sync_api.expect(options(visit).first).to_have_text(re.compile("Miniature$"))
    sync_api.expect(visit.need).to_be_hidden()

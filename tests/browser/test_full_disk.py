"""The disk fills up while a draft is made: the page says so, and the draft is finished as soon as there is room.

The studio's drafts are on a small tmpfs, in a mount namespace of its own: no privilege is needed where Linux lets users
have namespaces, and nothing stays mounted. Skipped elsewhere.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.browser.studio import Visit, open_studio, sync_api

DISK_MIB = 320  # a little more than has to be free when a draft is asked for
ON_A_SMALL_DISK = [
    *("unshare", "--map-root-user", "--mount"),
    *("sh", "-c", f'mount -t tmpfs -o size={DISK_MIB}m tmpfs "$0" && exec "$@"'),
]


def can_mount() -> bool:
    """Whether this user may have a small disk of his own."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([*ON_A_SMALL_DISK, folder, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.fault(16),
    pytest.mark.skipif(not can_mount(), reason="no mount namespaces for this user"),
]


class SmallDisk:
    """The drafts folder as the studio sees it, and something else that takes all of its room."""

    def __init__(self, studio: int, drafts: Path) -> None:
        self.folder = Path(f"/proc/{studio}/root{drafts}")
        self.filler = self.folder / "somebody-elses"

    def fill(self) -> None:
        with self.filler.open("wb") as file:
            while free := shutil.disk_usage(self.folder).free:
                with contextlib.suppress(OSError):  # the draft took some of that meanwhile: what is left, then
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, SmallDisk]]:
    folder = tmp_path_factory.mktemp("studio")
    (folder / "drafts").mkdir()
    drafts = folder / "drafts"
    with open_studio(folder, before=(*ON_A_SMALL_DISK, str(drafts))) as url:
        (studio,) = [child for child in psutil.Process().children() if str(drafts) in child.cmdline()]
        yield url, SmallDisk(studio.pid, drafts)


@pytest.fixture(scope="module")
def address(studio: tuple[str, SmallDisk]) -> str:
    return studio[0]


@pytest.fixture
def disk(studio: tuple[str, SmallDisk]) -> Iterator[SmallDisk]:
    yield studio[1]
    studio[1].free()


def wait_for_no_room(visit: Visit) -> None:
    waiting = re.compile(r"Waiting for room on the disk: \d+ MB are needed, 0 MB are free\.")
    sync_api.expect(visit.sentence).to_have_text(waiting)


def test_a_draft_waits_for_room_and_is_finished_when_there_is(visit: Visit, disk: SmallDisk) -> None:
    page = visit.page
    visit.fill(seconds=5, steps=8)
    visit.make()
    visit.stage("video")
    disk.fill()
    wait_for_no_room(visit)
    sync_api.expect(visit.stop_button).to_be_enabled()
    page.reload()  # nothing hangs on this page
    wait_for_no_room(visit)
    assert not [path for path in disk.folder.glob("2*/.*") if path.is_file()]
    disk.free()
    sync_api.expect(visit.sentence).to_have_text("Done: 5.0 seconds of video")
    visit.wait_until_playing()


@pytest.mark.slow
def test_a_draft_that_waits_for_room_can_be_stopped(visit: Visit, disk: SmallDisk) -> None:
    page = visit.page
    visit.fill("a blue star rises over sea", seconds=5, steps=8)
    visit.make()
    visit.stage("video")
    disk.fill()
    wait_for_no_room(visit)
    page.keyboard.press("Escape")
    sync_api.expect(visit.sentence).to_have_text(visit.stopped)
    disk.free()
    visit.button("go_on").click()
    sync_api.expect(visit.sentence).to_have_text("Done: 5.0 seconds of video")

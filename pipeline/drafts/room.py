"""Room on the disk for one draft: how much is still to be written, and waiting until there is as much.

Whoever fills the disk may be somebody else, and may be about to tidy up: a draft of hours is not given up for that.
"""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.drafts.journal import Journal
from pipeline.errors import DiskFull, StopRequested
from pipeline.events import Event, WaitingForRoom

logger = logging.getLogger(__name__)

LEAST_ROOM_BYTES = 2**24  # 16 MiB before anything goes on: events, JSON and what a forecast of video is off by
POLL_SECONDS = 1.0
STOP_SECONDS = 0.05  # between two looks at whether somebody asked to stop


class Room:
    """What a draft writes goes through here.

    Args:
        journal: the draft's folder.
        forecast_bytes: what it will hold in the end.
        tell: hears `WaitingForRoom` about once a second while there is none.
    """

    def __init__(self, journal: Journal, forecast_bytes: int, tell: Callable[[Event], None]) -> None:
        self.journal, self.forecast_bytes, self.tell = journal, forecast_bytes, tell
        self.waited = False

    def write(self, work: Callable[[], object]) -> None:
        """Do it; where the disk is full, do it again as soon as there is room for the rest of the draft.

        Args:
            work: raises DiskFull having left nothing behind.

        Raises:
            StopRequested: when somebody asked to stop while it waits.
        """
        while True:
            try:
                work()
            except DiskFull as error:
                logger.warning("%s", error)
            else:
                return
            self._look_again()  # at least once: a quota is not among what is free
            self.wait()

    def put(self, path: Path, fill: Callable[[Path], object]) -> None:
        """`fill` a file of the draft under a temporary name, as `Journal.writing` does. Raises as `write` does."""

        def work() -> None:
            with self.journal.writing(path) as temporary:
                fill(temporary)

        self.write(work)

    def wait(self) -> None:
        """Until the rest of the draft has room; at once where it has. Raises as `write` does."""
        while self._free_bytes() < self.rest_bytes():
            self._look_again()

    def rest_bytes(self) -> int:
        """About what is still to be written."""
        files = self.journal.folder.glob("*") if self.journal.folder.is_dir() else ()
        written = sum(path.stat().st_size for path in files)
        return max(LEAST_ROOM_BYTES, self.forecast_bytes - written)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self.journal.folder.parent).free

    def _look_again(self) -> None:
        """A second later."""
        over = time.monotonic() + POLL_SECONDS
        if not self.journal.stop_requested():
            self.waited = True
            self.tell(WaitingForRoom(need_bytes=self.rest_bytes(), free_bytes=self._free_bytes()))
        while not self.journal.stop_requested():
            if time.monotonic() >= over:
                return
            time.sleep(STOP_SECONDS)
        raise StopRequested

"""The pictures of one draft on the disk: slices, each played as soon as it is there, and the film they become."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.drafts.journal import Journal
from pipeline.drafts.room import Room
from pipeline.errors import DraftError
from pipeline.plan.draft import DraftPlan
from pipeline.restoring import Restored
from pipeline.video.mp4 import join_slices, write_slice


class Reel:
    """What can be played of a draft: `slices` in their order, and how many `frames` that is."""

    def __init__(self, journal: Journal, room: Room) -> None:
        self.journal, self.room = journal, room
        self.slices: list[Path] = []
        self.frames = 0

    def take_up(self, restored: Restored) -> None:
        """Go on from what is there."""
        self.slices = [self.journal.path(piece.file) for piece in restored.slices]
        self.frames = sum(piece.frames for piece in restored.slices)

    def add(self, frames: NDArray[np.uint8], *, fps: int, check: Callable[[], None]) -> Path:
        """Write the next slice.

        Args:
            frames: [F, H, W, 3].
            check: called while it is written; what it raises leaves no slice.
        """
        path = self.journal.slice_path(len(self.slices))
        self.room.put(path, partial(write_slice, frames, fps=fps, check=check))
        self.slices.append(path)
        self.frames += len(frames)
        return path

    def join(self, plan: DraftPlan) -> None:
        """All slices to one mp4, with what it was made with."""
        self.room.put(self.journal.video_path(), self._film(plan))

    def keep(self, plan: DraftPlan) -> None:
        """Stopped: what can be played is one shorter film, but where there is a longer one, that stays: an earlier stop
        also kept what was held back for the next slice, and is no slice of the plan."""
        if self.frames > self.journal.kept_film()[1]:
            self.join(plan)

    def leave(self, plan: DraftPlan) -> None:
        """Something went wrong: as `keep`, where the disk has room for it."""
        if self.frames > self.journal.kept_film()[1]:
            with suppress(DraftError), self.journal.writing(self.journal.video_path()) as path:
                self._film(plan)(path)

    def _film(self, plan: DraftPlan) -> Callable[[Path], None]:
        settings = plan.settings
        settings["seams"] = [asdict(seam) for seam in plan.seams if seam.frame < self.frames]
        settings["cuts"] = [frame for frame in plan.cuts if frame < self.frames]
        settings["film_frames"] = self.frames  # fewer than were asked for, where it was stopped
        return partial(join_slices, self.slices, title=plan.request.prompt, settings=settings)

"""One draft's folder: the truth about it. Everything is written under a temporary name, synced, then renamed.

    drafts/<id>/  request.json  plan.json  weights.json  embeddings.safetensors  chunk-000.latents.safetensors
                  running.safetensors  slice-000.mp4  draft.mp4  start.png  end.png  events.jsonl  STOP  LOCK

Knows file names and how to write them; knows nothing about models, tensors' meaning or video.
"""

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from pipeline.drafts.film import count_frames
from pipeline.drafts.rows import read_row
from pipeline.errors import DiskFull, InvalidRequest, WriteFailed
from pipeline.events import Event, Retreated, Started, StepDone
from pipeline.plan.draft import DraftPlan

ID_PATTERN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{16}")
MEDIA_PATTERN = re.compile(r"(?:slice-[0-9]{3}|draft)\.mp4")
"""The only files of a draft a browser may ask for."""
WRITER = re.compile(r"\.([0-9]{1,9})(?:\.[^.]+)?$")  # the process, in the name of what is being written
SUSPENDED = b"until the next start\n"  # in STOP
TAIL_BYTES = 2**14  # of events.jsonl; a row has a few hundred
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SAYS_NO_ROOM = re.compile(rf"os error ({'|'.join(map(str, NO_ROOM))})\b")  # of safetensors, whose errors have no number


def new_draft_id() -> str:
    """Local time for people, 64 random bits so that nobody guesses another's draft."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(8)}"


class Journal:
    """The folder of one draft.

    Args:
        drafts: the drafts folder; made if missing.
        draft: an id from `new_draft_id`.

    Raises:
        DiskFull: from every writing method, when there is no room on the disk.
        WriteFailed: from them too, when it refuses for another reason.
    """

    def __init__(self, drafts: Path, draft: str) -> None:
        if not ID_PATTERN.fullmatch(draft):
            raise ValueError(f"not a draft id: {draft!r}")
        self.draft, self.folder = draft, drafts / draft

    def begin(self, plan: DraftPlan) -> None:
        """Make the folder and write request and plan."""
        with refused_writes(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.write_json("request.json", plan.settings)
        self.write_json("plan.json", plan.to_json())

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Nobody else works on this draft meanwhile, in any process; a process that dies lets go of it.

        Raises:
            InvalidRequest: when somebody does.
        """
        lock = FileLock(self.path("LOCK"), timeout=0.1)  # seconds: whoever only looks whether somebody does is through
        with refused_writes(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                said = f"Draft {self.draft} is being made."
                raise InvalidRequest("draft", said, "Wait for it, or stop it.") from error
        try:
            yield
        finally:
            lock.release()

    def path(self, name: str) -> Path:
        """A file of this draft."""
        return self.folder / name

    def weights_path(self) -> Path:
        """Where it is said which weights the draft is made with."""
        return self.path("weights.json")

    def embeddings_path(self) -> Path:
        """Where the embeddings of this draft's sentences are."""
        return self.path("embeddings.safetensors")

    def latents_path(self, chunk: int) -> Path:
        """Where a chunk's latents are."""
        return self.path(f"chunk-{chunk:03d}.latents.safetensors")

    def picture_path(self, place: str) -> Path:
        """Where the picture of the draft's `start` or `end` frame is."""
        return self.path(f"{place}.png")

    def running_path(self) -> Path:
        """Where the chunk stands that is being denoised."""
        return self.path("running.safetensors")

    def slice_path(self, index: int) -> Path:
        """Where a slice's mp4 is."""
        return self.path(f"slice-{index:03d}.mp4")

    def video_path(self) -> Path:
        """Where the finished mp4 is."""
        return self.path("draft.mp4")

    def write_json(self, name: str, value: Any) -> None:
        """Write plain values as JSON."""
        with self.writing(self.path(name)) as temporary:
            temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A temporary path; on leaving it is synced and renamed to `path`, and the folder is synced, so that the name
        outlasts a power cut, too. On an error it is removed.
        """
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        with refused_writes(path):
            try:
                yield temporary
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
                _sync_folder(path.parent)
            finally:
                temporary.unlink(missing_ok=True)

    def note(self, event: Event) -> None:
        """Append an event as one line; pictures and plans stay out. A torn line before it is closed first."""
        if isinstance(event, StepDone):
            event = replace(event, preview=None)
        if isinstance(event, Retreated):
            event = replace(event, plan=None)
        row: dict[str, Any] = {"event": type(event).__name__, "at": round(time.time(), 3)}
        row |= {"draft": event.draft} if isinstance(event, Started) else asdict(event)
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        with refused_writes(self.folder), self.path("events.jsonl").open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            if not isinstance(event, StepDone):  # which comes often, and says nothing that is needed to go on
                file.flush()
                os.fsync(file.fileno())

    def sweep(self) -> None:
        """Remove what a process that was killed was writing; for whoever alone works on this draft. What another that
        lives is writing stays: the page's process says meanwhile whose the draft is, or what it is called."""
        with refused_writes(self.folder):
            for left in self.folder.glob(".*"):
                writer = WRITER.search(left.name)
                if not writer or int(writer[1]) == os.getpid() or not psutil.pid_exists(int(writer[1])):
                    left.unlink(missing_ok=True)

    def request_stop(self) -> None:
        """Ask whoever works on this draft to stop; a file, so that it works across processes."""
        with refused_writes(self.folder):
            self.path("STOP").write_bytes(b"")

    def suspend(self) -> None:
        """Ask whoever works on this draft to stop, for a restart to go on; nothing where it is to stop anyway."""
        with refused_writes(self.folder), suppress(FileExistsError), self.path("STOP").open("xb") as file:
            file.write(SUSPENDED)

    def withdraw_stop(self) -> None:
        """Nobody asks any more."""
        with refused_writes(self.folder):
            self.path("STOP").unlink(missing_ok=True)

    def take_up(self) -> DraftPlan:
        """The plan of a draft that is to go on; what asked it to stop is gone.

        Raises:
            InvalidRequest: when there is no such draft, or its plan cannot be read.
        """
        plan = self.read_plan()
        self.withdraw_stop()
        return plan

    def read_plan(self) -> DraftPlan:
        """The draft's plan.

        Raises:
            InvalidRequest: when there is no such draft, or its plan cannot be read.
        """
        try:
            return DraftPlan.from_json(self.path("plan.json").read_bytes())
        except FileNotFoundError as error:
            raise InvalidRequest("draft", f"There is no draft {self.draft} in {self.folder.parent}.") from error
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InvalidRequest("draft", f"The plan of draft {self.draft} cannot be read: {reason}") from error

    def kept_film(self) -> tuple[str | None, int]:
        """The film there is of a draft that is not finished, and the frames in it; None and 0 where there is none."""
        frames = count_frames(self.video_path())
        return (self.video_path().name, frames) if frames else (None, 0)

    def suspended(self) -> bool:
        """Whether it was asked to stop for a restart to go on, and nobody asked otherwise since."""
        try:
            return self.path("STOP").read_bytes() == SUSPENDED
        except OSError:
            return False

    def stop_requested(self) -> bool:
        """Whether somebody asked."""
        return self.path("STOP").exists()


def unfinished_drafts(drafts: Path) -> list[str]:
    """Ids of the drafts that were begun and not finished, the newest first."""
    folders = (plan.parent for plan in sorted(drafts.glob("*/plan.json"), reverse=True))
    return [folder.name for folder in folders if ID_PATTERN.fullmatch(folder.name) and not is_finished(folder)]


def is_finished(folder: Path) -> bool:
    """Whether a draft's folder holds its whole film."""
    return (folder / "draft.mp4").exists() and any(row.get("event") == "Finished" for row in read_events(folder))


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events noted in a draft's folder, in order; a torn line is ignored, and so is one that is no event."""
    try:
        # As bytes: a line may be torn inside a character, and text also splits at characters that JSON leaves alone
        lines = (folder / "events.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    return [row for row in map(read_row, lines) if row]


def last_event(folder: Path) -> dict[str, Any] | None:
    """The event noted last in a draft's folder, however long its journal is; None when there is none."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return None
    found = next(filter(None, map(read_row, reversed(lines))), None)
    return found or next(reversed(read_events(folder)), None)


def read_json(path: Path) -> Any:
    """Plain values from a file of a draft; None when it is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _sync_folder(folder: Path) -> None:
    """Names to disk; Windows cannot open a folder, and its renames are in the file system's own journal."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def refused_writes(path: Path) -> Iterator[None]:
    """Errors of whoever writes to `path` as DiskFull or WriteFailed, with what to do about it."""
    try:
        yield
    except SafetensorError as error:
        kind = DiskFull if SAYS_NO_ROOM.search(str(error)) else WriteFailed
        raise _refusal(kind, path, str(error).splitlines()[0]) from error
    except OSError as error:
        kind = DiskFull if error.errno in NO_ROOM else WriteFailed
        raise _refusal(kind, path, str(error.strerror or error)) from error


def _refusal(kind: type[WriteFailed], path: Path, reason: str) -> WriteFailed:
    hint = "Free some disk, or choose" if kind is DiskFull else "Choose"
    return kind(str(path), f"{path} cannot be written: {reason}.", f"{hint} another folder with --drafts.")

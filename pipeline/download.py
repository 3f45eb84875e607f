"""Bring a checkpoint into Hugging Face's cache: told beforehand, continued where it stopped, checked when it is here.

huggingface_hub starts a file from its first byte again when a process ended in the middle of it. Files of many
gigabytes deserve better: the bytes that came wait beside their final place under `….incomplete`, and the next attempt
asks for the rest only. Everything else, from the requests to the links in the cache, is huggingface_hub's own.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

from filelock import FileLock, Timeout
from huggingface_hub import constants, hf_hub_download, hf_hub_url, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import are_symlinks_supported, http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it names no exports

from pipeline.errors import DoesNotFit, InvalidRequest, ModelUnavailable, say_bytes
from pipeline.gpu.contents import check_contents, record_content, was_checked
from pipeline.gpu.folders import find_damage
from pipeline.gpu.revisions import find_file, find_snapshot, record_revision
from pipeline.plan.spec import ModelSpec
from pipeline.repository import RemoteFile, as_sentences, bytes_of, list_files, repository_folder
from pipeline.weights import ASSETS, find_absent_weights

logger = logging.getLogger(__name__)

OUT_OF_RANGE = 416  # as HTTP says it
RESERVE_BYTES = 2**30  # of the cache's disk, for drafts and for everybody else


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStarted:
    """Everything is known and fits; `done_bytes` of `total_bytes` came with earlier attempts."""

    model: str
    title: str
    licence: str
    files: int
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgress:
    """Bytes of the whole checkpoint; `file` is the one they come from now."""

    file: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadFinished:
    """The checkpoint is here, whole and checked; `received_bytes` is 0 where it already was."""

    model: str
    folder: str
    received_bytes: int
    total_bytes: int


DownloadEvent = DownloadStarted | DownloadProgress | DownloadFinished
Tell = Callable[[DownloadEvent], None]


def download(spec: ModelSpec, tell: Tell, *, revision: str | None = None) -> Path:
    """Bring what is missing of a checkpoint; `tell` hears how far it is. Interrupted, it goes on the next time.

    Args:
        spec: a catalog entry.
        tell: called in this thread, about every ten megabytes.
        revision: of `spec.repository`, to use from now on; a commit, branch or tag. Without one the catalog's, else
            the recorded one, else what `main` points to, which is recorded once everything is here.

    Returns:
        The checkpoint's folder.

    Raises:
        InvalidRequest: when `revision` is not the one the catalog names.
        DoesNotFit: when the disk is too small, before anything is downloaded.
        ModelUnavailable: when something is not to be had, or came damaged; then it was deleted.
        WriteFailed: when the disk is full or cannot be written.
    """
    if revision and spec.revision and revision != spec.revision:
        raise InvalidRequest("revision", f"Rushes knows {spec.title} as of {spec.revision}.", "Leave --revision out.")
    asked = replace(spec, revision=revision) if revision else spec
    if not spec.repository or is_offline_mode():
        return _use_what_is_here(spec, tell, revision)
    try:
        files = list_files(asked)
    except ModelUnavailable:
        if find_absent_weights(asked).components:
            raise
        return _use_what_is_here(spec, tell, revision)  # nobody answers, and nobody has to
    commits = {file.repository: file.commit for file in files}
    total = sum(file.size_bytes for file in files)
    with as_sentences(spec, spec.repository):
        missing = [file for file in files if not _is_here(file)]
    here = total - sum(file.size_bytes - file.came_bytes for file in missing)
    if missing:
        _check_disk(spec, total - here)
        start = DownloadStarted(
            model=spec.key,
            title=spec.title,
            licence=spec.licence,
            files=len(missing),
            done_bytes=here,
            total_bytes=total,
        )
        with _claimed(spec, sorted(commits)):
            tell(start)
            _fetch_all(spec, missing, tell, total)
    absent = find_absent_weights(spec, commits).components
    if absent:
        raise ModelUnavailable(spec.key, f"{spec.repository} holds no whole {absent[0]}.", "Choose another model.")
    for repository, commit in commits.items():
        record_revision(spec, commit, repository, anew=bool(revision) and repository == spec.repository)
    finished = DownloadFinished(
        model=spec.key, folder=str(files[0].snapshot), received_bytes=total - here, total_bytes=total
    )
    tell(finished)
    return files[0].snapshot


def _use_what_is_here(spec: ModelSpec, tell: Tell, revision: str | None) -> Path:
    """Without a word to anybody: what ships with Rushes, or what the cache holds while there is no network."""
    asked = replace(spec, revision=revision) if revision else spec
    absent = find_absent_weights(asked)
    if absent.components:
        said = f"{spec.title} is not whole on this machine: its {absent.components[0]} is missing."
        if not spec.repository:
            raise ModelUnavailable(spec.key, said, f"Get it with: {' && '.join(absent.commands)}")
        raise ModelUnavailable(spec.key, f"{said} Nothing is downloaded while HF_HUB_OFFLINE is set.", "Unset it.")
    folder = find_snapshot(asked) if spec.repository else ASSETS / spec.key
    weights = [*sorted(folder.glob("*/*.safetensors")), *(find_file(spec, file) for file in spec.files)]
    for path in weights:
        reason = find_damage(path)
        if reason:
            raise ModelUnavailable(spec.key, f"{path} is damaged: {reason}.", "Get it again online.")
    check_contents(spec.key, weights)
    if spec.repository and revision:
        record_revision(spec, folder.name, anew=True)
    total = sum(path.stat().st_size for path in weights)
    tell(DownloadFinished(model=spec.key, folder=str(folder), received_bytes=0, total_bytes=total))
    return folder


def _is_here(file: RemoteFile) -> bool:
    """Whether a file came whole already; what is there, under this commit or another, and is not it is deleted."""
    path = file.snapshot / file.name
    for place in (path, file.blob):
        reason = _find_fault(file, place) if place.exists() else ""
        if reason:
            logger.warning("%s is damaged (%s) and is downloaded again.", place, reason)
            place.resolve().unlink()
            place.unlink(missing_ok=True)
    return path.exists()


def _find_fault(file: RemoteFile, path: Path) -> str:
    """Why what is in the cache is not a file; empty where it is. It is hashed unless it was, and has not changed."""
    if was_checked(path):
        return find_damage(path)
    reason = file.find_fault(path)
    if not reason:
        record_content(path)
    return reason


def room_for_downloads() -> tuple[Path, int]:
    """The folder whose disk the cache is on, and the bytes free there less `RESERVE_BYTES`, perhaps below 0."""
    folder = Path(constants.HF_HUB_CACHE).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder, shutil.disk_usage(folder).free - RESERVE_BYTES


def _check_disk(spec: ModelSpec, need_bytes: int) -> None:
    folder, room_bytes = room_for_downloads()
    if need_bytes > room_bytes:
        free = say_bytes(room_bytes + RESERVE_BYTES)
        raise DoesNotFit(
            f"download of {spec.title}",
            need_bytes,
            max(room_bytes, 0),
            f"{folder} has {free} free, of which {say_bytes(RESERVE_BYTES)} stay free: "
            "free some disk, or let HF_HOME name a folder on a larger one.",
            where="disk",
        )


@contextmanager
def _claimed(spec: ModelSpec, repositories: list[str]) -> Iterator[None]:
    """Two programs that continue the same file would mix their bytes."""
    with ExitStack() as stack:
        for repository in repositories:
            folder = repository_folder(repository)
            lock = FileLock(folder.parent / ".locks" / folder.name / "rushes.lock", timeout=0)
            with as_sentences(spec, repository):
                Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(lock)
                except Timeout as error:
                    said = f"Another Rushes is downloading {repository}."
                    raise ModelUnavailable(spec.key, said, "Wait for it, or stop it.") from error
        yield


def _fetch_all(spec: ModelSpec, files: list[RemoteFile], tell: Tell, total_bytes: int) -> None:
    done = total_bytes - sum(file.size_bytes for file in files)
    for file in files:

        def hear(count: int, file: RemoteFile = file, before: int = done) -> None:
            tell(DownloadProgress(file=file.name, done_bytes=before + count, total_bytes=total_bytes))

        with as_sentences(spec, file.repository):
            _fetch(spec, file, hear)
        done += file.size_bytes
        hear(file.size_bytes)


def _fetch(spec: ModelSpec, file: RemoteFile, hear: Callable[[int], None]) -> None:
    """Bring one file, from where the last attempt stopped, and put it into the cache when it is what it should be."""
    waiting = file.unfinished
    place = file.blob if are_symlinks_supported(constants.HF_HUB_CACHE) else file.snapshot / file.name
    if not file.blob.exists():
        for folder in (waiting.parent, place.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if bytes_of(waiting) > file.size_bytes:
            waiting.unlink()
        if bytes_of(waiting) < file.size_bytes or not waiting.exists():
            try:
                _get(file, waiting, hear)
            except HfHubHTTPError as error:
                if error.response.status_code != OUT_OF_RANGE or not bytes_of(waiting):
                    raise
                waiting.unlink()  # the server has no more than that, so it is no beginning of this file
                _get(file, waiting, hear)
            except OverflowError as error:
                waiting.unlink()
                raise _came_damaged(spec, file, str(error)) from error
        reason = file.find_fault(waiting)
        if reason:
            waiting.unlink()
            raise _came_damaged(spec, file, reason)
        waiting.replace(place)
        record_content(place)
    hf_hub_download(file.repository, file.name, revision=file.commit)  # finds it here, and links it
    if not _is_here(file):
        raise _came_damaged(spec, file, "it is not what the repository lists")


def _get(file: RemoteFile, waiting: Path, hear: Callable[[int], None]) -> None:
    """The bytes of a file that are not here yet. Raises OverflowError when more come than are listed."""
    with waiting.open("ab") as stream:
        http_get(
            hf_hub_url(file.repository, file.name, revision=file.commit),
            stream,
            resume_size=bytes_of(waiting),
            headers=build_hf_headers(),
            displayed_filename=file.name,
            tqdm_class=cast(Any, partial(_Meter, hear, file.size_bytes)),
        )


def _came_damaged(spec: ModelSpec, file: RemoteFile, reason: str) -> ModelUnavailable:
    said = f"{file.name} of {file.repository} came damaged and was deleted: {reason}."
    return ModelUnavailable(spec.key, said, "Run the same command again.")


class _Meter:
    """Stands where huggingface_hub would have a progress bar."""

    def __init__(self, hear: Callable[[int], None], most_bytes: int, *, initial: int = 0, **_: object) -> None:
        self.hear, self.most_bytes, self.bytes = hear, most_bytes, initial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int) -> None:
        """More bytes came; negative where the server began anew."""
        self.bytes += count
        if self.bytes > self.most_bytes:  # before they are written: a disk is soon full
            raise OverflowError(f"more came than the {self.most_bytes} bytes that are listed")
        self.hear(self.bytes)

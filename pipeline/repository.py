"""What a checkpoint's repositories hold that Rushes wants, and whatever Hugging Face refuses, as a sentence.

Only files that diffusers and transformers would open are ever asked for: configurations, tokenizers and safetensors,
each in the folder where it belongs. Pickles, programs and names that lead elsewhere stay where they are.
"""

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.errors import HTTPError as ConnectionFailed  # type: ignore[attr-defined]  # of its HTTP client
from huggingface_hub.file_download import repo_folder_name

from pipeline.errors import DraftError, ModelUnavailable, WriteFailed
from pipeline.gpu.folders import find_damage
from pipeline.gpu.revisions import recorded_revision
from pipeline.plan.spec import ModelSpec

INDEX = "model_index.json"
CONFIGURATION = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.json"
WEIGHTS = r"(diffusion_pytorch_)?model(-\d{5}-of-\d{5})?\.safetensors"
WORDS = r"spiece\.model|[A-Za-z0-9_][A-Za-z0-9_.-]*\.txt"
DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT_SECONDS = 20  # for a list of files
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of one commit; `digest` is the SHA-256 of a large file, git's SHA-1 of a small one."""

    repository: str
    commit: str
    name: str
    size_bytes: int
    digest: str

    @property
    def snapshot(self) -> Path:
        """Where the commit's files lie, or will, in Hugging Face's cache."""
        return repository_folder(self.repository) / "snapshots" / self.commit

    @property
    def blob(self) -> Path:
        """Where the content lies, or will; revisions with the same content share it."""
        return repository_folder(self.repository) / "blobs" / self.digest

    @property
    def unfinished(self) -> Path:
        """Where the first bytes wait for the rest."""
        return self.blob.with_name(f"{self.digest}.incomplete")

    @property
    def came_bytes(self) -> int:
        """What the cache has of a missing file: its beginning, or all of it under another commit."""
        held = max(bytes_of(self.blob), bytes_of(self.unfinished))
        return held if held <= self.size_bytes else 0

    def find_fault(self, path: Path) -> str:
        """Why some file on disk is not this one; empty for the right one. Reads all of it."""
        if bytes_of(path) != self.size_bytes:
            return f"it has {bytes_of(path)} of {self.size_bytes} bytes"
        if self.digest_of(path) != self.digest:
            return "it is not what the repository lists"
        return find_damage(path)

    def digest_of(self, path: Path) -> str:
        """Of some file on disk, by the rule that `digest` was made with."""
        if len(self.digest) == hashlib.sha256().digest_size * 2:
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def bytes_of(path: Path) -> int:
    """The size of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def repository_folder(repository: str) -> Path:
    """Of a model repository in Hugging Face's cache."""
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")


def is_wanted(spec: ModelSpec, name: str) -> bool:
    """Whether a file of `spec.repository` belongs to what Rushes opens."""
    folder, _, file = name.partition("/")
    if folder == "tokenizer":
        return bool(re.fullmatch(f"{CONFIGURATION}|{WORDS}", file))
    if folder == "scheduler":
        return bool(re.fullmatch(CONFIGURATION, file))
    if folder not in list(spec.networks):
        return name == INDEX
    if folder in spec.originals:
        return file == "config.json"
    return bool(re.fullmatch(f"{CONFIGURATION}|{WEIGHTS}", file))


def list_files(spec: ModelSpec) -> tuple[RemoteFile, ...]:
    """What is wanted of a checkpoint, in `spec.revision`, else the recorded one, else what `main` points to now.

    Raises:
        ModelUnavailable: when there is no such repository or revision, no way to it, or not what should be in it.
    """
    revision = spec.revision or recorded_revision(spec)
    files = [file for file in _list(spec, spec.repository, revision) if is_wanted(spec, file.name)]
    if INDEX not in [file.name for file in files]:
        raise ModelUnavailable(spec.key, f"{spec.repository} holds no checkpoint: it has no {INDEX}.")
    for repository in dict.fromkeys(wanted.repository for wanted in spec.files):
        there = {file.name: file for file in _list(spec, repository, recorded_revision(spec, repository))}
        for name in (wanted.name for wanted in spec.files if wanted.repository == repository):
            if name not in there:
                raise ModelUnavailable(spec.key, f"{repository} no longer has {name}.", "Choose another model.")
            files.append(there[name])
    for file in files:
        if file.size_bytes < 0 or not DIGEST.fullmatch(file.digest):
            raise ModelUnavailable(spec.key, f"{file.repository} does not say how large {file.name} is.")
    return tuple(files)


def _list(spec: ModelSpec, repository: str, revision: str | None) -> list[RemoteFile]:
    with as_sentences(spec, repository):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS)
    if not info.sha or not COMMIT.fullmatch(info.sha):
        raise ModelUnavailable(spec.key, f"{repository} does not say which commit it is at.")
    return [
        RemoteFile(
            repository=repository,
            commit=info.sha,
            name=entry.rfilename,
            size_bytes=-1 if entry.size is None else entry.size,
            digest=(entry.lfs.sha256 if entry.lfs else entry.blob_id) or "",
        )
        for entry in info.siblings or []
    ]


@contextmanager
def as_sentences(spec: ModelSpec, repository: str) -> Iterator[None]:
    """Whatever goes wrong between here and Hugging Face, or on the way to the disk, as something a person can read."""
    try:
        yield
    except BrokenPipeError:  # whoever listened to the progress has gone
        raise
    except (ConnectionFailed, OSError, ValueError) as error:  # the last for an answer that is none of a hub's
        raise _sentence(spec, repository, error) from error


def _sentence(spec: ModelSpec, repository: str, error: Exception) -> DraftError:
    page, key = f"{constants.ENDPOINT}/{repository}", spec.key
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    match error:
        case RepositoryNotFoundError() if not isinstance(error, GatedRepoError):
            hint = "It was removed or made private. If it is shown to you in a browser, log in with: hf auth login"
            return ModelUnavailable(key, f"Hugging Face shows no repository {repository}.", hint)
        case RevisionNotFoundError():
            said = f"{repository} has no such revision, or no longer."
            return ModelUnavailable(key, said, f"Name one of {page}/commits/main with --revision.")
        case EntryNotFoundError() if not isinstance(error, LocalEntryNotFoundError):
            return ModelUnavailable(key, f"{repository} no longer has a file that it lists.", "Try again later.")
        case GatedRepoError() | HfHubHTTPError() if isinstance(error, GatedRepoError) or status in (401, 403):
            hint = f"Accept the licence at {page}, then log in with: hf auth login"
            return ModelUnavailable(key, f"{repository} is only given to people who accepted its licence.", hint)
        case HfHubHTTPError():
            hint = "Run the same command again later: what came is kept."
            return ModelUnavailable(key, f"Hugging Face answered with an error ({status}) for {repository}.", hint)
        case OSError() if error.errno in DISK_FULL:
            hint = "Free some disk and run the same command again: what came is kept."
            return WriteFailed(constants.HF_HUB_CACHE, f"The disk of {constants.HF_HUB_CACHE} is full.", hint)
        case OSError() if error.errno:
            path = str(error.filename or constants.HF_HUB_CACHE)
            return WriteFailed(path, f"{path} cannot be written: {error.strerror}.", "HF_HOME names another folder.")
        case _:
            cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
            hint = "Check the connection and run the same command again: what came is kept."
            return ModelUnavailable(key, f"The connection to Hugging Face failed: {reason}.", hint)

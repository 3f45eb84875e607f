"""Which commit of a repository is used here: the catalog's, else the first that was found, recorded and kept to.

A branch can be moved by whoever owns it, and its weights are then others under the same name. The record lies in
Hugging Face's cache, beside what it speaks of.
"""

import json
import logging
import os
from pathlib import Path

from huggingface_hub import constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError

from pipeline.errors import ModelUnavailable
from pipeline.plan.spec import ModelSpec, WeightFile

logger = logging.getLogger(__name__)

LOCK = "rushes-revisions.json"


def find_snapshot(spec: ModelSpec) -> Path:
    """The folder of a checkpoint's one revision in Hugging Face's cache; nothing is downloaded.

    Raises:
        ModelUnavailable: when it is not there, or only another revision is.
    """
    revision = spec.revision or recorded_revision(spec)
    try:
        index = "model_index.json"  # a repository holds more than Rushes downloads
        return Path(snapshot_download(spec.repository, revision=revision, local_files_only=True, allow_patterns=index))
    except LocalEntryNotFoundError as error:
        said = f"{spec.title} is not on this machine" + (f" in revision {revision[:12]}." if revision else ".")
        raise ModelUnavailable(spec.key, said, f"Get it with: python -m pipeline download {spec.key}") from error


def find_file(spec: ModelSpec, file: WeightFile) -> Path:
    """One of `spec.files`, in the commit of its repository that is used here; nothing is downloaded.

    Raises:
        ModelUnavailable: when it is not there, or only another revision is.
    """
    revision = recorded_revision(spec, file.repository)
    path = try_to_load_from_cache(file.repository, file.name, revision=revision)
    if not isinstance(path, str):
        said = f"{file.name} of {file.repository} is not on this machine"
        said += f" in revision {revision[:12]}." if revision else "."
        raise ModelUnavailable(spec.key, said, f"Get it with: python -m pipeline download {spec.key}")
    return Path(path)


def recorded_revision(spec: ModelSpec, repository: str | None = None) -> str | None:
    """The commit of a repository (`spec.repository`) that was first used here, if any.

    Raises:
        ModelUnavailable: when the record cannot be read.
    """
    path = _lock()
    try:
        commit = json.loads(path.read_text(encoding="utf-8")).get(repository or spec.repository)
        if commit is None or isinstance(commit, str):
            return commit
        reason = "a revision is no text"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = str(error)
    raise ModelUnavailable(
        spec.key, f"{path} cannot be read: {reason}.", "Delete it to take the revisions that are there now."
    )


def record_revision(spec: ModelSpec, commit: str, repository: str | None = None, *, anew: bool = False) -> None:
    """Remember the commit of a repository (`spec.repository`) that was found whole; the first one, unless `anew`.

    What the catalog names is not recorded.
    """
    repository = repository or spec.repository
    if (spec.revision and repository == spec.repository) or (recorded_revision(spec, repository) and not anew):
        return
    path = _lock()
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        temporary = path.with_suffix(f".tmp{os.getpid()}")
        temporary.write_text(json.dumps(known | {repository: commit}, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:  # a cache that is only read is used all the same
        logger.warning("the revision of %s is not recorded: %s", repository, error)


def _lock() -> Path:
    return Path(constants.HF_HUB_CACHE) / LOCK

"""Which commit of a repository is used here: the catalog's, else the first that was found, recorded and kept to.

A branch can be moved by whoever owns it, and its weights are then others under the same name. The record lies in
Hugging Face's cache, beside what it speaks of.
"""

import json
import logging
import os
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from pipeline.errors import ModelUnavailable
from pipeline.plan.spec import ModelSpec

logger = logging.getLogger(__name__)

LOCK = "rushes-revisions.json"


def find_snapshot(spec: ModelSpec) -> Path:
    """The folder of a checkpoint's one revision in Hugging Face's cache; nothing is downloaded.

    Raises:
        ModelUnavailable: when it is not there, or only another revision is.
    """
    revision = spec.revision or recorded_revision(spec)
    try:
        return Path(snapshot_download(spec.repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        command = f"hf download {spec.repository}" + (f" --revision {revision}" if revision else "")
        said = f"{spec.title} is not on this machine" + (f" in revision {revision[:12]}." if revision else ".")
        raise ModelUnavailable(spec.key, said, f"Get it with: {command}") from error


def recorded_revision(spec: ModelSpec) -> str | None:
    """The commit that was first used here, if any. Raises ModelUnavailable when the record cannot be read."""
    path = _lock()
    try:
        commit = json.loads(path.read_text(encoding="utf-8")).get(spec.repository)
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


def record_revision(spec: ModelSpec, folder: Path) -> None:
    """Remember the commit of a snapshot that was found whole, unless the catalog or the record already has one."""
    if spec.revision or recorded_revision(spec):
        return
    path = _lock()
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        temporary = path.with_suffix(f".tmp{os.getpid()}")
        temporary.write_text(json.dumps(known | {spec.repository: folder.name}, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:  # a cache that is only read is used all the same
        logger.warning("the revision of %s is not recorded: %s", spec.repository, error)


def _lock() -> Path:
    return Path(constants.HF_HUB_CACHE) / LOCK

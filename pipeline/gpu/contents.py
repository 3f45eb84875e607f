"""Whether weights are still what was published: files in Hugging Face's cache against the SHA-256 they are named by.

Hashing takes as long as reading, so a file is hashed once and looked at again only when its size or time has changed.
`download` hashes what comes, and what it finds that was never hashed. The record lies in Hugging Face's cache, beside
what it speaks of.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import constants

from pipeline.errors import ModelUnavailable, say_bytes

logger = logging.getLogger(__name__)

RECORD = "rushes-checked.json"
SHA256 = re.compile(r"[0-9a-f]{64}")


def check_contents(model: str, files: Iterable[Path]) -> None:
    """Hash what is new of some weights; files whose SHA-256 nobody recorded are passed over.

    Raises:
        ModelUnavailable: naming a file whose content is not the one it is named by, or that cannot be read.
    """
    for path in files:
        blob = path.resolve()
        if not SHA256.fullmatch(blob.name) or was_checked(blob):
            continue
        logger.info("checking %s, %s, once", path, say_bytes(blob.stat().st_size))
        try:
            with blob.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelUnavailable(model, f"{path} cannot be read: {error.strerror}.") from error
        if digest != blob.name:
            said = f"{path} is not what was published: it has another SHA-256."
            raise ModelUnavailable(model, said, f"Get it again with: python -m pipeline download {model}")
        record_content(blob)


def was_checked(path: Path) -> bool:
    """Whether a file was hashed once, found to be what was published, and has not changed since."""
    return _read().get(str(path.resolve())) == _stamp(path)


def record_content(path: Path) -> None:
    """Remember that a file was hashed and is what was published, as it is now. Nothing depends on it but time."""
    record = _record()
    temporary = record.with_suffix(f".tmp{os.getpid()}")
    try:
        temporary.write_text(json.dumps(_read() | {str(path.resolve()): _stamp(path)}), encoding="utf-8")
        temporary.replace(record)
    except OSError as error:
        logger.warning("%s is hashed again the next time: %s", path, error)


def _read() -> dict[str, list[int]]:
    """By path, since two repositories may hold the same content: size and time of modification."""
    try:
        known = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _stamp(path: Path) -> list[int]:
    """Size in bytes and time of modification in ns; of what is not there, nothing that was ever recorded."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _record() -> Path:
    return Path(constants.HF_HUB_CACHE) / RECORD

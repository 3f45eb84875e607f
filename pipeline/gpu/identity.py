"""Which weights they are, by what is in them: a draft goes on, and is edited, with those it was begun with.

Dates are no part of it: the same weights in another folder, or installed again, are the same.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ModelUnavailable

CONTENT = re.compile(r"[0-9a-f]{64}")  # SHA-256, as Hugging Face's cache names what a large file's link points to
SAMPLES, SAMPLE_BYTES = 64, 2**14  # of a file, evenly spread, its beginning and end among them: training changes all


def identify_weights(model: str, files: Iterable[Path]) -> str:
    """A name for what these files hold, in their order; 1 MiB is read of each at most.

    Raises:
        ModelUnavailable: when one cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        content = file.resolve().name
        digest.update(content.encode() if CONTENT.fullmatch(content) else _sample(model, file))
    return digest.hexdigest()


def _sample(model: str, path: Path) -> bytes:
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            for number in range(SAMPLES):
                file.seek(max(0, size - SAMPLE_BYTES) * number // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    except OSError as error:
        raise ModelUnavailable(model, f"{path} cannot be read: {error.strerror or error}.") from error
    return digest.digest()

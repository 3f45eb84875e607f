"""A client that is not sure whether its request arrived asks again with the same key, and gets the same draft.

The key is part of the draft's id, so that both are there or neither is. It goes in through a secret of the drafts
folder: who does not know that can guess no id from a key.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from pipeline.drafts.journal import new_draft_id
from pipeline.errors import InvalidRequest

LONGEST_KEY = 200  # characters; a UUID has 36
SECRET_BYTES = 32


def draft_id_for(drafts: Path, key: str) -> str:
    """The id of the draft that was begun under a key, or one for the draft that is to be begun.

    Raises:
        InvalidRequest: for a key that is too long.
    """
    if len(key) > LONGEST_KEY:
        raise InvalidRequest(
            "key", f"The key has {len(key)} characters and may have {LONGEST_KEY}.", "A UUID is a good one."
        )
    fresh = new_draft_id()
    digest = hmac.new(_secret(drafts), key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    ending = f"-{digest[: len(fresh.rpartition('-')[2])]}"
    found = next((name for name in os.listdir(drafts) if name.endswith(ending)), None)  # noqa: PTH208 - twice as fast
    return found or fresh.rpartition("-")[0] + ending


def _secret(drafts: Path) -> bytes:
    """Made once, for this folder, readable by its owner only."""
    path = drafts / ".secret"
    if not path.exists():
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(secrets.token_bytes(SECRET_BYTES))
        temporary.replace(path)
    return path.read_bytes()

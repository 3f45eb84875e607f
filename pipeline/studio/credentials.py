"""Who may come in: one name and password, given so that no process list shows them, and few attempts to guess them.

What was given is hashed with a key of this process at once and forgotten; attempts are compared in constant time.
"""

import base64
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from enum import Enum
from pathlib import Path

from pipeline.errors import InvalidRequest

VARIABLE = "RUSHES_AUTH"
SHORTEST_PASSWORD = 8  # characters; at five attempts a minute a random one of letters takes 40,000 years
LONGEST_LINE = 1024
MOST_ATTEMPTS, WINDOW_SECONDS = 5, 60.0  # wrong ones, from one address
MOST_ADDRESSES = 4096  # remembered; the oldest goes first
HOW = f"Give --auth USER:PASSWORD, --auth-file FILE or the variable {VARIABLE}"


class Verdict(Enum):
    """What becomes of a request."""

    WELCOME = "welcome"
    WHO = "who are you"
    WAIT = "too many attempts"


class Credentials:
    """One name and password, as a keyed hash.

    Args:
        line: `USER:PASSWORD`; the name holds no colon.

    Raises:
        InvalidRequest: for a line without both, a short password or control characters; it never repeats the line.
    """

    def __init__(self, line: str) -> None:
        user, colon, password = line.partition(":")
        if not (user and colon) or len(line) > LONGEST_LINE or not line.isprintable():
            raise InvalidRequest("auth", "A name and a password are wanted as USER:PASSWORD, in one line.", f"{HOW}.")
        if len(password) < SHORTEST_PASSWORD:
            raise InvalidRequest(
                "auth",
                f"The password has {len(password)} characters; {SHORTEST_PASSWORD} are the least.",
                "Choose a longer one.",
            )
        self._key = secrets.token_bytes(32)
        self._hash = self._hashed(line)

    def match(self, header: str) -> bool:
        """Whether the value of an Authorization header is `Basic` with this name and password."""
        scheme, _, encoded = header.partition(" ")
        try:
            line = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except ValueError:  # no base64, or no text in it
            return False
        return hmac.compare_digest(self._hashed(line), self._hash) and scheme.lower() == "basic"

    def _hashed(self, line: str) -> bytes:
        return hmac.digest(self._key, line.encode("utf-8", "surrogatepass"), hashlib.sha256)


class Door:
    """Lets in who knows the credentials, and lets an address that was wrong too often wait. Safe from any thread."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def ask(self, header: str | None, address: str) -> Verdict:
        """Judge one request by its Authorization header and where it comes from.

        An address that has to wait is not let in with the right password either: else guessing would go on.
        """
        now = time.monotonic()
        with self._lock:
            wrong = self._wrong.get(address, deque())
            while wrong and now - wrong[0] >= WINDOW_SECONDS:
                wrong.popleft()
            if len(wrong) >= MOST_ATTEMPTS:
                return Verdict.WAIT
            if header is None:
                return Verdict.WHO
            if self._credentials.match(header):
                return Verdict.WELCOME
            wrong.append(now)
            self._wrong[address] = wrong
            self._wrong.move_to_end(address)
            if len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)
            return Verdict.WHO


def find_credentials(line: str | None, file: Path | None) -> Credentials | None:
    """What was given on the command line, in a file's first line, or in the variable, which is then taken out of the
    environment so that no child inherits it; None when nothing was.

    Raises:
        InvalidRequest: for a file that cannot be read or that others can, two ways at once, and what Credentials
            refuses.
    """
    left = os.environ.pop(VARIABLE, None)
    if (line is not None) + (file is not None) + (left is not None) > 1:
        raise InvalidRequest("auth", "The name and the password are given in two ways.", f"{HOW}, one of them.")
    if file is not None:
        line = _first_line(file)
    line = left if line is None else line
    return None if line is None else Credentials(line)


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            if os.name == "posix" and os.fstat(opened.fileno()).st_mode & 0o077:
                raise InvalidRequest("auth", f"Others on this machine can read {file}.", f"chmod 600 {file}")
            return opened.readline(LONGEST_LINE + 2).rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidRequest("auth", f"The file {file} cannot be read: {reason}.", f"{HOW}.") from error

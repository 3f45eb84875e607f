"""What is logged stays where it was written: one line begins nowhere but at a record's own beginning.

A file's name or a library's message may hold line ends that forge a record, or escapes that drive a terminal.
"""

import logging
import re
import sys
from typing import Any

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
CONTINUED = "    | "  # before every further line of a traceback


class EscapedFormatter(logging.Formatter):
    """As `logging.Formatter`, with control characters escaped and tracebacks indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the library's name
        """The record's own line."""
        return escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802, the library's name
        """The traceback below it."""
        return _indent(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802, the library's name
        """The stack below it."""
        return _indent(super().formatStack(stack_info))


def escape(text: str) -> str:
    """Without control characters: a line's end is `\\n`, an escape `\\x1b`, a change of direction `\\u202e`."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def start_logging(level: int, form: str = "%(asctime)s %(name)s %(message)s") -> None:
    """Log to stderr from `level` on, each record in a line of this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapedFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])


def _indent(text: str) -> str:
    return "\n".join(CONTINUED + escape(line) for line in text.splitlines())

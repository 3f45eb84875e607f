"""The command line: `python -m pipeline draft "a red ball moves over snow"`, and `plan`, `resume`, `edit`, `models`, …

Exit codes: 0 done, 1 failed with finished parts kept, 2 bad request, 3 does not fit, 4 seams flagged,
130 stopped, finished chunks kept.
"""

import argparse
import json
import logging
import sys
from io import TextIOWrapper

from pipeline.commands import checkpoints, drafting, editing, seams
from pipeline.commands.options import BAD_REQUEST, DOES_NOT_FIT, FAILED
from pipeline.errors import DoesNotFit, DraftError, InvalidRequest
from pipeline.gpu.threads import share_processors
from pipeline.logs import start_logging
from pipeline.plan.device import count_cards_alike
from pipeline.plan.say import changes_as_json, say_change


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    share_processors()
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is: a code page may lack a character
    count_cards_alike()
    options = _parser().parse_args(arguments)
    start_logging(logging.WARNING, "%(message)s")
    try:
        code: int = options.run(options)
    except DraftError as error:
        _complain(error, as_json=options.json)
        if isinstance(error, InvalidRequest):
            return BAD_REQUEST
        return DOES_NOT_FIT if isinstance(error, DoesNotFit) else FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="Text-to-video drafts, chunk by chunk.")
    commands = parser.add_subparsers(dest="command", required=True)
    for room in (drafting, editing, checkpoints, seams):
        room.add(commands)
    return parser


def _complain(error: DraftError, *, as_json: bool) -> None:
    if as_json:
        field = {"field": error.field} if isinstance(error, InvalidRequest) else {}
        changes = {"changes": changes_as_json(error.changes)} if isinstance(error, DoesNotFit) else {}
        print(json.dumps({"error": error.message, "hint": error.hint} | field | changes))
    print(f"{error}", file=sys.stderr)
    if isinstance(error, DoesNotFit):
        for change in error.changes[1:]:
            print(f"Or: {say_change(change)}.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

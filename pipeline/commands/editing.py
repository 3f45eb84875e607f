"""`edit`: another draft made from one that is there, with part of it anew."""

import argparse
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pipeline
from pipeline.commands.drafting import follow
from pipeline.commands.options import Commands, add_command, add_folder, add_weights
from pipeline.errors import InvalidRequest
from pipeline.events import Event, Started
from pipeline.plan.editing import unasked
from pipeline.plan.edits import WAYS, Edit, read_edit

HELP = """
  redo N                chunk N with another seed, and what follows
  reprompt N "…"        chunk N, and what follows of its shot, with another sentence
  branch N              chunk N and what follows, all with other seeds
  cut N                 nothing after chunk N
  extend SECONDS ["…"]  longer, with the last sentence or another

Chunks are counted from 1. The old draft stays as it is; what comes before the change is taken from it.
"""


def add(commands: Commands) -> None:
    """The one command."""
    command = add_command(commands, "edit", "make another draft from one that is there: part of it anew")
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = HELP
    command.add_argument("draft", help="the id of a finished or stopped draft")
    command.add_argument("way", choices=list(WAYS))
    command.add_argument("amount", metavar="N|SECONDS", help="a chunk, from 1 on, or how much longer")
    command.add_argument("sentence", nargs="?", help="for reprompt and extend: what happens there")
    command.add_argument("--seed", type=int, help="for redo and branch; drawn if not given")
    command.add_argument("--alone", action="store_true", help="for redo: what follows stays; the seams may show")
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    add_weights(command)
    add_folder(command)
    command.set_defaults(run=_edit)


def _edit(options: argparse.Namespace) -> int:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    return follow(_say_unasked(pipeline.edit(options.draft, _read(options), options.drafts, weights=weights)), options)


def _say_unasked(events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """Pass events on; what the edit does besides what it was asked for is said when the new draft begins."""
    with closing(events):
        for event in events:
            if isinstance(event, Started):
                for line in unasked(event.plan):
                    print(line, file=sys.stderr)
            yield event


def _read(options: argparse.Namespace) -> Edit:
    try:
        amount = float(options.amount)
    except ValueError:
        raise InvalidRequest(
            "amount", f"{options.amount!r} is neither a chunk nor a length in seconds.", "Give a number, such as 2."
        ) from None
    return read_edit(options.way, amount, options.sentence, options.seed, alone=options.alone)

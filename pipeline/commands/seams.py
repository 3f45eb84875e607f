"""`seams`: whether the joins between a film's chunks can be seen."""

import argparse
import json
from pathlib import Path

from pipeline.commands.options import DONE, FLAGGED, Commands, add_command, add_folder


def add(commands: Commands) -> None:
    """The one command."""
    command = add_command(commands, "seams", "say whether the joins between a film's chunks can be seen")
    command.add_argument("film", metavar="FILE|DRAFT", help="an mp4, or the id of a draft")
    command.add_argument(
        "--at",
        metavar="FRAME",
        type=int,
        nargs="+",
        action="extend",
        default=[],
        help="first frames of chunks, from 0",
    )
    command.add_argument("--faded", metavar="FRAMES", type=int, default=0, help="frames faded before each of them")
    command.add_argument("--against", metavar="FILE|DRAFT", help="the same in one chunk, to judge drift by")
    command.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the change from frame to frame")
    add_folder(command)
    command.set_defaults(run=_check_seams)


def _check_seams(options: argparse.Namespace) -> int:
    from pipeline.seams.check import judge, trace_film
    from pipeline.seams.film import find_film, find_unchunked
    from pipeline.seams.plot import check_plot, draw
    from pipeline.seams.report import verdict_as_json, verdict_as_text

    if options.plot:
        check_plot(options.plot)
    film = find_film(options.film, options.drafts, at=options.at, faded_frames=options.faded)
    unchunked = None if options.against is None else find_unchunked(options.against, options.drafts)
    trace = trace_film(film)
    verdict = judge(trace, film.seams or (), None if unchunked is None else trace_film(unchunked), film.cuts)
    if options.plot:
        draw(trace, verdict, options.plot)
    as_json = json.dumps(verdict_as_json(film, verdict)) if options.json else ""
    print(as_json or verdict_as_text(film, verdict))
    return DONE if verdict.passed else FLAGGED

"""`models`, `doctor` and `download`: what is here, what this machine can do with it, and how to get the rest."""

import argparse
import json
import sys

from pipeline.commands.options import DONE, FAILED, STOPPED, Commands, add_command, add_folder, add_json, add_weights
from pipeline.commands.progress import show_download
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.signals import heeding_signals, interrupt


def add(commands: Commands) -> None:
    """The three commands."""
    command = add_command(commands, "models", "say which models are here, and what a draft with each would take")
    add_weights(command)
    add_folder(command)
    command.set_defaults(run=_list_models)
    command = add_command(commands, "doctor", "say what this machine is, how fast it is, and what fits on it")
    command.add_argument("--quick", action="store_true", help="measure nothing")
    add_folder(command)
    command.set_defaults(run=_examine)
    text = "bring a model's weights into Hugging Face's cache; interrupted, it goes on the next time"
    command = add_command(commands, "download", text)
    command.add_argument("model", metavar="MODEL", help=f"one of {', '.join(CATALOG)}")
    command.add_argument("--revision", metavar="COMMIT", help="use this one from now on")
    add_json(command)
    command.set_defaults(run=_download)


def _list_models(options: argparse.Namespace) -> int:
    from pipeline.commands.inventory import entry_json, entry_text, take_inventory
    from pipeline.gpu.folders import read_folders

    entries = take_inventory(options.drafts, read_folders(options.weights))
    plain = list(map(entry_json, entries))
    print(json.dumps(plain) if options.json else "\n\n".join(map(entry_text, entries)))
    return DONE


def _examine(options: argparse.Namespace) -> int:
    from pipeline.commands.doctor import examine

    report = examine(options.drafts, measure=not options.quick)
    print(json.dumps(report.to_json()) if options.json else report.to_text())
    return FAILED if report.problems else DONE


def _download(options: argparse.Namespace) -> int:
    try:
        with heeding_signals(interrupt):
            folder = show_download(find_model(options.model), revision=options.revision, as_json=options.json)
    except KeyboardInterrupt:
        print("Stopped; what came is kept, and the same command goes on from there.", file=sys.stderr)
        return STOPPED
    if not options.json:
        print(folder)
    return DONE

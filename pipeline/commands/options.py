"""What commands share: exit codes, and how a folder, weights and machine-readable answers are asked for."""

import argparse
from pathlib import Path
from typing import Protocol

DONE, FAILED, BAD_REQUEST, DOES_NOT_FIT, FLAGGED, STOPPED = 0, 1, 2, 3, 4, 130


class Commands(Protocol):
    """What `ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002
        """A parser for one command."""
        ...


def add_command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    """A command, which says the same of itself in the list and by itself."""
    return commands.add_parser(name, help=text, description=text)


def add_folder(command: argparse.ArgumentParser) -> None:
    """`--drafts`, and `--json`."""
    command.add_argument("--drafts", type=_folder, default=Path("drafts"), help="folder of all drafts")
    add_json(command)


def _folder(name: str) -> Path:
    """A folder that is there or can be. Raises ArgumentTypeError."""
    path = Path(name)
    try:
        path.is_dir()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error.strerror}") from error
    return path


def add_weights(command: argparse.ArgumentParser) -> None:
    """`--weights MODEL=DIR`."""
    text = "a model's own folder, in diffusers' layout; may be repeated"
    command.add_argument("--weights", action="append", default=[], metavar="MODEL=DIR", help=text)


def add_json(command: argparse.ArgumentParser) -> None:
    """`--json`."""
    command.add_argument("--json", action="store_true", help="for machines: one JSON value, or one a line")

"""The studio: `python app.py`. Reads arguments, starts the worker, builds the page, launches it.

The worker's process is started before Gradio is imported, so that both warm up at the same time.
"""

import argparse
import logging
import math
import os
import signal
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from types import FrameType

from pipeline.errors import DraftError
from pipeline.gpu.folders import read_folders
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.worker import Worker

logger = logging.getLogger("rushes")

HERE = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
START_LOOK = "first-light"
LARGEST_UPLOAD = "1mb"  # nothing is uploaded yet
QUEUE_LENGTH = 64  # clicks that wait for an answer, not drafts
BAD_START = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the studio until Ctrl-C or SIGTERM; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    address = EVERYWHERE if options.listen else HERE
    try:
        _check_port(address, options.port)
        weights = read_folders(options.weights)
        worker = Worker(options.drafts, weights, keep_bytes=options.keep_gib)
    except DraftError as error:
        return _refuse(str(error))
    try:
        worker.start()
        return _serve(worker, weights, address, options)
    except DraftError as error:
        return _refuse(str(error))
    finally:
        worker.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description="Rushes: type a sentence, see a moving draft.")
    parser.add_argument("--port", type=int, default=7860, help="port of the page (7860)")
    parser.add_argument("--drafts", type=Path, default=Path("drafts"), metavar="DIR", help="where drafts are kept")
    parser.add_argument(
        "--weights", action="append", default=[], metavar="MODEL=DIR", help="a model's own folder; may be repeated"
    )
    text = "delete the oldest finished drafts, but no favourite, once all drafts together are larger than this"
    parser.add_argument("--keep-gib", type=_gibibytes, metavar="GIB", help=text)
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument("--listen", action="store_true", help="let other machines in this network use the page")
    return parser


def _gibibytes(text: str) -> int:
    """As bytes. Raises ValueError for what is no size; argparse says so."""
    size = float(text)
    if not 0 < size < math.inf:
        raise ValueError
    return int(size * 2**30)


def _serve(worker: Worker, weights: dict[str, Path], address: str, options: argparse.Namespace) -> int:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    from pipeline.studio.advice import Machine
    from pipeline.studio.desk import Studio
    from pipeline.studio.media import media_route
    from pipeline.studio.page import build_page, head, labels
    from pipeline.studio.player import PAGE_ASSETS
    from pipeline.studio.theme import studio_theme

    look = load_looks()[START_LOOK]
    studio = Studio(worker=worker, machine=Machine(load_profiles(), worker.drafts, weights), look=look)
    page = build_page(studio).queue(max_size=QUEUE_LENGTH)
    finished = _until_told()
    try:
        page.launch(
            server_name=address,
            server_port=options.port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            show_error=True,
            footer_links=["api"],
            run_history=False,
            enable_monitoring=False,
            max_file_size=LARGEST_UPLOAD,
            app_kwargs={"routes": [media_route(worker.drafts)]},
            i18n=labels(studio),
            theme=studio_theme(),
            css_paths=PAGE_ASSETS / "page.css",
            head=head(),
            favicon_path=PAGE_ASSETS / "favicon.svg",
        )
    except OSError:  # somebody took the port since it was checked
        return _refuse(_port_taken(options.port))
    url = f"http://{HERE}:{options.port}"
    logger.info("Rushes is at %s - stop it with Ctrl-C", url)
    if not options.no_browser:
        webbrowser.open(url)
    finished.wait()
    page.close(verbose=False)
    return 0


def _until_told() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    told = threading.Event()

    def tell(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return told


def _check_port(address: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except (OSError, OverflowError) as error:
        raise DraftError(_port_taken(port)) from error


def _port_taken(port: int) -> str:
    return f"Port {port} cannot be used: another program has it, or it is not allowed. Choose another with --port."


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return BAD_START


if __name__ == "__main__":
    sys.exit(main())

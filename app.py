"""The studio: `python app.py`. Reads arguments, starts the worker, builds the page, launches it; on a Space of Hugging
Face's as pipeline/studio/space.py says.

The worker's process is started before Gradio is imported, so that both warm up at the same time.
"""

import argparse
import logging
import math
import os
import socket
import sys
import threading
import webbrowser
from pathlib import Path

from pipeline.errors import DraftError, DraftsInUse
from pipeline.gpu.folders import read_folders
from pipeline.gpu.threads import share_processors
from pipeline.logs import start_logging
from pipeline.plan.device import count_cards_alike
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.signals import heeding_signals
from pipeline.studio.credentials import VARIABLE, find_credentials
from pipeline.studio.guard import House, open_house
from pipeline.studio.space import Space, find_space
from pipeline.worker import LONGEST_QUEUE, Worker

logger = logging.getLogger("rushes")

HERE = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
START_LOOK = "balanced"
QUEUE_LENGTH = 64  # clicks that wait for an answer, not drafts
BAD_START = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the studio until Ctrl-C or SIGTERM; returns the exit code. The second of these ends it at once."""
    share_processors()
    count_cards_alike()
    options = _parser().parse_args(arguments)
    start_logging(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    space = find_space()
    try:
        house = open_house(
            listens=options.listen,
            insecure=options.insecure,
            credentials=find_credentials(options.auth, options.auth_file),
            names=options.host_name,
        )
        weights = read_folders(options.weights)
        if space is None:
            listener = _bind(EVERYWHERE if options.listen else HERE, options.port)
            worker = Worker(options.drafts, weights, longest_queue=options.queue, keep_bytes=options.keep_gib)
        else:
            house, listener = space.house(), _bind(space.address, space.port)
            worker = space.open_worker(options.drafts, weights)
    except DraftError as error:
        return _refuse(str(error))
    if worker.read_only:
        logger.warning("%s", DraftsInUse(str(worker.drafts)))
    told = threading.Event()
    try:
        worker.start()
        with heeding_signals(told.set, before_the_end=worker.kill):
            return _serve(worker, weights, house, listener, options, told, space)
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
    parser.add_argument("--queue", type=int, default=LONGEST_QUEUE, metavar="N", help="how many drafts may wait (16)")
    text = "delete the drafts that were finished first, but no favourite, once all together are larger than this"
    parser.add_argument("--keep-gib", type=_gibibytes, metavar="GIB", help=text)
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument("--listen", action="store_true", help="let other machines in this network use the page")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="whom to let in; others on this machine can list it")
    parser.add_argument("--auth-file", type=Path, metavar="FILE", help=f"the same from a file; or set {VARIABLE}")
    parser.add_argument("--insecure", action="store_true", help="with --listen: let everybody in")
    parser.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="a proxy's name for this page; may be repeated"
    )
    parser.add_argument("--metrics", action="store_true", help="with --listen: serve /metrics; else it is always there")
    return parser


def _gibibytes(text: str) -> int:
    """As bytes. Raises ValueError for what is no size; argparse says so."""
    size = float(text)
    if not 0 < size < math.inf:
        raise ValueError
    return int(size * 2**30)


def _serve(
    worker: Worker,
    weights: dict[str, Path],
    house: House,
    listener: socket.socket,
    options: argparse.Namespace,
    told: threading.Event,
    space: Space | None,
) -> int:
    from pipeline.metrics import Metrics
    from pipeline.studio.advice import Machine
    from pipeline.studio.desk import Studio
    from pipeline.studio.health import health_route, metrics_route
    from pipeline.studio.media import media_route
    from pipeline.studio.page import build_page
    from pipeline.studio.pictures import picture_routes
    from pipeline.studio.server import PageServer, guard_page

    look = load_looks()[START_LOOK]
    if space is None:
        machine = Machine(load_profiles(), worker.drafts, weights, worker.holdings.probe)
        studio = Studio(worker=worker, machine=machine, look=look)
    else:
        studio = space.open_studio(worker, weights, look)
    page = build_page(studio).queue(max_size=QUEUE_LENGTH)
    routes = [media_route(worker.drafts), *picture_routes(worker.drafts), health_route(worker)]
    if options.metrics or not house.listens:
        routes.append(metrics_route(Metrics(worker)))
    server = PageServer(guard_page(page, studio, routes, house), listener)
    page.server = server.uvicorn  # whose connections forks on ZeroGPU close
    server.start()
    url = f"http://{HERE}:{listener.getsockname()[1]}"
    logger.info("Rushes is at %s - stop it with Ctrl-C", url)
    if options.listen and house.door is not None:
        logger.warning("The password travels readable: let a proxy with TLS stand in front, or trust this network.")
    if not options.no_browser and space is None:
        webbrowser.open(url)
    told.wait()
    logger.info("keeping what is finished; a second Ctrl-C ends at once")
    worker.close()  # while the page still says so
    server.close()
    return 0


def _bind(address: str, port: int) -> socket.socket:
    """The page's socket: held from now on, so that nobody takes the port while everything else is loaded."""
    # With its protocol named: asyncio sends small answers at once only on sockets that it knows to be TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let another program share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise DraftError(
            f"Port {port} cannot be used: another program has it, or it is not allowed.", "Choose another with --port."
        ) from error
    return listener


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return BAD_START


if __name__ == "__main__":
    sys.exit(main())

"""The page's server: Gradio's application and the routes of our own behind one guard, in a thread of uvicorn.

Not `Blocks.launch`, which puts nothing in front of its own answers to other pages.
"""

import logging
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.routing import Route

from pipeline.errors import DraftError
from pipeline.studio.desk import Studio
from pipeline.studio.guard import Guard, House
from pipeline.studio.language import Spoken
from pipeline.studio.page import head, labels
from pipeline.studio.policy import script_hashes
from pipeline.studio.scripted import PAGE_ASSETS
from pipeline.studio.theme import studio_theme
from pipeline.studio.visitors import Welcome

LARGEST_UPLOAD = "1kb"  # nothing is uploaded, and the guard has no route for it
STARTS_WITHIN_SECONDS = 60.0
CLOSES_WITHIN_SECONDS = 1  # pages listen without end


def guard_page(page: gr.Blocks, studio: Studio, routes: Sequence[Route], house: House) -> Guard:
    """The whole application.

    Args:
        page: from `build_page`, with its queue.
        studio: what the page was built for.
        routes: those of our own, which come before Gradio's.
        house: how the page is reached; the page's own scripts are added to it.
    """
    application = FastAPI(routes=list(routes), openapi_url=None)
    gr.mount_gradio_app(
        application,
        page,
        path="/",
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        show_error=True,
        ssr_mode=False,
        max_file_size=LARGEST_UPLOAD,
        i18n=labels(studio),
        theme=studio_theme(),
        css_paths=PAGE_ASSETS / "page.css",
        head=head(),
        favicon_path=str(PAGE_ASSETS / "favicon.svg"),
    )
    inside = Welcome(Spoken(application)) if house.framer else Spoken(application)
    return Guard(inside, replace(house, scripts=script_hashes(head().encode())))


class PageServer:
    """Serves an application on a bound socket, which it takes over, until it is closed."""

    def __init__(self, application: Guard, listener: socket.socket) -> None:
        configuration = uvicorn.Config(
            application,
            port=listener.getsockname()[1],  # told to whoever asks; the socket is bound already
            log_level="warning",
            log_config=None,
            ws="none",
            proxy_headers=False,  # an address that a header tells is anybody's: wrong passwords are counted by address
            server_header=False,
            timeout_graceful_shutdown=CLOSES_WITHIN_SECONDS,
        )
        self.uvicorn = uvicorn.Server(configuration)
        self._thread = threading.Thread(target=self.uvicorn.run, args=([listener],), daemon=True, name="rushes-page")

    def start(self) -> None:
        """Begin, and return when it answers. Raises DraftError when it does not."""
        self._thread.start()
        stop = time.monotonic() + STARTS_WITHIN_SECONDS
        while not self.uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > stop:
                raise DraftError("The page's server does not start.", "The reason is in the log.")
            time.sleep(0.01)

    def close(self) -> None:
        """End, and return when it has."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is broken off from here on is meant to be
        self.uvicorn.should_exit = True
        self._thread.join()

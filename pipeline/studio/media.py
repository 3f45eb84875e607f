"""What a browser can have of a draft's files: its slices and its video, with ranges, and the video's frames as a zip
that is made while it is sent; at /media/<draft>/<file>, and nothing else.

Ids and names are matched whole against the journal's patterns, so no path can be made of them; a draft's id carries 64
random bits and is the key to it.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pipeline.drafts.journal import ID_PATTERN, MEDIA_PATTERN
from pipeline.studio.player import FRAMES_FILE, film_name

MEDIA_HEADERS = {
    "Cache-Control": "private, no-cache",  # a draft that goes on rewrites its video under the same name
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MOST_ARCHIVES = 2  # made at once: each keeps a core busy that the drafts need


def media_route(drafts: Path) -> Route:
    """The route that serves the media of the drafts folder and nothing else in it."""
    turns = threading.BoundedSemaphore(MOST_ARCHIVES)

    async def serve(request: Request) -> Response:
        draft, file = request.path_params["draft"], request.path_params["file"]
        frames = file == FRAMES_FILE
        path = drafts / draft / ("draft.mp4" if frames else file)
        if (
            not (ID_PATTERN.fullmatch(draft) and MEDIA_PATTERN.fullmatch(path.name))
            or path.is_symlink()
            or not path.is_file()
        ):
            return PlainTextResponse("Not found", status_code=404)
        if frames:
            return _archive(path, draft, turns, head=request.method == "HEAD")
        return FileResponse(path, media_type="video/mp4", headers=MEDIA_HEADERS)

    return Route("/media/{draft}/{file}", serve)


def _archive(film: Path, draft: str, turns: threading.BoundedSemaphore, *, head: bool) -> Response:
    headers = {**MEDIA_HEADERS, "Content-Disposition": f'attachment; filename="{film_name(draft)}-frames.zip"'}
    if head:
        return Response(media_type="application/zip", headers=headers)
    if not turns.acquire(blocking=False):
        busy = "Frames of other drafts are being saved: try again in a moment."
        return PlainTextResponse(busy, status_code=503, headers={"Retry-After": "5"})
    return _Archive(film, turns, headers)


class _Archive(StreamingResponse):
    """The zip while it is written; gives its turn back at the end, also when the browser goes away before."""

    def __init__(self, film: Path, turns: threading.BoundedSemaphore, headers: dict[str, str]) -> None:
        super().__init__(_frames(film), media_type="application/zip", headers=headers)
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._turns.release()


def _frames(film: Path) -> Iterator[bytes]:
    from pipeline.video.archive import zip_frames  # with moviepy, which the page can be up without

    yield from zip_frames(film)

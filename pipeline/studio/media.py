"""The only files of a draft a browser can have: its slices and its video, at /media/<draft>/<file>, with ranges.

Ids and names are matched whole against the journal's patterns, so no path can be made of them; a draft's id carries 64
random bits and is the key to it.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.drafts.journal import ID_PATTERN, MEDIA_PATTERN

MEDIA_HEADERS = {
    "Cache-Control": "private, no-cache",  # a draft that goes on rewrites its video under the same name
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def media_route(drafts: Path) -> Route:
    """The route that serves the media of the drafts folder and nothing else in it."""

    async def serve(request: Request) -> Response:
        draft, file = request.path_params["draft"], request.path_params["file"]
        path = drafts / draft / file
        if (
            not (ID_PATTERN.fullmatch(draft) and MEDIA_PATTERN.fullmatch(file))
            or path.is_symlink()
            or not path.is_file()
        ):
            return PlainTextResponse("Not found", status_code=404)
        return FileResponse(path, media_type="video/mp4", headers=MEDIA_HEADERS)

    return Route("/media/{draft}/{file}", serve)

"""Pictures to begin and to end with: their fields on the page, and the routes by which a browser gives and sees them.

    POST /pictures/start    a picture's file; its name, or a sentence that says what is wrong with it
    GET /pictures/<name>.png    as it is kept

A picture is read and kept by what is in it (drafts/pictures.py); the form knows its name alone.
"""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.drafts.pictures import FOLDER, PICTURE_PATTERN, read_picture
from pipeline.errors import DraftError
from pipeline.plan.spec import Keyframe, ModelSpec
from pipeline.studio.language import language_of
from pipeline.studio.scripted import PAGE_ASSETS, script_texts
from pipeline.studio.translation import say_error

PLACES = {str(place): place for place in Keyframe}
PICTURE_FIELDS = {place: f"{place}_image" for place in Keyframe}
PICTURE_HEADERS = {
    "Cache-Control": "private, max-age=86400, immutable",  # another picture has another name
    "Cross-Origin-Resource-Policy": "same-origin",
}
MOST_READ = 2  # at once: a large one takes 400 MB while it is decoded


def picture_field(place: Keyframe, name: str | None, spec: ModelSpec) -> gr.HTML:
    """Where a picture is dropped, pasted or chosen, and taken away; its value is the picture's name, "" for none."""
    script = (PAGE_ASSETS / "picture.js").read_text(encoding="utf-8")
    texts = json.dumps(script_texts(), ensure_ascii=False)
    return gr.HTML(
        value=name or "",
        html_template=(PAGE_ASSETS / "picture.html").read_text(encoding="utf-8"),
        css_template=(PAGE_ASSETS / "picture.css").read_text(encoding="utf-8"),
        js_on_load=script.replace("TEXTS;", f"{texts};").replace("PLACE;", f"{json.dumps(place)};"),
        apply_default_css=False,
        elem_id=f"rushes-{place}-image",
        visible=place in spec.keyframes,
    )


def fill_picture(place: Keyframe, name: str | None, spec: ModelSpec) -> Any:
    """A field with a picture, there only where the model takes one."""
    able = place in spec.keyframes
    return gr.update(value=(name or "") if able else "", visible=able)


def keep_fields(spec: ModelSpec) -> dict[str, Any]:
    """The fields of another model: what is in them stays where it takes such a picture."""
    return {
        field: gr.update(visible=True) if place in spec.keyframes else gr.update(value="", visible=False)
        for place, field in PICTURE_FIELDS.items()
    }


def picture_routes(drafts: Path) -> list[Route]:
    """The routes for pictures of the drafts folder."""
    turns = threading.BoundedSemaphore(MOST_READ)

    async def take(request: Request) -> Response:
        place = PLACES.get(request.path_params["place"])
        if place is None:
            return PlainTextResponse("Not found", status_code=404)
        content = await request.body()  # as much as the guard lets in

        def keep() -> str:
            with turns:
                picture = read_picture(content, place)
                picture.keep(drafts)
                return picture.name

        try:
            name = await asyncio.to_thread(keep)
        except DraftError as error:
            return JSONResponse({"said": say_error(language_of(request), error)}, status_code=422)
        return JSONResponse({"name": name})

    async def serve(request: Request) -> Response:
        path = drafts / FOLDER / request.path_params["file"]
        if not PICTURE_PATTERN.fullmatch(path.name) or path.is_symlink() or not path.is_file():
            return PlainTextResponse("Not found", status_code=404)
        return FileResponse(path, media_type="image/png", headers=PICTURE_HEADERS)

    return [Route("/pictures/{place}", take, methods=["POST"]), Route("/pictures/{file}", serve)]

"""The page's whole application behind its door: every route that Gradio has, whichever version brought it."""

import socket
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from pipeline.plan.presets import load_looks, load_profiles
from pipeline.studio.advice import Machine
from pipeline.studio.credentials import MOST_ATTEMPTS, Credentials
from pipeline.studio.desk import Studio
from pipeline.studio.guard import Guard, House, open_house
from pipeline.studio.health import health_route
from pipeline.studio.media import media_route
from pipeline.studio.page import build_page
from pipeline.studio.server import PageServer, guard_page
from pipeline.worker import Worker


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    worker = Worker(tmp_path_factory.mktemp("drafts"))
    yield Studio(worker=worker, machine=Machine(load_profiles(), worker.drafts), look=load_looks()["balanced"])
    worker.close()


def whole(studio: Studio, house: House) -> Guard:
    routes = [media_route(studio.worker.drafts), health_route(studio.worker)]
    return guard_page(build_page(studio).queue(), studio, routes, house)


def routes_of(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of every route, its parameters filled in."""
    for route in routes:
        included = getattr(route, "original_router", None)  # FastAPI's way to hold a router that was included
        if included is not None or isinstance(route, Mount):
            yield from routes_of((included or route).routes)
        elif isinstance(route, Route):
            path = route.path
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", "1").replace(f"{{{name}:path}}", "1")
            for method in route.methods or ():
                yield method, path


@pytest.mark.fault(38)
def test_no_route_of_gradios_or_ours_answers_a_stranger(studio: Studio) -> None:
    guard = whole(
        studio, open_house(listens=True, insecure=False, credentials=Credentials("ada:engine number 1"), names=())
    )
    client = TestClient(guard, base_url="http://127.0.0.1:7860")
    found = list(routes_of(guard.app.app.routes))
    assert len(found) > 60
    for method, path in found:
        assert client.request(method, path, follow_redirects=False).status_code == 401, f"{method} {path}"


@pytest.mark.fault(37)
def test_routes_that_the_page_does_not_need_are_not_there(studio: Studio) -> None:
    client = TestClient(whole(studio, House()), base_url="http://127.0.0.1:7860")
    unneeded = (
        "upload", "file=x", "file/x", "proxy=x", "stream/x/1/2/playlist.m3u8", "custom_component/1/client/component/x",
        "component_server", "deep_link", "process_recording", "runs", "run-history/buckets", "vibe-code", "token",
        "user", "login_check", "dev/reload", "upload_progress",
    )  # fmt: skip
    for path in (*(f"/gradio_api/{name}" for name in unneeded), "/monitoring", "/login", "/logout", "/docs"):
        for method in ("GET", "POST"):
            assert client.request(method, path).status_code == 404, path


def test_what_the_page_needs_is_there(studio: Studio) -> None:
    client = TestClient(whole(studio, House()), base_url="http://127.0.0.1:7860")
    for path in ("/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/gradio_api/info"):
        assert client.get(path).status_code == 200, path
    assert client.get("/health").status_code == 503
    assert client.get("/health").json()["reason"] == "The engine is warming up."


@pytest.mark.fault(39)
def test_wrong_passwords_are_counted_by_where_they_come_from_not_by_what_a_header_says() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None: ...

    house = open_house(listens=True, insecure=False, credentials=Credentials("ada:engine number 1"), names=())
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/config"
    server = PageServer(Guard(nothing, house), listener)
    server.start()
    try:
        answers = [
            httpx.get(address, auth=("ada", f"guess {n}"), headers={"X-Forwarded-For": f"10.0.0.{n}"})
            for n in range(MOST_ATTEMPTS + 1)
        ]
    finally:
        server.close()
    assert [answer.status_code for answer in answers] == [401] * MOST_ATTEMPTS + [429]


def test_nothing_on_the_page_takes_a_file(studio: Studio) -> None:
    page = build_page(studio)
    takers = (gr.File, gr.UploadButton, gr.Image, gr.Video, gr.Audio, gr.MultimodalTextbox, gr.Gallery, gr.ImageEditor)
    assert not [block for block in page.blocks.values() if isinstance(block, takers)]
    assert page.allowed_paths == []

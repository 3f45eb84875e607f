"""One language for all that a visitor reads: the chosen one, else the browser's, in the page as in every answer."""

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from pipeline.studio.guard import Guard, House
from pipeline.studio.language import COOKIE, Spoken, language_of
from pipeline.studio.policy import script_hashes
from pipeline.studio.texts import Language

PAGE = '<!doctype html><html lang="en"><head><title>x</title></head><body lang="en"></body></html>'


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def other(_request: Request) -> Response:
    return PlainTextResponse(PAGE)


@pytest.fixture
def visitor() -> TestClient:
    routes = [Route("/", page), Route("/config", other)]
    return TestClient(Guard(Spoken(Starlette(routes=routes)), House()), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "en-GB", Language.EN),
        ("", "zh-CN,zh;q=0.9", Language.ZH),
        (f"{COOKIE}=zh", "en-GB", Language.ZH),
        (f"{COOKIE}=en", "zh-CN", Language.EN),
        (f"a=b; {COOKIE}=zh; c=d", "en-GB", Language.ZH),
        (f"{COOKIE}=fr", "zh-CN", Language.ZH),
        (f"{COOKIE}=<script>", "en-GB", Language.EN),
        (f"other-{COOKIE}=zh", "en-GB", Language.EN),
    ],
)
def test_the_choice_goes_before_the_browser(cookie: str, accepted: str, language: Language) -> None:
    request: Any = SimpleNamespace(headers={"cookie": cookie, "accept-language": accepted})
    assert language_of(request) is language


@pytest.mark.parametrize(("language", "tag"), [("en", "en"), ("zh", "zh-CN")])
def test_the_page_is_sent_in_the_language_with_the_script_that_says_so(
    visitor: TestClient, language: str, tag: str
) -> None:
    answer = visitor.get("/", headers={"Cookie": f"{COOKIE}={language}", "Accept-Language": "fr"})
    assert answer.headers["content-language"] == tag
    assert f'<html lang="{tag}"><head><script>' in answer.text
    assert f'const tag = "{tag}"' in answer.text
    assert answer.text.endswith('</script><title>x</title></head><body lang="en"></body></html>')
    (allowed,) = script_hashes(answer.content)
    assert allowed in answer.headers["content-security-policy"]


def test_nothing_else_is_touched(visitor: TestClient) -> None:
    assert visitor.get("/config", headers={"Cookie": f"{COOKIE}=zh"}).text == PAGE

"""The door in front of the page: by name, origin, password, route and size; every answer carries the headers."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pipeline.errors import InvalidRequest
from pipeline.studio.credentials import MOST_ATTEMPTS, Credentials, Door
from pipeline.studio.guard import LARGEST_BODY_BYTES, Guard, House, open_house
from pipeline.studio.policy import FIXED_HEADERS

HERE = "http://127.0.0.1:7860"
LINE = "ada:engine number 1"
PAGE = (
    "<html><script>first()</script><script src='/assets/a.js'></script><script type=module>\nsecond()</script></html>"
)
Visit = Callable[..., TestClient]


async def show(_request: Request) -> Response:
    return HTMLResponse(PAGE, headers={"Access-Control-Allow-Origin": "*"})


async def take(request: Request) -> Response:
    try:
        return PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        return PlainTextResponse("it is gone", 400)


def sha256(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@pytest.fixture
def visit() -> Visit:
    """A client of a page in a house, under a host name."""
    routes = [
        Route("/", show),
        Route("/config", show),
        Route("/gradio_api/queue/join", take, methods=["POST"]),
        Route("/{anything:path}", take, methods=["GET", "POST"]),  # there is nothing that would not be found behind it
    ]

    def make(house: House | None = None, url: str = HERE) -> TestClient:
        return TestClient(Guard(Starlette(routes=routes), house or House()), base_url=url)

    return make


# Under which name ---------------------------------------------------------------------------------------------------
OURS = [
    "127.0.0.1:7860",
    "127.0.0.1",
    "localhost:80",
    "LocalHost",
    "[::1]:7860",
    "127.8.9.1",
    "rushes.localhost",
    "localhost.",
]
NEAR = ["192.168.1.20:7860", "studio", "studio.local:7860", "[fe80::1]", "8.8.8.8"]
OTHERS = [
    "evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "",
    "127.0.0.1@evil.example", "a b", "evil.example/127.0.0.1", "127.0.0.1:7860:1", "2130706433.example",
]  # fmt: skip


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_known_by_its_own_names(visit: Visit, host: str) -> None:
    assert visit().get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", [*OTHERS, *NEAR])
def test_on_this_machine_only_no_other_name_is_known(visit: Visit, host: str) -> None:
    answer = visit().get("/config", headers={"Host": host})
    assert answer.status_code == 421
    assert "script" not in answer.text


@pytest.mark.parametrize("host", [*OURS, *NEAR])
def test_with_everybody_let_in_names_of_this_network_are_known(visit: Visit, host: str) -> None:
    assert visit(House(listens=True)).get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", OTHERS)
def test_with_everybody_let_in_a_name_that_anybody_can_register_is_not_known(visit: Visit, host: str) -> None:
    assert visit(House(listens=True)).get("/config", headers={"Host": host}).status_code == 421


def test_a_proxys_name_is_known_when_it_was_given(visit: Visit) -> None:
    house = open_house(listens=False, insecure=False, credentials=None, names=["Drafts.Example."])
    for origin in ("https://drafts.example", f"{HERE}"):
        answer = visit(house).get("/config", headers={"Host": "drafts.example", "Origin": origin})
        assert answer.status_code == (200 if "drafts" in origin else 403)
    assert visit(house).get("/config", headers={"Origin": "https://drafts.example"}).status_code == 200


# From which page ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HERE},
        {"Origin": "https://127.0.0.1:7860"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_the_page_itself_and_programs_may_ask(visit: Visit, headers: dict[str, str]) -> None:
    assert visit().post("/gradio_api/queue/join", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:7860"},
        {"Origin": "http://127.0.0.1:8888"},
        {"Origin": "127.0.0.1:7860"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_page_may_not(visit: Visit, headers: dict[str, str], method: str) -> None:
    answer = visit().request(method, "/gradio_api/queue/join", headers=headers)
    assert answer.status_code == 403


def test_another_page_may_link_here(visit: Visit) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert visit().get("/", headers=headers).status_code == 200


def test_no_page_is_asked_to_share_its_answers(visit: Visit) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = visit().options("/gradio_api/queue/join", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in visit().get("/config").headers


# Who ----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def locked() -> House:
    return open_house(listens=True, insecure=False, credentials=Credentials(LINE), names=())


@pytest.mark.fault(38)
@pytest.mark.parametrize("path", ["/", "/config", "/media/x/y", "/health", "/nothing", "/gradio_api/queue/join"])
def test_behind_a_locked_door_nothing_is_told_apart(visit: Visit, locked: House, path: str) -> None:
    for method in ("GET", "POST", "PUT", "OPTIONS", "HEAD"):
        answer = visit(locked).request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.fault(38)
def test_the_right_password_opens_every_route(visit: Visit, locked: House) -> None:
    client = visit(locked)
    client.auth = tuple(LINE.split(":"))
    assert client.get("/config").status_code == 200
    assert client.post("/gradio_api/queue/join", content=b"12345").text == "5"
    assert client.get("/nothing").status_code == 404


@pytest.mark.fault(39)
def test_too_many_wrong_passwords_are_answered_with_how_long_to_wait(visit: Visit, locked: House) -> None:
    client = visit(locked)
    answers = [client.get("/config", auth=("ada", f"guess number {n}")) for n in range(MOST_ATTEMPTS + 1)]
    assert [answer.status_code for answer in answers] == [401] * MOST_ATTEMPTS + [429]
    assert answers[-1].headers["retry-after"] == "60"


@pytest.mark.parametrize(
    ("spoken", "said"),
    [
        ("zh-CN", "请输入用户名和密码。"),
        ("en", "A name and a password, please."),
        ("", "A name and a password, please."),
    ],
)
def test_who_gets_no_page_is_told_why_in_their_language(visit: Visit, locked: House, spoken: str, said: str) -> None:
    assert visit(locked).get("/", headers={"accept-language": spoken}).text == said


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    ("listens", "insecure", "line", "refused"),
    [
        (False, False, None, ""),
        (True, False, None, "--insecure"),
        (True, True, None, ""),
        (True, False, LINE, ""),
        (False, False, LINE, ""),
        (True, True, LINE, "--insecure"),
    ],
)
def test_everybody_is_let_in_only_when_that_is_spelled_out(
    listens: bool, insecure: bool, line: str | None, refused: str
) -> None:
    given: dict[str, Any] = {"credentials": Credentials(line) if line else None, "names": ()}
    if refused:
        with pytest.raises(InvalidRequest, match=refused):
            open_house(listens=listens, insecure=insecure, **given)
    else:
        house = open_house(listens=listens, insecure=insecure, **given)
        assert (house.listens, isinstance(house.door, Door)) == (listens, line is not None)


# For what -----------------------------------------------------------------------------------------------------------
@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/gradio_api/file/x", "/docs",
        "/gradio_api/proxy=http://10.0.0.1/", "/openapi.json", "/monitoring", "/login", "/gradio_api/deep_link",
        "/assets//config", "/assets/%2e%2e/config", "/static/..%5c..%5cconfig", "/config%00",
        "/config%0a", "/media/a/b/c", "/assets/a%20b", "/CONFIG",
    ],
)  # fmt: skip
def test_what_the_page_does_not_need_is_not_there(visit: Visit, path: str) -> None:
    for method in ("GET", "POST"):
        assert visit().request(method, path).status_code == 404


# How much -----------------------------------------------------------------------------------------------------------
@pytest.mark.fault(36)
def test_a_body_is_taken_up_to_its_limit(visit: Visit) -> None:
    client = visit()
    body = b"x" * LARGEST_BODY_BYTES
    assert client.post("/gradio_api/queue/join", content=body).text == str(LARGEST_BODY_BYTES)
    assert client.post("/gradio_api/queue/join", content=body + b"x").status_code == 413


@pytest.mark.fault(36)
def test_a_body_of_unknown_length_is_taken_up_to_its_limit(visit: Visit) -> None:
    def pieces(count: int) -> AsyncIterator[bytes]:
        return (b"x" * 1024 for _ in range(count))

    assert visit().post("/gradio_api/queue/join", content=pieces(LARGEST_BODY_BYTES // 1024)).text == str(
        LARGEST_BODY_BYTES
    )
    assert visit().post("/gradio_api/queue/join", content=pieces(LARGEST_BODY_BYTES // 1024 + 1)).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 400, "²", "0x10"])
def test_a_length_that_is_none_is_refused(visit: Visit, length: str) -> None:
    headers = {"Content-Length": length.encode()}
    assert visit().post("/gradio_api/queue/join", content=b"", headers=headers).status_code == 413


# With which headers -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/config", "/nothing"])
def test_every_answer_carries_the_headers(visit: Visit, path: str) -> None:
    headers = visit().get(path).headers
    for name, value in FIXED_HEADERS.items():
        assert headers[name] == value
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert "unsafe-inline" not in policy["script-src"]
    assert "http" not in headers["content-security-policy"]


def test_the_scripts_of_the_page_are_allowed_by_what_they_say(visit: Visit) -> None:
    house = House(scripts=[sha256("own()")])
    answer = visit(house).get("/", headers={"Accept-Encoding": "br, gzip"})
    assert answer.text == PAGE
    sources = answer.headers["content-security-policy"].split("; ")[1].split(" ")
    assert sources == ["script-src", "'self'", "'unsafe-eval'", *map(sha256, ("first()", "\nsecond()", "own()"))]


def test_scripts_of_other_answers_are_not_allowed(visit: Visit) -> None:
    assert sha256("first()") not in visit().get("/config").headers["content-security-policy"]


def test_a_socket_is_not_opened(visit: Visit) -> None:
    with pytest.raises(WebSocketDisconnect), visit().websocket_connect("/config"):
        pass

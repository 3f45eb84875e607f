"""In front of every route of the page, Gradio's own included: who asks, from which page, for what, and how much.

Gradio's login leaves some of its routes open, and its file, proxy and upload routes are of no use here; so the page has
one door, and behind it only what it needs.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.drafts.pictures import LARGEST_FILE_BYTES
from pipeline.errors import InvalidRequest
from pipeline.studio.credentials import HOW, WINDOW_SECONDS, Credentials, Door, Verdict
from pipeline.studio.language import language_of
from pipeline.studio.policy import FIXED_HEADERS, content_policy, framing_headers, script_hashes
from pipeline.studio.translation import translate

LARGEST_BODY_BYTES = 2**19  # the longest text that a form takes (form_layout.py), in Chinese, twice: three quarters
ROUTES = re.compile(
    r"/|/(config|theme\.css|manifest\.json|robots\.txt|favicon\.ico|health|metrics)"
    r"|/pwa_icon(/[0-9]+)?"
    r"|/(assets|static|svelte)/[\w./@-]+"
    r"|/media/[\w-]+/[\w.-]+"
    r"|/pictures/[\w.]+"
    r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|cancel|reset|queue/(join|data|status))/?"
    r"|/gradio_api/heartbeat/\w+"
    r"|/gradio_api/(api|run|call|call/v2)/\w+(/\w+)?/?"
)
"""What the page and programs need; nothing else is there."""
LOCAL_NAMES = re.compile(r"localhost|[\w-]+\.localhost")
NEAR_NAMES = re.compile(r"[\w-]+(\.local|\.lan|\.home\.arpa|\.internal)?")
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """How the page is reached. `listens` beyond this machine, through `door` if there is one, also as one of `names`.

    `scripts` are the hashes of scripts that the page adds to itself; `framer` is whose pages may embed this one.
    """

    listens: bool = False
    door: Door | None = None
    names: Collection[str] = ()
    scripts: Collection[str] = ()
    framer: str = ""

    def knows(self, host: str) -> bool:
        """Whether a Host header is one of ours: a page elsewhere can give this machine's address to a name of its own,
        and then read what it likes, unless the name is looked at."""
        found = HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].strip("[]").lower().rstrip(".")
        if name in self.names or LOCAL_NAMES.fullmatch(name):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:  # nobody can register a name that is only known nearby
            return self.listens and (self.door is not None or NEAR_NAMES.fullmatch(name) is not None)
        return self.listens or address.is_loopback

    def sent(self, headers: Headers) -> bool:
        """Whether a request comes from this page or from no page at all; browsers say which, programs say nothing."""
        origin = headers.get("origin")
        if origin is not None:
            place = origin.partition("://")[2].lower()
            return place == headers.get("host", "").lower() or place.partition(":")[0] in self.names
        site = headers.get("sec-fetch-site", "none")
        return site in ("same-origin", "none") or headers.get("sec-fetch-mode") == "navigate"


def open_house(*, listens: bool, insecure: bool, credentials: Credentials | None, names: Collection[str]) -> House:
    """How the page is to be reached.

    Raises:
        InvalidRequest: when everybody could come in and nobody said so, or both were said.
    """
    if insecure and credentials is not None:
        raise InvalidRequest("insecure", "--insecure is for a page without a password, and one is given.", "Drop one.")
    if listens and credentials is None and not insecure:
        raise InvalidRequest(
            "auth",
            "--listen lets every machine in this network make drafts here and see them.",
            f"{HOW}, or say --insecure if that is meant.",
        )
    door = None if credentials is None else Door(credentials)
    return House(listens=listens, door=door, names=frozenset(name.lower().rstrip(".") for name in names))


class Guard:
    """ASGI middleware: refuses what must not reach `app`, and adds the headers of policy.py to what it answers."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self.app, self.house = app, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close"})
        elif scope["type"] == "http":
            answer = _Answer(send, self.house, page=scope["path"] == "/")
            refusal = self._refuse(scope)
            if refusal is not None:
                await refusal(scope, receive, answer.send)
                return
            if answer.page:  # the scripts in it are read, so it must not be compressed
                scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
            await self.app(scope, _measured(scope, receive, answer), answer.send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self.house.knows(headers.get("host", "")):
            return _plain(scope, "This page is not known under this name: see --host-name.", 421)
        if not self.house.sent(headers):
            return _plain(scope, "Another page has sent this.", 403)
        if self.house.door is not None:
            client = scope.get("client") or ("unknown", 0)
            verdict = self.house.door.ask(headers.get("authorization"), client[0])
            if verdict is Verdict.WAIT:
                wait = {"Retry-After": str(round(WINDOW_SECONDS))}
                return _plain(scope, "Too many wrong passwords: wait a minute.", 429, wait)
            if verdict is Verdict.WHO:
                who = {"WWW-Authenticate": 'Basic realm="Rushes", charset="UTF-8"'}
                return _plain(scope, "A name and a password, please.", 401, who)
        if not ROUTES.fullmatch(path) or ".." in path or "//" in path:
            return _plain(scope, "Not found.", 404)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:12]) > _most_bytes(scope):
            return _too_large(scope)
        return None


def _too_large(scope: Scope) -> Response:
    return _plain(scope, f"At most {_most_bytes(scope)} bytes are taken.", 413, {"Connection": "close"})


def _most_bytes(scope: Scope) -> int:
    return LARGEST_FILE_BYTES if scope["path"].startswith("/pictures/") else LARGEST_BODY_BYTES


def _plain(scope: Scope, said: str, status: int, more: Mapping[str, str] | None = None) -> Response:
    """A sentence instead of the page, in the visitor's language."""
    return PlainTextResponse(translate(language_of(HTTPConnection(scope)), said), status, more)


def _measured(scope: Scope, receive: Receive, answer: "_Answer") -> Receive:
    """`receive`, until it has brought more than is taken: then that is answered, and the sender is gone for the app."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken <= _most_bytes(scope):
            return message
        if not answer.started:
            await _too_large(scope)(scope, receive, answer.send)
        answer.over = True
        return {"type": "http.disconnect"}

    return counted


class _Answer:
    """What goes back, with the headers; the page itself is held until the scripts in it are known."""

    def __init__(self, send: Send, house: House, *, page: bool) -> None:
        self.page, self.started, self.over = page, False, False
        self._send, self._house = send, house
        self._held: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        if self.over:
            return
        if message["type"] == "http.response.start":
            self.started = True
            self._held = message
            if not self.page:
                await self._release([])
        elif self._held is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._release(script_hashes(self._body))
                await self._send({"type": "http.response.body", "body": self._body, "more_body": False})
        else:
            await self._send(message)

    async def _release(self, hashes: list[str]) -> None:
        assert self._held is not None
        start, self._held = self._held, None
        headers = MutableHeaders(raw=list(start.get("headers", [])))
        for name, value in (FIXED_HEADERS | framing_headers(self._house.framer)).items():
            headers[name] = value
        headers["Content-Security-Policy"] = content_policy([*hashes, *self._house.scripts], self._house.framer)
        for name in [name for name in headers if name.lower().startswith("access-control-")]:
            del headers[name]
        await self._send({**start, "headers": headers.raw})

"""Which language a visitor is spoken to in: the one chosen on the page, kept in a cookie; before that the browser's.

The page is sent in that language, with a script that has it be the browser's, too: what Gradio translates, what scripts
of our own say and what the server says follow one choice.
"""

from pathlib import Path
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.studio.texts import Language, choose_language

COOKIE = "rushes-language"
TAGS = {Language.EN: "en", Language.ZH: "zh-CN"}  # as browsers and `lang` attributes call them
SCRIPT = Path(__file__).resolve().parents[2] / "assets" / "page" / "language.js"


class Asked(Protocol):
    """What the language is read from: a request of Gradio's or Starlette's."""

    @property
    def headers(self) -> Headers:
        """Those that came with it."""
        ...


def language_of(request: Asked) -> Language:
    """The visitor's choice, else the first language of the browser, English where we do not speak it."""
    chosen = cookie_parser(request.headers.get("cookie", "")).get(COOKIE, "")
    if chosen in set(Language):
        return Language(chosen)
    return choose_language(request.headers.get("accept-language", ""))


class Spoken:
    """ASGI middleware: the page itself is sent in the visitor's language, everything else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._script = SCRIPT.read_text(encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; the guard in front has the page come uncompressed."""
        if scope["type"] != "http" or scope["path"] != "/":
            await self.app(scope, receive, send)
            return
        language = language_of(_Visit(scope))
        start: Message = {}
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            said = self._say(body, language)
            headers = MutableHeaders(raw=list(start.get("headers", [])))
            headers["content-length"] = str(len(said))
            headers["content-language"] = TAGS[language]
            await send({**start, "headers": headers.raw})
            await send({"type": "http.response.body", "body": said})

        await self.app(scope, receive, hold)

    def _say(self, page: bytes, language: Language) -> bytes:
        """Gradio's page with its language named, and the script before all others."""
        tag = TAGS[language].encode("ascii")
        script = b"<script>" + self._script.encode("utf-8").replace(b"LANGUAGE", tag) + b"</script>"
        return page.replace(b'lang="en"', b'lang="' + tag + b'"', 1).replace(b"<head>", b"<head>" + script, 1)


class _Visit:
    def __init__(self, scope: Scope) -> None:
        self.headers = Headers(scope=scope)

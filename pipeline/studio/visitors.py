"""Where strangers share one page, each sees his own drafts only: who is who, and a worker that keeps them apart.

A visitor is a browser: it carries a key of 192 random bits in a cookie, and of that a draft's folder keeps a hash. A
program may send a key of its own in the same cookie. A draft that was made without one belongs to whoever knows its id.
"""

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.drafts.disposal import size_bytes
from pipeline.drafts.journal import ID_PATTERN, Journal
from pipeline.drafts.status import DraftState, DraftStatus
from pipeline.errors import DraftError, InvalidRequest, WriteFailed
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Edit, Extend
from pipeline.worker import Worker

COOKIE = "rushes-visitor"
KEY = re.compile(r"[\w-]{20,64}", re.ASCII)
KEY_BYTES = 24
YEAR_SECONDS = 365 * 24 * 3600
OWNER = "OWNER"  # a file in a draft's folder
MOST_WAITING = 4  # drafts of one visitor that are not over, a sheet of four takes among them
RETENTION_HOURS = 24
KEPT_BYTES = 4 * 2**30  # of all drafts; a Space's own disk has 50 GB


class Welcome:
    """ASGI middleware: a browser that opens the page and has no key is given one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] != "/" or _key_in(Headers(scope=scope).get("cookie", "")):
            await self.app(scope, receive, send)
            return

        async def greet(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The page is embedded in another site's: without these two a browser keeps no cookie there.
                how = f"Path=/; Max-Age={YEAR_SECONDS}; HttpOnly; Secure; SameSite=None; Partitioned"
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                headers.append("Set-Cookie", f"{COOKIE}={secrets.token_urlsafe(KEY_BYTES)}; {how}")
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, greet)


class VisitorsWorker(Worker):
    """A worker whose drafts are seen, and changed, by the visitor who made them; old ones go.

    Args:
        drafts: folder of all drafts.
        weights: folders of one's own, by model.
        longest_seconds: of a draft, also of one that is extended.
        how: the worker's other arguments.
    """

    keep_hours = RETENTION_HOURS
    most_waiting = MOST_WAITING

    def __init__(self, drafts: Path, weights: Mapping[str, Path], *, longest_seconds: float, **how: Any) -> None:
        super().__init__(drafts, weights, **how)
        self._longest_seconds = longest_seconds
        self._clearing = threading.Lock()
        self._owners: dict[str, str] = {}  # as far as they are known; nobody is only for a moment

    def submit(self, plan: DraftPlan, key: str | None = None) -> str:
        """As a worker does, with a visitor's key of a draft only.

        Raises DraftError, too, where this visitor has enough drafts that are not over.
        """
        visitor = visitor_now()
        if key and not visitor:  # whoever guessed it would have a stranger's draft
            raise InvalidRequest(
                "key", "Without a cookie a draft has no key here.", "Send a visitor's cookie of your own."
            )
        self._check_turn()
        self.clear()
        # A key of one visitor's says nothing about another's draft.
        draft = super().submit(plan, f"{visitor}/{key}" if key else None)
        self._own(draft)
        return draft

    def edit(self, draft: str, change: Edit) -> str:
        """As a worker does, within the length that a draft may have."""
        self._check_own(draft)
        self._check_turn()
        status = super().status(draft)
        if isinstance(change, Extend) and status and status.seconds + change.seconds > self._longest_seconds:
            raise too_long(status.seconds + change.seconds, self._longest_seconds)
        made = super().edit(draft, change)
        self._own(made)
        return made

    def status(self, draft: str) -> DraftStatus | None:
        """As a worker does; a stranger's draft is none."""
        return super().status(draft) if self._is_own(draft) else None

    def lists(self, draft: str) -> bool:
        """Whether this visitor made it; one without an owner is on nobody's shelf."""
        visitor = visitor_now()
        return bool(visitor) and self._owner_of(draft) == visitor

    def recent(self, limit: int) -> list[DraftStatus]:
        """This visitor's newest drafts, newest first."""
        found = (super(VisitorsWorker, self).status(draft) for draft in self._own_drafts()[:limit])
        return [status for status in found if status is not None]

    def waiting(self) -> list[str]:
        """Those of this visitor that wait, in their order."""
        return [draft for draft in super().waiting() if self.lists(draft)]

    def stop(self, draft: str) -> None:
        """As a worker does, this visitor's."""
        self._check_own(draft)
        super().stop(draft)

    def pause(self, draft: str) -> None:
        """As a worker does, this visitor's."""
        self._check_own(draft)
        super().pause(draft)

    def resume(self, draft: str) -> None:
        """As a worker does, this visitor's, as far as `submit` would take another."""
        self._check_own(draft)
        status = super().status(draft)
        if status is not None and status.state.over:
            self._check_turn()
        super().resume(draft)

    def delete(self, draft: str) -> int:
        """As a worker does, this visitor's."""
        self._check_own(draft)
        return super().delete(draft)

    def clear(self) -> None:
        """Delete what is over or paused and too old, and of what is over the oldest for as long as all are too much."""
        with self._clearing:
            folders = sorted(folder for folder in self.drafts.iterdir() if ID_PATTERN.fullmatch(folder.name))
            sizes = {folder: size_bytes(folder) for folder in folders}
            total = sum(sizes.values())
            for folder in folders:
                draft, old = folder.name, _age_seconds(folder) > RETENTION_HOURS * 3600
                if not old and total <= KEPT_BYTES:
                    continue
                with suppress(DraftError):  # one that waits or is being made
                    found = super().status(draft)
                    if old and found is not None and found.state is DraftState.PAUSED:
                        super().stop(draft)
                    super().delete(draft)
                    total -= sizes[folder]
                    self._owners.pop(draft, None)

    def _check_turn(self) -> None:
        found = filter(None, map(self.status, self._own_drafts()))
        mine = sum(not status.state.over and status.state is not DraftState.STOPPING for status in found)
        if mine >= MOST_WAITING:
            raise DraftError(f"{mine} drafts of yours are not finished yet.", "Wait for one, or stop it.")

    def _own(self, draft: str) -> None:
        visitor = visitor_now()
        if visitor:
            with suppress(WriteFailed):  # then its id is the key to it
                journal = Journal(self.drafts, draft)
                with journal.writing(journal.path(OWNER)) as file:
                    file.write_text(visitor, encoding="ascii")

    def _own_drafts(self) -> list[str]:
        names = (folder.name for folder in self.drafts.iterdir() if ID_PATTERN.fullmatch(folder.name))
        return list(filter(self.lists, sorted(names, reverse=True)))

    def _owner_of(self, draft: str) -> str:
        owner = self._owners.get(draft) or _read_owner(self.drafts / draft)
        if owner:
            self._owners[draft] = owner
        return owner

    def _is_own(self, draft: str) -> bool:
        return bool(ID_PATTERN.fullmatch(draft)) and self._owner_of(draft) in ("", visitor_now())

    def _check_own(self, draft: str) -> None:
        if not self._is_own(draft):
            raise InvalidRequest("draft", "There is no such draft.")


def visitor_now() -> str:
    """Who is being answered: a hash of the key in the cookie of the request at hand, nothing where there is none."""
    from gradio.context import LocalContext  # the worker's process is started before Gradio is imported

    request = LocalContext.request.get(None)
    key = _key_in(request.headers.get("cookie", "")) if request is not None else ""
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


def too_long(seconds: float, longest_seconds: float) -> InvalidRequest:
    """The refusal of a draft that is longer than may be made here."""
    said = f"{seconds:.1f} seconds are too long for this Space, which makes {longest_seconds:g} at most."
    return InvalidRequest("seconds", said, "Choose a shorter draft, or run Rushes on a machine of your own.")


def _key_in(cookies: str) -> str:
    key = cookie_parser(cookies).get(COOKIE, "")
    return key if KEY.fullmatch(key) else ""


def _age_seconds(folder: Path) -> float:
    """Since something was last changed in it; 0 where it is gone."""
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read_owner(folder: Path) -> str:
    try:
        return (folder / OWNER).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""

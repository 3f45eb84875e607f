"""One follower of a draft a page, and in which order what two of them show arrives there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from functools import wraps
from typing import Any, ParamSpec

import gradio as gr

P = ParamSpec("P")
HANDOVER_SECONDS = 2.0  # at most, for what an older follower showed to reach the page; assumed


class Follower:
    """Of one page. Not `settled` while something of it, or of one before it, is on its way there."""

    def __init__(self) -> None:
        self.settled = asyncio.Event()
        self.settled.set()

    async def come_after(self, older: "Follower") -> None:
        """Until all that an older one showed has reached the page: what arrives last is what stays."""
        self.settled.clear()
        with suppress(TimeoutError):  # of a page that is gone nobody takes it
            await asyncio.wait_for(older.settled.wait(), HANDOVER_SECONDS)
        self.settled.set()


def ends_silently(follow: Callable[P, AsyncIterator[Any]]) -> Callable[P, AsyncIterator[Any]]:
    """The same follower with nothing as the last that it shows.

    When a generator ends Gradio sends its last value once more, however much later that is: a draft that was undone
    would be on the page again, and the next edit would be one of it.
    """

    @wraps(follow)
    async def silent(*args: P.args, **arguments: P.kwargs) -> AsyncIterator[Any]:
        async with aclosing(follow(*args, **arguments)) as shown:  # type: ignore[type-var]
            async for update in shown:
                yield update
        yield gr.skip()

    return silent

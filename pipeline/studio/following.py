"""One follower of a draft a page, and in which order what two of them show arrives there."""

import asyncio
from contextlib import suppress

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

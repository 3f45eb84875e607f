"""What other programs can call: make a draft, watch it, stop it, change it. "Use via API" in the footer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypedDict

import gradio as gr
from gradio.events import api as add_endpoint

from pipeline.drafts.finding import find_drafts
from pipeline.errors import DraftError
from pipeline.plan.catalog import find_model
from pipeline.plan.edits import read_edit
from pipeline.studio.desk import Studio
from pipeline.studio.forms import form_of

RANDOM_SEED = -1
WATCH_SECONDS = 0.1  # how often a watched draft is looked at
MOST_ON_SHELF = 100


class DraftReport(TypedDict):
    """How a draft stands. `slices` and `video` are served at /media/<draft>/<name>.

    `ahead` counts the drafts that are made before it.
    """

    draft: str
    state: str
    ahead: int
    chunks: int
    chunks_done: int
    step: int
    steps: int
    slices: list[str]
    video: str | None
    eta_seconds: float | None
    message: str


class Spine(TypedDict):
    """A draft on the shelf; `video` is served at /media/<draft>/<name> once there is one."""

    draft: str
    state: str
    prompt: str
    model: str
    seconds: float
    video: str | None


class DownloadReport(TypedDict):
    """How the latest download stands: none, running, done, failed or cancelled."""

    model: str
    state: str
    done_bytes: int
    total_bytes: int
    message: str


def add_endpoints(studio: Studio) -> None:
    """Give the page being built its named endpoints."""
    default = form_of(studio.look, studio.model)

    def make_draft(  # noqa: PLR0913 - programs name what they give
        prompt: str,
        seconds: float = default.seconds or 4.0,
        shape: str = "wide",
        seed: int = RANDOM_SEED,
        key: str = "",
        model: str = default.model or "",
        start_image: str = "",
        end_image: str = "",
    ) -> str:
        """Start a draft, or have it wait for others, and return its id at once.

        Args:
            prompt: what happens, in one sentence; or shots, `[2s] a boat leaves / [3s cut] it arrives`.
            seconds: length; the nearest possible frame count is made. Shots say their own.
            shape: wide, square or tall, or a size such as 256x160.
            seed: a whole number for a draft that can be made again; -1 for a new one each time.
            key: of your own, such as a UUID. Who asks twice with the same key gets the draft of the first time.
            model: one that is here; the page's Models tab and `python -m pipeline models` list them.
            start_image: the name of a picture to begin with, as the answer to `POST /pictures/start` has it.
            end_image: likewise to end with, of `POST /pictures/end`.
        """
        chosen = "" if seed == RANDOM_SEED else str(seed)
        try:
            own = default if model == default.model else form_of(studio.look, find_model(model))
            form = replace(own, prompt=prompt, shape=shape, seconds=seconds, seed=chosen)
            form = replace(form, start_image=start_image, end_image=end_image)
            return studio.worker.submit(studio.machine.plan(studio.machine.read(form)), key or None)
        except DraftError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def status(draft: str) -> DraftReport:
        """How a draft stands: its state, what is done of it, and the names of its files."""
        found = studio.worker.status(draft)
        if found is None:
            raise gr.Error(f"There is no draft {draft!r}.", print_exception=False)
        return DraftReport(
            draft=found.draft,
            state=found.state.value,
            ahead=found.ahead,
            chunks=found.chunks,
            chunks_done=found.chunks_done,
            step=found.step,
            steps=found.steps,
            slices=[piece.file for piece in found.slices],
            video=found.video,
            eta_seconds=found.eta_seconds,
            message=f"{found.message} {found.hint}".strip(),
        )

    async def watch(draft: str) -> AsyncIterator[DraftReport]:
        """Report how a draft stands at every change, until it is over; a draft that rests is waited for."""
        seen = None
        while seen is None or not seen.state.over:
            found = studio.worker.status(draft)
            if found is None or seen is None or (found.version, found.ahead) != (seen.version, seen.ahead):
                yield status(draft)
                seen = found
            await asyncio.sleep(WATCH_SECONDS)

    watch.__annotations__["return"] = DraftReport  # Gradio asks for the type of what is yielded

    def shelf(limit: int = 20) -> list[Spine]:
        """The newest drafts, newest first.

        Args:
            limit: how many, 100 at most.
        """
        worker = studio.worker
        listed = [draft for draft in find_drafts(worker.drafts) if worker.lists(draft)]
        newest = map(worker.status, listed[: max(0, min(limit, MOST_ON_SHELF))])
        return [
            Spine(
                draft=found.draft,
                state=found.state.value,
                prompt=" / ".join(shot["prompt"] for shot in found.request["shots"]),
                model=found.request["model"],
                seconds=found.seconds,
                video=found.video,
            )
            for found in newest
            if found is not None
        ]

    def ask(request: Callable[[str], None], draft: str) -> DraftReport:
        try:
            request(draft)
        except DraftError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return status(draft)

    def delete(draft: str) -> int:
        """Delete a draft that is not being made; returns the bytes that are free now."""
        try:
            return studio.worker.delete(draft)
        except DraftError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def download(model: str) -> DownloadReport:
        """Start the download of a model, or go on with it; one runs at a time."""
        try:
            studio.fetcher.start(model)
        except DraftError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return download_status()

    def download_status() -> DownloadReport:
        """How the latest download stands."""
        found = studio.fetcher.status
        if found is None:
            return DownloadReport(model="", state="none", done_bytes=0, total_bytes=0, message="")
        return DownloadReport(
            model=found.model,
            state=found.state.value,
            done_bytes=found.done_bytes,
            total_bytes=found.total_bytes,
            message=found.message,
        )

    def cancel_download() -> DownloadReport:
        """Cancel the running download; what came is kept for the next time."""
        studio.fetcher.cancel()
        return download_status()

    for endpoint in (download, download_status, cancel_download):
        add_endpoint(endpoint, api_name=endpoint.__name__, queue=False)

    def edit(draft: str, way: str, amount: float, sentence: str = "") -> str:
        """Make another draft from a finished or stopped one and return its id at once; the old one stays as it is.

        Args:
            draft: its id.
            way: redo, reprompt, branch, cut or extend.
            amount: a chunk, counted from 1; for extend, seconds.
            sentence: for reprompt, and for extend where the new part has another.
        """
        try:
            return studio.worker.edit(draft, read_edit(way, amount, sentence))
        except DraftError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def stop(draft: str) -> DraftReport:
        """Stop a draft after its current step, or take it out of the queue; what is finished is kept."""
        return ask(studio.worker.stop, draft)

    def pause(draft: str) -> DraftReport:
        """Have a draft rest after its current step, or where it waits; the next one in the queue is made."""
        return ask(studio.worker.pause, draft)

    def resume(draft: str) -> DraftReport:
        """Go on with a draft that was paused, stopped or failed, from what is finished of it."""
        return ask(studio.worker.resume, draft)

    def queue() -> list[str]:
        """The drafts that wait, in the order in which they will be made."""
        return studio.worker.waiting()

    add_endpoint(make_draft, api_name="make_draft", concurrency_limit=None)
    add_endpoint(watch, api_name="watch", concurrency_limit=None)
    add_endpoint(status, api_name="status", queue=False)
    add_endpoint(shelf, api_name="shelf", queue=False)
    add_endpoint(stop, api_name="stop", queue=False)
    add_endpoint(pause, api_name="pause", queue=False)
    add_endpoint(resume, api_name="resume", queue=False)
    add_endpoint(queue, api_name="queue", queue=False)
    add_endpoint(edit, api_name="edit", queue=False)
    add_endpoint(delete, api_name="delete", queue=False)

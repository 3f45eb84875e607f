"""What a terminal shows while a draft is made or a checkpoint comes: a bar for people, JSON lines for machines."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.errors import say_bytes
from pipeline.events import Encoded, Event, Retreated, SliceReady, Started, StepDone, WaitingForRoom
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import ModelSpec


def show_draft(events: Iterator[Event], *, as_json: bool) -> Iterator[Event]:
    """Pass events on, showing each: a progress bar, or a JSON line."""
    from tqdm import tqdm

    plan: DraftPlan | None = None
    with tqdm(unit="step", disable=as_json, file=sys.stderr, dynamic_ncols=True) as bar:
        for event in events:
            if as_json:
                print(json.dumps(_plain(event)), flush=True)
            match event:
                case Retreated():
                    print(event.reason, file=sys.stderr)
                    plan = event.plan or plan
                    bar.total = plan.steps_before(len(plan.chunks)) if plan else None
                case WaitingForRoom():
                    need, free = say_bytes(event.need_bytes), say_bytes(event.free_bytes)
                    bar.set_description(f"waiting for room on the disk: {need} are needed, {free} are free")
                case Encoded():
                    bar.set_description("sentence known" if event.cached == event.sentences else "sentence read")
                case StepDone() if plan:
                    bar.set_description(f"chunk {event.chunk + 1} of {len(plan.chunks)}", refresh=False)
                    bar.n = plan.steps_before(event.chunk) + event.step - 1
                    bar.update()
                case SliceReady() if plan:
                    ready = (event.first_frame + event.frames) / plan.spec.fps
                    bar.set_postfix_str(f"{ready:.1f} of {plan.request.seconds:.1f} s can be played")
                case Started():
                    plan = event.plan
                    bar.total = plan.steps_before(len(plan.chunks))
                case _:
                    pass
            yield event


def _plain(event: Event) -> dict[str, object]:
    if isinstance(event, Started):
        return {"event": "Started", "draft": event.draft}
    values = asdict(event)
    values.pop("preview", None)
    values.pop("plan", None)
    return {"event": type(event).__name__} | values


def show_download(spec: ModelSpec, *, revision: str | None, as_json: bool) -> Path:
    """Bring a checkpoint, as `download` does, showing how far it is; its folder."""
    from tqdm import tqdm

    from pipeline.download import DownloadEvent, DownloadFinished, DownloadProgress, DownloadStarted, download

    new_bar = partial(tqdm, unit="B", unit_scale=True, file=sys.stderr, dynamic_ncols=True)
    with ExitStack() as stack:
        bar = tqdm(disable=True)

        def show(event: DownloadEvent) -> None:
            nonlocal bar
            if as_json:
                print(json.dumps({"event": type(event).__name__} | asdict(event)), flush=True)
                return
            match event:
                case DownloadStarted(title=title, licence=licence, done_bytes=done, total_bytes=total):
                    print(f"{title}, licence: {licence}", file=sys.stderr)
                    bar = stack.enter_context(new_bar(total=total, initial=done))
                case DownloadProgress():
                    bar.set_description(event.file, refresh=False)
                    bar.update(event.done_bytes - bar.n)
                case DownloadFinished(received_bytes=0):
                    said = f"{spec.title} is here already" if spec.repository else f"{spec.title} ships with Rushes"
                    print(f"{said}; there is nothing to download.", file=sys.stderr)

        return download(spec, show, revision=revision)

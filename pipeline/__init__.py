"""Rushes: a sentence becomes a moving draft, chunk by chunk, on the card you have.

    import pipeline
    for event in pipeline.draft(pipeline.request("a red ball moves left over snow")):
        print(event)

Rooms, each importing only from those before it:

    errors      every error a person can see
    plan/       what is decided before a weight moves; plain values, no tensors
    events      what the engine says while it works
    gpu/        weights onto the device and off again
    prompt/     sentences to embeddings, once
    video/      latents and frames to moving pictures
    drafts/     what is on disk
    seams/      whether the joins between chunks can be seen
    models/     one file a family
    restoring   what an interrupted draft already has
    running     where the chunk stands that is being denoised
    making      the main line; reel: its pictures on the disk
    engine      plan, model and folder for it
    heartbeat   whether the process that runs it stands still
    serving     that process
    process     its life, as seen from the page's
    worker      what waits, runs and is over
    inventory   every model, and how it fits this machine
    studio/     the page

Importing this package imports neither torch nor gradio; the first draft does.
"""

import queue
import secrets
import threading
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.drafts.measurements import Measurements
from pipeline.errors import DraftError, InvalidRequest, WriteFailed
from pipeline.events import ENDS, Event, Failed
from pipeline.plan.alternatives import plan_draft
from pipeline.plan.catalog import find_model
from pipeline.plan.device import DeviceKind, count_cards_alike, probe_device, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Branch, Cut, Edit, Extend, Redo, Reprompt
from pipeline.plan.presets import find_profile
from pipeline.plan.request import GenerationRequest, Shot, Transition
from pipeline.plan.spec import VideoShape
from pipeline.plan.storyboard import lay_out

if TYPE_CHECKING:
    from pipeline.drafts.journal import Journal

__version__ = "0.1.0"
__all__ = [
    "Branch",
    "Cut",
    "DraftError",
    "DraftPlan",
    "Event",
    "Extend",
    "GenerationRequest",
    "Redo",
    "Reprompt",
    "Shot",
    "Transition",
    "VideoShape",
    "draft",
    "edit",
    "keep_picture",
    "plan",
    "request",
    "resume",
]


def request(
    prompt: str, *, model: str = "miniature", seconds: float | None = None, seed: int | None = None
) -> GenerationRequest:
    """A request with everything else as the model likes it; `dataclasses.replace` changes the rest.

    Args:
        prompt: a sentence, or a storyboard, `[2s] A boat leaves / [3s cut] The boat arrives`, which says its length.
        model: a key of the catalog.
        seconds: length of a sentence's draft; the model's own if not given.
        seed: drawn if not given.

    Raises:
        InvalidRequest: naming the field and the nearest legal value.
    """
    spec = find_model(model)
    shots, frames = lay_out(prompt, spec, seconds)
    return GenerationRequest(
        shots=shots,
        model=model,
        shape=spec.shapes[0],
        frames=frames,
        steps=spec.default_steps,
        guidance=spec.default_guidance,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        continuity=spec.continuity,
    )


def keep_picture(file: Path, drafts: Path = Path("drafts")) -> str:
    """Have a PNG, JPEG or WebP picture in `drafts`; its name, for a request's `start_image` or `end_image`.

    Raises:
        InvalidRequest: for what is no such picture, or too small or large.
        WriteFailed: when the disk refuses.
    """
    from pipeline.drafts.pictures import read_picture_file
    from pipeline.plan.spec import Keyframe

    picture = read_picture_file(file, Keyframe.START)
    picture.keep(drafts)
    return picture.name


def plan(wanted: GenerationRequest, drafts: Path = Path("drafts"), *, suppose: bool = False) -> DraftPlan:
    """Everything decided about a request on this machine, in milliseconds, with what drafts in `drafts` taught.

    With `suppose`, where there is no card, a limit or a profile for one is planned for a card of that size.

    Raises:
        InvalidRequest: for what no machine can do, or a limit on a card that is not there.
        DoesNotFit: with changes that would fit.
    """
    profile = find_profile(wanted.profile)
    device = probe_device(use_card=profile.use_card, folder=drafts)
    if device.kind is not DeviceKind.CUDA and profile.use_card:
        size = profile.card_gib if wanted.vram_limit_gib is None else wanted.vram_limit_gib
        if suppose and size is not None:
            device = suppose_card(size, drafts)
        elif wanted.vram_limit_gib is not None:
            raise InvalidRequest("vram_limit", "There is no graphics card here to limit.", "Limit main memory instead.")
    return plan_draft(wanted, device, profile, Measurements(drafts).experience(wanted, device))


def draft(
    wanted: GenerationRequest | DraftPlan, drafts: Path = Path("drafts"), *, weights: Mapping[str, Path] | None = None
) -> Generator[Event, None, None]:
    """Make a draft under `drafts`, yielding what happens as it happens; ends with Finished, Stopped or Failed.

    Closing the iterator stops the draft and waits until what is finished is kept. `weights` are folders of one's own in
    diffusers' layout, by model.

    Raises:
        DraftError: before the first event, when there is nothing to make or nowhere to put it.
    """
    from pipeline.drafts.journal import Journal, new_draft_id
    from pipeline.drafts.pictures import begin_draft

    decided = wanted if isinstance(wanted, DraftPlan) else plan(wanted, drafts)
    journal = Journal(drafts, new_draft_id())
    begin_draft(journal, decided)  # from here on there is a folder in which to ask for a stop
    yield from _make(decided, journal, drafts, weights)


def resume(
    draft: str | None = None, drafts: Path = Path("drafts"), *, weights: Mapping[str, Path] | None = None
) -> Generator[Event, None, None]:
    """Go on with a draft under `drafts` that was stopped, failed or cut off, from what is finished of it.

    Its latents, and with them its frames, are those of never having stopped, on the same device. Closing the iterator
    stops it again.

    Args:
        draft: its id; the newest unfinished one if not given.
        drafts: the folder it lies in.
        weights: as `draft` was given, when it was.

    Raises:
        InvalidRequest: before the first event, when there is no such draft or none is unfinished.
    """
    from pipeline.drafts.journal import ID_PATTERN, Journal, unfinished_drafts

    waiting = unfinished_drafts(drafts)
    if draft is None and not waiting:
        raise InvalidRequest("draft", f"No draft in {drafts} is unfinished.")
    name = waiting[0] if draft is None else draft
    if not ID_PATTERN.fullmatch(name):
        raise InvalidRequest("draft", f"{name!r} is no draft's id.", "Drafts are folders such as 20260101-120000-…")
    journal = Journal(drafts, name)
    yield from _make(journal.take_up(), journal, drafts, weights)


def edit(
    draft: str, change: Edit, drafts: Path = Path("drafts"), *, weights: Mapping[str, Path] | None = None
) -> Generator[Event, None, None]:
    """Make another draft from one under `drafts`: part of it anew, in other words, shorter or longer.

    What comes before the change stays as it is, bit for bit, but for frames that are faded over into what follows; the
    old draft is not touched, so to undo is to go back to it. Stopping, resuming and closing the iterator work as for
    every draft.

    Args:
        draft: its id; finished or stopped.
        change: `Redo(chunk=1)`, `Reprompt(chunk=1, prompt=…)`, `Branch(chunk=1)`, `Cut(chunk=1)` or
            `Extend(seconds=3)`; chunks are counted from 0.
        drafts: the folder it lies in.
        weights: as `draft` was given, when it was.

    Raises:
        DraftError: before the first event, when that cannot be done; no new folder is left.
    """
    from pipeline.drafts.journal import Journal
    from pipeline.drafts.surgery import begin_edit

    name, decided = begin_edit(drafts, draft, change)
    yield from _make(decided, Journal(drafts, name), drafts, weights)


def _make(
    decided: DraftPlan, journal: "Journal", drafts: Path, weights: Mapping[str, Path] | None
) -> Generator[Event, None, None]:
    count_cards_alike()
    from pipeline.engine import Engine

    events = queue.SimpleQueue[Event | BaseException]()

    def work() -> None:
        try:
            try:
                Engine(drafts, weights).run(decided, journal.draft, events.put)
            except DraftError as error:
                file, frames = journal.kept_film()
                failed = Failed(message=error.message, hint=error.hint, file=file, frames=frames)
                with suppress(WriteFailed):  # the disk may be what failed
                    journal.note(failed)
                events.put(failed)
        except BaseException as error:  # else the caller would wait for ever
            events.put(error)

    thread = threading.Thread(target=work, daemon=True, name="rushes-draft")
    thread.start()
    over = False
    try:
        while not over:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            over = isinstance(event, ENDS)
            yield event
    finally:
        if not over:
            journal.request_stop()
        thread.join()

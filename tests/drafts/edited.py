"""Edits of a draft, and looking at what came of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

import pipeline
from pipeline.drafts.journal import Journal
from pipeline.events import Event, Finished, Started, StepDone
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Edit
from pipeline.video.mp4 import read_frames
from tests.tiny import of

OTHER = "a blue star rises over sea"


def contents(journal: Journal) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in journal.folder.iterdir()}


def edit(old: Journal, change: Edit) -> tuple[list[Event], Journal, DraftPlan]:
    """The events of the new draft, its folder and its plan."""
    drafts = old.folder.parent
    events = list(pipeline.edit(old.draft, change, drafts))
    (started,) = of(Started, events)
    assert isinstance(events[-1], Finished)
    return events, Journal(drafts, started.draft), started.plan


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


def film(journal: Journal) -> NDArray[np.uint8]:
    return np.stack(list(read_frames(journal.video_path())))


def denoised(events: list[Event]) -> set[int]:
    """Chunks that took steps."""
    return {event.chunk for event in of(StepDone, events)}


def same(one: Journal, other: Journal, chunk: int) -> bool:
    return torch.equal(latents(one, chunk), latents(other, chunk))

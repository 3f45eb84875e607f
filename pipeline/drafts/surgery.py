"""A draft made from another: what stays of it is linked into a new folder, from which the engine goes on.

The old draft is only read, so to undo an edit is to go back to it. A link costs no disk, and outlives the old folder.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pipeline.drafts.film import count_slice_frames
from pipeline.drafts.journal import ID_PATTERN, Journal, new_draft_id, read_events, refused_writes
from pipeline.drafts.measurements import Measurements
from pipeline.errors import InvalidRequest
from pipeline.events import ChunkDenoised, SliceReady
from pipeline.plan.chunks import Slice
from pipeline.plan.device import Device, DeviceKind, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.editing import edit_plan
from pipeline.plan.edits import Edit


def begin_edit(
    drafts: Path, draft: str, edit: Edit, probe: Callable[..., Device] | None = None
) -> tuple[str, DraftPlan]:
    """Make the folder of an edited draft, with all that stays of the old one; its id and its plan.

    Nothing of the old draft is changed, and no new folder is left where an edit is refused.
    `probe` tells the device in `probe_device`'s place.

    Raises:
        InvalidRequest: when there is no such draft, it cannot be read, or what is asked for cannot be.
        DoesNotFit: when what is to be made needs more memory or disk than there is.
        DiskFull, WriteFailed: when the disk refuses.
    """
    if not ID_PATTERN.fullmatch(draft):
        raise InvalidRequest("draft", f"{draft!r} is no draft's id.", "Drafts are folders such as 20260101-120000-…")
    old = Journal(drafts, draft)
    plan = old.read_plan()
    device = (probe or probe_device)(use_card=plan.memory.device.kind is not DeviceKind.CPU, folder=drafts)
    experience = Measurements(drafts).experience(plan.request, device)
    made = _finished_chunks(old, plan)
    changed = edit_plan(plan, edit, draft=draft, made=made, device=device, experience=experience)
    new = new_draft_id()
    with (
        refused_writes(drafts),
        tempfile.TemporaryDirectory(prefix=".edit-", dir=drafts, ignore_cleanup_errors=True) as room,
    ):
        journal = Journal(Path(room), new)
        journal.begin(changed)
        _link(old, plan, journal, changed)
        journal.folder.rename(drafts / new)
    return new, changed


def _finished_chunks(journal: Journal, plan: DraftPlan) -> int:
    """How many chunks, from the first on, have whole latents; what is torn or does not fit counts as not made."""
    for chunk in plan.chunks:
        try:
            latents = load_file(journal.latents_path(chunk.index))["latents"]
        except (OSError, SafetensorError, ValueError, LookupError, TypeError):  # the last for bfloat16, which none is
            return chunk.index
        fits = latents.dtype == np.float32 and latents.shape == plan.latents_shape(chunk)
        if not fits or not np.isfinite(latents).all():
            return chunk.index
    return len(plan.chunks)


def _link(old: Journal, plan: DraftPlan, new: Journal, changed: DraftPlan) -> None:
    """What stays, as if it had been made in the new folder."""
    assert changed.parent is not None
    if changed.parent.kept and old.weights_path().exists():
        _put(old.weights_path(), new.weights_path())
    if plan.sentences == changed.sentences and old.embeddings_path().exists():
        _put(old.embeddings_path(), new.embeddings_path())
    for place in changed.request.pictures:
        if old.picture_path(place).exists():
            _put(old.picture_path(place), new.picture_path(place))
    kept = changed.parent.kept
    leading = sum(number == place for place, number in enumerate(kept))
    rows = (row for row in read_events(old.folder) if row["event"] in ("ChunkDenoised", "SliceReady"))
    told = {(row["event"], row.get("index", row.get("chunk"))): row for row in rows}
    for chunk in kept:
        _put(old.latents_path(chunk), new.latents_path(chunk))
    for chunk in range(leading):
        new.note(ChunkDenoised(chunk=chunk, seconds=_seconds(told.get(("ChunkDenoised", chunk), {}))))
    for before, piece in zip(plan.slices, changed.slices, strict=False):
        row, path = told.get(("SliceReady", piece.index), {}), old.slice_path(piece.index)
        stays = before == piece and piece.chunk < leading
        if not stays or row.get("frames") != piece.frames or count_slice_frames(path) != piece.frames:
            break  # one that a stop cut short, or that is torn or missing, is made anew, and all after it
        _put(path, new.slice_path(piece.index))
        new.note(_ready(piece, path.name, _seconds(row)))


def _ready(piece: Slice, file: str, seconds: float) -> SliceReady:
    return SliceReady(
        index=piece.index,
        chunk=piece.chunk,
        file=file,
        first_frame=piece.first_frame,
        frames=piece.frames,
        seconds=seconds,
    )


def _seconds(row: dict[str, object]) -> float:
    """What was noted, which a person may have changed."""
    seconds = row.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and math.isfinite(seconds) else 0.0


def _put(source: Path, target: Path) -> None:
    """A link, or a copy where the file system knows none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

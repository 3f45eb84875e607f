"""What an interrupted draft already has: everything that is whole. What is torn or missing counts as not made."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.drafts.film import count_slice_frames
from pipeline.drafts.journal import Journal, read_events, read_json
from pipeline.errors import InvalidRequest
from pipeline.events import SliceReady
from pipeline.plan.draft import DraftPlan
from pipeline.prompt.cache import PromptEmbeds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Embeddings by sentence, empty unless all are there; latents [1, C, F, h, w] of the finished chunks, overlap
    included, and by their numbers of those behind one that is made between its neighbours; the slices that can be
    played."""

    embeds: dict[str, PromptEmbeds]
    latents: tuple[Tensor, ...]
    behind: dict[int, Tensor]
    slices: tuple[SliceReady, ...]


def restore(journal: Journal, plan: DraftPlan, sentences: list[str]) -> Restored:
    """Look through a draft's folder; a new draft's is empty.

    Args:
        sentences: what was encoded, in order, no repeats.
    """
    found = _latents(journal, plan)
    latents = tuple(tensor for place, (number, tensor) in enumerate(found.items()) if number == place)
    return Restored(
        embeds=_embeds(journal, sentences),
        latents=latents,
        behind={number: tensor for number, tensor in found.items() if number > len(latents)},
        slices=_slices(journal, plan, chunks=len(latents)),
    )


def with_same_weights(journal: Journal, restored: Restored, identity: str, model: str) -> Restored:
    """What goes on with the weights that are there now: all of it, or, where nothing is finished, nothing.

    Raises:
        InvalidRequest: when something is finished that was made with others.
    """
    known = read_json(journal.weights_path())
    if not isinstance(known, dict) or known.get("identity", identity) == identity:
        return restored  # an older Rushes did not say
    if restored.latents or restored.behind or restored.slices:
        raise InvalidRequest(
            "model",
            f"Draft {journal.draft}, or the one it was made from, was begun with other weights of {model} than are here"
            " now.",
            "What is finished can be played. Put those weights back to go on, or make the draft anew.",
        )
    journal.running_path().unlink(missing_ok=True)
    return replace(restored, embeds={})


def _embeds(journal: Journal, sentences: list[str]) -> dict[str, PromptEmbeds]:
    tensors = _read(journal.embeddings_path())
    found = {
        sentence: PromptEmbeds(tensors[f"{index}.embeds"], tensors[f"{index}.mask"])
        for index, sentence in enumerate(sentences)
        if f"{index}.embeds" in tensors and f"{index}.mask" in tensors
    }
    return found if len(found) == len(sentences) else {}


def _latents(journal: Journal, plan: DraftPlan) -> dict[int, Tensor]:
    found = dict[int, Tensor]()
    for chunk in plan.chunks:
        latents = _read(journal.latents_path(chunk.index)).get("latents")
        fits = latents is not None and (latents.dtype, latents.shape) == (torch.float32, plan.latents_shape(chunk))
        if latents is not None and fits and torch.isfinite(latents).all():
            found[chunk.index] = latents
        elif not chunk.ahead:
            break
    return found


def _slices(journal: Journal, plan: DraftPlan, *, chunks: int) -> tuple[SliceReady, ...]:
    """Those of finished chunks, from the first without a gap.

    What a stopped draft wrote of frames that were held back for the next slice is none of the plan's, and made anew.
    """
    said = {row.get("index"): row for row in read_events(journal.folder) if row.get("event") == "SliceReady"}
    found = list[SliceReady]()
    for piece in plan.slices:
        row = said.get(piece.index, {})
        if piece.chunk >= chunks or (row.get("chunk"), row.get("frames")) != (piece.chunk, piece.frames):
            break
        path = journal.slice_path(piece.index)
        if count_slice_frames(path) != piece.frames:
            break
        found.append(
            SliceReady(
                index=piece.index,
                chunk=piece.chunk,
                file=path.name,
                first_frame=piece.first_frame,
                frames=piece.frames,
                seconds=float(row.get("seconds", 0.0)),
            )
        )
    return tuple(found)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; none where it is missing or torn."""
    try:
        return load_file(path)
    except FileNotFoundError:
        return {}
    except (OSError, SafetensorError, ValueError) as error:
        logger.warning("%s cannot be read and is made anew: %s", path, error)
        return {}

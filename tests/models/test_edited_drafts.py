"""Chunk surgery with the tiny Wan checkpoints: repainted, given latents and causal, all with a causal decoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import pipeline
from pipeline import reel as reel_module
from pipeline.conditioning import sampling_of
from pipeline.drafts.journal import Journal
from pipeline.events import Finished, Started, StepDone
from pipeline.models import open_model
from pipeline.models.wan import WanModel
from pipeline.plan.catalog import ANYFLOW_1_3B, MINIATURE, WAN_5B, WAN_A14B, find_model
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Branch, Cut, Edit, Extend, Redo, Reprompt
from pipeline.plan.spec import LOOSE, ModelSpec, Tail
from pipeline.video.mp4 import read_settings, write_slice
from tests.conftest import SMALL, PlanMaker
from tests.tiny import count_frames, decode, make_draft, of
from tests.tiny_wan import small_shape

EVERY = pytest.mark.parametrize(
    "spec",
    [WAN_5B, pytest.param(WAN_A14B, marks=pytest.mark.slow), pytest.param(ANYFLOW_1_3B, marks=pytest.mark.slow)],
    ids=lambda spec: spec.key,
)
OTHER = "a blue star rises over sea"


@pytest.fixture
def plan(make_plan: PlanMaker, spec: ModelSpec) -> DraftPlan:
    """At least three chunks, the first of 21 frames or more."""
    return make_plan(model=spec.key, shape=small_shape(spec), steps=2, guidance=1.0, frames=61, chunk_frames=33)


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


def edit(old: Journal, change: Edit) -> tuple[set[int], Journal, DraftPlan]:
    """Which chunks were denoised, the new folder and its plan."""
    events = list(pipeline.edit(old.draft, change, old.folder.parent))
    assert isinstance(events[-1], Finished)
    (started,) = of(Started, events)
    return {event.chunk for event in of(StepDone, events)}, Journal(old.folder.parent, started.draft), started.plan


def timeline(journal: Journal, plan: DraftPlan) -> Tensor:
    parts = [latents(journal, c.index)[:, :, c.overlap : c.overlap + c.new_latents] for c in plan.chunks]
    return torch.cat(parts, dim=2)


@EVERY
@pytest.mark.usefixtures("tiny_wan")
def test_every_edit_keeps_what_comes_before_and_is_an_unbroken_decode(
    tmp_path: Path, plan: DraftPlan, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, old = make_draft(tmp_path, plan)
    written: list[Any] = []

    def remember(frames: Any, *args: Any, **arguments: Any) -> None:
        written.append(frames)
        write_slice(frames, *args, **arguments)

    monkeypatch.setattr(reel_module, "write_slice", remember)
    count, stride = len(plan.chunks), spec.frame_stride
    assert count >= 3
    rest = set(range(1, count))
    if spec.tail is not Tail.LATENTS:
        with pytest.raises(pipeline.DraftError, match="cannot be made again alone"):
            edit(old, Redo(chunk=1, alone=True))
    for change, expected, frames in (
        (Redo(chunk=1, seed=99), rest, 61),
        (Branch(chunk=1, seed=99), rest, 61),
        (Reprompt(chunk=1, prompt=OTHER), rest, 61),
        (Cut(chunk=0), set(), (plan.chunks[0].stop - 1) * stride + 1),
        (Extend(seconds=12 / spec.fps), {count}, 73),
    ):
        written.clear()
        denoised, new, changed = edit(old, change)
        assert (denoised, changed.request.frames, count_frames(new.video_path())) == (expected, frames, frames)
        assert (read_settings(new.video_path()) or {})["film_frames"] == frames
        for chunk in range(len(changed.chunks)):
            stays = chunk < count and chunk not in expected
            assert (chunk < count and torch.equal(latents(old, chunk), latents(new, chunk))) == stays, (change, chunk)
        before = [p for p in changed.slices if p.chunk < min(expected, default=len(changed.chunks))]
        for piece in before:  # a causal decoder holds nothing back
            assert old.slice_path(piece.index).read_bytes() == new.slice_path(piece.index).read_bytes()
        whole = decode(WanModel(changed.spec, changed.memory.device).open_decoder(), timeline(new, changed))[0]
        anew = np.concatenate([whole[:0], *written])
        assert (anew == whole[len(whole) - len(anew) :]).all(), change
        assert len(anew) == sum(piece.frames for piece in changed.slices[len(before) :])


@pytest.mark.usefixtures("tiny_wan")
@pytest.mark.parametrize("spec", [WAN_5B], ids=lambda spec: spec.key)
def test_what_is_ahead_comes_out_bit_for_bit_and_decides_what_is_before_it(tmp_path: Path, plan: DraftPlan) -> None:
    _, old = make_draft(tmp_path, plan)
    _, new, changed = edit(old, Redo(chunk=1, seed=99, alone=True))
    chunk = changed.chunks[1]
    behind = latents(old, 2)[:, :, plan.chunks[2].overlap :]
    assert torch.equal(latents(new, 1)[:, :, -chunk.ahead :], behind[:, :, : chunk.ahead])
    assert torch.equal(latents(new, 1)[:, :, : chunk.overlap], latents(old, 0)[:, :, -chunk.overlap :])
    _, branch, _ = edit(old, Branch(chunk=2, seed=5))
    _, other, _ = edit(branch, Redo(chunk=1, seed=99, alone=True))
    added = slice(chunk.overlap, chunk.overlap + chunk.new_latents)
    assert not torch.equal(latents(new, 1)[:, :, added], latents(other, 1)[:, :, added])


@pytest.mark.parametrize("key", [MINIATURE.key, WAN_5B.key, WAN_A14B.key])
def test_what_is_added_to_chunks_denoised_together_goes_on_from_them(
    key: str, request: pytest.FixtureRequest, tmp_path: Path, make_plan: PlanMaker
) -> None:
    request.getfixturevalue("tiny" if key == MINIATURE.key else "tiny_wan")
    shape = SMALL if key == MINIATURE.key else small_shape(find_model(key))
    spec = find_model(key)
    sizes = {"frames": spec.frames_of(8), "chunk_frames": spec.frames_of(5), "overlap_frames": spec.frames_of(2)}
    plan = make_plan(model=key, shape=shape, steps=2, guidance=1.0, tail=Tail.CO_DENOISE, continuity=LOOSE, **sizes)
    _, old = make_draft(tmp_path, plan)
    denoised, new, changed = edit(old, Extend(seconds=3 * spec.frame_stride / spec.fps, prompt=OTHER))
    assert denoised == {1}
    added, model, before = changed.chunks[1], open_model(spec, changed.memory.device), latents(old, 0)
    embeds = dict(zip(changed.sentences, model.encode(list(changed.sentences)), strict=True))
    told, tail = sampling_of(changed, added, embeds, before, {}), before[:, :, added.start :]
    made, other = (
        model.denoise(added, told, tail=given, on_step=lambda *_: None) for given in (tail, torch.zeros_like(tail))
    )
    torch.testing.assert_close(made, latents(new, 1))
    assert not torch.allclose(made[:, :, added.overlap :], other[:, :, added.overlap :], atol=1e-3)

"""Whole drafts of the tiny checkpoints whose chunks are held together by more than their tails."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from pipeline.conditioning import keeping_look, sampling_of, seen_by
from pipeline.drafts.journal import Journal
from pipeline.drafts.surgery import begin_edit
from pipeline.events import ChunkDenoised, StepDone
from pipeline.models.base import SharedNoise
from pipeline.plan.catalog import CATALOG, MINIATURE, WAN_5B
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Redo
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import LOOSE, Continuity
from pipeline.prompt.cache import PromptEmbeds
from pipeline.video.look import anchor_look, keep_look
from pipeline.video.mp4 import read_frames, read_settings
from tests.conftest import PlanMaker
from tests.tiny import count_frames, make_draft, run_until
from tests.tiny_wan import small_shape

ALL = Continuity(
    tail_strength=0.6, anchor=0.5, shared_noise=0.5, match_colour=1.0, guided_share=0.4, recall=1.0, turn_away=0.5
)
DRAFT, WHOLE = "20260101-120000-0123456789abcdef", "20260101-120000-fedcba9876543210"
STEPS = 7  # so that some of them begin with less noise than an uncertain tail has


@pytest.fixture
def plan(request: pytest.FixtureRequest, make_plan: PlanMaker) -> DraftPlan:
    """Three chunks, held by everything."""
    request.getfixturevalue("tiny")
    return make_plan(frames=97, chunk_frames=49, steps=STEPS, guidance=2.0, continuity=ALL)


def latents(drafts: Path, draft: str, chunk: int) -> Tensor:
    return load_file(Journal(drafts, draft).latents_path(chunk))["latents"]


def film(drafts: Path, draft: str) -> NDArray[np.uint8]:
    return np.array(list(read_frames(Journal(drafts, draft).video_path())))


def loose(plan: DraftPlan) -> DraftPlan:
    """The same without."""
    return replace(plan, request=replace(plan.request, continuity=LOOSE))


@pytest.mark.usefixtures("tiny")
def test_one_chunk_is_what_it_is_whatever_holds_chunks_together(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(frames=49, steps=STEPS, continuity=ALL)
    made = [make_draft(tmp_path / name, told)[1] for name, told in (("held", plan), ("loose", loose(plan)))]
    one, other = (load_file(journal.latents_path(0))["latents"] for journal in made)
    assert torch.equal(one, other)
    frames = [np.array(list(read_frames(journal.video_path()))) for journal in made]
    assert (frames[0] == frames[1]).all()


def test_frames_are_exact_the_first_chunk_is_the_same_and_the_film_says_what_held_it(
    tmp_path: Path, plan: DraftPlan
) -> None:
    for told, name in ((plan, DRAFT), (loose(plan), WHOLE)):
        run_until(tmp_path, told, name)
        assert count_frames(Journal(tmp_path, name).video_path()) == 97
    assert len(plan.chunks) == 3
    assert torch.equal(latents(tmp_path, DRAFT, 0), latents(tmp_path, WHOLE, 0))
    assert not torch.equal(latents(tmp_path, DRAFT, 1), latents(tmp_path, WHOLE, 1))
    settings = read_settings(Journal(tmp_path, DRAFT).video_path())
    assert settings is not None
    assert Continuity(**settings["continuity"]) == ALL
    assert Journal(tmp_path, DRAFT).take_up().request.continuity == ALL


CUTS = {
    "within a chunk": lambda event: isinstance(event, StepDone) and (event.chunk, event.step) == (1, STEPS - 1),
    "before a decode": lambda event: isinstance(event, ChunkDenoised) and event.chunk == 1,
}


@pytest.mark.parametrize("key", ["miniature", WAN_5B.key])
def test_wherever_it_was_cut_off_it_ends_as_if_nothing_had_been(
    request: pytest.FixtureRequest, tmp_path: Path, make_plan: PlanMaker, key: str
) -> None:
    fields: dict[str, object] = {"frames": 73, "chunk_frames": 49}
    held = (
        {} if key == "miniature" else {"guided_share": 1.0, "recall": 0.0, "turn_away": 1.0}
    )  # which Wan cannot have otherwise
    request.getfixturevalue("tiny" if key == "miniature" else "tiny_wan")
    if key != "miniature":
        fields = {"model": key, "shape": small_shape(WAN_5B), "frames": 29, "chunk_frames": 17, "overlap_frames": 5}
    plan = make_plan(steps=STEPS, continuity=replace(ALL, tail_strength=0.5, **held), **fields)
    run_until(tmp_path / "whole", plan, WHOLE)
    for name, cut in CUTS.items():
        run_until(tmp_path / name, plan, DRAFT, cut)
        run_until(tmp_path / name, plan, DRAFT)
        for chunk in plan.chunks:
            same = torch.equal(
                latents(tmp_path / name, DRAFT, chunk.index), latents(tmp_path / "whole", WHOLE, chunk.index)
            )
            assert same, (name, chunk.index)
        assert (film(tmp_path / name, DRAFT) == film(tmp_path / "whole", WHOLE)).all(), name


def test_what_comes_before_a_chunk_that_is_made_again_does_not_change(tmp_path: Path, plan: DraftPlan) -> None:
    run_until(tmp_path, plan, DRAFT)
    again, changed = begin_edit(tmp_path, DRAFT, Redo(chunk=2, seed=99))
    assert changed.request.continuity == ALL
    run_until(tmp_path, changed, again)
    for chunk in (0, 1):
        assert torch.equal(latents(tmp_path, DRAFT, chunk), latents(tmp_path, again, chunk))
    assert not torch.equal(latents(tmp_path, DRAFT, 2), latents(tmp_path, again, 2))
    seam = plan.seams[1]
    before = seam.frame - seam.faded_frames
    assert (film(tmp_path, DRAFT)[:before] == film(tmp_path, again)[:before]).all()


def test_a_chunk_made_again_between_two_leaves_both_and_ends_with_what_follows(tmp_path: Path, plan: DraftPlan) -> None:
    run_until(tmp_path, plan, DRAFT)
    again, changed = begin_edit(tmp_path, DRAFT, Redo(chunk=1, seed=99, alone=True))
    run_until(tmp_path, changed, again)
    for chunk in (0, 2):
        assert torch.equal(latents(tmp_path, DRAFT, chunk), latents(tmp_path, again, chunk))
    made, follows = latents(tmp_path, again, 1), latents(tmp_path, DRAFT, 2)
    first = changed.chunks[2].overlap
    assert torch.equal(made[:, :, -1:], follows[:, :, first : first + 1])
    assert count_frames(Journal(tmp_path, again).video_path()) == 97


# What each of them does -----------------------------------------------------------------------------------------------
def embeds_of(plan: DraftPlan) -> dict[str, PromptEmbeds]:
    text = PromptEmbeds(torch.zeros(1, 4, 8), torch.ones(1, 4, dtype=torch.int64))
    return dict.fromkeys(plan.sentences, text)


def test_shared_noise_is_the_first_chunk_s_and_half_of_what_is_new(plan: DraftPlan) -> None:
    told = [sampling_of(plan, chunk, embeds_of(plan), None, {}).shared_noise for chunk in plan.chunks]
    assert told[0] is None
    first, second = plan.chunks[:2]
    assert (first.latents, second.latents, second.new_latents) == (7, 6, 3)
    assert told[1] == told[2] == SharedNoise(seed=first.seed, latents=7, start=4, stop=6)
    noise = torch.randn(1, 2, 7, 3, 4, generator=torch.Generator().manual_seed(first.seed))
    assert told[1] is not None
    assert torch.equal(told[1].draw(2, 3, 4), noise[:, :, 4:6])
    assert sampling_of(loose(plan), second, embeds_of(plan), None, {}).shared_noise is None


def test_a_chunk_is_anchored_to_the_first_of_its_shot_and_what_it_was_given_stays(make_plan: PlanMaker) -> None:
    shots = (Shot(prompt="a red ball", seconds=3), Shot(prompt="a blue ball", seconds=3))
    plan = make_plan(shots=shots, frames=145, chunk_frames=33, continuity=Continuity(anchor=0.5))
    timeline = torch.randn(1, 4, plan.latents, 3, 4, generator=torch.Generator().manual_seed(0))
    timeline = timeline + torch.linspace(0, 3, plan.latents).view(1, 1, -1, 1, 1)
    anchors = {}
    for chunk in plan.chunks[1:]:
        own = timeline[:, :, chunk.start : chunk.stop]
        made = keeping_look(plan, chunk, own, timeline[:, :, : chunk.start + chunk.overlap])
        assert torch.equal(made[:, :, : chunk.overlap], own[:, :, : chunk.overlap])
        firsts = [other for other in plan.chunks[: chunk.index] if other.shot == chunk.shot and not other.mix]
        anchors[chunk.index] = firsts[0].index if firsts else None
        if not firsts:
            assert torch.equal(made, own)
            continue
        of = timeline[:, :, firsts[0].start + firsts[0].overlap : firsts[0].stop]
        assert torch.equal(made[:, :, chunk.overlap :], anchor_look(own[:, :, chunk.overlap :], of, 0.5))
        assert not torch.equal(made, own)
    second = next(chunk.index for chunk in plan.chunks if chunk.shot == 1)
    assert anchors[second] is None  # another sentence is no drift
    assert {0, None} < set(anchors.values())


def test_a_cut_that_keeps_the_look_keeps_all_of_it_and_other_cuts_none(make_plan: PlanMaker) -> None:
    for transition in (Transition.SAME_LOOK, Transition.CUT):
        shots = (Shot(prompt="a red ball", seconds=2), Shot(prompt="a star", seconds=2, transition=transition))
        plan = make_plan(shots=shots, frames=98, continuity=ALL)
        cut = next(chunk for chunk in plan.chunks[1:] if chunk.opens_scene)
        timeline, own = torch.randn(1, 4, cut.start, 3, 4), 2 + torch.randn(1, 4, cut.latents, 3, 4)
        wanted = keep_look(own, timeline[:, :, : plan.chunks[0].stop]) if transition is Transition.SAME_LOOK else own
        assert torch.equal(keeping_look(plan, cut, own, timeline), wanted)


@pytest.mark.parametrize("transition", [Transition.SMOOTH, Transition.SAME_LOOK])
def test_a_picture_at_the_end_stays_what_it_is(make_plan: PlanMaker, transition: Transition) -> None:
    shots = (Shot(prompt="a red ball", seconds=3), Shot(prompt="a red ball", seconds=3, transition=transition))
    held = {"continuity": Continuity(anchor=0.5), "end_image": "0" * 64}
    plan = make_plan(shots=shots, frames=145 + (transition is Transition.SAME_LOOK), chunk_frames=49, **held)
    last = plan.chunks[-1]
    timeline, own = torch.randn(1, 4, plan.latents, 3, 4), 2 + torch.randn(1, 4, last.latents, 3, 4)
    made = keeping_look(plan, last, own, timeline)
    assert torch.equal(made[:, :, -1], own[:, :, -1])
    assert not torch.equal(made[:, :, -2], own[:, :, -2])


def test_a_slice_sees_the_overlap_as_its_chunk_made_it_and_earlier_ones_as_it_was(plan: DraftPlan) -> None:
    timeline = torch.zeros(1, 1, plan.latents, 1, 1)
    overlaps = {chunk.index: torch.full((1, 1, chunk.overlap, 1, 1), float(chunk.index)) for chunk in plan.chunks[1:]}
    for piece in plan.slices:
        seen = seen_by(piece, plan.chunks, timeline, overlaps).flatten()
        assert len(seen) == piece.stop - piece.start
        for place, value in enumerate(seen, start=piece.start):
            owners = [
                chunk.index
                for chunk in plan.chunks[1 : piece.chunk + 1]
                if chunk.start <= place < chunk.start + chunk.overlap
            ]
            assert value == (owners[-1] if owners else 0)
    assert (timeline == 0).all()
    assert any((seen_by(piece, plan.chunks, timeline, overlaps) > 0).any() for piece in plan.slices)


def test_nothing_holds_chunks_together_unless_asked_for_or_measured() -> None:
    """tests/bench/README.md says what was, on the miniature alone."""
    assert {spec.key for spec in CATALOG.values() if spec.continuity != LOOSE} == {MINIATURE.key}

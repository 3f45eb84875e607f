"""Drafts of several shots with the tiny checkpoints of every family: what a cut starts anew, what a passage changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from pipeline import reel as reel_module
from pipeline.drafts.journal import Journal
from pipeline.engine import Engine
from pipeline.events import Encoded, Event, Finished, StepDone
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel
from pipeline.models.wan import WanModel
from pipeline.plan.catalog import ANYFLOW_1_3B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import ModelSpec
from pipeline.seams.film import find_film
from pipeline.video.look import keep_look
from pipeline.video.mp4 import read_settings, write_slice
from tests.conftest import SMALL, PlanMaker
from tests.tiny import count_frames, make_draft, of
from tests.tiny_wan import small_shape

FAMILIES = (MINIATURE, WAN_5B, WAN_A14B, ANYFLOW_1_3B)
RED, BLUE, STAR = "a red ball moves left", "a blue ball moves left", "a star rises"


@pytest.fixture(params=FAMILIES, ids=lambda spec: spec.key)
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    """A model of each family, its tiny checkpoint in its place."""
    model: ModelSpec = request.param
    request.getfixturevalue("tiny" if model is MINIATURE else "tiny_wan")
    return model


@pytest.fixture
def plan_of(make_plan: PlanMaker, spec: ModelSpec) -> PlanMaker:
    """A plan for shots, each of a second, in small pictures and two steps."""

    def make(*shots: Shot, **fields: Any) -> DraftPlan:
        scenes = 1 + sum(shot.transition is not Transition.SMOOTH for shot in shots[1:])
        frames = spec.nearest_frames(sum(shot.seconds for shot in shots) * spec.fps, scenes)
        shape = SMALL if spec is MINIATURE else small_shape(spec)
        standard = {"model": spec.key, "shape": shape, "guidance": 3.0, "frames": frames}
        return make_plan(shots=shots, **(standard | fields))

    return make


def shot(prompt: str, transition: Transition = Transition.SMOOTH, seconds: float = 1.0) -> Shot:
    return Shot(prompt=prompt, seconds=seconds, transition=transition)


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


def timeline(journal: Journal, plan: DraftPlan, start: int = 0) -> Tensor:
    """The latents of the draft from `start` on."""
    parts = [latents(journal, chunk.index)[:, :, chunk.overlap :] for chunk in plan.chunks]
    return torch.cat(parts, dim=2)[:, :, start:]


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.uint8]]:
    """The frames that were written, slice by slice, before a codec touches them."""
    written: list[NDArray[np.uint8]] = []

    def remember(frames: NDArray[np.uint8], *args: Any, **arguments: Any) -> None:
        written.append(frames)
        write_slice(frames, *args, **arguments)

    monkeypatch.setattr(reel_module, "write_slice", remember)
    return written


def test_the_film_has_exactly_the_frames_of_the_plan_and_says_where_its_joins_are(
    tmp_path: Path, plan_of: PlanMaker
) -> None:
    plan = plan_of(shot(RED), shot(BLUE), shot(STAR, Transition.CUT), shot(RED))
    assert len(plan.cuts) == 1
    assert len(plan.seams) >= 2
    events, journal = make_draft(tmp_path, plan)
    assert of(Finished, events)[0].frames == plan.request.frames == count_frames(journal.video_path())
    settings = read_settings(journal.video_path())
    assert settings is not None
    assert settings["cuts"] == list(plan.cuts)
    assert [row["frame"] for row in settings["seams"]] == [seam.frame for seam in plan.seams]
    assert [row["transition"] for row in settings["shots"]] == ["smooth", "smooth", "cut", "smooth"]
    film = find_film(journal.draft, tmp_path)
    assert (film.seams, film.cuts) == (plan.seams, plan.cuts)


def test_all_sentences_are_encoded_in_one_visit_and_each_once(
    tmp_path: Path, plan_of: PlanMaker, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[list[str]] = []
    model = LTXModel if spec is MINIATURE else WanModel
    encode = model.encode

    def count(self: Any, sentences: list[str]) -> Any:
        visits.append(sentences)
        return encode(self, sentences)

    monkeypatch.setattr(model, "encode", count)
    plan = plan_of(shot(RED), shot(BLUE, Transition.CUT), shot(RED), shot(STAR))
    events, _ = make_draft(tmp_path, plan)
    assert visits == [[RED, BLUE, STAR, ""]]
    assert [(event.sentences, event.cached) for event in of(Encoded, events)] == [(4, 0)]


def test_what_follows_a_cut_is_what_a_draft_of_its_own_would_be(
    tmp_path: Path, plan_of: PlanMaker, pictures: list[NDArray[np.uint8]]
) -> None:
    """Latents and pictures, bit for bit: nothing is given, remembered or faded across."""
    plan = plan_of(shot(RED), shot(BLUE, Transition.CUT, seconds=1.5))
    first = next(chunk for chunk in plan.chunks[1:] if chunk.opens_scene)
    _, journal = make_draft(tmp_path / "both", plan)
    both = np.concatenate(pictures)
    pictures.clear()
    own = plan_of(shot(BLUE, seconds=1.5), seed=first.seed, frames=plan.request.frames - plan.cuts[0])
    _, alone = make_draft(tmp_path / "own", own)
    assert torch.equal(timeline(journal, plan, first.start), timeline(alone, own))
    assert (both[plan.cuts[0] :] == np.concatenate(pictures)).all()


def test_what_comes_before_a_cut_is_what_it_would_be_without(
    tmp_path: Path, plan_of: PlanMaker, pictures: list[NDArray[np.uint8]]
) -> None:
    plan = plan_of(shot(RED, seconds=1.5), shot(BLUE, Transition.CUT))
    make_draft(tmp_path / "both", plan)
    both = np.concatenate(pictures)
    pictures.clear()
    make_draft(tmp_path / "own", plan_of(shot(RED, seconds=1.5), frames=plan.cuts[0]))
    assert (both[: plan.cuts[0]] == np.concatenate(pictures)).all()


def test_another_sentence_changes_its_own_shot_and_nothing_before(tmp_path: Path, plan_of: PlanMaker) -> None:
    plans = [plan_of(shot(RED, seconds=1.5), shot(second, seconds=1.5)) for second in (BLUE, STAR)]
    told = min(chunk.index for chunk in plans[0].chunks if any(number == 1 for number, _ in chunk.mix))
    assert told > 0
    made = [make_draft(tmp_path / str(index), plan)[1] for index, plan in enumerate(plans)]
    for chunk in plans[0].chunks:
        one, other = (latents(journal, chunk.index) for journal in made)
        assert torch.equal(one, other) is (chunk.index < told)


def test_a_passage_is_made_with_what_lies_between_both_sentences(
    tmp_path: Path, plan_of: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[int, Sampling] = {}
    plan = plan_of(shot(RED, seconds=1.5), shot(STAR, seconds=2.0))
    engine = Engine(tmp_path)
    model = engine.open(plan.spec, plan.memory.device)
    denoise = model.denoise

    def remember(chunk: Any, sampling: Sampling, **arguments: Any) -> Tensor:
        read[chunk.index] = sampling
        return denoise(chunk, sampling, **arguments)

    monkeypatch.setattr(model, "denoise", remember)
    journal = Journal(tmp_path, "20260101-120000-0123456789abcdef")
    engine.run(plan, journal.draft, lambda _: None)
    kept = load_file(journal.embeddings_path())
    mixed = [chunk for chunk in plan.chunks if chunk.mix]
    assert mixed
    assert torch.equal(read[0].positive.embeds, kept["0.embeds"])
    for chunk in mixed:
        (_, before), (_, after) = chunk.mix
        parts = torch.stack([before * kept["0.embeds"].float(), after * kept["1.embeds"].float()])
        wanted = torch.nn.functional.normalize(parts.sum(dim=0), dim=-1) * parts.norm(dim=-1, keepdim=True).sum(dim=0)
        torch.testing.assert_close(read[chunk.index].positive.embeds.float(), wanted, atol=1e-2, rtol=1e-2)
        assert torch.equal(read[chunk.index].positive.mask, torch.maximum(kept["0.mask"], kept["1.mask"]))
        assert torch.equal(read[chunk.index].negative.embeds, kept["2.embeds"])


def test_the_same_look_is_the_first_chunks_statistics_and_nothing_else(tmp_path: Path, plan_of: PlanMaker) -> None:
    cut, kept = (
        make_draft(tmp_path / how.name, plan_of(shot(RED), shot(BLUE, how)))[1]
        for how in (Transition.CUT, Transition.SAME_LOOK)
    )
    plan = plan_of(shot(RED), shot(BLUE, Transition.CUT))
    opening = next(chunk for chunk in plan.chunks[1:] if chunk.opens_scene)
    assert torch.equal(latents(kept, 0), latents(cut, 0))
    plain, moved = latents(cut, opening.index), latents(kept, opening.index)
    assert not torch.equal(plain, moved)
    torch.testing.assert_close(moved, keep_look(plain, latents(cut, 0)))


def test_a_draft_that_is_stopped_after_a_cut_goes_on_as_if_it_never_was(tmp_path: Path, plan_of: PlanMaker) -> None:
    plan = plan_of(shot(RED), shot(BLUE, Transition.CUT), shot(STAR), shot(RED, Transition.SAME_LOOK))
    opening = next(chunk.index for chunk in plan.chunks[1:] if chunk.opens_scene)
    assert not plan.chunks[opening + 1].opens_scene
    _, whole = make_draft(tmp_path / "whole", plan)

    def stop(event: Event, journal: Journal) -> None:
        if isinstance(event, StepDone) and event.chunk == opening + 1:
            journal.request_stop()

    _, journal = make_draft(tmp_path / "stopped", plan, stop)
    settings = read_settings(journal.video_path())
    assert settings is not None
    assert settings["cuts"] == [plan.cuts[0]]
    again = journal.take_up()
    assert again.chunks == plan.chunks
    Engine(tmp_path / "stopped").run(again, journal.draft, lambda _: None)
    assert journal.video_path().read_bytes() == whole.video_path().read_bytes()

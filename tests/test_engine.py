"""The main line, from a plan to a film, with the tiny checkpoint: what is said, what is on disk, what is kept."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import LTXConditionPipeline
from safetensors.torch import load_file
from torch import Tensor

from pipeline import engine as engine_module
from pipeline.drafts.journal import Journal, read_events
from pipeline.engine import Engine
from pipeline.events import (
    ChunkDenoised,
    Encoded,
    Event,
    Finished,
    SliceReady,
    Started,
    StepDone,
)
from pipeline.gpu.loading import find_checkpoint
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel, timesteps
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Device
from pipeline.plan.request import Shot, Transition
from pipeline.plan.spec import Component, ModelSpec
from pipeline.prompt.cache import PromptEmbeds
from pipeline.video.mp4 import read_frames, read_settings
from tests.conftest import SMALL, PlanMaker
from tests.tiny import count_frames, kinds, make_draft, of

pytestmark = pytest.mark.usefixtures("tiny")


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


class WatchedModel(LTXModel):
    """The tiny checkpoint itself, which also remembers what it was asked for."""

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        super().__init__(spec, device)
        self.encoded: list[list[str]] = []
        self.samplings: list[Sampling] = []

    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        self.encoded.append(sentences)
        return super().encode(sentences)

    def denoise(self, chunk: Chunk, sampling: Sampling, **more: Any) -> Tensor:
        self.samplings.append(sampling)
        return super().denoise(chunk, sampling, **more)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, make_plan: PlanMaker) -> WatchedModel:
    """The model that every engine of this test opens."""
    plan = make_plan()
    model = WatchedModel(plan.spec, plan.memory.device)
    monkeypatch.setattr(engine_module, "open_model", lambda *_: model)
    return model


# What is said -------------------------------------------------------------------------------------------------------
def test_events_come_in_the_order_in_which_the_main_line_is_walked(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(frames=97)
    events, journal = make_draft(tmp_path, plan)
    a_chunk = ["StepDone", "ChunkDenoised", "SliceReady"]
    assert kinds(events) == ["Started", "Encoded", *a_chunk * 3, "Finished"]
    assert of(Started, events) == [Started(draft=journal.draft, plan=plan)]
    assert [(e.chunk, e.step, e.steps) for e in of(StepDone, events)] == [(c, s, 2) for c in range(3) for s in (1, 2)]
    assert [e.chunk for e in of(ChunkDenoised, events)] == [0, 1, 2]
    assert [(e.index, e.chunk, e.file) for e in of(SliceReady, events)] == [
        (n, n, f"slice-00{n}.mp4") for n in range(3)
    ]


def test_what_was_said_is_also_in_the_draft_s_folder(tmp_path: Path, make_plan: PlanMaker) -> None:
    events, journal = make_draft(tmp_path, make_plan())
    assert [row["event"] for row in read_events(journal.folder)] == [type(event).__name__ for event in events]


def test_a_slice_is_on_disk_when_it_is_announced(tmp_path: Path, make_plan: PlanMaker) -> None:
    def check(event: Event, journal: Journal) -> None:
        match event:
            case SliceReady():
                assert count_frames(journal.path(event.file)) == event.frames
            case ChunkDenoised():
                assert journal.latents_path(event.chunk).exists()
            case Finished():
                assert journal.path(event.file).exists()

    make_draft(tmp_path, make_plan(frames=57), check)


def test_each_step_brings_a_moving_picture(tmp_path: Path, make_plan: PlanMaker) -> None:
    first = of(StepDone, make_draft(tmp_path, make_plan())[0])[0].preview
    assert first is not None
    assert first.jpeg.startswith(b"\xff\xd8")
    assert (first.frames, first.width, first.height) == (13, SMALL.width // 8, SMALL.height // 8)


# What is made -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frames", "chunk_frames", "overlap_frames"),
    [(9, None, None), (49, None, None), (57, None, None), (97, None, 9), (81, 25, 17), (65, 33, 1), (33, 9, 1)],
)
def test_the_film_has_exactly_the_frames_of_the_plan(
    tmp_path: Path, make_plan: PlanMaker, frames: int, chunk_frames: int | None, overlap_frames: int | None
) -> None:
    plan = make_plan(frames=frames, chunk_frames=chunk_frames, overlap_frames=overlap_frames, steps=1, guidance=1.0)
    events, journal = make_draft(tmp_path, plan)
    pieces = of(SliceReady, events)
    assert [(p.first_frame, p.frames) for p in pieces] == [(p.first_frame, p.frames) for p in plan.slices]
    assert sum(piece.frames for piece in pieces) == frames == of(Finished, events)[0].frames
    assert count_frames(journal.video_path()) == frames
    pictures = list(read_frames(journal.video_path()))
    assert len(pictures) == frames
    assert pictures[0].shape == (SMALL.height, SMALL.width, 3)


def test_the_film_carries_its_request(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(prompt='a "red" ball; 红球 = \\ # moves\nleft', negative_prompt="a star")
    _, journal = make_draft(tmp_path, plan)
    assert read_settings(journal.video_path()) == json.loads(json.dumps(asdict(plan.request))) | {
        "seams": [],
        "cuts": [],
        "film_frames": plan.request.frames,
    }


def test_the_film_says_where_its_chunks_meet(tmp_path: Path, make_plan: PlanMaker) -> None:
    _, journal = make_draft(tmp_path, make_plan(frames=97))
    settings = read_settings(journal.video_path()) or {}
    assert settings["seams"] == [{"frame": 49, "faded_frames": 8}, {"frame": 73, "faded_frames": 8}]


def test_nothing_but_the_draft_s_own_files_is_left(tmp_path: Path, make_plan: PlanMaker) -> None:
    _, journal = make_draft(tmp_path, make_plan(frames=57))
    assert {path.name for path in journal.folder.iterdir()} == {
        *("request.json", "plan.json", "weights.json", "events.jsonl", "embeddings.safetensors", "draft.mp4", "LOCK"),
        *("chunk-000.latents.safetensors", "chunk-001.latents.safetensors", "slice-000.mp4", "slice-001.mp4"),
    }


def test_a_chunk_begins_bit_for_bit_with_the_tail_of_the_one_before(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(frames=97)
    _, journal = make_draft(tmp_path, plan)
    for chunk in plan.chunks[1:]:
        before, after = latents(journal, chunk.index - 1), latents(journal, chunk.index)
        assert torch.equal(before[:, :, -chunk.overlap :], after[:, :, : chunk.overlap])
        assert after.shape == (1, before.shape[1], chunk.latents, *before.shape[3:])
        assert not torch.equal(after[:, :, chunk.overlap :], before[:, :, : chunk.new_latents])


def test_one_chunk_is_what_the_bare_diffusers_pipeline_makes(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan(steps=4, prompt="a red ball rises", negative_prompt="a blue star")
    _, journal = make_draft(tmp_path, plan)
    checkpoint, request = find_checkpoint(plan.spec), plan.request
    pipe = LTXConditionPipeline(
        scheduler=checkpoint.scheduler(),
        vae=checkpoint.load(Component.VAE, torch.float32),
        text_encoder=checkpoint.load(Component.TEXT_ENCODER, torch.float32),
        tokenizer=checkpoint.tokenizer(),
        transformer=checkpoint.load(Component.TRANSFORMER, torch.float32),
    )
    pipe.set_progress_bar_config(disable=True)
    (bare,) = pipe(
        prompt="a red ball rises",
        negative_prompt="a blue star",
        max_sequence_length=plan.spec.text_tokens,
        width=SMALL.width,
        height=SMALL.height,
        num_frames=request.frames,
        frame_rate=plan.spec.fps,
        num_inference_steps=4,
        timesteps=timesteps(plan.spec, 4),
        guidance_scale=request.guidance,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        output_type="latent",
        return_dict=False,
    )
    assert torch.equal(latents(journal, 0), bare)


def test_the_same_seed_makes_the_same_latents_and_another_seed_others(tmp_path: Path, make_plan: PlanMaker) -> None:
    one, again, other = (
        latents(make_draft(tmp_path / place, make_plan(seed=seed))[1], 0)
        for place, seed in (("one", 7), ("again", 7), ("other", 8))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_known_sentence_makes_the_same_latents_as_a_new_one(tmp_path: Path, make_plan: PlanMaker) -> None:
    fresh, known = (make_draft(tmp_path, make_plan()) for _ in range(2))
    assert [of(Encoded, events)[0].cached for events, _ in (fresh, known)] == [0, 2]
    assert torch.equal(latents(fresh[1], 0), latents(known[1], 0))


# Sentences ----------------------------------------------------------------------------------------------------------
def test_each_distinct_sentence_is_encoded_once_and_a_known_one_never(
    tmp_path: Path, make_plan: PlanMaker, watched: WatchedModel
) -> None:
    shots = (Shot(prompt="a ball", seconds=1), Shot(prompt="a star", seconds=1), Shot(prompt="a ball", seconds=1))
    events, _ = make_draft(tmp_path, make_plan(shots=shots, frames=73))
    assert watched.encoded == [["a ball", "a star", ""]]
    assert (of(Encoded, events)[0].sentences, of(Encoded, events)[0].cached) == (3, 0)
    make_draft(tmp_path, make_plan(prompt="a star", seed=9))
    assert len(watched.encoded) == 1
    make_draft(tmp_path, make_plan(prompt="the sea"))
    assert watched.encoded[1:] == [["the sea"]]


def test_without_guidance_the_negative_sentence_is_never_encoded(
    tmp_path: Path, make_plan: PlanMaker, watched: WatchedModel
) -> None:
    make_draft(tmp_path, make_plan(guidance=1.0, prompt="a ball", negative_prompt="a star"))
    assert watched.encoded == [["a ball"]]
    assert watched.samplings[0].negative is None


def test_each_shot_is_made_from_its_own_sentence(tmp_path: Path, make_plan: PlanMaker, watched: WatchedModel) -> None:
    shots = (Shot(prompt="a red ball", seconds=2), Shot(prompt="a blue star", seconds=2, transition=Transition.CUT))
    plan = make_plan(shots=shots, frames=98)
    make_draft(tmp_path, plan)
    assert {chunk.shot for chunk in plan.chunks} == {0, 1}
    expected = dict(zip(range(2), watched.encode([shot.prompt for shot in shots]), strict=True))
    for chunk, sampling in zip(plan.chunks, watched.samplings, strict=True):
        assert torch.equal(sampling.positive.embeds, expected[chunk.shot].embeds)
    assert not torch.equal(expected[0].embeds, expected[1].embeds)


def test_another_sentence_makes_another_picture(tmp_path: Path, make_plan: PlanMaker) -> None:
    one, other = (latents(make_draft(tmp_path, make_plan(prompt=text))[1], 0) for text in ("a red ball", "the snow"))
    assert not torch.equal(one, other)


def test_the_model_stays_open_for_the_next_draft(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan, engine = make_plan(), Engine(tmp_path)
    first = engine.open(plan.spec, plan.memory.device)
    assert engine.open(plan.spec, plan.memory.device) is first

"""Drafts that begin and end with pictures, with tiny checkpoints of every family that takes any: what is given stays,
the numbers are diffusers' own, and a draft that was cut off ends as if nothing had been."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx import pipeline_ltx_condition
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import pipeline
from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.drafts.pictures import Picture, begin_draft, read_beside
from pipeline.errors import InvalidRequest
from pipeline.events import ChunkDenoised, Event, Finished, SliceReady, Started, StepDone
from pipeline.models import open_model
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel, timesteps
from pipeline.plan.catalog import ANYFLOW_1_3B, LTX_2B, MINIATURE, WAN_5B
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.edits import Extend, Redo
from pipeline.plan.spec import Component, Keyframe, ModelSpec
from tests.conftest import SMALL, DeviceMaker, PlanMaker
from tests.tiny import make_draft, of, run_until
from tests.tiny_wan import small_shape

pytestmark = pytest.mark.usefixtures("tiny", "tiny_wan_and_ltx")
FAMILIES = pytest.mark.parametrize("spec", [MINIATURE, WAN_5B, ANYFLOW_1_3B], ids=lambda spec: spec.key)


@pytest.fixture
def tiny_wan_and_ltx(tiny_assets: Path, tiny_wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny checkpoints of all families in one folder."""
    from pipeline.gpu import loading

    assets = tmp_path / "assets"
    assets.mkdir()
    for folder in (*tiny_assets.iterdir(), *tiny_wan.iterdir()):
        (assets / folder.name).symlink_to(folder)
    monkeypatch.setattr(loading, "ASSETS", assets)


def noise(seed: int, width: int, height: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    return tmp_path / "drafts"


@pytest.fixture
def plan_of(make_plan: PlanMaker, drafts: Path) -> PlanMaker:
    """A plan in two chunks or more for pictures that are kept, at each end that the model takes."""

    def make(spec: ModelSpec, **fields: Any) -> DraftPlan:
        small = spec is MINIATURE
        shape = SMALL if small else small_shape(spec)
        pictures = {}
        for seed, place in enumerate(spec.keyframes):
            picture = Picture(image=noise(seed, shape.width, shape.height), name=f"{seed}" * 64)
            picture.keep(drafts)
            pictures[f"{place}_image"] = picture.name
        frames = {"frames": 73} if small else {"frames": 21, "chunk_frames": 17}
        standard = {"model": spec.key, "shape": shape, "steps": 2, "guidance": 1.0} | frames
        plan = make_plan(**(standard | pictures | fields))
        assert len(plan.chunks) > 1
        return plan

    return make


def begin(drafts: Path, plan: DraftPlan) -> Journal:
    journal = Journal(drafts, new_draft_id())
    begin_draft(journal, plan)
    return journal


def finished(drafts: Path, plan: DraftPlan) -> Journal:
    journal = begin(drafts, plan)
    assert isinstance(run_until(drafts, plan, journal.draft)[-1], Finished)
    return journal


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


def encoded(journal: Journal, plan: DraftPlan, place: Keyframe) -> Tensor:
    frames = read_beside(journal, place, plan.request.shape)
    model = open_model(plan.spec, plan.memory.device)
    if place is Keyframe.END:
        return model.encode_frames(frames.repeat(9, axis=0))[:, :, 1:]
    return model.encode_frames(frames)


@FAMILIES
def test_a_draft_begins_and_ends_with_the_pictures_and_is_another_in_between(
    spec: ModelSpec, drafts: Path, plan_of: PlanMaker
) -> None:
    plan = plan_of(spec)
    journal = finished(drafts, plan)
    assert torch.equal(latents(journal, 0)[:, :, :1], encoded(journal, plan, Keyframe.START))
    _, plain = make_draft(drafts, plan_of(spec, start_image=None, end_image=None))
    assert not torch.equal(latents(journal, 0)[:, :, 1:], latents(plain, 0)[:, :, 1:])
    if Keyframe.END in spec.keyframes:
        last = plan.chunks[-1].index
        assert torch.equal(latents(journal, last)[:, :, -1:], encoded(journal, plan, Keyframe.END))


@pytest.mark.parametrize("tail", [pytest.param("frames", marks=pytest.mark.slow), "repaint"])
def test_a_picture_is_held_however_chunks_go_on(tail: str, drafts: Path, plan_of: PlanMaker) -> None:
    plan = plan_of(MINIATURE, tail=tail)
    journal = finished(drafts, plan)
    last = plan.chunks[-1].index
    assert torch.equal(latents(journal, 0)[:, :, :1], encoded(journal, plan, Keyframe.START))
    assert torch.equal(latents(journal, last)[:, :, -1:], encoded(journal, plan, Keyframe.END))


SLOW = pytest.mark.slow
CUTS = {
    "before the picture": lambda event: isinstance(event, Started),
    "within the first chunk": lambda event: isinstance(event, StepDone) and event.step == 1,
    "after a slice": lambda event: isinstance(event, SliceReady),
    "within the last chunk": lambda event: isinstance(event, StepDone) and event.chunk > 0,
}


@pytest.mark.parametrize(
    ("spec", "cut"),
    [
        pytest.param(spec, cut, id=f"{spec.key} {name}", marks=() if spec is MINIATURE and "within" in name else SLOW)
        for spec in (MINIATURE, ANYFLOW_1_3B)
        for name, cut in CUTS.items()
    ],
)
def test_a_draft_that_was_cut_off_ends_as_if_nothing_had_been(
    spec: ModelSpec, cut: Any, drafts: Path, plan_of: PlanMaker
) -> None:
    plan = plan_of(spec)
    whole, journal = finished(drafts, plan), begin(drafts, plan)
    run_until(drafts, plan, journal.draft, cut)
    for kept in (drafts / ".pictures").iterdir():
        kept.unlink()
    run_until(drafts, plan, journal.draft)
    for chunk in plan.chunks:
        assert torch.equal(latents(journal, chunk.index), latents(whole, chunk.index))


def test_a_draft_whose_picture_is_gone_says_so_and_loses_nothing(drafts: Path, plan_of: PlanMaker) -> None:
    plan = plan_of(MINIATURE)
    journal = begin(drafts, plan)
    run_until(drafts, plan, journal.draft, lambda event: isinstance(event, ChunkDenoised))
    first = latents(journal, 0)
    journal.picture_path(Keyframe.END).unlink()
    with pytest.raises(InvalidRequest, match="end frame cannot be read"):
        run_until(drafts, plan, journal.draft)
    assert torch.equal(latents(journal, 0), first)


def edited(journal: Journal, edit: Any) -> tuple[Journal, DraftPlan, list[Event]]:
    events = list(pipeline.edit(journal.draft, edit, journal.folder.parent))
    (started,) = of(Started, events)
    assert isinstance(events[-1], Finished)
    return Journal(journal.folder.parent, started.draft), started.plan, events


def test_a_redone_first_chunk_begins_with_the_picture_again_and_an_extended_draft_lets_go_of_its_end(
    drafts: Path, plan_of: PlanMaker
) -> None:
    plan = plan_of(MINIATURE)
    journal = finished(drafts, plan)
    redone, changed, _ = edited(journal, Redo(chunk=0, seed=99))
    assert torch.equal(latents(redone, 0)[:, :, :1], latents(journal, 0)[:, :, :1])
    assert not torch.equal(latents(redone, 0)[:, :, 1:], latents(journal, 0)[:, :, 1:])
    last = changed.chunks[-1].index
    assert torch.equal(latents(redone, last)[:, :, -1:], latents(journal, last)[:, :, -1:])
    longer, changed, _ = edited(journal, Extend(seconds=1))
    assert not longer.picture_path(Keyframe.END).exists()
    last = changed.chunks[-1].index
    assert not torch.equal(latents(longer, last)[:, :, -1:], encoded(journal, plan, Keyframe.END))


# Beside the sequence, as LTX-Video takes its end ---------------------------------------------------------------------
@pytest.fixture
def model(make_device: DeviceMaker) -> LTXModel:
    model = LTXModel(MINIATURE, make_device())
    model.spec = LTX_2B
    return model


@pytest.mark.parametrize("guidance", [1.0, 3.0], ids=["unguided", "guided"])
@pytest.mark.parametrize("places", [("start", "end"), ("end",), ("start",)], ids="+".join)
def test_pictures_give_the_latents_of_diffusers_own_pipeline(
    model: LTXModel, guidance: float, places: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, steps = 4, 3
    pictures = [noise(seed, SMALL.width, SMALL.height) for seed in range(2)]
    start, end = (model.encode_frames(np.array(picture)[None]) for picture in pictures)
    positive, negative = model.encode(["a red ball rises over snow", ""])
    sampling = Sampling(
        shape=SMALL,
        steps=steps,
        guidance=guidance,
        positive=positive,
        negative=negative if guidance > 1 else None,
        keyframe=end if "end" in places else None,
    )
    told: list[Tensor] = []
    made = model.denoise(
        Chunk(index=0, start=0, stop=count, overlap=0, seed=5, shot=0),
        sampling,
        tail=start if "start" in places else None,
        on_step=lambda _, clean: told.append(clean().clone()),
    )
    # It samples what it encodes; Rushes takes the middle, so that a picture is the same whatever the seed.
    monkeypatch.setattr(pipeline_ltx_condition, "retrieve_latents", lambda output, **_: output.latent_dist.mode())
    bare = LTXConditionPipeline(
        scheduler=model.checkpoint.scheduler(),
        vae=model.checkpoint.load(Component.VAE_ENCODER, torch.float32),
        text_encoder=None,
        tokenizer=None,
        transformer=model.checkpoint.load(Component.TRANSFORMER, torch.float32),
    )
    bare.set_progress_bar_config(disable=True)
    last = LTX_2B.frames_of(count) - 1
    where = {"start": (pictures[0], 0), "end": (pictures[1], last)}
    expected = bare(
        conditions=[LTXVideoCondition(image=where[place][0], frame_index=where[place][1]) for place in places],
        image_cond_noise_scale=0.0,
        width=SMALL.width,
        height=SMALL.height,
        num_frames=last + 1,
        frame_rate=LTX_2B.fps,
        timesteps=timesteps(LTX_2B, steps),  # its own are the same, with a warning
        guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(5),
        prompt_embeds=positive.embeds,
        prompt_attention_mask=positive.mask,
        negative_prompt_embeds=negative.embeds,
        negative_prompt_attention_mask=negative.mask,
        output_type="latent",
        return_dict=False,
    )[0]
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)
    assert len(told) == steps
    assert torch.equal(told[-1], made)

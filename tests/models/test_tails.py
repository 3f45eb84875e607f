"""Each way to go on from what came before, in every family that can: whole drafts with tiny checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.events import ChunkDenoised, StepDone
from pipeline.models import open_model
from pipeline.models.base import Sampling, VideoModel
from pipeline.models.ltx import timesteps
from pipeline.models.windows import average, window_weights
from pipeline.plan.catalog import MINIATURE, find_model
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import Component, ModelSpec, Tail
from tests.conftest import SMALL, DeviceMaker, PlanMaker
from tests.tiny import CHANNELS, count_frames, make_draft, of
from tests.tiny_wan import small_shape

FAMILIES = ("miniature", "wan-5b", "wan-a14b")
WAYS = [(key, tail) for key in FAMILIES for tail in find_model(key).tails]


@pytest.fixture
def plan_of(request: pytest.FixtureRequest, make_plan: PlanMaker) -> Any:
    """A draft of three chunks of a model, in two steps, going on by `tail`."""

    def make(key: str, tail: Tail) -> DraftPlan:
        request.getfixturevalue("tiny" if key == MINIATURE.key else "tiny_wan")
        spec = find_model(key)
        shape = SMALL if key == MINIATURE.key else small_shape(spec)
        frames, overlap = spec.frames_of(10), spec.frames_of(2)
        chunk = spec.frames_of(5)
        sizes = {"frames": frames, "chunk_frames": chunk, "overlap_frames": overlap, "shape": shape}
        return make_plan(model=key, tail=tail, steps=2, guidance=2.0, **sizes)

    return make


def latents(journal: Journal, chunk: int) -> Tensor:
    return load_file(journal.latents_path(chunk))["latents"]


@pytest.mark.parametrize(("key", "tail"), WAYS, ids=lambda value: str(value))
def test_a_draft_has_exactly_its_frames_and_continues_what_came_before(
    tmp_path: Path, plan_of: Any, key: str, tail: Tail
) -> None:
    plan = plan_of(key, tail)
    events, journal = make_draft(tmp_path, plan)
    assert count_frames(journal.video_path()) == plan.request.frames
    assert len(plan.seams) == 2
    if tail is Tail.CO_DENOISE:
        assert [event.chunk for event in of(ChunkDenoised, events)] == [0]
        assert [event.step for event in of(StepDone, events)] == [1, 2]
        assert latents(journal, 0).shape[2] == plan.latents
        return
    before, after = latents(journal, 0), latents(journal, 1)
    same = torch.equal(before[:, :, -2:], after[:, :, :2])
    assert same == (tail is not Tail.FRAMES)
    assert after.isfinite().all()


@pytest.mark.parametrize("key", ["miniature", "wan-5b"])
def test_a_chunk_that_begins_with_frames_begins_with_what_the_vae_makes_of_them(
    tmp_path: Path, plan_of: Any, make_device: DeviceMaker, key: str
) -> None:
    """The last frames of all that was decoded up to there, as the encoder sees them: a clip with a first frame."""
    plan = plan_of(key, Tail.FRAMES)
    _, journal = make_draft(tmp_path, plan)
    spec = plan.spec
    model: Any = open_model(spec, make_device())
    before = latents(journal, 0)
    with model.open_decoder().visit() as decode:
        frames = decode(before)[-spec.frames_of(2) :]
    vae: Any = model.checkpoint._kind(Component.VAE).from_pretrained(model.checkpoint.folder / "vae")
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
    with torch.no_grad():
        encoded = vae.encode(pixels).latent_dist.mode()
    mean, std = (
        torch.as_tensor(vae.config[name] if name in vae.config else getattr(vae, name)).view(1, -1, 1, 1, 1)
        for name in ("latents_mean", "latents_std")
    )
    torch.testing.assert_close(latents(journal, 1)[:, :, :2], (encoded - mean) / std, atol=1e-4, rtol=1e-4)
    assert Component.VAE_ENCODER not in model.residency._parked


class Calls:
    """What a model's transformer was given."""

    def __init__(self, model: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        model.warm_up()
        transformer = model.residency._parked[Component.TRANSFORMER][1]
        transformer.register_forward_pre_hook(lambda _, __, given: self.seen.append(given), with_kwargs=True)


def sampling_of(model: VideoModel, spec: ModelSpec, tail: Tail, **fields: Any) -> Sampling:
    positive, negative = model.encode(["a red ball", ""])
    shape = SMALL if spec.key == MINIATURE.key else small_shape(spec)
    given = {"shape": shape, "steps": 3, "guidance": 2.0, "positive": positive, "negative": negative}
    return Sampling(tail=tail, **(given | fields))


@pytest.mark.parametrize("key", FAMILIES)
def test_windows_that_are_denoised_together_are_seen_one_at_a_time_and_averaged(
    request: pytest.FixtureRequest, make_device: DeviceMaker, key: str
) -> None:
    request.getfixturevalue("tiny" if key == MINIATURE.key else "tiny_wan")
    spec = find_model(key)
    model: Any = open_model(spec, make_device())
    sampling = sampling_of(model, spec, Tail.CO_DENOISE, steps=1, guidance=1.0, negative=None)
    windows, parts = ((0, 4), (2, 6)), list[Tensor]()
    model.warm_up()
    transformer = model.residency._parked[Component.TRANSFORMER][1]
    enters = transformer.proj_in if key == MINIATURE.key else transformer.patch_embedding
    enters.register_forward_pre_hook(lambda _, given: parts.append(given[0]))

    def run(windows: tuple[tuple[int, int], ...], stop: int = 6) -> Tensor:
        chunk = Chunk(index=0, start=0, stop=stop, overlap=0, seed=3, shot=0, windows=windows)
        made: Tensor = model.denoise(chunk, sampling, tail=None, on_step=lambda *_: None)
        return made

    together = run(windows)
    assert len(parts) == 2
    area = parts[0].shape[1] // 4 if key == MINIATURE.key else None
    shared = [parts[0][:, 2 * area :], parts[1][:, : 2 * area]] if area else [parts[0][:, :, 2:], parts[1][:, :, :2]]
    assert torch.equal(*shared), "neighbouring windows begin with the same noise where they overlap"
    assert torch.equal(run(((0, 6),)), run(()))
    alone = run(((0, 4), (4, 6)))
    torch.testing.assert_close(together[:, :, :2], alone[:, :, :2])  # only window 0 is there
    assert not torch.allclose(together[:, :, 2:4], alone[:, :, 2:4], atol=1e-3)


def test_what_windows_say_is_averaged_with_weights_that_sum_to_one() -> None:
    for windows in (((0, 5),), ((0, 5), (3, 8), (6, 11)), ((0, 4), (1, 5), (2, 6)), ((0, 3), (3, 6))):
        weights = window_weights(windows)
        total = torch.zeros(windows[-1][1])
        for (start, stop), weight in zip(windows, weights, strict=True):
            total[start:stop] += weight
        torch.testing.assert_close(total, torch.ones_like(total))
        same = torch.randn(2, 3, windows[-1][1], 2, 2)
        torch.testing.assert_close(average(windows, (same[:, :, a:b] for a, b in windows)), same)
    first, second = window_weights(((0, 7), (4, 11)))
    assert (first[:4] == 1).all()
    assert (second[3:] == 1).all()
    assert first[4] > 0.7 > first[5] > 0.3 > first[6]  # a sigmoid, not a cut


@pytest.mark.usefixtures("tiny")
def test_ltx_repaints_its_overlap_at_every_step_s_sigma(make_device: DeviceMaker) -> None:
    model: Any = open_model(MINIATURE, make_device())
    sampling = sampling_of(model, MINIATURE, Tail.REPAINT)
    calls = Calls(model)
    rows, columns = SMALL.height // 32, SMALL.width // 32
    given = torch.randn(1, CHANNELS, 2, rows, columns, generator=torch.Generator().manual_seed(1))
    chunk = Chunk(index=1, start=3, stop=8, overlap=2, seed=5, shot=0)
    made = model.denoise(chunk, sampling, tail=given, on_step=lambda *_: None)
    assert torch.equal(made[:, :, :2], given)
    tokens = given[0].flatten(1).T
    first = calls.seen[0]["hidden_states"][0][: len(tokens)]  # at sigma 1, nothing but noise
    for call, time in zip(calls.seen, timesteps(MINIATURE, 3), strict=True):
        sigma = time / 1000
        assert torch.unique(call["timestep"]).numel() == 1
        expected = (1 - sigma) * tokens + sigma * first
        torch.testing.assert_close(call["hidden_states"][0][: len(tokens)], expected, atol=1e-5, rtol=1e-4)

"""A chunk that goes on from the middle ends bit for bit as if it had never stopped: every family, cut at every step."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.gpu import loading
from pipeline.models import open_model
from pipeline.models.base import Sampling, SamplingState, VideoModel
from pipeline.plan.catalog import ANYFLOW_1_3B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.chunks import Chunk
from pipeline.plan.memory import Workload
from pipeline.plan.spec import ModelSpec, SigmaSchedule, VideoShape
from tests.conftest import SMALL, DeviceMaker
from tests.tiny_wan import TINY, small_shape

STEPS = 5
Opener = Callable[[ModelSpec], VideoModel]


@pytest.fixture
def opened(make_device: DeviceMaker) -> Opener:
    return lambda spec: open_model(spec, make_device())


def sampling_of(model: VideoModel, shape: VideoShape, guidance: float) -> Sampling:
    positive, negative = model.encode(["a red ball rises over snow", ""])
    return Sampling(
        shape=shape, steps=STEPS, guidance=guidance, positive=positive, negative=negative if guidance > 1 else None
    )


def tail_of(model: VideoModel, chunk: Chunk, sampling: Sampling) -> Tensor | None:
    if not chunk.overlap:
        return None
    first = replace(chunk, start=0, stop=max(1, chunk.new_latents), overlap=0, ahead=0, blocks=())
    like = model.denoise(first, replace(sampling, steps=2), tail=None, on_step=lambda *_: None)
    size = *like.shape[:2], chunk.overlap, *like.shape[3:]
    return torch.randn(size, generator=torch.Generator().manual_seed(3))


def load_of(spec: ModelSpec, chunk: Chunk, shape: VideoShape) -> Workload:
    """As the planner describes this chunk."""
    return Workload(
        spec=spec,
        shape=shape,
        chunk_latents=chunk.latents,
        guided=True,
        continued=bool(chunk.overlap),
        window_latents=chunk.latents,
    )


def check_every_cut(model: VideoModel, chunk: Chunk, shape: VideoShape, folder: Path, guidance: float = 3.0) -> int:
    """Each state is taken through a file, and given to a chunk that starts with another random state of torch's.

    Returns:
        Bytes of the largest one.
    """
    sampling = sampling_of(model, shape, guidance)
    tail = tail_of(model, chunk, sampling)
    if chunk.ahead and tail is not None:
        sampling = replace(sampling, ahead=-tail[:, :, : chunk.ahead])
    states: list[SamplingState] = []
    whole = model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None, keep=states.append)
    assert [state.step for state in states] == list(range(1, STEPS * chunk.rounds + 1))
    sizes = [sum(tensor.nbytes for tensor in state.tensors.values() if tensor.dim() > 1) for state in states]
    assert max(sizes) <= load_of(model.spec, chunk, shape).sampler_bytes
    for state in states[:-1]:
        save_file(dict(state.tensors), folder / "state.safetensors")
        read = SamplingState(step=state.step, tensors=load_file(folder / "state.safetensors"))
        told: list[int] = []
        torch.rand(state.step)
        note = told.append
        resumed = model.denoise(
            chunk, sampling, tail=tail, on_step=lambda step, _, note=note: note(step), resume_from=read
        )
        assert told == list(range(state.step + 1, STEPS * chunk.rounds + 1))
        assert torch.equal(resumed, whole), f"cut after step {state.step}"
    return max(sizes)


def window(overlap: int = 0, latents: int = 4, blocks: tuple[int, ...] = ()) -> Chunk:
    start = 3 if overlap else 0
    return Chunk(index=0, start=start, stop=start + latents, overlap=overlap, seed=5, shot=0, blocks=blocks)


@pytest.mark.parametrize("overlap", [0, 2])
@pytest.mark.parametrize("schedule", SigmaSchedule)
@pytest.mark.usefixtures("tiny")
def test_ltx(tmp_path: Path, opened: Opener, overlap: int, schedule: SigmaSchedule) -> None:
    spec = replace(MINIATURE, sigma_schedule=schedule, timesteps=(1000.0, 993.7, 981.2, 909.1, 725.0, 421.9))
    check_every_cut(opened(spec), window(overlap), SMALL, tmp_path)


def test_the_miniature(tmp_path: Path, opened: Opener) -> None:
    kept = check_every_cut(opened(MINIATURE), window(2), SMALL, tmp_path)
    assert kept == load_of(MINIATURE, window(2), SMALL).sampler_bytes


@pytest.mark.parametrize("settings", [{"stochastic_sampling": True}, {"shift_terminal": 0.1}], ids=str)
@pytest.mark.parametrize("overlap", [0, 2])
def test_a_checkpoint_s_sampler_may_draw_noise_or_stretch_its_steps(
    tmp_path: Path,
    tiny_assets: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: Opener,
    settings: dict[str, object],
    overlap: int,
) -> None:
    shutil.copytree(tiny_assets, tmp_path / "assets")
    file = tmp_path / "assets" / MINIATURE.key / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    monkeypatch.setattr(loading, "ASSETS", tmp_path / "assets")
    check_every_cut(opened(MINIATURE), window(overlap), SMALL, tmp_path, guidance=1.0)


@pytest.mark.parametrize("overlap", [0, 2])
@pytest.mark.parametrize("key", [WAN_5B.key, WAN_A14B.key])
@pytest.mark.usefixtures("tiny_wan")
def test_wan(tmp_path: Path, opened: Opener, key: str, overlap: int) -> None:
    """TI2V-5B with UniPC, which remembers what it predicted; both experts of T2V-A14B with Euler's."""
    spec = next(spec for spec in TINY if spec.key == key)
    kept = check_every_cut(opened(spec), window(overlap), small_shape(spec), tmp_path)
    assert kept == load_of(spec, window(overlap), small_shape(spec)).sampler_bytes


@pytest.mark.parametrize("key", [MINIATURE.key, WAN_5B.key, WAN_A14B.key])
@pytest.mark.usefixtures("tiny_wan")
def test_a_chunk_between_two_that_are_there(
    tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, opened: Opener, key: str
) -> None:
    if key == MINIATURE.key:
        monkeypatch.setattr(loading, "ASSETS", tiny_assets)
    spec = next(spec for spec in (MINIATURE, *TINY) if spec.key == key)
    shape = SMALL if spec is MINIATURE else small_shape(spec)
    check_every_cut(opened(spec), replace(window(2), ahead=1), shape, tmp_path)


@pytest.mark.parametrize("chunk", [window(blocks=(1, 3)), window(4, 7, blocks=(3,)), window(7, 12, blocks=(3, 2))])
@pytest.mark.usefixtures("tiny_wan")
def test_anyflow(tmp_path: Path, opened: Opener, chunk: Chunk) -> None:
    spec = next(spec for spec in TINY if spec.key == ANYFLOW_1_3B.key)
    check_every_cut(opened(spec), chunk, small_shape(spec), tmp_path)


@pytest.mark.usefixtures("tiny_wan")
def test_unipc_needs_what_it_remembers(opened: Opener) -> None:
    """Without it the latents are others: the tests above would see a sampler that forgets."""
    spec = next(spec for spec in TINY if spec.key == WAN_5B.key)
    model, states = opened(spec), list[SamplingState]()
    sampling = sampling_of(model, small_shape(spec), 3.0)
    whole = model.denoise(window(), sampling, tail=None, on_step=lambda *_: None, keep=states.append)
    only = {name: tensor for name, tensor in states[2].tensors.items() if name in ("latents", "_step_index")}
    forgetful = SamplingState(step=3, tensors=only)
    resumed = model.denoise(window(), sampling, tail=None, on_step=lambda *_: None, resume_from=forgetful)
    assert not torch.equal(resumed, whole)

"""AnyFlow with a tiny checkpoint: what is given stays and is read, blocks are told, a stop leaves nothing behind."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.errors import StopRequested
from pipeline.gpu import loading
from pipeline.models import open_model
from pipeline.models.anyflow import AnyFlowModel, Rollout, attend_in_blocks
from pipeline.models.base import Sampling, SharedNoise
from pipeline.models.wan import WanModel
from pipeline.plan.chunks import Chunk, split_given
from pipeline.plan.device import DeviceKind
from pipeline.plan.spec import Component
from tests.conftest import DeviceMaker
from tests.tiny import decode, in_half
from tests.tiny_wan import COLUMNS, ROWS, TINY_A14B, TINY_ANYFLOW, small_shape

pytestmark = pytest.mark.usefixtures("tiny_wan")

STEPS = 4
SENTENCE = "a red ball rises over snow"


@pytest.fixture
def model(make_device: DeviceMaker) -> AnyFlowModel:
    return AnyFlowModel(TINY_ANYFLOW, make_device())


@pytest.fixture
def sampling(model: AnyFlowModel) -> Sampling:
    return sampling_of(model)


def sampling_of(model: AnyFlowModel, guidance: float = 1.0) -> Sampling:
    positive, negative = model.encode([SENTENCE, ""])
    return Sampling(
        shape=small_shape(TINY_ANYFLOW),
        steps=STEPS,
        guidance=guidance,
        positive=positive,
        negative=negative if guidance > 1 else None,
    )


def chunk(*blocks: int, given: int = 0) -> Chunk:
    stop = given + sum(blocks)
    return Chunk(index=0, start=0, stop=stop, overlap=given, seed=5, shot=0, blocks=blocks)


def tail(latents: int) -> Tensor:
    size = 1, TINY_ANYFLOW.latent_channels, latents, ROWS, COLUMNS
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def ignore(*_: object) -> None:
    return None


class Seen:
    """What the transformer was given at each of its calls: latents, timestep, and whether they were read."""

    def __init__(self, model: AnyFlowModel) -> None:
        self.calls: list[dict[str, Any]] = []
        model.warm_up()
        _, transformer = model.residency._parked[Component.TRANSFORMER]
        transformer.register_forward_pre_hook(lambda *given: self.calls.append(given[2]), with_kwargs=True)

    def read(self) -> list[Tensor]:
        return [call["hidden_states"] for call in self.calls if call["kv_cache_flag"]["is_cache_step"]]

    def denoised(self) -> list[dict[str, Any]]:
        return [call for call in self.calls if not call["kv_cache_flag"]["is_cache_step"]]


# Denoising ----------------------------------------------------------------------------------------------------------
def test_a_block_begins_from_the_noise_that_is_shared_and_its_rest_from_its_own(
    model: AnyFlowModel, sampling: Sampling
) -> None:
    shared, seen, given = SharedNoise(seed=9, latents=4, start=1, stop=3), Seen(model), tail(4)
    for told in (replace(sampling, shared_noise=shared), sampling):
        model.denoise(chunk(3, given=4), told, tail=given, on_step=ignore)
    held, plain = (seen.denoised()[index]["hidden_states"].transpose(1, 2) for index in (0, STEPS))
    wanted = shared.draw(TINY_ANYFLOW.latent_channels, ROWS, COLUMNS)
    assert torch.equal(held[:, :, :2], wanted)
    assert torch.equal(held[:, :, 2:], plain[:, :, 2:])
    assert not torch.equal(plain[:, :, :2], wanted)


@pytest.mark.parametrize("blocks", [(), (1,), (1, 3), (1, 3, 3)], ids=str)
def test_latents_have_the_chunk_s_shape_and_are_the_seed_s(
    model: AnyFlowModel, sampling: Sampling, blocks: tuple[int, ...]
) -> None:
    cut = chunk(*blocks) if blocks else replace(chunk(), stop=4)
    one, again = (model.denoise(cut, sampling, tail=None, on_step=ignore) for _ in range(2))
    other = model.denoise(replace(cut, seed=6), sampling, tail=None, on_step=ignore)
    assert one.shape == (1, TINY_ANYFLOW.latent_channels, cut.latents, ROWS, COLUMNS)
    assert (one.dtype, one.device.type, one.is_contiguous()) == (torch.float32, "cpu", True)
    assert torch.equal(one, again)
    assert one.isfinite().all()
    assert not torch.equal(one, other)


@pytest.mark.parametrize("guidance", [1.0, 4.0], ids=["unguided", "guided"])
@pytest.mark.parametrize("given", [1, 2, 4, 7, 18])
def test_a_tail_comes_out_bit_for_bit_and_decides_what_follows(
    model: AnyFlowModel, guidance: float, given: int
) -> None:
    sampling, before = sampling_of(model, guidance), tail(given)
    made, other = (
        model.denoise(chunk(3, given=given), sampling, tail=latents, on_step=ignore) for latents in (before, -before)
    )
    assert torch.equal(made[:, :, :given], before)
    assert made.shape == (1, TINY_ANYFLOW.latent_channels, given + 3, ROWS, COLUMNS)
    assert not torch.equal(made[:, :, given:], other[:, :, given:])


def test_even_the_first_of_many_given_latents_is_seen(model: AnyFlowModel, sampling: Sampling) -> None:
    before = tail(18)
    other = torch.cat([-before[:, :, :1], before[:, :, 1:]], dim=2)
    made, changed = (model.denoise(chunk(3, given=18), sampling, tail=t, on_step=ignore) for t in (before, other))
    assert not torch.equal(made[:, :, 18:], changed[:, :, 18:])


def test_what_is_clean_is_read_once_before_each_block_and_nothing_after_the_last(
    model: AnyFlowModel, sampling: Sampling
) -> None:
    seen, before = Seen(model), tail(7)
    made = model.denoise(chunk(3, 2, given=7), sampling, tail=before, on_step=ignore).transpose(1, 2)
    assert [latents.shape[1] for latents in seen.read()] == [7, 10]
    assert torch.equal(seen.read()[0], before.transpose(1, 2))
    assert torch.equal(seen.read()[1], made[:, :10])
    assert [call["hidden_states"].shape[1] for call in seen.denoised()] == [3] * STEPS + [2] * STEPS
    reading = [call["kv_cache_flag"]["is_cache_step"] for call in seen.calls]
    assert reading == [True, *[False] * STEPS] * 2


def test_steps_go_from_noise_to_the_picture_and_each_is_told_where_it_ends(
    model: AnyFlowModel, sampling: Sampling
) -> None:
    seen = Seen(model)
    model.denoise(chunk(1, 3), sampling, tail=None, on_step=ignore)
    for block in (seen.denoised()[:STEPS], seen.denoised()[STEPS:]):
        starts, ends = ([float(call[name][0, 0]) for call in block] for name in ("timestep", "r_timestep"))
        shifted = [5 * s / (1 + 4 * s) for s in (1, 0.75, 0.5, 0.25)]
        assert starts == pytest.approx([1000 * sigma for sigma in shifted])
        assert ends == [*starts[1:], 0]


def test_steps_are_counted_through_all_blocks_and_show_what_is_there(model: AnyFlowModel, sampling: Sampling) -> None:
    told: list[tuple[int, Tensor]] = []
    before = tail(4)
    made = model.denoise(
        chunk(3, 2, given=4), sampling, tail=before, on_step=lambda step, clean: told.append((step, clean()))
    )
    assert [step for step, _ in told] == list(range(1, 2 * STEPS + 1))
    assert [clean.shape[2] for _, clean in told] == [7] * STEPS + [9] * STEPS
    for _, clean in told:
        assert clean.shape[3:] == made.shape[3:]
        assert torch.equal(clean[:, :, :4], before)
    for clean in (told[STEPS - 1][1], told[-1][1]):
        torch.testing.assert_close(clean, made[:, :, : clean.shape[2]])
    assert torch.equal(told[STEPS][1][:, :, :7], made[:, :, :7])
    assert not torch.allclose(told[0][1], made[:, :, :7], atol=1e-2)


def test_asking_for_a_prediction_changes_nothing(model: AnyFlowModel, sampling: Sampling) -> None:
    for given in (0, 4):
        before = tail(given) if given else None
        cut = chunk(3, 2, given=given)
        asked = model.denoise(cut, sampling, tail=before, on_step=lambda _, clean: clean().zero_())
        assert torch.equal(asked, model.denoise(cut, sampling, tail=before, on_step=ignore))


@pytest.mark.parametrize("last", [1, 4, 5, 7])
def test_after_a_stop_the_next_draft_is_what_it_would_have_been(
    model: AnyFlowModel, sampling: Sampling, make_device: DeviceMaker, last: int
) -> None:
    def on_step(step: int, _: Callable[[], Tensor]) -> None:
        if step == last:
            raise StopRequested

    cut, before = chunk(3, 3, given=4), tail(4)
    with pytest.raises(StopRequested):
        model.denoise(cut, sampling, tail=before, on_step=on_step)
    after = model.denoise(cut, sampling, tail=before, on_step=ignore)
    fresh = AnyFlowModel(TINY_ANYFLOW, make_device()).denoise(cut, sampling, tail=before, on_step=ignore)
    assert torch.equal(after, fresh)


@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_any_number_of_steps_is_enough_for_latents(model: AnyFlowModel, sampling: Sampling, steps: int) -> None:
    made = model.denoise(chunk(1, 3), replace(sampling, steps=steps), tail=None, on_step=ignore)
    assert made.isfinite().all()


# Sentences ----------------------------------------------------------------------------------------------------------
def test_a_sentence_that_wan_encoded_with_the_same_weights_is_known(
    make_device: DeviceMaker, tmp_path: Path, tiny_wan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Hugging Face's cache, where the content of a large file is its name."""
    for spec in (TINY_A14B, TINY_ANYFLOW):
        shutil.copytree(tiny_wan / spec.key, tmp_path / spec.key)
        file = tmp_path / spec.key / Component.TEXT_ENCODER / "model.safetensors"
        blob = tmp_path / spec.key / ("c" * 64)
        shutil.copyfile(tiny_wan / TINY_A14B.key / Component.TEXT_ENCODER / "model.safetensors", blob)
        file.unlink()
        file.symlink_to(blob)
    monkeypatch.setattr(loading, "ASSETS", tmp_path)
    wan, anyflow = WanModel(TINY_A14B, make_device()), AnyFlowModel(TINY_ANYFLOW, make_device())
    assert wan.encoder_fingerprint() == anyflow.encoder_fingerprint()
    (one,), (other,) = wan.encode([SENTENCE]), anyflow.encode([SENTENCE])
    assert torch.equal(one.embeds, other.embeds)
    shorter = AnyFlowModel(replace(TINY_ANYFLOW, text_tokens=256), make_device())
    assert shorter.encoder_fingerprint() != wan.encoder_fingerprint()


# Memory -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "tokens"), [(1, 6), (4, 24), (6, 36), (7, 36 + 1), (18, 36 + 12)])
def test_the_last_two_blocks_are_kept_whole_and_those_before_small(
    model: AnyFlowModel, sampling: Sampling, given: int, tokens: int
) -> None:
    """Six tokens a latent, or one of those 4 x 6 where it was compressed."""
    with model.residency.on_device(Component.TRANSFORMER) as transformer, torch.no_grad():
        rollout = Rollout(attend_in_blocks(transformer), sampling.positive.embeds)
        rollout.read(tail(given).transpose(1, 2), split_given(given, 3))
    for memory in rollout.memories:
        assert memory.kept is not None
        assert {part.shape for part in memory.kept} == {(1, 2, tokens, 16)}


def test_the_later_does_not_change_what_is_kept_of_the_earlier(model: AnyFlowModel, sampling: Sampling) -> None:
    """Of the first of two blocks, three latents of six tokens."""
    with model.residency.on_device(Component.TRANSFORMER) as transformer, torch.no_grad():
        kept = []
        for latents in (tail(6), torch.cat([tail(6)[:, :, :3], -tail(6)[:, :, 3:]], dim=2)):
            rollout = Rollout(attend_in_blocks(transformer), sampling.positive.embeds)
            rollout.read(latents.transpose(1, 2), (3, 3))
            kept.append([part for memory in rollout.memories for part in memory.kept or ()])
    for one, other in zip(*kept, strict=True):
        assert torch.equal(one[:, :, :18], other[:, :, :18])
        assert not torch.equal(one[:, :, 18:], other[:, :, 18:])


# Precision ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_runs_and_keeps_the_tail_exactly(make_device: DeviceMaker, dtype: torch.dtype) -> None:
    """As on a card, but on the processor: latents stay float32, weights and embeddings do not."""
    model = AnyFlowModel(TINY_ANYFLOW, in_half(make_device(), str(dtype).removeprefix("torch.")))
    sampling, before = sampling_of(model), tail(4)
    seen = Seen(model)
    made = model.denoise(chunk(3, given=4), sampling, tail=before, on_step=ignore)
    assert {call["hidden_states"].dtype for call in seen.calls} == {dtype}
    assert made.dtype == torch.float32
    assert made.isfinite().all()
    assert torch.equal(made[:, :, :4], before)
    assert not torch.equal(made[:, :, 4:], made[:, :, 4:].to(dtype).float())
    assert [len(frames) for frames in decode(model.open_decoder(), *made.split([4, 3], dim=2))] == [13, 12]


@pytest.mark.gpu
def test_a_card_computes_in_bfloat16_and_keeps_no_weights(make_device: DeviceMaker) -> None:
    model = AnyFlowModel(TINY_ANYFLOW, make_device(kind=DeviceKind.CUDA))
    sampling, before = sampling_of(model, guidance=3.0), tail(7)
    made = model.denoise(chunk(3, given=7), sampling, tail=before, on_step=ignore)
    assert (sampling.positive.embeds.dtype, made.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(made[:, :, :7], before)
    assert decode(model.open_decoder(), made)[0].shape[0] == 37
    assert {p.device.type for _, module in model.residency._parked.values() for p in module.parameters()} == {"cpu"}


def test_the_catalog_opens_its_family(make_device: DeviceMaker, tiny_wan: Path) -> None:
    model = open_model(TINY_ANYFLOW, make_device())
    assert isinstance(model, AnyFlowModel)
    assert model.checkpoint.folder == tiny_wan / TINY_ANYFLOW.key

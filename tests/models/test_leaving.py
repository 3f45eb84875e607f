"""Weights that do not wait in main memory are gone, every tensor of them, when the next ones are read."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from torch import Tensor, nn

from pipeline.engine import Engine
from pipeline.gpu import residency
from pipeline.gpu.loading import Checkpoint
from pipeline.models import open_model
from pipeline.models.base import Sampling
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.spec import ModelSpec
from tests.conftest import SMALL, DeviceMaker
from tests.tiny import choose, decode
from tests.tiny_wan import TINY_5B, TINY_A14B, TINY_ANYFLOW, small_shape

WAYS: dict[str, dict[str, Any]] = {
    "visiting": {},
    "passes apart": {"together": False},
    "streamed": {"placement": Placement.STREAMED},
    "visiting in fp8": {"precision": Precision.FP8},
    "streamed in fp8": {"precision": Precision.FP8, "placement": Placement.STREAMED},
    "visiting in int8": {"precision": Precision.INT8},
}
Weights = list[weakref.ref[Tensor]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors of what was read before are there at each reading."""
    there, weights = list[int](), Weights()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def watched(open_one: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        def open_and_note(*arguments: Any) -> nn.Module:
            there.append(sum(weight() is not None for weight in weights))
            module = open_one(*arguments)
            weights.extend(weakref.ref(weight) for weight in module.parameters())
            return module

        return open_and_note

    monkeypatch.setattr(Checkpoint, "load", watched(Checkpoint.load))
    for name in ("open_quantized", "open_streamed_encoder"):
        monkeypatch.setattr(residency, name, watched(getattr(residency, name)))
    return there


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spec", [MINIATURE, TINY_5B, TINY_A14B, TINY_ANYFLOW], ids=lambda spec: spec.key)
def test_one_at_a_time_is_read(
    spec: ModelSpec,
    way: str,
    read: list[int],
    make_device: DeviceMaker,
    request: pytest.FixtureRequest,
) -> None:
    """In two chunks, the second of which begins with frames that are encoded again."""
    request.getfixturevalue("tiny" if spec is MINIATURE else "tiny_wan")
    device = make_device()
    model, unparked = open_model(spec, device), choose(device, *Stage, parked=False)
    model.follow({**unparked, Stage.DENOISE: replace(unparked[Stage.DENOISE], **WAYS[way])})
    positive, negative = model.encode(["a red ball rises over snow", ""])
    shape = SMALL if spec is MINIATURE else small_shape(spec)
    sampling = Sampling(shape=shape, steps=4, guidance=3.0, positive=positive, negative=negative)
    first = Chunk(index=0, start=0, stop=4, overlap=0, seed=5, shot=0)
    second = replace(first, index=1, start=2, stop=6, overlap=2)
    before = model.denoise(first, sampling, tail=None, on_step=lambda *_: None)
    tail = model.reencode(before, 2)
    decode(model.open_decoder(), model.denoise(second, sampling, tail=tail, on_step=lambda *_: None))
    assert read == [0] * (4 + 2 * spec.experts)


@pytest.mark.usefixtures("tiny_wan")
def test_the_model_before_is_gone_when_another_is_opened(
    read: list[int], make_device: DeviceMaker, tmp_path: Path
) -> None:
    engine, device = Engine(tmp_path), make_device()
    for spec in (TINY_5B, TINY_A14B):
        model = engine.open(spec, device)
        model.follow(choose(device, Stage.DENOISE, precision=Precision.FP8))
        model.warm_up()
        del model
    first, _, other, *_ = read
    assert (first, other) == (0, 0)

"""Checkpoints made of dice are the checkpoints: every weight there, in its precision, none of them zero."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.plan.catalog import MINIATURE
from pipeline.plan.spec import Component, ModelSpec
from tests.bench.gpu.inputs import checkpoint_of
from tests.bench.gpu.random_weights import BLOCK_VALUES, DEVIATION, RandomCheckpoint, open_random, throw
from tests.conftest import DeviceMaker
from tests.tiny_wan import TINY_5B, TINY_A14B

CPU = torch.device("cpu")
PARTS = [(spec, component) for spec in (MINIATURE, TINY_5B, TINY_A14B) for component in spec.networks]
EACH = pytest.mark.parametrize(("spec", "component"), PARTS, ids=lambda value: getattr(value, "key", str(value)))


@pytest.fixture
def checkpoint(spec: ModelSpec, make_device: DeviceMaker, tmp_path: Path) -> RandomCheckpoint:
    return checkpoint_of(open_random(spec, make_device(), tmp_path / spec.key))


def values(checkpoint: RandomCheckpoint, component: Component) -> Iterator[tuple[str, torch.Tensor]]:
    return iter(checkpoint.load(component, torch.bfloat16).named_parameters())


@EACH
def test_a_component_is_all_there_in_the_precisions_a_real_one_has(
    checkpoint: RandomCheckpoint, component: Component
) -> None:
    module: Any = checkpoint.load(component, torch.bfloat16)
    assert not module.training
    assert not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    for name, parameter in module.named_parameters():
        assert parameter.dtype is checkpoint.stored_dtype(component, name, torch.bfloat16), name
    if component is Component.VAE:
        assert module.encoder is None
    if component is Component.TEXT_ENCODER:
        assert module.get_input_embeddings().weight is module.shared.weight


@EACH
def test_weights_are_dice_and_norms_about_one(checkpoint: RandomCheckpoint, component: Component) -> None:
    norms = 0
    for name, parameter in values(checkpoint, component):
        assert parameter.count_nonzero() > 0.99 * parameter.numel(), name
        scales = name.endswith("gamma") or (name.endswith("weight") and parameter.dim() == 1)
        norms += scales
        assert abs(float(parameter.float().mean()) - scales) < 0.05, name
        if parameter.numel() > 1000:
            assert float(parameter.float().std()) == pytest.approx(DEVIATION, rel=0.1), name
    assert norms or component is Component.VAE  # LTX's decoder normalises without weights


@EACH
def test_files_hold_what_is_loaded(checkpoint: RandomCheckpoint, component: Component) -> None:
    """In float32, as what streams and what quantizes reads it."""
    module = checkpoint.load(component, torch.float32)
    loaded = dict(module.named_parameters())
    checkpoint.write(component)
    files = checkpoint.weights(component, loaded)
    assert set(loaded) <= set(files)
    read = dict(super(RandomCheckpoint, checkpoint).tensors(component, loaded))
    assert read.keys() == loaded.keys()
    assert all(torch.equal(read[name], loaded[name]) for name in loaded)


def test_a_parameter_longer_than_the_block_is_filled_to_its_end() -> None:
    weights = throw("proj.weight", torch.Size((3, BLOCK_VALUES // 2)), torch.bfloat16, CPU)
    assert weights[2].count_nonzero() > 0.99 * len(weights[2])
    assert weights.dtype is torch.bfloat16

"""What the libraries do to a network at full size is what the plan counts: fp8's casts and streamed groups.

On the meta device: shapes and classes, no weights.
"""

import copy
from typing import Any

import pytest
import torch
from diffusers.hooks import apply_group_offloading, apply_layerwise_casting
from torch import nn

from pipeline.gpu.quantization import FP8, _as_they_are
from pipeline.plan import components
from pipeline.plan.catalog import LTX_13B, WAN_5B, WAN_A14B
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import Placement, Precision, Stage, Workload, block_bytes, placed_bytes, weight_bytes
from pipeline.plan.networks import Transformer
from pipeline.plan.spec import ModelSpec, VideoShape
from tests import truth
from tests.conftest import DeviceMaker

META = torch.device("meta")
TRANSFORMERS = {name: network for name, network in vars(components).items() if isinstance(network, Transformer)}
BOTH = pytest.mark.parametrize("network", TRANSFORMERS.values(), ids=TRANSFORMERS)


def held(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


def in_bfloat16(network: Transformer) -> Any:
    """As it is loaded: in float32 what its class keeps so."""
    module = copy.deepcopy(truth.build(network, torch.bfloat16))
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, parameter in module.named_parameters():
        if kept & set(name.split(".")):
            parameter.data = parameter.data.float()
    return module


def in_fp8(network: Transformer) -> Any:
    module = in_bfloat16(network)
    apply_layerwise_casting(module, FP8, torch.bfloat16, skip_modules_pattern=_as_they_are(module, network))
    return module


@BOTH
def test_casting_layers_to_fp8_leaves_what_the_plan_counts(network: Transformer) -> None:
    assert weight_bytes(network, Precision.FP8) == pytest.approx(held(in_fp8(network)), rel=0.01)


@BOTH
def test_groups_that_are_streamed_are_the_blocks_that_the_plan_counts(network: Transformer) -> None:
    for precision, module in ((Precision.BFLOAT16, in_bfloat16(network)), (Precision.FP8, in_fp8(network))):
        blocks = [held(block) for block in module.get_submodule(network.block_list).children()]
        outside = held(module) - sum(blocks)
        apply_group_offloading(module, torch.device("cpu"), META, "block_level", num_blocks_per_group=1)
        groups = [
            sum({id(p): p.nbytes for p in (*own.parameters, *of(own.modules))}.values())
            for own in (part._diffusers_hook.get_hook("group_offloading").group for part in hooked(module))
        ]
        assert sorted(groups) == sorted([outside, *blocks])
        assert block_bytes(network, precision) == pytest.approx(max(blocks), rel=0.01)
        needed = outside + 2 * max(blocks)
        assert needed <= 1.01 * placed_bytes(network, precision, Placement.STREAMED) <= 1.1 * needed


def of(modules: list[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]


def hooked(module: Any) -> list[Any]:
    parts = [part for part in module.modules() if hasattr(part, "_diffusers_hook")]
    return [part for part in parts if part._diffusers_hook.get_hook("group_offloading") is not None]


@pytest.mark.parametrize("given", [False, True], ids=["first", "continued"])
@pytest.mark.parametrize(
    ("spec", "width", "height", "frames"),
    [(LTX_13B, 768, 512, 97), (WAN_5B, 1280, 704, 121), (WAN_A14B, 832, 480, 81)],
    ids=lambda value: getattr(value, "key", str(value)),
)
def test_a_pass_in_fp8_holds_what_was_forecast_for_one_in_bfloat16(
    spec: ModelSpec, width: int, height: int, frames: int, given: bool, make_device: DeviceMaker
) -> None:
    """A layer is cast up while it computes, and nothing is left of that."""
    load = Workload(
        spec=spec,
        shape=VideoShape(width=width, height=height),
        chunk_latents=spec.latents_of(frames),
        guided=True,
        continued=given,
        window_latents=spec.decode_window_latents,
    )
    size = load.chunk_latents, height // spec.latent_pixels, width // spec.latent_pixels
    run = truth.pass_of(
        spec.transformer,
        size,
        text_tokens=spec.text_tokens,
        batch=2 if load.batched else 1,
        given=load.given,
        module=in_fp8(spec.transformer),
    )
    forecast = load.live_bytes(Stage.DENOISE, make_device(kind=DeviceKind.CUDA))
    with torch.no_grad(), META, truth.fused_attention(), truth.LiveBytes() as tracker:
        run()  # now the weights are followed, too: each was cast up and down again
        weights = tracker.peak = tracker.live
        run()
    assert forecast == pytest.approx(tracker.peak - weights, rel=0.10)

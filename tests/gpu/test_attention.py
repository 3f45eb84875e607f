"""Attention kernels: what is installed, on the cards they are for, where no mask is in the way."""

import pytest
from diffusers import LTXVideoTransformer3DModel, WanTransformer3DModel
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName
from torch import nn

from pipeline.gpu.attention import choose_attention, set_attention
from pipeline.plan.device import DeviceKind
from tests.conftest import DeviceMaker


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    for version, name in ((2, "_CAN_USE_FLASH_ATTN"), (3, "_CAN_USE_FLASH_ATTN_3")):
        monkeypatch.setattr(attention_dispatch, name, version in request.param)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("installed", "capability", "kernel"),
    [
        ((), (9, 0), None),
        ((2,), (9, 0), "flash"),
        ((2, 3), (9, 0), "_flash_3"),
        ((3,), (9, 0), "_flash_3"),
        ((2, 3), (8, 6), "flash"),
        ((3,), (8, 6), None),
        ((2, 3), (12, 0), "flash"),
        ((2, 3), (7, 5), None),
    ],
    indirect=["installed"],
)
def test_the_fastest_kernel_that_is_installed_and_made_for_the_card_is_taken(
    capability: tuple[int, int], kernel: str | None, make_device: DeviceMaker
) -> None:
    card = make_device(kind=DeviceKind.CUDA, compute_capability=capability)
    assert choose_attention(card) == kernel


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("installed", [(2, 3)], indirect=True)
def test_the_processor_and_apple_s_graphics_keep_torch_s_own(make_device: DeviceMaker) -> None:
    assert {choose_attention(make_device(kind=kind)) for kind in (DeviceKind.CPU, DeviceKind.MPS)} == {None}


LTX = {"num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16, "num_layers": 2}
WAN = {"num_attention_heads": 2, "attention_head_dim": 16, "text_dim": 16, "ffn_dim": 32, "num_layers": 2}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("installed", [(2,)], indirect=True)
@pytest.mark.parametrize(
    "transformer", [LTXVideoTransformer3DModel(**LTX), WanTransformer3DModel(**WAN)], ids=["ltx", "wan"]
)
def test_self_attention_uses_it_and_attention_to_the_sentence_which_may_be_masked_does_not(
    transformer: nn.Module, make_device: DeviceMaker
) -> None:
    set_attention(transformer, make_device(kind=DeviceKind.CUDA))
    found = {
        name.rpartition(".")[2]: module.processor._attention_backend
        for name, module in transformer.named_modules()
        if hasattr(module, "processor")
    }
    assert found == {"attn1": AttentionBackendName.FLASH, "attn2": None}

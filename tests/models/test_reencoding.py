"""The last frames before a chunk as its first latents: as many as it was planned to be given, however long that is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.models import open_model
from pipeline.models.wan import WanModel
from pipeline.plan.catalog import LTX_2B, MINIATURE, WAN_5B, find_model
from pipeline.plan.memory import Stage
from pipeline.plan.reencoding import WARM_UP_LATENTS, plan_reencoding
from pipeline.plan.spec import Tail
from tests.conftest import SMALL, DeviceMaker, PlanMaker
from tests.tiny import choose, make_draft
from tests.tiny_wan import small_shape

FAMILIES = (MINIATURE.key, WAN_5B.key)


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, make_device: DeviceMaker) -> Any:
    request.getfixturevalue("tiny" if request.param == MINIATURE.key else "tiny_wan")
    return open_model(find_model(request.param), make_device())


def timeline(spec: Any, latents: int) -> Tensor:
    shape = SMALL if spec.key == MINIATURE.key else small_shape(spec)
    size = shape.height // spec.latent_pixels, shape.width // spec.latent_pixels
    return torch.randn(1, spec.latent_channels, latents, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("count", "window"), [(1, 4), (3, 4), (4, 4), (9, 6)])
def test_as_many_latents_come_back_as_were_asked_for_whatever_is_decoded_at_once(
    model: Any, count: int, window: int, make_device: DeviceMaker
) -> None:
    decode = choose(make_device(), Stage.DECODE)[Stage.DECODE]
    model.follow({Stage.DECODE: replace(decode, window_latents=window)})
    assert model.reencode(timeline(model.spec, 12), count).shape[2] == count
    assert model.reencode(timeline(model.spec, count), count).shape[2] == count  # where there are no more


def test_a_timeline_with_less_than_is_asked_for_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="3 latents"):
        model.reencode(timeline(model.spec, 3), 4)


@pytest.mark.usefixtures("tiny_wan")
def test_a_causal_decoder_s_windows_are_one_decode(make_device: DeviceMaker) -> None:
    spec = find_model(WAN_5B.key)
    model, before = WanModel(spec, make_device()), timeline(spec, 12)
    with model.open_decoder().visit() as decode:
        frames = decode(before[:, :, -(9 + WARM_UP_LATENTS) :])[-33:]
    assert torch.equal(model.reencode(before, 9), model.encode_frames(frames))


@pytest.mark.usefixtures("tiny_wan")
def test_a_chunk_that_is_given_more_than_a_decode_window_begins_with_all_of_it(
    tmp_path: Path, make_plan: PlanMaker, make_device: DeviceMaker
) -> None:
    spec = find_model(WAN_5B.key)
    sizes = {"frames": 53, "chunk_frames": 41, "overlap_frames": spec.longest_overlap_frames}
    plan = make_plan(model=spec.key, tail=Tail.FRAMES, shape=small_shape(spec), **sizes)
    given = plan.chunks[1].overlap
    assert given > plan.memory.choices[Stage.DECODE].window_latents
    _, journal = make_draft(tmp_path, plan)
    before, after = (load_file(journal.latents_path(chunk))["latents"] for chunk in (0, 1))
    model = WanModel(spec, make_device())
    model.follow(plan.memory.choices)
    assert torch.equal(after[:, :, :given], model.reencode(before, given))


@pytest.mark.usefixtures("tiny")
def test_a_chunk_is_never_made_from_fewer_latents_than_planned(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.models.ltx import LTXModel

    monkeypatch.setattr(LTXModel, "reencode", lambda _, latents, count: latents[:, :, -count + 1 :])
    with pytest.raises(ValueError, match="chunk 1"):
        make_draft(tmp_path, make_plan(frames=97, chunk_frames=49, tail=Tail.FRAMES))


@pytest.mark.parametrize("spec", [MINIATURE, LTX_2B, WAN_5B], ids=lambda spec: spec.key)
def test_the_windows_end_with_the_timeline_and_hold_what_is_asked_for(spec: Any) -> None:
    stride, causal = spec.frame_stride, spec.causal_decoder
    for count in range(1, spec.latents_of(spec.longest_overlap_frames) + 1):
        for window in (4, spec.decode_window_latents):
            for there in range(count, 31):
                pieces = plan_reencoding(count, there=there, window=window, stride=stride, causal=causal)
                seen = pieces[-1].stop
                assert sum(piece.frames for piece in pieces) == spec.frames_of(seen)
                assert all(piece.stop - piece.start <= window for piece in pieces)
                assert min(there, count + WARM_UP_LATENTS) <= seen <= there

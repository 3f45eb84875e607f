"""Every checkpoint lies on its own grid, agrees with its networks' configurations, and is complete."""

from typing import Any

import pytest
from torch.nn import Linear

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import (
    CATALOG,
    LTX_2B_DISTILLED,
    LTX_13B_DISTILLED,
    MINIATURE,
    WAN_A14B,
    WAN_A14B_LIGHTNING,
    find_model,
)
from pipeline.plan.chunks import SHARED_LATENTS
from pipeline.plan.networks import CausalTransformer
from pipeline.plan.request import MOST_GUIDANCE, MOST_STEPS
from pipeline.plan.spec import Component, Family, ModelSpec, SigmaSchedule, Tail
from tests import truth

SMALLEST_FIRST = [
    "miniature",
    "anyflow-1.3b",
    "ltx-2b",
    "ltx-2b-distilled",
    "ltx-13b",
    "ltx-13b-distilled",
    "wan-5b",
    "wan-a14b",
    "wan-a14b-lightning",
]


def test_nine_checkpoints_are_known_by_their_keys() -> None:
    assert list(CATALOG) == SMALLEST_FIRST
    assert all(find_model(key) is spec and spec.key == key for key, spec in CATALOG.items())
    assert len({spec.title for spec in CATALOG.values()}) == len(CATALOG)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_channels_and_grids_are_those_of_the_networks(spec: ModelSpec) -> None:
    transformer: Any = truth.build(spec.transformer).config
    text: Any = truth.build(spec.text_encoder).config
    vae: Any = truth.build(spec.vae)
    patch = 1 if spec.family is Family.LTX else 2
    assert spec.latent_channels == transformer.in_channels == transformer.out_channels
    assert spec.pixel_multiple == patch * spec.latent_pixels
    assert spec.latent_pixels == truth.pixels_per_latent(spec.vae)
    if spec.family is Family.LTX:
        assert spec.latent_channels == vae.config.latent_channels
        assert spec.frame_stride == vae.temporal_compression_ratio
        assert transformer.caption_channels == text.d_model
    else:
        assert spec.latent_channels == vae.config.z_dim
        assert spec.frame_stride == vae.config.scale_factor_temporal
        assert transformer.text_dim == text.d_model


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_entry_lies_on_its_own_grid(spec: ModelSpec) -> None:
    for frames in (spec.native_frames, spec.overlap_frames, spec.longest_overlap_frames):
        assert spec.frames_of(spec.latents_of(frames)) == frames
    for side in (spec.smallest_side_pixels, spec.largest_side_pixels):
        assert side % spec.pixel_multiple == 0
    for shape in spec.shapes:
        for side in (shape.width, shape.height):
            assert side % spec.pixel_multiple == 0
            assert spec.smallest_side_pixels <= side <= spec.largest_side_pixels
    assert spec.overlap_frames <= spec.longest_overlap_frames < spec.native_frames
    assert spec.decode_window_latents > (0 if spec.causal_decoder else SHARED_LATENTS)
    assert spec.pixel_multiple % spec.latent_pixels == 0
    assert spec.nearest_frames(spec.default_seconds * spec.fps) > spec.overlap_frames


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_a_wide_a_square_and_a_tall_shape_are_offered(spec: ModelSpec) -> None:
    assert sorted(shape.name for shape in spec.shapes) == ["square", "tall", "wide"]


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_standard_settings_are_such_as_a_request_may_have(spec: ModelSpec) -> None:
    assert 1 <= spec.default_steps <= MOST_STEPS
    for guidance in (spec.default_guidance, spec.second_guidance or spec.default_guidance):
        assert 1 <= guidance <= MOST_GUIDANCE
    assert bool(spec.repository) == (spec is not MINIATURE)
    assert spec.licence


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_timesteps_are_listed_where_the_schedule_says_so(spec: ModelSpec) -> None:
    assert bool(spec.timesteps) == (spec.sigma_schedule is SigmaSchedule.LISTED)
    assert list(spec.timesteps) == sorted(spec.timesteps, reverse=True)
    assert all(0 < timestep <= 1000 for timestep in spec.timesteps)


@pytest.mark.parametrize("spec", [LTX_2B_DISTILLED, LTX_13B_DISTILLED], ids=lambda spec: spec.key)
def test_a_distilled_checkpoint_takes_its_listed_steps_without_guidance(spec: ModelSpec) -> None:
    assert spec.default_steps == len(spec.timesteps)
    assert spec.default_guidance == 1


def test_a_lightning_draft_is_the_same_networks_in_four_steps_without_guidance() -> None:
    assert (WAN_A14B_LIGHTNING.default_steps, WAN_A14B_LIGHTNING.default_guidance) == (4, 1)
    assert WAN_A14B_LIGHTNING.networks is WAN_A14B.networks
    assert WAN_A14B_LIGHTNING.repository == WAN_A14B.repository
    assert list(WAN_A14B_LIGHTNING.loras) == [Component.TRANSFORMER, Component.TRANSFORMER_2]
    high, low = WAN_A14B_LIGHTNING.files
    assert ("high" in high.name, "low" in low.name) == (True, True)


def test_files_are_as_large_as_what_is_in_them() -> None:
    (file,) = LTX_2B_DISTILLED.files
    inside = sum(LTX_2B_DISTILLED.networks[component].parameters for component in LTX_2B_DISTILLED.originals)
    assert file.size_bytes == pytest.approx(2 * inside, rel=0.001)  # bfloat16
    layers = [
        layer
        for block in truth.build(WAN_A14B.transformer).blocks
        for layer in block.modules()
        if type(layer) is Linear
    ]
    factors = sum(64 * (layer.in_features + layer.out_features) for layer in layers)
    for lora in WAN_A14B_LIGHTNING.files:
        assert lora.size_bytes == pytest.approx(4 * factors, rel=0.001)  # float32


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_files_are_wanted_for_components_there_are_and_nowhere_else(spec: ModelSpec) -> None:
    assert {*spec.originals, *spec.loras} <= {*spec.networks}
    assert not {*spec.originals} & {*spec.loras}
    for file in spec.files:
        assert file.name.endswith(".safetensors")
        assert file.repository != spec.repository
    assert len(set(spec.files)) == len(spec.files)


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_two_experts_share_their_size_and_have_a_boundary(spec: ModelSpec) -> None:
    assert spec.experts == (2 if spec in (WAN_A14B, WAN_A14B_LIGHTNING) else 1)
    assert (spec.expert_boundary is not None) == (spec.experts == 2)
    second = spec.networks.get(Component.TRANSFORMER_2)
    assert second is (spec.transformer if spec.experts == 2 else None)
    weights = spec.text_encoder.parameters + spec.experts * spec.transformer.parameters + spec.vae.parameters
    assert spec.parameters == weights


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_a_model_that_takes_given_latents_has_room_for_them_in_its_memory_forecast(spec: ModelSpec) -> None:
    """A timestep a token costs more than one for all; only such models are told their tail by latents."""
    if {Tail.LATENTS, Tail.FRAMES} & {*spec.tails}:
        assert spec.transformer.given_bytes[1] > spec.transformer.pass_bytes[1]


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_a_causal_model_goes_block_by_block_through_what_it_was_trained_on(spec: ModelSpec) -> None:
    causal = spec.tail is Tail.CAUSAL
    assert causal == isinstance(spec.transformer, CausalTransformer) == (spec.block_latents is not None)
    if causal:
        assert spec.block_latents
        partition = truth.build(spec.transformer).config["chunk_partition"]
        assert max(partition) == spec.block_latents
        assert sum(partition) == spec.latents_of(spec.native_frames)
        given = spec.latents_of(spec.overlap_frames)
        assert given + spec.block_latents == spec.latents_of(spec.native_frames)


def test_frames_and_latents_are_each_others_inverse() -> None:
    for spec in CATALOG.values():
        assert [spec.latents_of(spec.frames_of(latents)) for latents in range(1, 200)] == list(range(1, 200))


@pytest.mark.parametrize(("asked", "nearest"), [(-5, 9), (0, 9), (12, 9), (14, 17), (96, 97), (97, 97), (1440, 1441)])
def test_nearest_frames_is_on_the_grid_and_next_to_what_was_asked(asked: float, nearest: int) -> None:
    assert MINIATURE.nearest_frames(asked) == nearest


def test_an_unknown_model_is_refused_with_the_list_of_models() -> None:
    with pytest.raises(InvalidRequest, match=", ".join(SMALLEST_FIRST)) as refusal:
        find_model("sora")
    assert refusal.value.field == "model"

"""Every checkpoint Rushes knows: facts only, each with its source. Sizes and costs are in `components.py`.

Sources: [card] the model card of the repository named; [docs] diffusers' documentation of LTX-Video and AnyFlow, 0.42;
[wan] Wan2.2's wan/configs at 42bf4cf; [ltx] LTX-Video's configs/ at 5260738; [anyflow] AnyFlow's
options/train/anyflow/farwan_causal/ at be1f9f2; [lightning] Wan2.2-Lightning's README.md at 2717550, and its
wan/configs/wan_t2v_A14B.py and generate.py as in the fork yliuls/Wan2.2-Lightning at a7fb099 and 5063f35. Where no
commit can be cited, `revision` is None: the first download resolves it and records it.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pipeline.errors import InvalidRequest
from pipeline.plan import components
from pipeline.plan.networks import Network
from pipeline.plan.spec import HELD, Component, Family, Keyframe, ModelSpec, SigmaSchedule, Tail, VideoShape, WeightFile

LTX_TAILS = (Tail.LATENTS, Tail.FRAMES, Tail.REPAINT, Tail.CO_DENOISE)  # compared by tests/bench/chunks
LTX_DISTILLED_TIMESTEPS = (1000, 993, 987, 981, 975, 909, 725, 0.03)  # [docs], from [ltx] ltxv-13b-0.9.8-distilled.yaml


def _networks(*, text: Network, transformer: Network, vae: Network, experts: int = 1) -> Mapping[Component, Network]:
    second = {Component.TRANSFORMER_2: transformer} if experts == 2 else {}
    return MappingProxyType(
        {Component.TEXT_ENCODER: text, Component.TRANSFORMER: transformer} | second | {Component.VAE: vae}
    )


def _shapes(*sizes: tuple[int, int]) -> tuple[VideoShape, ...]:
    return tuple(VideoShape(width=width, height=height) for width, height in sizes)


MINIATURE = ModelSpec(
    key="miniature",
    title="Miniature",
    family=Family.LTX,
    repository="",  # ships in assets/miniature
    revision=None,
    licence="Apache-2.0",
    networks=_networks(
        text=components.MINIATURE_TEXT_ENCODER,
        transformer=components.MINIATURE_TRANSFORMER,
        vae=components.MINIATURE_VAE,
    ),
    frame_stride=8,
    pixel_multiple=32,
    latent_channels=64,
    latent_pixels=32,
    fps=24,
    native_frames=49,  # trained on windows of 4 to 7 latents: pipeline/training/teacher.py
    tails=LTX_TAILS,
    keyframes=(Keyframe.START, Keyframe.END),  # trained on leading latents; ends by holding one: tests/bench/README.md
    holds_end=True,
    recalls=True,
    continuity=HELD,
    overlap_frames=17,
    longest_overlap_frames=17,  # trained on 1 to 3 leading latents
    decode_window_latents=8,
    causal_decoder=False,
    shapes=_shapes((256, 160), (192, 192), (160, 256)),
    smallest_side_pixels=96,
    largest_side_pixels=320,  # trained on 96 to 256
    default_seconds=4.0,
    default_steps=24,
    default_guidance=4.0,  # 3 does as well, see the card in assets/miniature
    sigma_schedule=SigmaSchedule.SHIFTED,
    sigma_shift=3.0,
    batched_guidance=True,
    text_tokens=32,
)

ANYFLOW_1_3B = ModelSpec(
    key="anyflow-1.3b",
    title="AnyFlow-FAR 1.3B",
    family=Family.ANYFLOW,
    repository="nvidia/AnyFlow-FAR-Wan2.1-1.3B-Diffusers",
    revision=None,
    licence="other; by others' account NVIDIA's NSCLv1, non-commercial",  # [card] says no more than "other"
    networks=_networks(
        text=components.UMT5_XXL, transformer=components.ANYFLOW_1_3B_TRANSFORMER, vae=components.WAN_21_VAE
    ),
    frame_stride=4,
    pixel_multiple=16,  # VAE 8, patches of 2
    latent_channels=16,
    latent_pixels=8,
    fps=16,  # [anyflow] target_fps
    native_frames=81,  # [anyflow]: trained on 21 latents in blocks of 1, six times 3, and 2
    tails=(Tail.CAUSAL,),
    block_latents=3,
    keyframes=(Keyframe.START,),  # [docs]: a picture is the first of the blocks it goes on from
    overlap_frames=69,
    longest_overlap_frames=69,
    decode_window_latents=4,  # a second of video
    causal_decoder=True,
    shapes=_shapes((832, 480), (640, 640), (480, 832)),  # [anyflow]: trained at 832 x 480
    smallest_side_pixels=256,
    largest_side_pixels=1280,
    default_seconds=5.0,
    default_steps=4,  # [anyflow]; any number from 1 on, more are better
    default_guidance=1.0,  # [docs]: guidance is distilled into the weights
    sigma_schedule=SigmaSchedule.SHIFTED,
    sigma_shift=5.0,  # [anyflow]
    batched_guidance=False,  # two passes of one, each with what it remembers
    text_tokens=512,
)

LTX_2B = ModelSpec(
    key="ltx-2b",
    title="LTX-Video 2B 0.9.5",
    family=Family.LTX,
    repository="Lightricks/LTX-Video-0.9.5",
    revision=None,
    licence="LTX-Video Open Weights License 0.X",
    networks=_networks(text=components.T5_XXL, transformer=components.LTX_2B_TRANSFORMER, vae=components.LTX_VAE),
    frame_stride=8,  # [card]: frames 8k + 1, sizes in multiples of 32
    pixel_multiple=32,
    latent_channels=128,
    latent_pixels=32,
    fps=24,
    native_frames=121,  # what LTX-Video's own pipelines default to; the card allows up to 257
    tails=LTX_TAILS,
    keyframes=(Keyframe.START, Keyframe.END),  # [docs]: pictures at any frame, LTXConditionPipeline
    recalls=True,
    overlap_frames=17,
    longest_overlap_frames=57,
    decode_window_latents=8,
    causal_decoder=False,
    shapes=_shapes((704, 480), (576, 576), (480, 704)),
    smallest_side_pixels=256,
    largest_side_pixels=1280,  # [card] advises less than 720 x 1280
    default_seconds=5.0,
    default_steps=40,  # [card], example
    default_guidance=3.0,  # [card]: 3 to 3.5
    sigma_schedule=SigmaSchedule.LINEAR_QUADRATIC,
    batched_guidance=True,  # LTXConditionPipeline: one batch of two
    text_tokens=256,  # LTXConditionPipeline's default
)

_LTX_2B_DISTILLED_FILE = WeightFile(
    repository="Lightricks/LTX-Video", name="ltxv-2b-0.9.8-distilled.safetensors", size_bytes=6_340_600_000
)
LTX_2B_DISTILLED = replace(
    LTX_2B,
    key="ltx-2b-distilled",
    title="LTX-Video 2B 0.9.8, distilled",
    # No folder in diffusers' layout is published: transformer and VAE of one file, everything else of 0.9.5's folder.
    originals=MappingProxyType(dict.fromkeys((Component.TRANSFORMER, Component.VAE), _LTX_2B_DISTILLED_FILE)),
    default_steps=8,
    default_guidance=1.0,  # [docs]: distilled for guidance, too
    sigma_schedule=SigmaSchedule.LISTED,
    timesteps=LTX_DISTILLED_TIMESTEPS,  # [ltx] ltxv-2b-0.9.8-distilled.yaml lists the same, without the last
)

LTX_13B = replace(
    LTX_2B,
    key="ltx-13b",
    title="LTX-Video 13B 0.9.7",
    repository="Lightricks/LTX-Video-0.9.7-dev",
    networks=_networks(text=components.T5_XXL, transformer=components.LTX_13B_TRANSFORMER, vae=components.LTX_VAE),
    shapes=_shapes((768, 512), (608, 608), (512, 768)),
    default_steps=30,  # [docs], example
    default_guidance=5.0,  # [docs], example
)

LTX_13B_DISTILLED = replace(
    LTX_13B,
    key="ltx-13b-distilled",
    title="LTX-Video 13B 0.9.8, distilled",
    repository="Lightricks/LTX-Video-0.9.8-13B-distilled",
    default_steps=8,
    default_guidance=1.0,
    sigma_schedule=SigmaSchedule.LISTED,
    timesteps=LTX_DISTILLED_TIMESTEPS,
)

WAN_5B = ModelSpec(
    key="wan-5b",
    title="Wan2.2 TI2V-5B",
    family=Family.WAN,
    repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    revision=None,
    licence="Apache-2.0",
    networks=_networks(text=components.UMT5_XXL, transformer=components.WAN_5B_TRANSFORMER, vae=components.WAN_22_VAE),
    frame_stride=4,  # [card]: frames 4k + 1
    pixel_multiple=32,  # VAE 16, patches of 2
    latent_channels=48,
    latent_pixels=16,
    fps=24,  # [wan] wan_ti2v_5B.py
    native_frames=121,
    # Trained on a first latent at per-token timestep 0. Repainted, it would need the other sampler for nothing.
    tails=(Tail.LATENTS, Tail.FRAMES, Tail.CO_DENOISE),
    keyframes=(Keyframe.START,),  # [wan]: text and image to video; an end frame is another checkpoint's
    overlap_frames=9,
    longest_overlap_frames=33,
    decode_window_latents=6,  # a second of video
    causal_decoder=True,
    shapes=_shapes((1280, 704), (960, 960), (704, 1280)),
    smallest_side_pixels=256,
    largest_side_pixels=1280,
    default_seconds=5.0,
    default_steps=50,  # [wan]
    default_guidance=5.0,
    sigma_schedule=SigmaSchedule.SHIFTED,
    sigma_shift=5.0,
    batched_guidance=False,  # WanPipeline: two passes of one
    sampler_tensors=4,  # UniPC of second order: its last sample, and two predictions
    text_tokens=512,  # [wan] text_len
)

WAN_A14B = ModelSpec(
    key="wan-a14b",
    title="Wan2.2 T2V-A14B",
    family=Family.WAN,
    repository="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    revision=None,
    licence="Apache-2.0",
    networks=_networks(
        text=components.UMT5_XXL, transformer=components.WAN_A14B_TRANSFORMER, vae=components.WAN_21_VAE, experts=2
    ),
    frame_stride=4,
    pixel_multiple=16,  # VAE 8, patches of 2
    latent_channels=16,
    latent_pixels=8,
    fps=16,  # [wan] wan_t2v_A14B.py
    native_frames=81,
    tails=(Tail.REPAINT, Tail.CO_DENOISE),  # a text-to-video model has no place for given latents
    overlap_frames=9,
    longest_overlap_frames=33,
    decode_window_latents=4,  # a second of video
    causal_decoder=True,
    shapes=_shapes((832, 480), (624, 624), (480, 832)),
    smallest_side_pixels=256,
    largest_side_pixels=1280,
    default_seconds=5.0,
    default_steps=40,  # [wan]
    default_guidance=4.0,  # [wan]: 4 while noise is high, 3 for the second expert
    second_guidance=3.0,
    sigma_schedule=SigmaSchedule.SHIFTED,
    sigma_shift=12.0,
    expert_boundary=0.875,
    batched_guidance=False,
    text_tokens=512,
)


def _lightning_lora(name: str) -> WeightFile:
    """Of rank 64 in float32; its folder is [lightning]'s, its name that of quic/efficient-transformers' example."""
    folder = "Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1"
    return WeightFile(
        repository="lightx2v/Wan2.2-Lightning", name=f"{folder}/{name}.safetensors", size_bytes=1_226_900_000
    )


WAN_A14B_LIGHTNING = replace(
    WAN_A14B,
    key="wan-a14b-lightning",
    title="Wan2.2 T2V-A14B, Lightning",
    loras=MappingProxyType(  # the first expert is the one for high noise
        {
            Component.TRANSFORMER: _lightning_lora("high_noise_model"),
            Component.TRANSFORMER_2: _lightning_lora("low_noise_model"),
        }
    ),
    default_steps=4,  # [lightning], like guidance, shift and boundary
    default_guidance=1.0,
    second_guidance=None,
    sigma_shift=5.0,  # 1000, 937.5, 833.3, 625 in 4 steps, as trained: ModelTC/LightX2V-Wan2.2-Lightning#3
)

CATALOG: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.key: spec
        for spec in (
            MINIATURE,
            ANYFLOW_1_3B,
            LTX_2B,
            LTX_2B_DISTILLED,
            LTX_13B,
            LTX_13B_DISTILLED,
            WAN_5B,
            WAN_A14B,
            WAN_A14B_LIGHTNING,
        )
    }
)


def find_model(key: str) -> ModelSpec:
    """The catalog entry for `key`; InvalidRequest lists the keys there are."""
    try:
        return CATALOG[key]
    except KeyError:
        raise InvalidRequest("model", f"There is no model {key!r}.", f"Models: {', '.join(CATALOG)}.") from None

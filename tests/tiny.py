"""A whole checkpoint in an instant: the real classes, one layer each, random weights, no network.

The fixture `tiny` puts it in the miniature's place.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import imageio_ffmpeg
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.engine import Engine
from pipeline.events import Event
from pipeline.models.base import Decoder, Frames, Sampling, VideoModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import VideoShape

Say = Callable[[Event, Journal], None]
Kind = TypeVar("Kind")

CHANNELS = MINIATURE.latent_channels
TEXT_WIDTH = 16
WORDS = ("a", "red", "blue", "ball", "star", "moves", "left", "rises", "over", "snow", "sea")


def make_tiny_checkpoint(folder: Path, *, timestep_conditioning: bool = False, seed: int = 0) -> Path:
    """Write a checkpoint in diffusers' folder layout, 32x32x8 pixels a latent; the same seed, the same weights.

    Returns:
        `folder`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _vae(timestep_conditioning).save_pretrained(folder / "vae")
        LTXVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            num_layers=1,
            caption_channels=TEXT_WIDTH,
        ).save_pretrained(folder / "transformer")
        text = T5Config(vocab_size=32, d_model=TEXT_WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        T5EncoderModel(text).save_pretrained(folder / "text_encoder")
        word_tokenizer().save_pretrained(folder / "tokenizer")
        FlowMatchEulerDiscreteScheduler(shift=1.0).save_pretrained(folder / "scheduler")
        (folder / "preview").mkdir()
        latent_map = {"weight": torch.randn(CHANNELS, 8 * 4 * 4 * 3), "bias": torch.full((8 * 4 * 4 * 3,), 0.5)}
        save_file(latent_map, folder / "preview" / "latent_rgb.safetensors")
    index = {
        "_class_name": "LTXConditionPipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "LTXVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLLTXVideo"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def _vae(timestep_conditioning: bool) -> AutoencoderKLLTXVideo:
    vae = AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("LTXVideo095DownBlock3D",) * 3,
        layers_per_block=(1, 1, 1, 1),
        downsample_type=("spatiotemporal",) * 3,
        spatio_temporal_scaling=(True, True, True),
        decoder_block_out_channels=(8, 8, 8),
        decoder_layers_per_block=(1, 1, 1, 1),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False,) * 4,
        upsample_residual=(True,) * 3,
        upsample_factor=(1, 1, 1),
        timestep_conditioning=timestep_conditioning,
        patch_size=4,
        decoder_causal=False,
    )
    vae.latents_mean.copy_(torch.linspace(-0.5, 0.5, CHANNELS))  # so that forgetting to undo them would show
    vae.latents_std.copy_(torch.linspace(0.5, 2.0, CHANNELS))
    return vae


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Knows a dozen words, one token each, and ends each sentence with a token of its own."""
    vocabulary = {word: index for index, word in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=32
    )


def make_draft(drafts: Path, plan: DraftPlan, say: Say = lambda *_: None) -> tuple[list[Event], Journal]:
    """Make a draft with a new engine; `say` hears each event as it comes."""
    journal, events = Journal(drafts, new_draft_id()), list[Event]()

    def emit(event: Event) -> None:
        events.append(event)
        say(event, journal)

    Engine(drafts).run(plan, journal.draft, emit)
    return events, journal


def of(kind: type[Kind], events: list[Event]) -> list[Kind]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def count_frames(film: Path) -> int:
    """Frames in a video file, counted by a demuxer that is not ours."""
    return int(imageio_ffmpeg.count_frames_and_secs(str(film))[0])


def kinds(events: list[Event]) -> list[str]:
    """The events' names, repeats of one another told once."""
    names = [type(event).__name__ for event in events]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def decode(decoder: Decoder, *slices: Tensor) -> list[Frames]:
    """Slices to frames, each in a visit of its own."""
    made = []
    for latents in slices:
        with decoder.visit() as frames_of:
            made.append(frames_of(latents))
    return made


def choose(device: Device, *stages: Stage, **changes: Any) -> Mapping[Stage, Choice]:
    """How each stage is run: plainly, except that some are run as `changes` say."""
    plain = {"precision": Precision(device.dtype), "placement": Placement.VISITING, "card_bytes": 0, "ram_bytes": 0}
    return {stage: Choice(stage=stage, **plain | (changes if stage in stages else {})) for stage in Stage}


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfDevice(Device):
    """The processor, taken for one that computes in 16 bits as cards do."""

    half: str

    @property
    def dtype(self) -> str:
        """Of weights and embeddings."""
        return self.half


def in_half(device: Device, dtype: str) -> HalfDevice:
    """`device`, computing in `bfloat16` or `float16`."""
    return HalfDevice(half=dtype, **{field.name: getattr(device, field.name) for field in fields(Device)})


class CutError(BaseException):
    """As if the power went."""


def run_until(
    drafts: Path, plan: DraftPlan, draft: str, until: Callable[[Event], bool] = lambda _: False
) -> list[Event]:
    """With a new engine, as after a restart; cut off just after the first event of which `until` is true."""
    events = list[Event]()

    def emit(event: Event) -> None:
        events.append(event)
        if until(event):
            raise CutError

    with suppress(CutError):
        Engine(drafts).run(plan, draft, emit)
    return events


def guided_sampling(model: VideoModel, *, shape: VideoShape, steps: int) -> Sampling:
    """Of a chunk by itself, with one sentence and without another."""
    positive, negative = model.encode(["a red ball rises over snow", "a blue star"])
    return Sampling(shape=shape, steps=steps, guidance=3.0, positive=positive, negative=negative)

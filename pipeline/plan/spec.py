"""What a checkpoint is: the words in which the catalog states its facts. Knows nothing about devices or requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from pipeline.plan.networks import Autoencoder, Network, TextEncoder, Transformer


class Family(StrEnum):
    """Which file in `models/` knows how to run a checkpoint."""

    ANYFLOW = "anyflow"
    LTX = "ltx"
    WAN = "wan"


class Component(StrEnum):
    """The parts of a checkpoint that are put on the device one at a time."""

    TEXT_ENCODER = "text_encoder"
    TRANSFORMER = "transformer"
    TRANSFORMER_2 = "transformer_2"
    VAE = "vae"
    VAE_ENCODER = "vae_encoder"  # of a VAE, what turns frames into latents; `VAE` is what turns them back


class SigmaSchedule(StrEnum):
    """How sigmas are spread over the steps.

    - ``SHIFTED``: evenly, then pushed towards noise by `ModelSpec.sigma_shift`.
    - ``LINEAR_QUADRATIC``: LTX-Video's own, as `LTXConditionPipeline` does without being told.
    - ``LISTED``: the steps a distilled checkpoint was trained for, `ModelSpec.timesteps`.
    """

    SHIFTED = "shifted"
    LINEAR_QUADRATIC = "linear-quadratic"
    LISTED = "listed"


class Tail(StrEnum):
    """How a next chunk is told what came before.

    - ``LATENTS``: the last latents stand in front of the new ones at per-token timestep 0.
    - ``FRAMES``: the same with the last frames, decoded and encoded again: a clip that begins with them.
    - ``REPAINT``: after each step the overlap is set to the known latents, noised to the next sigma.
    - ``CO_DENOISE``: nobody comes before: all windows take each step together, averaged where they overlap.
    - ``CAUSAL``: the model reads the latents before and remembers their keys and values; new ones see these.
    """

    LATENTS = "latents"
    FRAMES = "frames"
    REPAINT = "repaint"
    CO_DENOISE = "co-denoise"
    CAUSAL = "causal"


class Keyframe(StrEnum):
    """Where a picture stands that a draft is given: its first frame, or its last."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """What holds the chunks of a draft together besides what they are told of one another; as it stands here, nothing.

    A single chunk is what it is whatever these say.

    - ``tail_strength`` s, 0.5 to 1: what a chunk is given is known but for noise of level 1 - s, until the noise of all
      else is no more than that; from there it is denoised with the rest (models/strength.py).
    - ``anchor``, 0 to 1: how far the latents that a chunk adds are moved, channel by channel, to the mean and the
      deviation of the first chunk of their shot (video/look.py).
    - ``shared_noise``, 0 to 0.5: the share of the latents that a chunk adds which begin from the same noise in all
      chunks of a scene, its first's; the rest is the chunk's own, so that another seed is another take.
    - ``match_colour``, 0 to 1: how much of a step in mean colour between two chunks is taken back in the frames and
      becomes a slope (video/matching.py).
    - ``guided_share``, 0 to 1: the share of its steps, the last ones, in which a chunk that goes on in its shot is
      guided (models/guidance.py). Before, what it is given guides it, and a step takes half as long. That guidance at
      much noise does more harm than good: Kynkäänniemi et al. 2024, arXiv:2404.07724.
    - ``recall``, 0 to 1: where the end of what is there shows less than that share of what the shot's first chunk
      showed, the chunk is also given a latent of that one, and guided in all its steps, so that what has gone out of
      the picture comes back as it was (models/recalling.py).
    - ``turn_away``, 0 to 1: the share of its steps, the last ones, in which a chunk is guided away from the sentence
      before its own instead of the negative prompt, while what it is given still shows that one; in the others it is
      not guided. At 0 it is guided as any other, and what stands still stays as it was, whatever the new sentence says:
      a tail tells more than a sentence does. Guided so from the first step on it changes at one blow.
    """

    tail_strength: float = 1.0
    anchor: float = 0.0
    shared_noise: float = 0.0
    match_colour: float = 0.0
    guided_share: float = 1.0
    recall: float = 0.0
    turn_away: float = 0.0


LOOSE = Continuity()
"""By nothing else: as requests of versions that knew no such choice were made."""
HELD = Continuity(anchor=0.5, match_colour=1.0, guided_share=0.35, recall=0.9, turn_away=0.8)
"""What helps the miniature: `python -m tests.bench.chunks --only hold`, figures in tests/bench/README.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShape:
    """A picture size in pixels."""

    width: int
    height: int

    @property
    def name(self) -> str:
        """`wide`, `square` or `tall`."""
        return "wide" if self.width > self.height else "tall" if self.width < self.height else "square"

    @property
    def pixels(self) -> int:
        """Of one picture."""
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One safetensors file of a repository from which nothing else is wanted; about how large it is."""

    repository: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a checkpoint is.

    Frame counts of a chunk lie on `frame_stride * k + 1`; sizes on multiples of `pixel_multiple`. `repository` is a
    folder in diffusers' layout, empty for what ships with Rushes; `originals` hold the weights of some components in
    its place, named as their authors do, and `loras` changes to those of some. `revision` is the folder's commit, or
    None where the first download decides and is recorded, as it is for files. `tails` are the ways in which a next
    chunk can be told what came before, the usual one first; `continuity` is what else holds chunks together unless
    asked otherwise. `expert_boundary` is the sigma at which the second
    transformer takes over. `batched_guidance` tells whether the pass with the sentence and the one without
    run as one batch of two; `causal_decoder` that the VAE decodes latent by latent with a cache, so that neighbouring
    slices share nothing. `block_latents` is how many latents a causal transformer denoises at a time; what it is given
    before them is what its window, `native_frames`, has room for, and `overlap_frames` the most of that. `keyframes`
    are the pictures that a draft can be given; `holds_end` tells that the end's is the last latent itself, standing
    still, for a transformer that was not trained on pictures beside the sequence.
    `recalls` tells that latents of long ago can stand beside a chunk, each at its own time.
    `sampler_tensors` is how many tensors as large as its latents a sampler goes on from, these included.
    `folder` is one of the person's own that holds all of it; the catalog names none.
    """

    key: str
    title: str
    family: Family
    repository: str
    revision: str | None
    originals: Mapping[Component, WeightFile] = field(default_factory=dict)
    loras: Mapping[Component, WeightFile] = field(default_factory=dict)
    folder: Path | None = None
    licence: str
    networks: Mapping[Component, Network]
    frame_stride: int
    pixel_multiple: int
    latent_channels: int
    latent_pixels: int
    fps: int
    native_frames: int
    tails: tuple[Tail, ...]
    continuity: Continuity = LOOSE
    block_latents: int | None = None
    keyframes: tuple[Keyframe, ...] = ()
    holds_end: bool = False
    recalls: bool = False
    overlap_frames: int
    longest_overlap_frames: int
    decode_window_latents: int
    causal_decoder: bool
    shapes: tuple[VideoShape, ...]
    smallest_side_pixels: int
    largest_side_pixels: int
    default_seconds: float
    default_steps: int
    default_guidance: float
    second_guidance: float | None = None
    sigma_schedule: SigmaSchedule
    sigma_shift: float = 1.0
    timesteps: tuple[float, ...] = ()
    expert_boundary: float | None = None
    batched_guidance: bool
    sampler_tensors: int = 1
    text_tokens: int

    @property
    def tail(self) -> Tail:
        """How a next chunk is told what came before unless asked otherwise."""
        return self.tails[0]

    @property
    def text_encoder(self) -> TextEncoder:
        """The network that reads the sentence."""
        network = self.networks[Component.TEXT_ENCODER]
        assert isinstance(network, TextEncoder)
        return network

    @property
    def transformer(self) -> Transformer:
        """The network that denoises; the first of two equal ones where there are two."""
        network = self.networks[Component.TRANSFORMER]
        assert isinstance(network, Transformer)
        return network

    @property
    def vae(self) -> Autoencoder:
        """The network that decodes."""
        network = self.networks[Component.VAE]
        assert isinstance(network, Autoencoder)
        return network

    @property
    def files(self) -> tuple[WeightFile, ...]:
        """What is wanted besides the folder, each once."""
        return tuple(dict.fromkeys((*self.originals.values(), *self.loras.values())))

    @property
    def experts(self) -> int:
        """How many transformers take turns."""
        return 2 if Component.TRANSFORMER_2 in self.networks else 1

    @property
    def parameters(self) -> int:
        """Weights of all components."""
        return sum(network.parameters for network in self.networks.values())

    def kept_in(self, folder: Path | None) -> "ModelSpec":
        """The same, all in a folder of one's own in diffusers' layout; None changes nothing."""
        return replace(self, folder=folder, originals={}, loras={}) if folder else self

    def latents_of(self, frames: int, scenes: int = 1) -> int:
        """Latent frames that hold `frames` frames; `frames` must lie on the grid. A scene's first holds one frame."""
        return (frames - scenes) // self.frame_stride + scenes

    def frames_of(self, latents: int) -> int:
        """Frames that `latents` latent frames decode to."""
        return (latents - 1) * self.frame_stride + 1

    def nearest_frames(self, frames: float, scenes: int = 1) -> int:
        """The legal frame count nearest to `frames`, at least one stride long in each scene."""
        return max(scenes, round((frames - scenes) / self.frame_stride)) * self.frame_stride + scenes

    def scaled(self, shape: VideoShape, scale: float) -> VideoShape:
        """The legal size nearest to a shape with its sides `scale` times as long; none grows beyond the largest side,
        and both keep their proportion up to there."""
        multiple = self.pixel_multiple
        scale = min(scale, self.largest_side_pixels / max(shape.width, shape.height))
        width, height = (
            max(self.smallest_side_pixels, round(side * scale / multiple) * multiple)
            for side in (shape.width, shape.height)
        )
        return VideoShape(width=width, height=height)

    def tokens_of(self, shape: VideoShape, latents: int) -> int:
        """Transformer tokens of a window."""
        return latents * (shape.width // self.pixel_multiple) * (shape.height // self.pixel_multiple)

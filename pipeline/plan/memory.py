"""How many bytes things take: weights by precision and placement, what is live while they compute. Arithmetic only.

The stages never overlap (gpu/residency.py), so the need of a draft is the largest of them, not their sum.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.plan.chunks import Chunk, split_given
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.following import recallable, share_guided
from pipeline.plan.networks import Autoencoder, CausalTransformer, Network
from pipeline.plan.spec import LOOSE, Continuity, Keyframe, ModelSpec, Tail, VideoShape

CARD_CONTEXT_BYTES = 2**29  # kernels and driver state of one CUDA process: about 0.5 GiB, assumed until measured
CARD_HOST_BYTES = 3 * 2**29  # main memory of a process with CUDA: about 1.5 GiB, assumed until measured
HOST_BYTES = 490 * 2**20  # main memory of the engine's process besides weights and tensors, CPU build of torch 2.13:
# 366 MiB once imported, the rest is touched while it works (tests/bench/forecast.py)
ALLOCATOR_SLACK = 1.10  # a caching allocator keeps about a tenth more than is live; on a card only
INT4_GROUP = 128  # weights that share a scale and a shift, quanto's qint4
STREAM_BUFFERS = 2  # blocks on the card while the others wait in main memory: one computes, one arrives
TILE_OVERLAP_PIXELS = 64


class Stage(StrEnum):
    """What the device is busy with; stages follow one another."""

    ENCODE = "encode"
    DENOISE = "denoise"
    DECODE = "decode"


class Precision(StrEnum):
    """How weights are stored; all but FLOAT32 compute in 16 bits."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class Placement(StrEnum):
    """Where weights are while they compute.

    - ``KEPT``: on the device from then on, for the next sentence; a text encoder only.
    - ``VISITING``: on the device while their stage lasts.
    - ``STREAMED``: two blocks on the device, the others arriving from main memory; of a text encoder, from disk.
    - ``HOST``: in main memory, and the processor computes; only where memory ran out on the card.
    """

    KEPT = "kept"
    VISITING = "visiting"
    STREAMED = "streamed"
    HOST = "host"


def weight_bytes(network: Network, precision: Precision) -> int:
    """All weights of a network that are loaded, scales included; of an autoencoder, the decoder's."""
    parameters = network.decoder_parameters if isinstance(network, Autoencoder) else network.parameters
    other = parameters - network.quantizable - network.float32
    if precision is Precision.FLOAT32:
        return 4 * parameters
    return _linear_bytes(network.quantizable, network.quantizable_rows, precision) + 2 * other + 4 * network.float32


def block_bytes(network: Network, precision: Precision) -> int:
    """One of a network's equal blocks."""
    linear, rows = network.quantizable // network.blocks, network.quantizable_rows // network.blocks
    if precision is Precision.FLOAT32:
        return 4 * network.block_parameters
    return _linear_bytes(linear, rows, precision) + 2 * (network.block_parameters - linear)


def _linear_bytes(weights: int, rows: int, precision: Precision) -> int:
    match precision:
        case Precision.FP8:
            return weights
        case Precision.INT8:
            return weights + 2 * rows  # a 16-bit scale a row
        case Precision.INT4:
            return weights // 2 + 4 * weights // INT4_GROUP  # a 16-bit scale and shift a group
        case _:
            return 2 * weights


def placed_bytes(network: Network, precision: Precision, placement: Placement) -> int:
    """Weights on the device while the network computes."""
    whole = weight_bytes(network, precision)
    if placement is not Placement.STREAMED:
        return whole
    block = block_bytes(network, precision)
    return whole - (network.blocks - STREAM_BUFFERS) * block


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one stage has to hold besides weights: the sizes that memory depends on.

    `sentences` is how many are encoded, the negative one not counted.
    `together` tells that the pass with the sentence and the one without run as one batch, where the family can;
    `decode_float32` that the VAE computes in float32 whatever the device does; `blocks` what a causal transformer
    denoises of a chunk one after the other, a usual block if not given; `tail` how a chunk is told what came before,
    the model's usual way if not given; `reencoded_latents` what the last frames before it are encoded to for that;
    `keyframes` which pictures are given; `chunks` all of the draft's and `continuity` what holds them together, from
    which follow, of one of them, the `guided_share` of its steps and how many latents of long ago it may be shown,
    `recalled`.
    """

    spec: ModelSpec
    shape: VideoShape
    chunk_latents: int
    guided: bool
    continued: bool
    window_latents: int
    tile_pixels: int | None = None
    together: bool = True
    decode_float32: bool = False
    blocks: tuple[int, ...] = ()
    sentences: int = 1
    tail: Tail | None = None
    reencoded_latents: int = 0
    keyframes: tuple[Keyframe, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    continuity: Continuity = LOOSE
    guided_share: float = 1.0
    recalled: int = 0

    def of(self, chunk: Chunk) -> "Workload":
        """What one chunk of the draft has to hold, each of its passes as long as the longest."""
        return replace(
            self,
            chunk_latents=max(chunk.passes),
            blocks=chunk.blocks,
            guided_share=share_guided(self.chunks, chunk, self.continuity),
            recalled=int(self.continuity.recall > 0 and bool(recallable(self.chunks, chunk))),
        )

    def live_bytes(self, stage: Stage, device: Device) -> int:
        """Most that is live at once in `stage` besides weights, in the device's precision."""
        spec = self.spec
        match stage:
            case Stage.ENCODE:
                network: Network = spec.text_encoder
                live = spec.text_encoder.live_bytes
            case Stage.DENOISE:
                network = spec.transformer
                live = self.denoising_bytes()
            case Stage.DECODE:
                network = spec.vae
                live = spec.vae.live_bytes(self.decode_pixels, self.window_latents)
        wide = self.precision(stage, device) is Precision.FLOAT32
        return round(live * (network.float32_scale if wide else 1)) + self._frames_bytes(stage, device)

    def precision(self, stage: Stage, device: Device) -> Precision:
        """What a stage computes in."""
        return Precision.FLOAT32 if stage is Stage.DECODE and self.decode_float32 else Precision(device.dtype)

    def cache_bytes(self, device: Device) -> int:
        """What a causal decoder remembers of the whole picture between two slices, in main memory."""
        vae = self.spec.vae
        wide = self.precision(Stage.DECODE, device) is Precision.FLOAT32
        return round(vae.cache_bytes * self.shape.pixels * (vae.float32_scale if wide else 1))

    @property
    def sampler_bytes(self) -> int:
        """Where the chunk stood after its last step, kept in main memory in float32 while the next one is made: its
        latents, and what the sampler goes on from besides them."""
        cells = self.shape.pixels // self.spec.latent_pixels**2
        return 4 * self.spec.sampler_tensors * self.spec.latent_channels * self.chunk_latents * cells

    def rounds(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """What a causal transformer denoises of a chunk, block by block, and what it reads before each; in tokens."""
        network, spec = self.spec.transformer, self.spec
        assert isinstance(network, CausalTransformer)
        usual = spec.block_latents or self.chunk_latents
        blocks = self.blocks or (min(usual, self.chunk_latents),)
        before, found = split_given(self.chunk_latents - sum(blocks), usual), []
        for latents in blocks:
            tokens = [spec.tokens_of(self.shape, count) for count in before]
            whole = len(before) - network.whole_blocks
            read = (count // network.compression if index < whole else count for index, count in enumerate(tokens))
            found.append((spec.tokens_of(self.shape, latents), tuple(read)))
            before = (*before, latents)
        return tuple(found)

    def denoising_bytes(self) -> int:
        """Live in 16 bits. A causal transformer keeps what it reads for each sentence, and reads before it denoises."""
        network, batch = self.spec.transformer, 2 if self.batched else 1
        if not isinstance(network, CausalTransformer):
            return network.live_bytes(self.tokens, batch=batch, given=self.given)
        needs = []
        for tokens, before in self.rounds():
            read = sum(before)
            kept = (2 if self.guided else 1) * network.kept_bytes * read
            passing = network.live_bytes(tokens, batch=1, given=False)
            reading = network.live_bytes(read, batch=1, given=True) if read else 0
            needs.append(kept + max(passing, reading))
        return max(needs)

    @property
    def tokens(self) -> int:
        """Of a pass through a transformer that is not causal, with those of an end frame and what is recalled."""
        beside = Keyframe.END in self.keyframes and not self.spec.holds_end
        return self.spec.tokens_of(self.shape, self.chunk_latents + beside + self.recalled)

    @property
    def batched(self) -> bool:
        """Whether each step is one pass of a batch of two."""
        return self.guided and self.spec.batched_guidance and self.together

    @property
    def given(self) -> bool:
        """Whether some chunk begins with latents at their own timestep."""
        return bool(self.keyframes) or (self.continued and (self.tail or self.spec.tail) in (Tail.LATENTS, Tail.FRAMES))

    def reencoding_bytes(self, device: Device) -> int:
        """Most there is while frames are encoded: the VAE's encoder, and what is live; 0 where none are."""
        vae, precision = self.spec.vae, self.precision(Stage.DECODE, device)
        held = Keyframe.END in self.keyframes and self.spec.holds_end  # a picture and what stands still after it
        encoded = max(self.reencoded_latents, 2 if held else 1 if self.keyframes else 0)
        if not encoded:
            return 0
        live = vae.encode_live_bytes(self.decode_pixels, encoded)
        wide = vae.float32_scale if precision is Precision.FLOAT32 else 1
        each = 4 if precision is Precision.FLOAT32 else 2
        return each * (vae.parameters - vae.decoder_parameters) + round(live * wide)

    @property
    def decode_pixels(self) -> int:
        """Of what the VAE decodes at once: a tile, or the whole picture."""
        if self.tile_pixels is None:
            return self.shape.pixels
        return min(self.tile_pixels, self.shape.width) * min(self.tile_pixels, self.shape.height)

    @property
    def tiles(self) -> int:
        """How many tiles a picture is decoded in."""
        if self.tile_pixels is None:
            return 1
        stride = self.tile_pixels - TILE_OVERLAP_PIXELS
        across, down = (
            1 + max(0, -(-(side - self.tile_pixels) // stride)) for side in (self.shape.width, self.shape.height)
        )
        return across * down

    def _frames_bytes(self, stage: Stage, device: Device) -> int:
        """Decoded frames: in 16 bits, as tiles and joined, till the picture is whole; in 8 bits, twice, on the host."""
        if stage is not Stage.DECODE:
            return 0
        frames = self.spec.frame_stride if self.spec.causal_decoder else self.spec.frames_of(self.window_latents)
        values = 3 * self.shape.pixels * frames
        tiles = 4 * values if self.tile_pixels is not None else 0
        return tiles if device.kind is DeviceKind.CUDA else tiles + 2 * values


def host_bytes(device: Device) -> int:
    """Main memory of the engine's process before it holds a weight."""
    return CARD_HOST_BYTES if device.kind is DeviceKind.CUDA else HOST_BYTES


def on_card(device: Device, count: int) -> int:
    """What `count` live bytes take on the device: a card's context and its allocator's slack are added."""
    return int(count * ALLOCATOR_SLACK) + CARD_CONTEXT_BYTES if device.kind is DeviceKind.CUDA else count

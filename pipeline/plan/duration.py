"""How long a draft takes: operations over a rate, or bytes over a bus, whichever is longer; then what drafts taught.

Formula x experience. A wide band until this machine was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate

from pipeline.plan.chunks import Chunk, Slice
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import Placement, Precision, Stage, Workload, weight_bytes
from pipeline.plan.networks import CausalTransformer
from pipeline.plan.placement import Choice
from pipeline.plan.rates import Rates
from pipeline.plan.reencoding import plan_reencoding
from pipeline.plan.spec import Keyframe

# Share of a large matrix product's rate that a whole pass reaches.
CARD_EFFICIENCY = 0.45  # of the data sheet's peak: diffusers on an H100, compiled; 0.35 to 0.45 eager
HOST_EFFICIENCY = 0.5  # the miniature on two cores: tests/bench/forecast.py
DECODE_EFFICIENCY = 0.9  # of a pass's: convolutions; assumed on a card, measured on two cores
PASS_SECONDS = 0.02  # of a pass, whatever its size: the scheduler, the loop, starting kernels; measured on two cores
OPEN_SECONDS = 0.35  # finding and opening a component's files
FRAME_SECONDS_PER_MEGAPIXEL = 0.025  # H.264 on two cores: 121 frames of 704 x 480 in 1.0 s


class Closeness(StrEnum):
    """What a forecast rests on, the best last; the band narrows with it."""

    GUESSED = "guessed"
    RATES = "rates"
    MODEL = "model"
    SHAPE = "shape"

    @property
    def basis(self) -> str:
        """For people."""
        return {
            Closeness.GUESSED: "guessed from the device's name; `doctor` measures it",
            Closeness.RATES: "from this device's measured rates",
            Closeness.MODEL: "from drafts this model made here",
            Closeness.SHAPE: "from drafts like this one made here",
        }[self]


BANDS: Mapping[Closeness, float] = {
    Closeness.GUESSED: 2.5,  # a card nobody measured
    Closeness.RATES: 1.7,
    Closeness.MODEL: 1.35,
    Closeness.SHAPE: 1.15,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What drafts on this device taught: how many times longer than the formula each stage took, and, for stages that
    ran out of memory, what they were forecast to need then: too much."""

    rates: Rates
    factors: Mapping[Stage, float]
    closeness: Closeness
    too_much_bytes: Mapping[Stage, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds from the button to the first playable slice and to the whole draft, with a band.

    `stage_seconds` add up to the whole; `formula_seconds` are the same before experience corrected them, for the next
    draft to learn from.
    """

    first_slice_seconds: float
    total_seconds: float
    stage_seconds: Mapping[Stage, float]
    formula_seconds: Mapping[Stage, float]
    band: float
    closeness: Closeness

    @property
    def low_seconds(self) -> float:
        """Lower end of the band for the whole draft."""
        return self.total_seconds / self.band

    @property
    def high_seconds(self) -> float:
        """Upper end of the band for the whole draft."""
        return self.total_seconds * self.band

    @property
    def measured(self) -> bool:
        """Whether drafts on this device were taken into account."""
        return self.closeness in (Closeness.MODEL, Closeness.SHAPE)


def efficiency(device: Device) -> float:
    """Share of a large matrix product's rate that a whole pass reaches there."""
    return CARD_EFFICIENCY if device.kind is not DeviceKind.CPU else HOST_EFFICIENCY


def stage_seconds(choice: Choice, load: Workload, rates: Rates, device: Device, *, steps: int) -> float:
    """One chunk through a stage with one choice, loading included; for DECODE one window."""
    spec = load.spec
    computing = rates.operations_per_second * efficiency(device)
    stored = Precision(device.dtype)  # quantized weights are made from these, unless made before
    match choice.stage:
        case Stage.ENCODE:
            sentences = load.sentences + (1 if load.guided else 0)
            readings = sentences if choice.placement is Placement.STREAMED else 1
            reading = readings * weight_bytes(spec.text_encoder, stored) / rates.disk_bytes_per_second
            return OPEN_SECONDS + reading + sentences * choice.slowdown * spec.text_encoder.operations / computing
        case Stage.DENOISE:
            moving = choice.moved_bytes / rates.bus_bytes_per_second
            seconds = 0.0
            for count, operations in _passes(load, steps):
                guided = round(load.guided_share * count) if load.guided else 0
                for passes, times in ((2, guided), (1, count - guided)):
                    together = passes if load.batched and choice.together else 1  # that share one trip of the weights
                    trip = max(together * operations * choice.slowdown / computing, moving)
                    seconds += times * passes / together * (PASS_SECONDS + trip)
            return seconds
        case Stage.DECODE:
            pixels = load.decode_pixels
            operations = load.tiles * spec.vae.operations(pixels, load.window_latents)
            frames = spec.frames_of(load.window_latents)
            writing = FRAME_SECONDS_PER_MEGAPIXEL * frames * load.shape.pixels / 1e6
            return choice.slowdown * operations / (computing * DECODE_EFFICIENCY) + writing


def _passes(load: Workload, steps: int) -> list[tuple[int, int]]:
    """How often a chunk goes through the transformer with a sentence, and the operations of each time."""
    network = load.spec.transformer
    if not isinstance(network, CausalTransformer):
        return [(steps, network.operations(load.tokens))]
    found = []
    for tokens, before in load.rounds():
        read = sum(before)
        if read:  # a block sees itself and those before it
            seen = zip(before, accumulate(before), strict=True)
            found.append((1, network.operations(read, pairs=sum(own * upto for own, upto in seen))))
        found.append((steps, network.operations(tokens, pairs=tokens * (tokens + read))))
    return found


def encoding_seconds(choice: Choice, load: Workload, rates: Rates, device: Device, latents: int) -> float:
    """Turning frames into so many latents: the VAE's encoder read, then used."""
    vae = load.spec.vae
    stored = vae.parameters - vae.decoder_parameters
    reading = stored * (4 if choice.precision is Precision.FLOAT32 else 2) / rates.disk_bytes_per_second
    operations = vae.encode_operations_of(load.shape.pixels, latents)
    computing = rates.operations_per_second * DECODE_EFFICIENCY * efficiency(device)
    return OPEN_SECONDS + reading + choice.slowdown * operations / computing


def reencoding_seconds(choice: Choice, load: Workload, rates: Rates, device: Device) -> float:
    """Turning the last frames before a chunk into latents again: windows decoded, then encoded.

    0 where a chunk is told what came before in another way.
    """
    if not load.reencoded_latents:
        return 0.0
    computing = rates.operations_per_second * DECODE_EFFICIENCY * efficiency(device)
    spec, count, window = load.spec, load.reencoded_latents, choice.window_latents or load.window_latents
    pieces = plan_reencoding(
        count, there=window + count, window=window, stride=spec.frame_stride, causal=spec.causal_decoder
    )
    operations = sum(spec.vae.operations(load.shape.pixels, piece.stop - piece.start) for piece in pieces)
    return choice.slowdown * operations / computing + encoding_seconds(choice, load, rates, device, count)


def visit_seconds(choice: Choice, load: Workload, rates: Rates, device: Device, *, first: bool) -> float:
    """Bringing a stage's weights to where they compute: from the disk the first time, from main memory where parked,
    else as they are kept on the disk."""
    spec = load.spec
    network = spec.transformer if choice.stage is Stage.DENOISE else spec.vae
    count = spec.experts if choice.stage is Stage.DENOISE else 1
    size = count * weight_bytes(network, choice.precision)
    stored = count * weight_bytes(network, Precision(device.dtype))
    read = stored if first else 0 if choice.parked else size
    reading = read / rates.disk_bytes_per_second
    moving = size / rates.bus_bytes_per_second if _moves(choice, device) else 0.0
    return (OPEN_SECONDS if first else 0.0) + reading + moving


def _moves(choice: Choice, device: Device) -> bool:
    return device.kind is DeviceKind.CUDA and choice.placement not in (Placement.STREAMED, Placement.HOST)


def forecast_duration(
    chosen: Mapping[Stage, Choice],
    load: Workload,
    *,
    chunks: tuple[Chunk, ...],
    slices: tuple[Slice, ...],
    steps: int,
    device: Device,
    experience: Experience,
) -> Forecast:
    """Add up encode, denoise and decode for these chunks and slices of the draft that `load` is of."""
    rates, encode, denoise, decode = experience.rates, *(chosen[stage] for stage in Stage)
    first_slice = total = 0.0
    formula = dict.fromkeys(Stage, 0.0)
    formula[Stage.ENCODE] = stage_seconds(encode, load, rates, device, steps=steps)
    for chunk in chunks:
        visits = visit_seconds(denoise, load, rates, device, first=chunk.index == 0)
        formula[Stage.DENOISE] += visits
        ends = {Keyframe.START: chunk is chunks[0], Keyframe.END: chunk is chunks[-1]}
        pictures = tuple(place for place in load.keyframes if ends[place])
        for place in pictures:
            held = 2 if place is Keyframe.END and load.spec.holds_end else 1  # latents
            formula[Stage.DECODE] += encoding_seconds(decode, load, rates, device, held)
        for latents in chunk.passes:
            part = replace(load.of(chunk), chunk_latents=latents, keyframes=pictures)
            formula[Stage.DENOISE] += stage_seconds(denoise, part, rates, device, steps=steps)
        if chunk.index:
            formula[Stage.DECODE] += reencoding_seconds(decode, load, rates, device)
        pieces = [piece for piece in slices if piece.chunk == chunk.index]
        if pieces:
            formula[Stage.DECODE] += visit_seconds(decode, load, rates, device, first=chunk.index == 0)
        for piece in pieces:
            part = replace(load, window_latents=piece.stop - piece.start, tile_pixels=decode.tile_pixels)
            formula[Stage.DECODE] += stage_seconds(decode, part, rates, device, steps=steps)
            if piece.index == 0:
                first_slice = sum(experience.factors[stage] * seconds for stage, seconds in formula.items())
    corrected = {stage: experience.factors[stage] * seconds for stage, seconds in formula.items()}
    total = sum(corrected.values())
    return Forecast(
        first_slice_seconds=first_slice,
        total_seconds=total,
        stage_seconds=corrected,
        formula_seconds=formula,
        band=BANDS[experience.closeness],
        closeness=experience.closeness,
    )


def no_experience(rates: Rates) -> Experience:
    """Rates only: no draft was finished here yet."""
    closeness = Closeness.RATES if rates.measured else Closeness.GUESSED
    return Experience(rates=rates, factors=dict.fromkeys(Stage, 1.0), closeness=closeness)

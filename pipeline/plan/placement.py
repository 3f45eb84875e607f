"""What goes where, and why: every way to run each stage, fastest first, and the first that fits.

The stages do not overlap, so each is decided by itself against the same budgets; together they are the fastest plan
that fits. What would have been faster leaves a reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.errors import say_bytes
from pipeline.plan.combinations import SETTLED, find_obstacle
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.memory import (
    ALLOCATOR_SLACK,
    Placement,
    Precision,
    Stage,
    Workload,
    block_bytes,
    host_bytes,
    on_card,
    placed_bytes,
    weight_bytes,
)
from pipeline.plan.networks import Network
from pipeline.plan.rates import guess_rates
from pipeline.plan.spec import ModelSpec

# How much longer a pass takes than with 16-bit weights that stay on the card.
SLOWDOWN = {
    Precision.FLOAT32: 1.0,
    Precision.BFLOAT16: 1.0,
    Precision.FLOAT16: 1.0,
    Precision.FP8: 1.05,  # each layer is cast up before it computes; assumed until measured
    Precision.INT8: 1.05,  # quanto has no int8 kernel on CUDA: each layer is expanded, then multiplied; assumed
    Precision.INT4: 1.15,  # assumed
}
FLOAT32_SLOWDOWN = 2.0  # where 16 bits are native: twice the bytes, TF32 at half the rate (data sheets); assumed
STREAM_SLOWDOWN = 1.07  # Wan 14B on an H100, group offload with a stream: 4.92 s a pass, 4.60 s resident (PR 11605)
TILES_PIXELS = (512, 256)
SMALLEST_WINDOW_LATENTS = 4  # LTX: three shared with the window before, one new
FINEST_FIRST = (Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16, Precision.FP8, Precision.INT8, Precision.INT4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be used, in bytes. On the CPU `card_bytes` is a part of main memory and `ram_bytes` the same."""

    card_bytes: int
    ram_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to run a stage: weights' precision and placement, how much of the picture is decoded at once, whether
    both passes of guidance run together, and what it needs.

    `parked` tells that transformers and VAE wait in main memory when they do not compute; else they are read again.
    `slowdown` is against 16-bit weights that stay on the card, `moved_bytes` what each pass brings over.
    """

    stage: Stage
    precision: Precision
    placement: Placement
    window_latents: int = 0
    tile_pixels: int | None = None
    together: bool = True
    parked: bool = True
    card_bytes: int
    ram_bytes: int
    slowdown: float = 1.0
    moved_bytes: int = 0

    @property
    def name(self) -> str:
        """For people."""
        match self.stage:
            case Stage.DECODE:
                part = "whole pictures" if self.tile_pixels is None else f"tiles of {self.tile_pixels} pixels"
                host = ", on the processor" if self.placement is Placement.HOST else ""
                return f"decoding {part}, {self.window_latents} latents at a time{host}"
            case Stage.ENCODE:
                what = "the text encoder"
            case Stage.DENOISE:
                what = "the transformer"
        source = "disk" if self.stage is Stage.ENCODE else "main memory"
        where = f"streamed from {source}" if self.placement is Placement.STREAMED else "on the device"
        if self.placement is Placement.HOST:
            where = "on the processor"
        if self.placement is Placement.KEPT:
            where += " for good"
        again = ", loaded anew for each chunk" if self.stage is Stage.DENOISE and not self.parked else ""
        apart = "" if self.together else ", with and without the sentence one after the other"
        return f"{what} in {self.precision} {where}{again}{apart}"


def fits(choice: Choice, budget: Budget) -> bool:
    """Whether a choice stays within what may be used."""
    return choice.card_bytes <= budget.card_bytes and choice.ram_bytes <= budget.ram_bytes


def say_misfit(choice: Choice, budget: Budget, device: Device) -> str:
    """Why a faster way was not taken."""
    if choice.card_bytes > budget.card_bytes:
        where = "on the card" if device.kind is DeviceKind.CUDA else "of memory"
        need, allowed = choice.card_bytes, budget.card_bytes
    else:
        where, need, allowed = "of main memory", choice.ram_bytes, budget.ram_bytes
    return f"Not {choice.name}: needs {say_bytes(need)} {where}, {say_bytes(allowed)} are allowed."


def choices(stage: Stage, load: Workload, device: Device, *, lowest: Precision) -> Iterator[Choice]:
    """Every way to run a stage on a device, in no order; weights never below `lowest` precision."""
    match stage:
        case Stage.ENCODE:
            yield from _encoder_choices(load, device, lowest)
        case Stage.DENOISE:
            yield from _transformer_choices(load, device, lowest)
        case Stage.DECODE:
            yield from _decoder_choices(load, device)


def _precisions(stage: Stage, placement: Placement, device: Device, lowest: Precision) -> list[Precision]:
    """The device's own, and on a card what is legal for a stage's weights there, down to the lowest allowed."""
    native = Precision(device.dtype)
    if device.kind is not DeviceKind.CUDA:
        return [native]
    smaller = [Precision.FP8, Precision.INT8]
    if (device.compute_capability or (0, 0)) >= (8, 0):
        smaller.append(Precision.INT4)  # torch's 4-bit product wants compute capability 8
    allowed = [p for p in smaller if FINEST_FIRST.index(p) <= FINEST_FIRST.index(lowest)]
    return [native, *(p for p in allowed if not find_obstacle(stage, p, placement))]


def _placements(device: Device) -> tuple[Placement, ...]:
    return (Placement.VISITING, Placement.STREAMED) if device.kind is DeviceKind.CUDA else (Placement.VISITING,)


def _encoder_choices(load: Workload, device: Device, lowest: Precision) -> Iterator[Choice]:
    for placement in _placements(device):
        for precision in _precisions(Stage.ENCODE, placement, device, lowest):
            yield _choice(Stage.ENCODE, load, device, load.spec.text_encoder, precision, placement)


def _transformer_choices(load: Workload, device: Device, lowest: Precision) -> Iterator[Choice]:
    network, card = load.spec.transformer, device.kind is DeviceKind.CUDA
    ways = (load, replace(load, together=False)) if load.batched else (load,)
    for placement in _placements(device):
        for precision in _precisions(Stage.DENOISE, placement, device, lowest):
            for parked in (False,) if card and precision in SETTLED else (True, False) if card else (True,):
                for way in ways:
                    yield _choice(Stage.DENOISE, way, device, network, precision, placement, parked=parked)


def beside_bytes(encoder: Choice, network: Network) -> int:
    """What a text encoder of `network` takes on the card while it stays beside another stage."""
    return int(weight_bytes(network, encoder.precision) * ALLOCATOR_SLACK)


def keep_beside(choice: Choice, encoder: Choice, network: Network, *, leaves: bool = False) -> Choice:
    """`choice` while the text encoder, of `network`, stays on the card as `encoder` has it; or once it `leaves`."""
    beside = beside_bytes(encoder, network)
    return replace(choice, card_bytes=choice.card_bytes + (-beside if leaves else beside))


def _decoder_choices(load: Workload, device: Device) -> Iterator[Choice]:
    spec, precision = load.spec, load.precision(Stage.DECODE, device)
    windows = [load.window_latents]
    if not spec.causal_decoder and load.window_latents > SMALLEST_WINDOW_LATENTS:
        windows.append(SMALLEST_WINDOW_LATENTS)
    sides = [side for side in TILES_PIXELS if side < max(load.shape.width, load.shape.height)]
    for window in windows:
        for tile in (None, *sides):
            part = replace(load, window_latents=window, tile_pixels=tile)
            yield _choice(Stage.DECODE, part, device, spec.vae, precision, Placement.VISITING)


def host_choices(stage: Stage, load: Workload, device: Device, *, beside_bytes: int) -> Iterator[Choice]:
    """Ways to have the processor run a stage of a machine with a card, while `beside_bytes` of other weights wait in
    main memory. None for DENOISE, which would take days.
    """
    if device.kind is not DeviceKind.CUDA or stage is Stage.DENOISE:
        return
    processor, spec = replace(device, kind=DeviceKind.CPU), load.spec
    native = Precision(device.dtype)
    wide = stage is Stage.DECODE or native is Precision.FLOAT16  # which processors compute in slowly, if at all
    network: Network = spec.vae if stage is Stage.DECODE else spec.text_encoder
    precision = Precision.FLOAT32 if wide else native
    weights = host_bytes(device) + beside_bytes + weight_bytes(network, precision)
    card, host = (guess_rates(place).operations_per_second for place in (device, processor))
    for usual in choices(stage, load, device, lowest=native):
        if usual.placement is Placement.VISITING:
            window = usual.window_latents or load.window_latents
            part = replace(load, window_latents=window, tile_pixels=usual.tile_pixels)
            yield replace(
                usual,
                precision=precision,
                placement=Placement.HOST,
                parked=False,
                card_bytes=on_card(device, 0),
                ram_bytes=weights + part.live_bytes(stage, processor),
                slowdown=card / host,
            )


def _choice(
    stage: Stage,
    load: Workload,
    device: Device,
    network: Network,
    precision: Precision,
    placement: Placement,
    *,
    parked: bool = True,
) -> Choice:
    streamed = placement is Placement.STREAMED
    placed = placed_bytes(network, precision, placement)
    if stage is Stage.ENCODE and streamed:
        placed -= _outside_blocks(network, precision)  # words are looked up in main memory
    need = placed + load.live_bytes(stage, device)
    if stage is Stage.DECODE:  # on a card, what decodes leaves before what encodes comes
        need = max(need, load.reencoding_bytes(device) + (0 if device.kind is DeviceKind.CUDA else placed))
    card = on_card(device, need)
    if device.kind is DeviceKind.CUDA:
        waiting = _waiting_bytes(load, device, stage, network, precision, streamed=streamed, parked=parked)
        ram = host_bytes(device) + waiting
    else:
        card = ram = card + host_bytes(device) + _beside_bytes(stage, load.spec, precision)
    if stage is Stage.DENOISE:  # what the decoder remembers waits for the next chunk's latents
        kept = load.sampler_bytes + (load.cache_bytes(device) if load.continued else 0)
        ram += kept
        card += 0 if device.kind is DeviceKind.CUDA else kept
    if stage is Stage.DECODE and device.kind is DeviceKind.CUDA:
        ram += load.cache_bytes(device)
    return Choice(
        stage=stage,
        precision=precision,
        placement=placement,
        window_latents=load.window_latents if stage is Stage.DECODE else 0,
        tile_pixels=load.tile_pixels if stage is Stage.DECODE else None,
        together=load.together,
        parked=parked,
        card_bytes=card,
        ram_bytes=ram,
        slowdown=_slowdown(precision, device) * (STREAM_SLOWDOWN if streamed else 1.0),
        moved_bytes=(network.blocks - 2) * block_bytes(network, precision) if streamed else 0,
    )


def _waiting_bytes(
    load: Workload,
    device: Device,
    stage: Stage,
    network: Network,
    precision: Precision,
    *,
    streamed: bool,
    parked: bool,
) -> int:
    """Weights in main memory while a card computes.

    What is parked waits there for the next chunk: all transformers and the VAE, counted with DENOISE. What is not goes
    from the disk to the card, two blocks at a time; a transformer that is streamed waits there whole, as every step
    needs it again, and a text encoder that is streamed does not, as it is read once.
    """
    passing = weight_bytes(network, precision) if streamed else 2 * block_bytes(network, precision)
    if stage is Stage.ENCODE and streamed:
        return 2 * block_bytes(network, precision) + _outside_blocks(network, precision)
    if stage is Stage.DENOISE and parked:
        return parked_bytes(load, device, precision)
    return passing


def parked_bytes(load: Workload, device: Device, precision: Precision) -> int:
    """What waits in main memory between chunks: all transformers in `precision`, and what decodes."""
    spec = load.spec
    decoder = weight_bytes(spec.vae, load.precision(Stage.DECODE, device))
    return spec.experts * weight_bytes(spec.transformer, precision) + decoder


def _slowdown(precision: Precision, device: Device) -> float:
    return FLOAT32_SLOWDOWN if precision is Precision.FLOAT32 and device.dtype != "float32" else SLOWDOWN[precision]


def _outside_blocks(network: Network, precision: Precision) -> int:
    """Weights of a network that are in none of its blocks: of a text encoder, its table of words."""
    return weight_bytes(network, precision) - network.blocks * block_bytes(network, precision)


def _beside_bytes(stage: Stage, spec: ModelSpec, precision: Precision) -> int:
    """Weights that stay in main memory beside those that compute there; the text encoder never does."""
    match stage:
        case Stage.ENCODE:
            return 0
        case Stage.DENOISE:
            return (spec.experts - 1) * weight_bytes(spec.transformer, precision) + weight_bytes(spec.vae, precision)
        case Stage.DECODE:
            return spec.experts * weight_bytes(spec.transformer, precision)

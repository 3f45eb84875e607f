"""How long a draft takes: floating-point operations over a rate. A wide band until this machine was measured."""

from dataclasses import dataclass

from pipeline.plan.catalog import Component, ModelSpec, VideoShape
from pipeline.plan.chunks import Chunk, Slice
from pipeline.plan.device import Device, DeviceKind

# Achieved operations a second, by device. CUDA: 0.4 of the dense bf16 peak is what diffusers reaches on a 4090
# (165 TFLOP/s peak); other cards differ, hence the band. CPU: fp32 through this miniature on one core of a server.
CUDA_FLOPS = 66e12
MPS_FLOPS = 5e12
CORE_FLOPS = 4e10
BAND = 2.0
"""Between a half of the estimate and twice it; `Forecast` says so until a draft was measured here."""
START_SECONDS = 0.5  # opening the components of the miniature, which are in the page cache
DISK_BYTES_PER_SECOND = 1.0e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds from the button to the first playable slice and to the whole draft, with a band."""

    first_slice_seconds: float
    total_seconds: float
    band: float
    measured: bool

    @property
    def low_seconds(self) -> float:
        """Lower end of the band for the whole draft."""
        return self.total_seconds / self.band

    @property
    def high_seconds(self) -> float:
        """Upper end of the band for the whole draft."""
        return self.total_seconds * self.band


def forecast_duration(
    spec: ModelSpec,
    shape: VideoShape,
    *,
    chunks: tuple[Chunk, ...],
    slices: tuple[Slice, ...],
    steps: int,
    guided: bool,
    device: Device,
) -> Forecast:
    """Add up load, encode, denoise and decode for every chunk."""
    rate = _rate(device)
    weights = sum(spec.parameters.values()) * device.bytes_per_weight
    start = START_SECONDS + weights / DISK_BYTES_PER_SECOND
    start += 2 * spec.parameters[Component.TEXT_ENCODER] * spec.text_tokens * (2 if guided else 1) / rate
    denoise = [
        steps * (2 if guided else 1) * denoise_flops(spec, spec.tokens_of(shape, chunk.latents)) / rate
        for chunk in chunks
    ]
    decode = [decode_flops(spec, shape, piece.stop - piece.start) / rate for piece in slices]
    until_first = slices[0].chunk + 1
    return Forecast(
        first_slice_seconds=start + sum(denoise[:until_first]) + decode[0],
        total_seconds=start + sum(denoise) + sum(decode),
        band=BAND,
        measured=False,
    )


def denoise_flops(spec: ModelSpec, tokens: int) -> float:
    """Floating-point operations of one transformer pass: linear layers, then self-attention."""
    return 2.0 * spec.parameters[Component.TRANSFORMER] * tokens + 4.0 * spec.layers * tokens**2 * spec.width


def decode_flops(spec: ModelSpec, shape: VideoShape, latents: int) -> float:
    """Floating-point operations of decoding one window."""
    return spec.decode_flops_per_pixel * shape.width * shape.height * spec.frames_of(latents)


def _rate(device: Device) -> float:
    match device.kind:
        case DeviceKind.CUDA:
            return CUDA_FLOPS
        case DeviceKind.MPS:
            return MPS_FLOPS
        case DeviceKind.CPU:
            return CORE_FLOPS * device.cores

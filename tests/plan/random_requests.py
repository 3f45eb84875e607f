"""Requests and machines drawn at random, for what must hold of every plan."""

from dataclasses import dataclass, replace
from random import Random

from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.limits import LOWEST_PRECISIONS
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import LONGEST_SECONDS, GenerationRequest, Shot
from pipeline.plan.spec import ModelSpec, VideoShape

GIB = 2**30
CAPABILITIES = ((6, 1), (7, 5), (8, 0), (8, 6), (8, 9), (12, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What `plan_draft` is asked."""

    request: GenerationRequest
    device: Device
    profile: VramProfile

    def with_more(self, *, card: float, ram: float) -> "Case":
        """The same on a machine with more of both."""
        host = self.device.kind is not DeviceKind.CUDA
        more = replace(
            self.device,
            free_bytes=int(self.device.free_bytes * (ram if host else card)),
            ram_free_bytes=int(self.device.ram_free_bytes * ram),
        )
        return replace(self, device=more)


def draw_case(random: Random) -> Case:
    """Any model, a legal shape and length, 1 to 96 GiB on the card, 2 to 256 in main memory."""
    return Case(request=draw_request(random), device=draw_device(random), profile=draw_profile(random))


def draw_request(random: Random) -> GenerationRequest:
    """Half the drafts are no longer than one chunk; one in ten is cut by hand."""
    spec = random.choice(list(CATALOG.values()))
    longest = spec.latents_of(spec.nearest_frames(LONGEST_SECONDS * spec.fps))
    native = spec.latents_of(spec.native_frames)
    latents = random.randint(2, native) if random.random() < 0.5 else random.randint(2, longest)
    by_hand = random.random() < 0.1
    least = 1 + (spec.block_latents or 1)
    chunk = spec.frames_of(random.randint(least, native)) if by_hand else None
    return GenerationRequest(
        shots=(Shot(prompt="a red ball moves left over snow", seconds=4.0),),
        model=spec.key,
        shape=draw_shape(random, spec),
        frames=spec.frames_of(latents),
        steps=random.randint(1, 60),
        guidance=random.choice((1.0, 4.5)),
        seed=random.randrange(2**32),
        chunk_frames=chunk,
        overlap_frames=spec.frames_of(1) if by_hand else None,
        lowest_precision=random.choice(LOWEST_PRECISIONS),
        decode_float32=random.random() < 0.2,
    )


def draw_shape(random: Random, spec: ModelSpec) -> VideoShape:
    """One of the model's own, or any on its grid."""
    if random.random() < 0.5:
        return random.choice(spec.shapes)
    least, most = (side // spec.pixel_multiple for side in (spec.smallest_side_pixels, spec.largest_side_pixels))
    width, height = (spec.pixel_multiple * random.randint(least, most) for _ in range(2))
    return VideoShape(width=width, height=height)


def draw_device(random: Random) -> Device:
    """A card four times in five, else a processor."""
    card, ram = GIB * 96 ** random.random(), 2 * GIB * 128 ** random.random()
    cuda = random.random() < 0.8
    return Device(
        kind=DeviceKind.CUDA if cuda else DeviceKind.CPU,
        name=random.choice(("NVIDIA GeForce RTX 3060", "NVIDIA H100", "a card")) if cuda else "a processor",
        total_bytes=2**37 if cuda else 2**39,
        free_bytes=int(card if cuda else ram),
        ram_total_bytes=2**39,
        ram_free_bytes=int(ram),
        disk_free_bytes=int(2**28 + GIB * 10 ** random.uniform(-2, 2)),
        cores=random.randint(1, 64),
        compute_capability=random.choice(CAPABILITIES) if cuda else None,
    )


def draw_profile(random: Random) -> VramProfile:
    """All that is free but for the reserves, or less."""
    return VramProfile(
        key="random",
        title="Random",
        title_zh="随机",
        use_card=True,
        card_gib=random.choice((None, None, 4.0, 8.0, 24.0)),
        reserve_gib=random.choice((0.0, 0.5, 1.0)),
        ram_gib=random.choice((None, None, 16.0, 64.0)),
        ram_reserve_gib=random.choice((0.0, 1.0, 2.0)),
        measured="not yet",
    )

"""One draft as asked for. Complete: nothing downstream fills in or corrects a field.

Checked here once, on construction, against the catalog; every refusal names the field and the nearest legal value.
"""

import math
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import find_model
from pipeline.plan.continuing import check_chunking, check_continuity, check_tail
from pipeline.plan.keyframes import check_keyframes
from pipeline.plan.limits import check_limits
from pipeline.plan.sharing import share_latents
from pipeline.plan.spec import LOOSE, Continuity, Keyframe, ModelSpec, Tail, VideoShape

LONGEST_PROMPT = 2000  # characters; LTX reads 256 tokens of it, the miniature 32
LONGEST_SECONDS = 60.0  # what LTX-Video's makers show of 0.9.8; longer is a film, not a draft
MOST_STEPS = 100
MOST_GUIDANCE = 20.0
MOST_SHOTS = 32
LEAST_SHOT_FRAMES = 9  # a shot between others: a seam is judged by 8 frames on each side, seams/metrics.py


class Transition(StrEnum):
    """How a shot comes in, as a storyboard says it; of a draft's first shot it says nothing.

    - ``SMOOTH``: it goes on from the last pictures of the shot before, whose sentence passes into its own.
    - ``CUT``: it starts from nothing.
    - ``SAME_LOOK``: a cut, whose latents take over the statistics of the draft's first chunk: video/look.py.
    """

    SMOOTH = "smooth"
    CUT = "cut"
    SAME_LOOK = "cut, same look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One sentence, the seconds it lasts and how it comes in."""

    prompt: str
    seconds: float
    transition: Transition = Transition.SMOOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What a person asked for.

    `frames` is the whole draft's length on the model's grid (see `frames_for`), which its shots divide as their seconds
    say. `chunk_frames` and `overlap_frames` are None unless set by hand; `tail` names how a chunk is told what came
    before, None the model's usual way; `continuity` is what else holds them together, nothing where a request of an
    earlier version does not say. `vram_limit_gib` and `ram_limit_gib` override the profile's; `lowest_precision`
    is how coarse weights may become so that they fit; `encoder` says whether the text encoder stays on a card for the
    next sentence: where there is room, with room made for it, or never; `decode_float32` has the VAE decode in float32
    whatever the rest computes in, as diffusers' documentation of Wan advises. `start_image` and `end_image` name the
    pictures that the draft begins and ends with (plan/keyframes.py). Raises InvalidRequest.
    """

    shots: tuple[Shot, ...]
    model: str
    shape: VideoShape
    frames: int
    steps: int
    guidance: float
    seed: int
    profile: str = "auto"
    negative_prompt: str = ""
    chunk_frames: int | None = None
    overlap_frames: int | None = None
    tail: str | None = None
    continuity: Continuity = LOOSE
    vram_limit_gib: float | None = None
    ram_limit_gib: float | None = None
    decode_float32: bool = False
    lowest_precision: str = "int8"
    encoder: str = "auto"
    start_image: str | None = None
    end_image: str | None = None

    def __post_init__(self) -> None:
        spec = find_model(self.model)
        _check_prompts(self)
        _check_shape(spec, self.shape)
        _check_frames(spec, self.frames, len(self.scenes))
        _check_shot_lengths(spec, self)
        _check_sampling(self)
        check_tail(spec, self.tail, shots=len(self.shots))
        check_continuity(spec, self.continued_by, self.continuity)
        check_chunking(spec, chunk=self.chunk_frames, overlap=self.overlap_frames)
        check_limits(self.vram_limit_gib, self.ram_limit_gib, self.lowest_precision, self.encoder)
        check_keyframes(spec, self.pictures, self.continued_by)

    @property
    def spec(self) -> ModelSpec:
        """The catalog entry asked for."""
        return find_model(self.model)

    @property
    def continued_by(self) -> Tail:
        """How a chunk is told what came before."""
        return self.spec.tail if self.tail is None else Tail(self.tail)

    @property
    def pictures(self) -> dict[Keyframe, str]:
        """The names of the pictures that are asked for."""
        named = {Keyframe.START: self.start_image, Keyframe.END: self.end_image}
        return {place: name for place, name in named.items() if name is not None}

    @property
    def seconds(self) -> float:
        """Length of the draft."""
        return self.frames / self.spec.fps

    @property
    def scenes(self) -> tuple[range, ...]:
        """The shots between two cuts, by their numbers; each scene is a latent timeline of its own."""
        cuts = [index for index, shot in enumerate(self.shots) if index and shot.transition is not Transition.SMOOTH]
        return tuple(range(start, stop) for start, stop in pairwise((0, *cuts, len(self.shots))))

    @property
    def latents(self) -> int:
        """Length of all latent timelines, one after the other."""
        return self.spec.latents_of(self.frames, len(self.scenes))

    @property
    def shot_stops(self) -> tuple[int, ...]:
        """The latent at which each shot ends."""
        seconds = [[self.shots[number].seconds for number in scene] for scene in self.scenes]
        return share_latents(seconds, frames=self.frames, stride=self.spec.frame_stride)

    @property
    def prompt(self) -> str:
        """All sentences in one line, for titles and lists."""
        return " / ".join(shot.prompt for shot in self.shots)


def frames_for(spec: ModelSpec, seconds: float, scenes: int = 1) -> int:
    """The legal frame count nearest to `seconds`; InvalidRequest when no draft can be that long."""
    if not math.isfinite(seconds) or seconds <= 0 or seconds > LONGEST_SECONDS:
        raise InvalidRequest(
            "seconds",
            f"A draft of {seconds:g} seconds cannot be made.",
            f"Choose a length between {spec.frames_of(2) / spec.fps:.1f} and {LONGEST_SECONDS:g} seconds.",
        )
    return spec.nearest_frames(seconds * spec.fps, scenes)


def _check_prompts(request: GenerationRequest) -> None:
    if not 1 <= len(request.shots) <= MOST_SHOTS:
        nearest = f"Make the first {MOST_SHOTS} a draft, the others the next."
        hint = nearest if request.shots else "Say in one sentence what happens."
        raise InvalidRequest("prompt", f"A draft has 1 to {MOST_SHOTS} shots, not {len(request.shots)}.", hint)
    for text in (*(shot.prompt for shot in request.shots), request.negative_prompt):
        if len(text) > LONGEST_PROMPT:
            raise InvalidRequest(
                "prompt",
                f"The sentence has {len(text):,} characters; at most {LONGEST_PROMPT:,} are read.",
                "Say it shorter: one scene, one movement.",
            )
        strange = sorted({unicodedata.name(c, f"U+{ord(c):04X}") for c in text if _is_control(c)})
        if strange:
            raise InvalidRequest(
                "prompt", f"The sentence holds control characters ({', '.join(strange[:3])}).", "Remove them."
            )
    for shot in request.shots:
        if not shot.prompt.strip():
            raise InvalidRequest("prompt", "There is no sentence yet.", "Say in one sentence what happens.")
        if not 0 < shot.seconds <= LONGEST_SECONDS:  # NaN is neither
            raise InvalidRequest(
                "seconds",
                f"A shot of {shot.seconds:g} seconds is not possible.",
                f"Give it more than 0 and up to {LONGEST_SECONDS:g} seconds.",
            )


def _is_control(character: str) -> bool:
    return character not in "\n\r\t" and unicodedata.category(character) in ("Cc", "Cs")


def _check_shape(spec: ModelSpec, shape: VideoShape) -> None:
    for field, side in (("width", shape.width), ("height", shape.height)):
        multiple, least, most = spec.pixel_multiple, spec.smallest_side_pixels, spec.largest_side_pixels
        if side % multiple or not least <= side <= most:
            nearest = round(min(max(side, least), most) / multiple) * multiple
            raise InvalidRequest(
                field,
                f"A {field} of {side} is not possible with {spec.title}: it takes multiples of {multiple} from {least} "
                f"to {most}.",
                f"Nearest: {nearest}.",
            )


def _check_frames(spec: ModelSpec, frames: int, scenes: int) -> None:
    most = spec.nearest_frames(LONGEST_SECONDS * spec.fps, scenes)
    nearest = spec.nearest_frames(min(max(frames, 0), most), scenes)
    if frames != nearest:
        cuts = "" if scenes == 1 else " with 1 cut" if scenes == 2 else f" with {scenes - 1} cuts"
        raise InvalidRequest(
            "frames",
            f"{frames:,} frames are not possible with {spec.title}{cuts}: it makes {spec.frame_stride} k + {scenes}, "
            f"up to {most:,}.",
            f"Nearest: {nearest:,} ({nearest / spec.fps:.1f} seconds).",
        )


def _check_shot_lengths(spec: ModelSpec, request: GenerationRequest) -> None:
    if len(request.shots) == 1:
        return
    least = -(-(LEAST_SHOT_FRAMES - 1) // spec.frame_stride) + 1
    together, least_seconds = sum(shot.seconds for shot in request.shots), least * spec.frame_stride / spec.fps
    for number, (start, stop) in enumerate(pairwise((0, *request.shot_stops)), start=1):
        if stop - start < least:
            seconds = request.shots[number - 1].seconds / together * request.seconds
            raise InvalidRequest(
                "prompt",
                f"Shot {number} is too short for {spec.title}: it has {seconds:.2f} of {request.seconds:.1f} seconds.",
                f"Give it {least_seconds:.2f} seconds or more.",
            )


def _check_sampling(request: GenerationRequest) -> None:
    if not 1 <= request.steps <= MOST_STEPS:
        raise InvalidRequest(
            "steps",
            f"{request.steps} steps are not possible.",
            f"Nearest: {min(max(request.steps, 1), MOST_STEPS)}.",
        )
    if not math.isfinite(request.guidance) or not 1 <= request.guidance <= MOST_GUIDANCE:
        nearest = min(max(request.guidance, 1), MOST_GUIDANCE) if math.isfinite(request.guidance) else 3
        raise InvalidRequest(
            "guidance",
            f"A guidance of {request.guidance:g} is not possible: 1 (off) to {MOST_GUIDANCE:g}.",
            f"Nearest: {nearest:g}.",
        )
    if not 0 <= request.seed < 2**32:
        raise InvalidRequest(
            "seed", f"{request.seed} is no seed: seeds are whole numbers from 0 to {2**32 - 1}.", "Leave it empty."
        )

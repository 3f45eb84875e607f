"""What stands in the form's fields, and the request it makes. Knows no rules: `plan/request.py` refuses, this file says
at which field."""

import math
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, MINIATURE, find_model
from pipeline.plan.presets import Look, find_profile
from pipeline.plan.request import GenerationRequest, Shot, Transition
from pipeline.plan.spec import LOOSE, Continuity, ModelSpec, VideoShape
from pipeline.plan.storyboard import is_storyboard, lay_out, read_shots, write_shots

SEED_BITS = 32
CUSTOM = "custom"
NEARLY_THE_SAME = 0.1  # of a storyboard's length: a draft's is what frames allow
SEED_TEXT = re.compile(r"[+-]?[0-9]{1,12}")
SIZE_TEXT = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields as they stand on the page, right or wrong; None is a field that was cleared.

    `shape` is a name (wide, square, tall) or a size (`256x160`). Frames and limits of 0 are none given, and so is an
    empty `tail`. `frames` by hand go before `seconds`. Pictures are given by their names, "" for none.
    """

    prompt: str | None
    model: str | None
    shape: str | None
    seconds: float | None
    profile: str | None
    seed: str | None
    steps: float | None
    guidance: float | None
    negative_prompt: str | None = ""
    frames: float | None = 0
    chunk_frames: float | None = 0
    overlap_frames: float | None = 0
    tail: str | None = ""
    tail_strength: float | None = LOOSE.tail_strength
    anchor: float | None = LOOSE.anchor
    shared_noise: float | None = LOOSE.shared_noise
    match_colour: float | None = LOOSE.match_colour
    guided_share: float | None = LOOSE.guided_share
    recall: float | None = LOOSE.recall
    turn_away: float | None = LOOSE.turn_away
    lowest_precision: str | None = "int8"
    encoder: str | None = "auto"
    decode_float32: bool | None = False
    vram_limit_gib: float | None = 0.0
    ram_limit_gib: float | None = 0.0
    start_image: str | None = ""
    end_image: str | None = ""


FIELDS = tuple(field.name for field in fields(Form))
HELD_BY = tuple(field.name for field in fields(Continuity))


def form_of(look: Look, spec: ModelSpec = MINIATURE) -> Form:
    """The form a visitor finds: a model's settings, made as carefully as the look says, no sentence yet."""
    care = look.models[spec.key]
    return replace(form_for(spec), steps=care.steps, guidance=care.guidance)


def look_of(form: Form, looks: Mapping[str, Look]) -> str:
    """The key of the look a form has, or CUSTOM."""
    for key, look in looks.items():
        care = look.models[spec_of(form).key]
        if (care.steps, care.guidance) == (form.steps, form.guidance):
            return key
    return CUSTOM


def form_kept(kept: Any, default: Form) -> Form:
    """The form that a browser kept, with `default` for what it does not say, or says of no field there is any more."""
    said = kept if isinstance(kept, dict) and "prompt" in kept else {}
    return replace(default, **{field: said[field] for field in FIELDS if field in said})


def form_for(spec: ModelSpec) -> Form:
    """A model's own settings, no sentence yet."""
    return Form(
        prompt="",
        model=spec.key,
        shape=size_of(spec.shapes[0]),
        seconds=spec.default_seconds,
        profile="auto",
        seed="",
        steps=spec.default_steps,
        guidance=spec.default_guidance,
        **asdict(spec.continuity),
    )


def size_of(shape: VideoShape) -> str:
    """`256x160`."""
    return f"{shape.width}x{shape.height}"


def spec_of(form: Form) -> ModelSpec:
    """The model a form names; the first of the catalog where it names none there is."""
    return CATALOG.get(form.model or "", next(iter(CATALOG.values())))


def restore_form(request: Mapping[str, Any], default: Form) -> Form:
    """The form that made a stored request; what a request of an older version does not say stays at `default`."""
    spec = find_model(request["model"])
    prompt = write_shots(tuple(_shot(shot) for shot in request["shots"]))
    return Form(
        prompt=prompt,
        model=spec.key,
        shape=size_of(VideoShape(**request["shape"])),
        seconds=round(request["frames"] / spec.fps, 1),
        profile=request["profile"],
        seed=str(request["seed"]),
        steps=request["steps"],
        guidance=request["guidance"],
        frames=_frames_by_hand(prompt, spec, request["frames"]),
        negative_prompt=request["negative_prompt"],
        chunk_frames=request.get("chunk_frames") or 0,
        overlap_frames=request.get("overlap_frames") or 0,
        tail=request.get("tail") or "",
        **request.get("continuity", asdict(LOOSE)),
        lowest_precision=request.get("lowest_precision", default.lowest_precision),
        encoder=request.get("encoder", default.encoder),
        decode_float32=request.get("decode_float32", default.decode_float32),
        vram_limit_gib=request.get("vram_limit_gib") or 0.0,
        ram_limit_gib=request.get("ram_limit_gib") or 0.0,
        start_image=request.get("start_image") or "",
        end_image=request.get("end_image") or "",
    )


def read_form(form: Form) -> GenerationRequest:
    """The request; an empty seed becomes a new one.

    Raises:
        InvalidRequest: naming the field.
    """
    spec = find_model(form.model or "")
    seconds = _number("seconds", form.seconds)
    profile = find_profile(form.profile or "")
    shots, frames = _shots(form, spec, seconds)
    return GenerationRequest(
        shots=shots,
        model=spec.key,
        shape=_shape(form.shape or "", spec),
        frames=frames,
        steps=_whole("steps", form.steps),
        guidance=_number("guidance", form.guidance),
        seed=_seed(form.seed or ""),
        profile=profile.key,
        negative_prompt=(form.negative_prompt or "").strip(),
        chunk_frames=_whole("chunk_frames", form.chunk_frames) if form.chunk_frames else None,
        overlap_frames=_whole("overlap_frames", form.overlap_frames) if form.overlap_frames else None,
        tail=form.tail or None,
        continuity=Continuity(**{name: _number(name, getattr(form, name)) for name in HELD_BY}),
        vram_limit_gib=_limit(form.vram_limit_gib),
        ram_limit_gib=_limit(form.ram_limit_gib),
        decode_float32=bool(form.decode_float32),
        lowest_precision=form.lowest_precision or "",
        encoder=form.encoder or "",
        start_image=form.start_image or None,
        end_image=form.end_image or None,
    )


def seconds_told(form: Form) -> float | None:
    """How long a draft is by its frames, or by what a storyboard says; None where the length's slider says it."""
    if form.frames and math.isfinite(form.frames):
        return form.frames / spec_of(form).fps
    if not is_storyboard(form.prompt or ""):
        return None
    try:
        return sum(shot.seconds for shot in read_shots(form.prompt or "", 0))
    except InvalidRequest:
        return None


def spoken(prompt: str | None) -> str:
    """The sentences without what a storyboard says of their lengths."""
    try:
        return " ".join(shot.prompt for shot in read_shots(prompt or "", 0))
    except InvalidRequest:
        return ""


def refusals(form: Form) -> dict[str, InvalidRequest]:
    """What is wrong, by field. Each field is tried alone in an otherwise right form, so that all are told at once."""
    right = replace(form_for(spec_of(form)), prompt="a ball")
    wrong = {}
    for field in FIELDS:
        try:
            read_form(replace(right, **{field: getattr(form, field)}))
        except InvalidRequest as error:
            wrong[field] = error
    return wrong


def form_with(form: Form, request: GenerationRequest) -> Form:
    """The form as it stands, but with what a change touches; a storyboard's shots keep their shares of its length."""
    told = seconds_told(replace(form, frames=0))
    scale = request.seconds / told if told else 1.0
    shots = tuple(replace(shot, seconds=round(shot.seconds * scale, 3)) for shot in request.shots)
    return replace(
        form,
        prompt=write_shots(shots) if told and abs(scale - 1) > NEARLY_THE_SAME else form.prompt,
        model=request.model,
        shape=size_of(request.shape),
        seconds=round(request.seconds, 2),
        steps=request.steps,
        guidance=request.guidance,
        frames=request.frames if form.frames else 0,
        chunk_frames=request.chunk_frames or 0,
        overlap_frames=request.overlap_frames or 0,
        tail=request.tail or "",
        **asdict(request.continuity),
        lowest_precision=request.lowest_precision,
        encoder=request.encoder,
    )


def _shot(stored: Mapping[str, Any]) -> Shot:
    how = Transition(stored.get("transition", Transition.SMOOTH))
    return Shot(prompt=stored["prompt"], seconds=stored["seconds"], transition=how)


def _frames_by_hand(prompt: str, spec: ModelSpec, frames: int) -> int:
    """So many frames where a storyboard's seconds say others, else 0: the form's length says them."""
    if not is_storyboard(prompt):
        return 0
    with suppress(InvalidRequest):
        if lay_out(prompt, spec, None)[1] == frames:
            return 0
    return frames


def _shots(form: Form, spec: ModelSpec, seconds: float) -> tuple[tuple[Shot, ...], int]:
    """What is to be seen, and in how many frames: those given by hand, which shots divide as their seconds say."""
    prompt = form.prompt or ""
    if form.frames:
        return read_shots(prompt, seconds), _whole("frames", form.frames)
    return lay_out(prompt, spec, None if is_storyboard(prompt) else seconds)


def _shape(text: str, spec: ModelSpec) -> VideoShape:
    size = SIZE_TEXT.fullmatch(text)
    if size:
        return VideoShape(width=int(size[1]), height=int(size[2]))
    for shape in spec.shapes:
        if shape.name == text:
            return shape
    raise InvalidRequest(
        "shape", f"{text!r} is no shape.", f"Shapes: {', '.join(shape.name for shape in spec.shapes)}."
    )


def _limit(gibibytes: float | None) -> float | None:
    return float(gibibytes) if gibibytes else None


def _number(field: str, value: float | None) -> float:
    if value is None:
        raise InvalidRequest(field, f"There is no number for {field}.", "Type one.")
    return float(value)


def _whole(field: str, value: float | None) -> int:
    number = _number(field, value)
    if not math.isfinite(number) or number != int(number):
        raise InvalidRequest(field, f"{number:g} is not a whole number of {field}.", "Type a whole one.")
    return int(number)


def _seed(text: str) -> int:
    text = text.strip()
    if not text:
        return secrets.randbits(SEED_BITS)
    if not SEED_TEXT.fullmatch(text):
        shown = text if len(text) <= 24 else f"{text[:24]}…"
        raise InvalidRequest(
            "seed", f"“{shown}” is no seed: seeds are whole numbers from 0 to {2**SEED_BITS - 1}.", "Leave it empty."
        )
    return int(text)

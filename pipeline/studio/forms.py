"""What stands in the form's fields, and the request it makes. Knows no rules: `plan/request.py` refuses, this file says
at which field."""

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.presets import Look, find_profile
from pipeline.plan.request import GenerationRequest, Shot, Transition
from pipeline.plan.spec import ModelSpec, VideoShape
from pipeline.plan.storyboard import is_storyboard, lay_out, read_shots, write_shots

SEED_BITS = 32
NEARLY_THE_SAME = 0.1  # of a storyboard's length: a draft's is what frames allow
SEED_TEXT = re.compile(r"[+-]?[0-9]{1,12}")
SIZE_TEXT = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields as they stand on the page, right or wrong; None is a field that was cleared.

    `shape` is a name (wide, square, tall) or a size (`256x160`); a `limit_gib` or `chunk_frames` of 0 is none.
    """

    prompt: str | None
    model: str | None
    shape: str | None
    seconds: float | None
    profile: str | None
    limit_gib: float | None
    seed: str | None
    steps: float | None
    guidance: float | None
    lowest_precision: str | None
    chunk_frames: float | None
    negative_prompt: str | None


FIELDS = tuple(field.name for field in fields(Form))


def form_of(look: Look) -> Form:
    """The form a visitor finds: the look's settings, no sentence yet."""
    return replace(
        form_for(find_model(look.model)),
        shape=size_of(VideoShape(width=look.width, height=look.height)),
        seconds=look.seconds,
        steps=look.steps,
        guidance=look.guidance,
    )


def form_for(spec: ModelSpec) -> Form:
    """A model's own settings, no sentence yet."""
    return Form(
        prompt="",
        model=spec.key,
        shape=size_of(spec.shapes[0]),
        seconds=spec.default_seconds,
        profile="auto",
        limit_gib=0.0,
        seed="",
        steps=spec.default_steps,
        guidance=spec.default_guidance,
        lowest_precision="int8",
        chunk_frames=0,
        negative_prompt="",
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
    return Form(
        prompt=write_shots(tuple(_shot(shot) for shot in request["shots"])),
        model=spec.key,
        shape=size_of(VideoShape(**request["shape"])),
        seconds=round(request["frames"] / spec.fps, 1),
        profile=request["profile"],
        limit_gib=request.get("vram_limit_gib") or request.get("ram_limit_gib") or 0.0,
        seed=str(request["seed"]),
        steps=request["steps"],
        guidance=request["guidance"],
        lowest_precision=request.get("lowest_precision", default.lowest_precision),
        chunk_frames=request.get("chunk_frames") or 0,
        negative_prompt=request["negative_prompt"],
    )


def read_form(form: Form, *, card: bool) -> GenerationRequest:
    """The request; an empty seed becomes a new one. `card` tells whether a limit is the card's or main memory's.

    Raises:
        InvalidRequest: naming the field.
    """
    spec = find_model(form.model or "")
    seconds = _number("seconds", form.seconds)
    profile = find_profile(form.profile or "")
    prompt = form.prompt or ""
    shots, frames = lay_out(prompt, spec, None if is_storyboard(prompt) else seconds)
    limit = _limit(form.limit_gib)
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
        vram_limit_gib=limit if card else None,
        ram_limit_gib=None if card else limit,
        lowest_precision=form.lowest_precision or "",
    )


def seconds_told(prompt: str | None) -> float | None:
    """How long a storyboard says that it is; None for a sentence, and for what cannot be read."""
    if not is_storyboard(prompt or ""):
        return None
    try:
        return sum(shot.seconds for shot in read_shots(prompt or "", 0))
    except InvalidRequest:
        return None


def spoken(prompt: str | None) -> str:
    """The sentences without what a storyboard says of their lengths."""
    try:
        return " ".join(shot.prompt for shot in read_shots(prompt or "", 0))
    except InvalidRequest:
        return ""


def refusals(form: Form, *, card: bool) -> dict[str, InvalidRequest]:
    """What is wrong, by field. Each field is tried alone in an otherwise right form, so that all are told at once."""
    right = replace(form_for(spec_of(form)), prompt="a ball")
    wrong = {}
    for field in FIELDS:
        try:
            read_form(replace(right, **{field: getattr(form, field)}), card=card)
        except InvalidRequest as error:
            wrong[field] = error
    return wrong


def form_with(form: Form, request: GenerationRequest) -> Form:
    """The form as it stands, but with what a change touches; a storyboard's shots keep their shares of its length."""
    told = seconds_told(form.prompt)
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
        lowest_precision=request.lowest_precision,
        chunk_frames=request.chunk_frames or 0,
    )


def _shot(stored: Mapping[str, Any]) -> Shot:
    how = Transition(stored.get("transition", Transition.SMOOTH))
    return Shot(prompt=stored["prompt"], seconds=stored["seconds"], transition=how)


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

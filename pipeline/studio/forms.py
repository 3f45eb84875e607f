"""What stands in the form's fields, and the request it makes. Knows no rules: `plan/request.py` refuses, this file says
at which field."""

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pipeline.errors import DoesNotFit, DraftError, InvalidRequest
from pipeline.plan.catalog import ModelSpec, VideoShape
from pipeline.plan.presets import Look, find_profile
from pipeline.plan.request import (
    LONGEST_PROMPT,
    LONGEST_SECONDS,
    MOST_GUIDANCE,
    MOST_STEPS,
    GenerationRequest,
    Shot,
    frames_for,
)
from pipeline.studio.texts import Language, say

SEED_BITS = 32
SEED_TEXT = re.compile(r"[+-]?[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields as they stand on the page, right or wrong; None is a field that was cleared."""

    prompt: str | None
    shape: str | None
    seconds: float | None
    profile: str | None
    seed: str | None
    steps: float | None
    guidance: float | None
    negative_prompt: str | None


FIELDS = tuple(field.name for field in fields(Form))


def form_of(look: Look) -> Form:
    """The form a visitor finds: the look's settings, no sentence yet."""
    return Form(
        prompt="",
        shape=VideoShape(width=look.width, height=look.height).name,
        seconds=look.seconds,
        profile="auto",
        seed="",
        steps=look.steps,
        guidance=look.guidance,
        negative_prompt="",
    )


def restore_form(request: Mapping[str, Any], default: Form, spec: ModelSpec) -> Form:
    """The form that made a stored request; settings this page has no control for stay at `default`."""
    width, height = request["shape"]["width"], request["shape"]["height"]
    shapes = {(shape.width, shape.height): shape.name for shape in spec.shapes}
    return Form(
        prompt=" / ".join(shot["prompt"] for shot in request["shots"]),
        shape=shapes.get((width, height), default.shape),
        seconds=round(request["frames"] / spec.fps, 1),
        profile=request["profile"],
        seed=str(request["seed"]),
        steps=request["steps"],
        guidance=request["guidance"],
        negative_prompt=request["negative_prompt"],
    )


def read_form(form: Form, spec: ModelSpec) -> GenerationRequest:
    """The request; an empty seed becomes a new one. Raises InvalidRequest."""
    seconds = _number("seconds", form.seconds)
    profile = find_profile(form.profile or "")
    prompt = (form.prompt or "").strip()
    return GenerationRequest(
        shots=(Shot(prompt=prompt, seconds=seconds),),
        model=spec.key,
        shape=_shape(form.shape, spec),
        frames=frames_for(spec, seconds),
        steps=_whole("steps", form.steps),
        guidance=_number("guidance", form.guidance),
        seed=_seed(form.seed or ""),
        profile=profile.key,
        negative_prompt=(form.negative_prompt or "").strip(),
    )


def refusals(form: Form, default: Form, spec: ModelSpec) -> dict[str, InvalidRequest]:
    """What is wrong, by field. Each field is tried alone in an otherwise right form, so that all are told at once."""
    right = replace(default, prompt="a ball")
    wrong = {}
    for field in FIELDS:
        try:
            read_form(replace(right, **{field: getattr(form, field)}), spec)
        except InvalidRequest as error:
            wrong[field] = error
    return wrong


def say_refusal(language: Language, field: str, error: DraftError) -> str:
    """The refusal as shown at its field."""
    return say(
        language,
        f"refused_{field}",
        message=str(error),
        longest=f"{LONGEST_PROMPT:,}",
        seconds=LONGEST_SECONDS,
        seed=2**SEED_BITS - 1,
        steps=MOST_STEPS,
        guidance=MOST_GUIDANCE,
    )


def say_misfit(language: Language, error: DoesNotFit) -> str:
    """Why a right request cannot be made here."""
    need, budget = error.need_bytes / 2**30, error.budget_bytes / 2**30
    return say(language, "does_not_fit", message=str(error), need=need, budget=budget)


def _shape(name: str | None, spec: ModelSpec) -> VideoShape:
    for shape in spec.shapes:
        if shape.name == name:
            return shape
    raise InvalidRequest(
        "shape", f"{name!r} is no shape.", f"Shapes: {', '.join(shape.name for shape in spec.shapes)}."
    )


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

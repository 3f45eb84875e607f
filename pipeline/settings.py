"""A request read back from a film that Rushes made, or from JSON: by the rules of any other request, and no others.

Such a file may come from anybody. Nothing in it is believed: it is small, has the fields of a request and no more, and
goes through the same checks as a form.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidRequest
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.plan.spec import Continuity, VideoShape

LARGEST_JSON_BYTES = 2**21  # six times the longest request in escapes
MOST_DIGITS = 18
WRITTEN_BESIDES = {"seams", "cuts", "film_frames", "edited"}  # what a film tells of itself besides its request
FILMS = {".mp4", ".m4v", ".mov"}
HINT = "Give an mp4 that Rushes made, or the request.json of a draft."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a file says that a film was made with; one that was `edited` is of several takes, the first by `request`."""

    request: GenerationRequest
    edited: bool


def read_settings(path: Path) -> Settings:
    """What a film was made with, or what stands in a JSON file.

    Raises:
        InvalidRequest: when the file cannot be read, is too large, is neither, or asks for what no request may.
        DraftError: when there is no ffmpeg to read a film with.
    """
    return _check(_from_film(path) if path.suffix.lower() in FILMS else _from_json(path), path.name)


def read_settings_text(text: str, name: str) -> Settings:
    """What stands in a file's JSON, or in the metadata of a film; `name` is what the file is called in refusals.

    Raises:
        InvalidRequest: as `read_settings` does of JSON.
    """
    if len(text) > LARGEST_JSON_BYTES:
        raise InvalidRequest("settings", f"{name} is larger than {LARGEST_JSON_BYTES:,} bytes.", HINT)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("settings", f"{name} is neither an mp4 nor JSON.", HINT) from error
    return _check(values, name)


def _check(values: Any, name: str) -> Settings:
    if not isinstance(values, dict):
        raise InvalidRequest("settings", f"{name} holds no settings.", HINT)
    values = json.loads(json.dumps(values), parse_int=_short)
    request = {key: value for key, value in values.items() if key not in WRITTEN_BESIDES}
    _refuse_unknown(name, "", request, GenerationRequest)
    _refuse_unknown(name, "shape.", request.get("shape"), VideoShape)
    _refuse_unknown(name, "continuity.", request.get("continuity"), Continuity)
    shots = request.get("shots")
    for shot in shots if isinstance(shots, list) else ():
        _refuse_unknown(name, "shots.", shot, Shot)
    return Settings(request=_validate(name, request), edited=values.get("edited") is True)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise InvalidRequest("settings", f"There is no file {path}.", HINT)


def _from_film(path: Path) -> Any:
    from pipeline.video.mp4 import read_settings as read_film

    try:
        _check_there(path)
    except OSError as error:
        raise InvalidRequest("settings", f"{path} cannot be read: {error.strerror}.", HINT) from error
    return read_film(path.absolute())


def _from_json(path: Path) -> Any:
    try:
        _check_there(path)
        with path.open("rb") as file:
            text = file.read(LARGEST_JSON_BYTES + 1)
    except OSError as error:
        raise InvalidRequest("settings", f"{path} cannot be read: {error.strerror}.", HINT) from error
    if len(text) > LARGEST_JSON_BYTES:
        raise InvalidRequest("settings", f"{path.name} is larger than {LARGEST_JSON_BYTES:,} bytes.", HINT)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("settings", f"{path.name} is neither an mp4 nor JSON.", HINT) from error


def _short(digits: str) -> float:
    """A whole number; one with more digits than any setting has counts as infinite, which none may be."""
    return int(digits) if len(digits) <= MOST_DIGITS else float("inf")


def _refuse_unknown(name: str, where: str, values: Any, kind: type[Any]) -> None:
    if isinstance(values, dict):
        unknown = sorted(set(values) - {field.name for field in fields(kind)})
        if unknown:
            named = ", ".join(f"{where}{key[:40]!r}" for key in unknown[:3])
            raise InvalidRequest("settings", f"{name} holds what is no setting: {named}.", HINT)


def _validate(name: str, values: dict[str, Any]) -> GenerationRequest:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(GenerationRequest).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidRequest("settings", f"{name}: {place}: {first['msg']}.", HINT) from error

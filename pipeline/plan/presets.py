"""Profiles and looks: TOML files a person can copy, read strictly.

The file's stem is its key. Unknown keys, wrong types and values off a model's grid are refused with
`file: table.key: message`. Nothing is inherited between files.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from pipeline.errors import InvalidRequest, PresetError
from pipeline.plan.catalog import CATALOG
from pipeline.plan.request import GenerationRequest, Shot, frames_for

PRESETS = Path(__file__).resolve().parents[2] / "presets"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VramProfile:
    """How much of a card may be used.

    `card_gib` is the budget on the graphics card, None for all that is free; `reserve_gib` stays free for the desktop
    and the driver; `ram_gib` and `ram_reserve_gib` are the same for main memory; `use_card` False keeps everything on
    the processor. `measured` says on what it was measured, or "not yet".
    """

    key: str
    title: str
    title_zh: str
    use_card: bool
    card_gib: float | None = None
    reserve_gib: float
    ram_gib: float | None = None
    ram_reserve_gib: float
    measured: str

    def __post_init__(self) -> None:
        for name in ("card_gib", "reserve_gib", "ram_gib", "ram_reserve_gib"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 4096:
                raise PresetError(f"{self.key}.toml", name, f"{value:g} GiB is not a budget.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How carefully one model makes a draft."""

    steps: int
    guidance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How carefully a draft is made: steps and guidance for every model of the catalog, by its key."""

    key: str
    title: str
    title_zh: str
    models: Mapping[str, Care]

    def __post_init__(self) -> None:
        for model, spec in CATALOG.items():
            if model not in self.models:
                raise PresetError(f"{self.key}.toml", "models", f"says nothing of {model}.")
            care, name = self.models[model], f"models.{model}"
            try:
                GenerationRequest(
                    shots=(Shot(prompt="a ball", seconds=spec.default_seconds),),
                    model=model,
                    shape=spec.shapes[0],
                    frames=frames_for(spec, spec.default_seconds),
                    steps=care.steps,
                    guidance=care.guidance,
                    seed=0,
                )
            except InvalidRequest as error:
                raise PresetError(f"{self.key}.toml", f"{name}.{error.field}", str(error)) from error


Preset = TypeVar("Preset", VramProfile, Look, Care)


def load_profiles(folder: Path = PRESETS / "vram") -> Mapping[str, VramProfile]:
    """All profiles by key, `auto` first, then by budget. Raises PresetError."""
    profiles = [_read(path, VramProfile) for path in folder.glob("*.toml")]
    order = sorted(profiles, key=lambda p: (p.key != "auto", not p.use_card, p.card_gib or 0, p.key))
    return MappingProxyType({profile.key: profile for profile in order})


def load_looks(folder: Path = PRESETS / "looks") -> Mapping[str, Look]:
    """All looks by key, the one with the fewest steps first. Raises PresetError."""
    looks = [_read_look(path) for path in folder.glob("*.toml")]
    order = sorted(looks, key=lambda look: (sum(care.steps for care in look.models.values()), look.key))
    return MappingProxyType({look.key: look for look in order})


def find_profile(key: str) -> VramProfile:
    """The shipped profile for `key`; InvalidRequest lists the keys there are."""
    profiles = load_profiles()
    if key not in profiles:
        raise InvalidRequest("profile", f"There is no profile {key!r}.", f"Profiles: {', '.join(profiles)}.")
    return profiles[key]


def _read(path: Path, kind: type[Preset]) -> Preset:
    return _fill(path, _table(path), kind, key=path.stem)


def _read_look(path: Path) -> Look:
    table = _table(path)
    models = table.pop("models", None)
    if not isinstance(models, dict):
        raise PresetError(path.name, "models", "must be a table.")
    cares = {}
    for model, care in models.items():
        if model not in CATALOG or not isinstance(care, dict):
            raise PresetError(path.name, f"models.{model}", f"is no model's table; models: {', '.join(CATALOG)}.")
        cares[model] = _fill(path, care, Care, prefix=f"models.{model}.")
    return _fill(path, table, Look, key=path.stem, models=MappingProxyType(cares))


def _table(path: Path) -> dict[str, Any]:
    """What stands in a file of the right schema."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # unreadable; not UTF-8, not TOML, or a number of 5,000 digits
        raise PresetError(path.name, "file", str(error)) from error
    schema = table.pop("schema", None)
    if type(schema) is not int or schema != SCHEMA:  # True and 1.0 equal 1
        raise PresetError(path.name, "schema", f"must be {SCHEMA}.")
    return table


def _fill(path: Path, table: dict[str, Any], kind: type[Preset], *, prefix: str = "", **given: Any) -> Preset:
    """A `kind` from a table that says all of it but what is `given`."""
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind) if field.name not in given}
    for name in sorted(set(table) - set(known)):
        raise PresetError(path.name, f"{prefix}{name}", f"is not a key; keys: {', '.join(known)}.")
    for name, field in known.items():
        if name in table:
            table[name] = _typed(path, f"{prefix}{name}", table[name], hints[name])
        elif field.default is MISSING:
            raise PresetError(path.name, f"{prefix}{name}", "is missing.")
    return kind(**table, **given)


def _typed(path: Path, name: str, value: Any, hint: Any) -> Any:
    allowed = getattr(hint, "__args__", (hint,))
    if float in allowed and type(value) is int and abs(value) < 2**53:  # larger ones are not that float any more
        return float(value)
    if type(value) not in allowed:
        wanted = " or ".join(kind.__name__ for kind in allowed if kind is not type(None))
        raise PresetError(path.name, name, f"must be {wanted}, not {value!r}.")
    return value

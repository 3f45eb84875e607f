"""What a person may ask to have changed of a draft that is there.

    redo 2       chunk 2 with another seed, and what follows, which goes on from it
    reprompt 2   chunk 2 and what follows of its shot with another sentence, and the shots after it
    branch 2     chunk 2 and what follows, all with other seeds
    cut 2        nothing after chunk 2
    extend 3     3 seconds more, of the last sentence or of another

Chunks are counted from 0 here and from 1 in what people read and write.
"""

import math
import secrets
from dataclasses import dataclass, field

from pipeline.errors import InvalidRequest


def new_seed() -> int:
    """Drawn."""
    return secrets.randbelow(2**32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redo:
    """Chunk `chunk` with another seed; what follows goes on from it with its own seeds.

    With `alone` what follows stays, and the chunk is given latents of both its neighbours. That shows: of 16 seams
    around such chunks 6 were flagged, 2 of those before (tests/bench/README.md).
    """

    chunk: int
    seed: int = field(default_factory=new_seed)
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reprompt:
    """Chunk `chunk`, and what follows of its shot, with another sentence and the same seeds."""

    chunk: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Chunk `chunk` with another seed, and each that follows with the next number."""

    chunk: int
    seed: int = field(default_factory=new_seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Nothing after chunk `chunk`."""

    chunk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """About `seconds` more, in the last shot, or in a new one where there is a sentence."""

    seconds: float
    prompt: str | None = None


Edit = Redo | Reprompt | Branch | Cut | Extend


WAYS = {kind.__name__.lower(): kind for kind in (Redo, Reprompt, Branch, Cut, Extend)}


def name_of(edit: Edit) -> str:
    """As people call it: `redo`."""
    return type(edit).__name__.lower()


def read_edit(
    way: str, amount: float, sentence: str | None = None, seed: int | None = None, *, alone: bool = False
) -> Edit:
    """What a person asks for: `redo 2`, `extend 3`.

    Args:
        way: a name.
        amount: a chunk, counted from 1; for `extend` seconds.
        sentence: for `reprompt`, and for `extend` where there is another; an empty one counts as none.
        seed: for `redo` and `branch`; drawn if not given.
        alone: for `redo`: what follows stays.

    Raises:
        InvalidRequest: for another name, a part of a chunk, and what the way has no use for.
    """
    if way not in WAYS:
        raise InvalidRequest("way", f"A draft cannot be edited by {way!r}.", f"Choose one of {', '.join(WAYS)}.")
    if sentence and way not in ("reprompt", "extend"):
        raise InvalidRequest("sentence", f"{way} takes no sentence.", "Use reprompt.")
    if seed is not None and way not in ("redo", "branch"):
        raise InvalidRequest("seed", f"{way} draws no seed.", "Leave it out.")
    if alone and way != "redo":
        raise InvalidRequest("alone", f"{way} is of what follows, too.", "Use redo.")
    if way == "extend":
        return Extend(seconds=amount, prompt=sentence or None)
    if not math.isfinite(amount) or amount != int(amount):
        raise InvalidRequest("chunk", f"{amount:g} is no chunk.", "Chunks are counted from 1.")
    chunk, drawn = int(amount) - 1, new_seed() if seed is None else seed
    match way:
        case "redo":
            return Redo(chunk=chunk, seed=drawn, alone=alone)
        case "branch":
            return Branch(chunk=chunk, seed=drawn)
        case "cut":
            return Cut(chunk=chunk)
    return Reprompt(chunk=chunk, prompt=sentence or "")

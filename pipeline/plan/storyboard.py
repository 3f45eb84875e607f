"""A storyboard as people type it: `[2s] A boat leaves / [3s cut] The boat arrives`, or one shot a line.

A shot begins with its seconds in brackets, and how it comes in: nothing for a smooth passage, `cut`, or
`cut, same look`. What holds no such bracket is one sentence, one shot.
"""

import re
import unicodedata
from decimal import Decimal
from math import fsum, isfinite

from pipeline.errors import InvalidRequest
from pipeline.plan.request import LONGEST_SECONDS, MOST_SHOTS, Shot, Transition, frames_for
from pipeline.plan.spec import ModelSpec

_UNIT = r"s(?:ec(?:ond)?s?)?\b"
_MINUTES = r"m(?:in(?:ute)?s?)?\b|分"
_HOW = r"smooth|cut(?:,?\s*same\s+look)?"
MARK = re.compile(
    rf"\[\s*(?P<seconds>\d+\.?\d*|\.\d+)\s*{_UNIT}\s*(?:,?\s*(?P<how>{_HOW}))?\s*\]",
    re.I | re.A,
)
TIMED = re.compile(rf"\[\s*[-+]?[\d.,]+\s*{_UNIT}", re.I | re.A)
"""What makes a text a storyboard wherever it stands; a bracket at its beginning does so, too."""
_SAID = re.compile(rf"\[\s*(?:\d+\.?\d*|\.\d+)\s*{_UNIT}(?P<how>[^]]*)(?P<end>\]?)", re.I | re.A)

_BEGINNING = re.compile(rf"(?:\A|[/\n])\s*(?=\[)|(?={TIMED.pattern})", re.I | re.A)
BRACKETED = re.compile(r"([\[［【][^\[\]［］【】/／\n]*[\]］】]?)")
SLASHES = ("/", "／")
PLAIN = str.maketrans("［【］】", "[[]]")
LEGAL = "A shot begins with [2s], [3s cut] or [3s cut, same look]."
SHOWN_CHARACTERS = 24
STRAY = "/／ "  # behind a sentence, where another shot was to follow


def is_storyboard(text: str) -> bool:
    """Whether a text says the seconds of its shots, rightly or wrongly."""
    text = _plain_marks(text)
    return text.lstrip().startswith("[") or bool(TIMED.search(text))


def check_sentence(text: str) -> None:
    """Raises InvalidRequest for what is no sentence of one shot, or would not be in a storyboard."""
    if is_storyboard(text) or len(_parts(text)) > 1:
        raise InvalidRequest(
            "sentence",
            f"“{_shorten(' '.join(text.split()))}” begins a shot in brackets, and an edit takes one sentence.",
            "Leave the brackets out; make an edit of each shot.",
        )


def read_shots(text: str, seconds: float) -> tuple[Shot, ...]:
    """The shots of a storyboard, or one shot of `seconds` where it is a plain sentence.

    Raises:
        InvalidRequest: naming the shot, what is wrong with it and the nearest that is right.
    """
    if not is_storyboard(text):
        return (Shot(prompt=text.strip(), seconds=seconds),)
    parts = _parts(text)
    if not parts[0].startswith("["):
        said = " ".join(parts[0].split())
        raise InvalidRequest(
            "prompt",
            f"“{_shorten(said)}” stands before the first shot's seconds.",
            f"Put its own in front: [2s] {_shorten(said)}",
        )
    if len(parts) > MOST_SHOTS:
        raise InvalidRequest(
            "prompt",
            f"A draft has 1 to {MOST_SHOTS} shots, not {len(parts)}.",
            f"Make the first {MOST_SHOTS} a draft, the others the next.",
        )
    return tuple(_read_shot(number, part) for number, part in enumerate(parts, start=1))


def sketch_shots(text: str, seconds: float) -> tuple[Shot, ...]:
    """The shots of a text that is being written: sentences may be missing, and seconds be impossible.

    One shot of `seconds` where it is a plain sentence; none where a shot does not begin with its seconds.
    """
    if not is_storyboard(text):
        return (Shot(prompt=text.strip(), seconds=seconds),)
    shots = []
    for part in _parts(text):
        mark = MARK.match(part)
        if not mark:
            return ()
        sentence = " ".join(part[mark.end() :].split()).rstrip(STRAY)
        shots.append(Shot(prompt=sentence, seconds=float(mark["seconds"]), transition=_transition(mark["how"])))
    return tuple(shots)


def lay_out(text: str, spec: ModelSpec, seconds: float | None) -> tuple[tuple[Shot, ...], int]:
    """The shots of a text, and the frames that come nearest to their seconds.

    Args:
        text: a storyboard, or a plain sentence.
        seconds: the length asked for besides; None for what the storyboard says, or the model's own.

    Raises:
        InvalidRequest: as `read_shots`, for a length that no draft can have, and for one that the shots do not have.
    """
    shots = read_shots(text, spec.default_seconds if seconds is None else seconds)
    together = fsum(shot.seconds for shot in shots)
    if seconds is not None and is_storyboard(text) and seconds != together:
        raise InvalidRequest(
            "seconds",
            f"The shots last {together:g} seconds together, and {seconds:g} are asked for.",
            "Change the seconds in the brackets, or ask for no others.",
        )
    cuts = sum(shot.transition is not Transition.SMOOTH for shot in shots[1:])
    return shots, frames_for(spec, together, 1 + cuts)


def write_shots(shots: tuple[Shot, ...]) -> str:
    """The text that `read_shots` reads as these; a single shot as its sentence, which does not say its seconds."""
    if len(shots) == 1 and not is_storyboard(shots[0].prompt):
        return shots[0].prompt
    return " / ".join(f"{_write_mark(shot)} {shot.prompt}" for shot in shots)


def _parts(text: str) -> list[str]:
    return [part for part in _BEGINNING.split(_plain_marks(text).strip()) if part.strip()]


def _plain_marks(text: str) -> str:
    """With the brackets, digits and slashes of a Chinese keyboard as plain ones, where shots begin and nowhere else."""
    parts = BRACKETED.split(text)
    for place in range(1, len(parts), 2):  # what is between brackets; before it, what is not
        before = parts[place - 1].rstrip()
        gap = parts[place - 1][len(before) :]
        begins = before.endswith(SLASHES) or "\n" in gap or (place == 1 and not before)
        said = unicodedata.normalize("NFKC", parts[place].translate(PLAIN))
        if TIMED.match(said) or (begins and said[1:].lstrip()[:1].isdecimal()):
            ends = f"{before[:-1]}/" if before.endswith(SLASHES) else before
            parts[place - 1 : place + 1] = ends + gap, said
    return "".join(parts)


def _read_shot(number: int, part: str) -> Shot:
    mark = MARK.match(part)
    if not mark:
        raise _refuse_mark(number, part)
    seconds, sentence = float(mark["seconds"]), " ".join(part[mark.end() :].split()).rstrip(STRAY)
    if not 0 < seconds <= LONGEST_SECONDS:
        nearest = "60s" if seconds else "0.5s"
        raise InvalidRequest(
            "prompt",
            f"Shot {number} cannot last {mark['seconds'][:SHOWN_CHARACTERS]} seconds: more than 0, up to "
            f"{LONGEST_SECONDS:g}.",
            f"Nearest: [{nearest}].",
        )
    if not sentence.strip(STRAY):
        raise InvalidRequest(
            "prompt", f"Shot {number} has no sentence.", f"Say what happens after {mark[0]}, or take it out."
        )
    return Shot(prompt=sentence, seconds=seconds, transition=_transition(mark["how"]))


def _refuse_mark(number: int, part: str) -> InvalidRequest:
    shown, said = " ".join((part[: part.find("]") + 1] or part).split()), _SAID.match(part)
    told = f"Shot {number} begins with {_shorten(shown)}, which says no seconds."
    if said and not said["end"]:
        told = f"Shot {number} begins with {_shorten(shown)}, a bracket that does not end."
    elif said:
        how = " ".join(said["how"].split()).strip(", ") or ","
        told = f"Shot {number} begins with {_shorten(shown)}, and “{_shorten(how)}” is no way to come in."
    return InvalidRequest("prompt", told, f"{_nearest(shown)}{LEGAL}")


def _transition(how: str | None) -> Transition:
    words = (how or Transition.SMOOTH).lower().replace(",", " ").split()
    return {"smooth": Transition.SMOOTH, "cut": Transition.CUT, "look": Transition.SAME_LOOK}[words[-1]]


def _write_mark(shot: Shot) -> str:
    seconds = f"{Decimal(repr(float(shot.seconds))):f}"
    if "." in seconds:
        seconds = seconds.rstrip("0").rstrip(".")
    return f"[{seconds}s]" if shot.transition is Transition.SMOOTH else f"[{seconds}s {shot.transition}]"


def _nearest(mark: str) -> str:
    """The mark that was probably meant; nothing where no number stands in it."""
    number = re.search(rf"(\d+(?:[.,]\d+)?)\s*({_MINUTES})?", mark, re.A | re.I)
    seconds = float(number[1].replace(",", ".")) * (60 if number[2] else 1) if number else 0.0
    if not (isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS):
        return ""
    how = " cut" if re.search(r"\bcut\b", mark, re.I) else ""
    return f"Nearest: [{seconds:g}s{how}]. "


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"

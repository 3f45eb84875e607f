"""What the page says before the button is pressed: does it fit, how long does it take, which words are known.

Plans, but never computes: no torch, no weights but the miniature's word list.
"""

import json
import re
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import DoesNotFit, DraftError, InvalidRequest
from pipeline.plan.catalog import ModelSpec
from pipeline.plan.device import Device, probe_device
from pipeline.plan.draft import DraftPlan, plan_draft
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest
from pipeline.studio.forms import Form, read_form, say_misfit, say_refusal
from pipeline.studio.texts import Language, join_words, say, say_duration

VOCABULARY = Path(__file__).resolve().parents[2] / "assets" / "miniature" / "tokenizer" / "tokenizer.json"
PROBE_LASTS_SECONDS = 2.0  # a driver takes a tenth of a second to answer; a slider moves faster
MOST_WORDS_NAMED = 4
WORDS = re.compile(r"\w+", re.UNICODE)  # the miniature's tokenizer splits at white space and punctuation
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "pink")
SHAPES = ("ball", "square", "triangle", "star")
MOTIONS = ("moves left", "moves right", "rises", "falls", "bounces", "grows", "shrinks", "stands still")
BACKGROUNDS = ("night", "snow", "grass", "sand", "sea")
EXAMPLES = (
    "a red ball moves left over snow",
    "a yellow star rises over night",
    "a white square grows over sea",
    "a pink star falls over sand",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The line above the button. `fits` False draws it in red; `reasons` unfold under it."""

    line: str
    fits: bool
    reasons: tuple[str, ...] = ()


class Machine:
    """The device, asked again when the last answer is older than a moment; and the profiles there are."""

    def __init__(self, profiles: Mapping[str, VramProfile]) -> None:
        self.profiles = profiles
        self._answers: dict[bool, tuple[float, Device]] = {}

    def device(self, profile: VramProfile) -> Device:
        """Where a draft with this profile is computed, with the memory that is free now."""
        asked, device = self._answers.get(profile.use_card, (-PROBE_LASTS_SECONDS, None))
        if device is None or time.monotonic() - asked >= PROBE_LASTS_SECONDS:
            device = probe_device(use_card=profile.use_card)
            self._answers[profile.use_card] = (time.monotonic(), device)
        return device

    def plan(self, request: GenerationRequest) -> DraftPlan:
        """Everything decided. Raises DoesNotFit, InvalidRequest."""
        if request.profile not in self.profiles:
            raise InvalidRequest("profile", f"There is no profile {request.profile!r}.")
        profile = self.profiles[request.profile]
        return plan_draft(request, self.device(profile), profile)


def advise(form: Form, spec: ModelSpec, machine: Machine, language: Language) -> Advice:
    """The forecast for what stands in the form; before there is a sentence, for any sentence."""
    try:
        plan = machine.plan(read_form(form if (form.prompt or "").strip() else replace(form, prompt="a ball"), spec))
    except InvalidRequest as error:
        key = "seconds" if error.field == "frames" else error.field
        return Advice(line=say_refusal(language, key, error), fits=False)
    except DoesNotFit as error:
        return Advice(line=say_misfit(language, error), fits=False)
    except DraftError as error:
        return Advice(line=str(error), fits=False)
    forecast, chunks = plan.forecast, len(plan.chunks)
    peak = plan.memory.peak_bytes / 2**30
    line = say(
        language,
        "forecast",
        frames=plan.request.frames,
        need=f"{peak:.1f}" if peak >= 0.1 else say(language, "need_small"),
        budget=f"{plan.memory.budget_bytes / 2**30:.0f}",
        duration=say_duration(language, forecast.total_seconds),
        chunks=say(language, "one_chunk") if chunks == 1 else say(language, "many_chunks", count=chunks),
    )
    band = say(
        language,
        "forecast_band",
        first=say_duration(language, forecast.first_slice_seconds),
        low=say_duration(language, forecast.low_seconds),
        high=say_duration(language, forecast.high_seconds),
    )
    return Advice(line=line, fits=True, reasons=(band, *plan.reasons))


def read_vocabulary(path: Path = VOCABULARY) -> frozenset[str]:
    """The words the miniature knows; empty when its tokenizer is not there or not readable."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    return frozenset(word for word in words if WORDS.fullmatch(word))


def note_unknown_words(prompt: str, known: frozenset[str], language: Language) -> str:
    """A friendly sentence when words are outside `known`, else nothing."""
    words = list(dict.fromkeys(WORDS.findall(unicodedata.normalize("NFKC", prompt).lower())))
    unknown = [word for word in words if word not in known]
    if not known or not unknown:
        return ""
    shown = [say(language, "word", word=word[:24]) for word in unknown[:MOST_WORDS_NAMED]]
    more = len(unknown) - len(shown)
    return say(
        language,
        "unknown_words" if len(unknown) < len(words) else "no_known_words",
        words=say(language, "comma").join(shown) + (f" +{more}" if more else ""),
        shapes=join_words(language, SHAPES),
        motions=join_words(language, MOTIONS),
        backgrounds=join_words(language, BACKGROUNDS),
        colours=join_words(language, COLOURS),
    )

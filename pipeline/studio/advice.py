"""What the page says before the button is pressed: does it fit, how long does it take, which words are known.

Plans, but never computes: no torch, no weights but the miniature's word list.
"""

import json
import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.drafts.measurements import Measurements
from pipeline.errors import DoesNotFit, DraftError, InvalidRequest
from pipeline.fetcher import FetchState, FetchStatus
from pipeline.installed import Installation, find_installation
from pipeline.plan.alternatives import Change, offer_faster, plan_draft
from pipeline.plan.device import Device, DeviceKind, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import VramProfile
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import ModelSpec
from pipeline.studio.forms import Form, form_with, read_form, spec_of
from pipeline.studio.texts import Language, say
from pipeline.studio.translation import say_error, say_failure, say_name, translate
from pipeline.studio.wording import join_words, say_duration

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
class Offer:
    """A change one click away: what its button says, and the form after it."""

    label: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The line under the button, with `detail` in small. `fits` False draws it in red; `share` of the allowed memory
    fills the bar; `need` says what is to be done before the button can do anything, with `command`, or a button
    `action` that starts the download of the model `fetch`, cancels it where that is empty; `offers` are buttons under
    it, `reasons` unfold."""

    line: str
    fits: bool
    detail: str = ""
    share: float = 0.0
    need: str = ""
    command: str = ""
    action: str = ""
    fetch: str = ""
    offers: tuple[Offer, ...] = ()
    reasons: tuple[str, ...] = ()


class Machine:
    """The device, asked again when the last answer is older than a moment; the profiles; what drafts here taught; which
    models are here now, those in `weights`, folders by model, included. `probe` tells the device."""

    def __init__(
        self,
        profiles: Mapping[str, VramProfile],
        drafts: Path,
        weights: Mapping[str, Path] | None = None,
        probe: Callable[..., Device] | None = None,
    ) -> None:
        self._probe = probe
        self.profiles, self.drafts, self.weights = profiles, drafts, weights or {}
        self.measurements = Measurements(drafts)
        self._answers: dict[bool, tuple[float, Device]] = {}

    def device(self, profile: VramProfile) -> Device:
        """Where a draft with this profile is computed, with the memory that is free now."""
        asked, device = self._answers.get(profile.use_card, (-PROBE_LASTS_SECONDS, None))
        if device is None or time.monotonic() - asked >= PROBE_LASTS_SECONDS:
            device = (self._probe or probe_device)(use_card=profile.use_card, folder=self.drafts)
            self._answers[profile.use_card] = (time.monotonic(), device)
        return device

    def has_card(self, profile: str | None) -> bool:
        """Whether a memory limit is a card's with this profile."""
        known = self.profiles.get(profile or "")
        return known is not None and self.device(known).kind is DeviceKind.CUDA

    def installation(self, spec: ModelSpec) -> Installation:
        """What is here of a model now: a download may have ended since the page was opened."""
        return find_installation(spec.kept_in(self.weights.get(spec.key)))

    def read(self, form: Form) -> GenerationRequest:
        """The request in a form. Raises InvalidRequest."""
        return read_form(form)

    def plan(self, request: GenerationRequest) -> DraftPlan:
        """Everything decided. Raises DoesNotFit, InvalidRequest."""
        if request.profile not in self.profiles:
            raise InvalidRequest("profile", f"There is no profile {request.profile!r}.")
        profile = self.profiles[request.profile]
        device = self.device(profile)
        return plan_draft(request, device, profile, self.measurements.experience(request, device))

    def faster(self, plan: DraftPlan) -> tuple[Change, ...]:
        """What would make a slow plan a good deal faster."""
        experience = self.measurements.experience(plan.request, plan.memory.device)
        return offer_faster(plan, self.profiles[plan.request.profile], experience)


def advise(form: Form, machine: Machine, language: Language, fetched: FetchStatus | None = None) -> Advice:
    """The forecast for what stands in the form; before there is a sentence, for any sentence.

    `fetched` is the latest download.
    """
    here = machine.installation(spec_of(form))
    advice = replace(_forecast(form, machine, language), need=say_need(here, language), command=here.command)
    if here.usable or not here.command:
        return advice
    if fetched is None or fetched.model != here.spec.key:
        return replace(advice, action=say(language, "fetch"), fetch=here.spec.key)
    if fetched.state is FetchState.RUNNING:
        done, total = fetched.done_bytes / 2**30, fetched.total_bytes / 2**30
        need = say(language, "fetching", model=here.spec.title, done=done, total=total or here.download_bytes / 2**30)
        return replace(advice, need=need, command="", action=say(language, "fetch_cancel"))
    need = say_failure(language, fetched.message, advice.need)
    return replace(advice, need=need, action=say(language, "fetch"), fetch=here.spec.key)


def _forecast(form: Form, machine: Machine, language: Language) -> Advice:
    try:
        plan = machine.plan(machine.read(form if (form.prompt or "").strip() else replace(form, prompt="a ball")))
    except InvalidRequest as error:
        return Advice(line=say_error(language, error), fits=False)
    except DoesNotFit as error:
        offers = _offers(form, error.changes, machine, language)
        share = error.need_bytes / max(1, error.budget_bytes)
        return Advice(line=translate(language, error.message), fits=False, share=share, offers=offers)
    except DraftError as error:
        return Advice(line=say_error(language, error), fits=False)
    forecast, chunks = plan.forecast, len(plan.chunks)
    peak = plan.memory.peak_bytes / 2**30
    line = say(
        language,
        "forecast",
        duration=say_duration(language, forecast.total_seconds),
        first=say_duration(language, forecast.first_slice_seconds),
    )
    detail = say(
        language,
        "forecast_detail",
        frames=plan.request.frames,
        need=f"{peak:.1f}" if peak >= 0.1 else say(language, "need_small"),
        budget=f"{plan.memory.budget_bytes / 2**30:.1f}",
        chunks=say(language, "one_chunk") if chunks == 1 else say(language, "many_chunks", count=chunks),
    )
    band = say(
        language,
        "forecast_band",
        low=say_duration(language, forecast.low_seconds),
        high=say_duration(language, forecast.high_seconds),
        basis=say(language, f"basis_{forecast.closeness}"),
    )
    return Advice(
        line=line,
        fits=True,
        detail=detail,
        share=plan.memory.peak_bytes / max(1, plan.memory.budget_bytes),
        offers=_offers(form, machine.faster(plan), machine, language),
        reasons=(band, *(translate(language, reason) for reason in plan.reasons)),
    )


def say_model(here: Installation, language: Language) -> str:
    """A model as it is offered: plainly where it can be used, else marked."""
    title = say_name(language, "model", here.spec.title)
    if here.usable:
        return title
    kind = "unusable" if here.obstacle else here.presence
    return say(language, f"model_{kind}", model=title, gigabytes=here.download_bytes / 2**30)


def say_need(here: Installation, language: Language) -> str:
    """What is to be done before a model can be used; nothing where it can."""
    if here.usable or here.obstacle:
        return translate(language, here.obstacle)
    return say(language, "model_needed", model=here.spec.title, gigabytes=here.download_bytes / 2**30)


def _offers(form: Form, changes: tuple[Change, ...], machine: Machine, language: Language) -> tuple[Offer, ...]:
    return tuple(
        Offer(
            label=say(
                language,
                f"change_{change.kind}",
                seconds=change.request.seconds,
                width=change.request.shape.width,
                height=change.request.shape.height,
                model=say_model(machine.installation(change.request.spec), language),
                chunks=len(change.plan.chunks),
                duration=say_duration(language, change.plan.forecast.total_seconds),
            ),
            form=form_with(form, change.request),
        )
        for change in changes
    )


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

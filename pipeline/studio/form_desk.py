"""What the form does by itself: another model or look, a storyboard's cards, an idea. It knows no draft."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.presets import Look
from pipeline.plan.request import LONGEST_PROMPT, MOST_SHOTS, Shot, Transition
from pipeline.plan.storyboard import is_storyboard, sketch_shots, write_shots
from pipeline.studio.filling import fill, fill_length
from pipeline.studio.forms import FIELDS, HELD_BY, Form, form_of, seconds_told
from pipeline.studio.pictures import PICTURE_FIELDS, keep_fields

MODEL_FIELDS = (  # what a model has its own settings for
    "shape", "seconds", "steps", "guidance", "frames", "chunk_frames", "overlap_frames", "tail", *HELD_BY,
    *PICTURE_FIELDS.values(),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One shot of a storyboard as it is being written."""

    prompt: str
    seconds: float
    transition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What the storyboard draws; `marked` tells that the text says its shots' seconds, else it is a plain sentence."""

    marked: bool
    shots: tuple[Card, ...]
    most: int = MOST_SHOTS


class FormDesk:
    """The form's events. Components' values come and go in the order of `forms.FIELDS`, or of what is named."""

    def __init__(self, look: Look, looks: Mapping[str, Look]) -> None:
        self.look, self.looks = look, looks

    def choose_model(self, model: str | None, look: str | None) -> list[Any]:
        """A model's own shape, length and chunks, made as carefully as the look says, by `MODEL_FIELDS`."""
        spec = CATALOG.get(model or "")
        chosen = self.looks.get(look or "", self.look)
        updates = dict(zip(FIELDS, fill(form_of(chosen, spec) if spec else form_of(self.look)), strict=True))
        updates |= keep_fields(spec or MINIATURE)
        return [updates[field] for field in MODEL_FIELDS]

    def choose_look(self, look: str | None, model: str | None) -> list[Any]:
        """The steps and the guidance of a look with a model."""
        chosen, spec = self.looks.get(look or ""), CATALOG.get(model or "")
        if chosen is None or spec is None:
            return [gr.skip(), gr.skip()]
        care = chosen.models[spec.key]
        return [care.steps, care.guidance]

    def take_offer(self, event: gr.EventData) -> list[Any]:
        """The form after the change whose button was pressed."""
        form = event._data.get("form")
        if not isinstance(form, dict) or set(form) != set(FIELDS):
            return [gr.skip()] * len(FIELDS)
        return fill(Form(**form))

    def follow_length(self, *values: Any) -> Any:
        """The length's slider, which a storyboard and frames by hand go before.

        A length that is there is not set again: the answer may come after another was.
        """
        form = Form(**dict(zip(FIELDS, values, strict=True)))
        if seconds_told(form) is None:
            return gr.update(interactive=True)
        told = fill_length(form)
        return gr.update(interactive=False) if told["value"] == form.seconds else told

    def lay_cards(self, prompt: str | None, seconds: float | None) -> dict[str, Any]:
        """The storyboard of a text."""
        text = prompt or ""
        shots = sketch_shots(text, seconds or 0.0)
        cards = tuple(Card(prompt=shot.prompt, seconds=shot.seconds, transition=str(shot.transition)) for shot in shots)
        return asdict(Cards(marked=is_storyboard(text), shots=cards))

    def take_cards(self, event: gr.EventData) -> tuple[Any, Any, Any]:
        """The text of a storyboard that was changed, the length of a last shot that is left alone, and for the
        storyboard which of its changes that was."""
        taken = gr.update(taken=event._data.get("change"))
        try:
            shots = _read_cards(event._data.get("shots"))
        except InvalidRequest:
            return gr.skip(), gr.skip(), taken
        alone = len(shots) == 1
        return write_shots(shots), shots[0].seconds if alone else gr.skip(), taken

    def take_idea(self, event: gr.EventData) -> Any:
        """The sentence of an idea that was pressed."""
        sentence = event._data.get("sentence")
        return sentence[:LONGEST_PROMPT] if isinstance(sentence, str) else gr.skip()


def _read_cards(sent: Any) -> tuple[Shot, ...]:
    """What a page sent as shots. Raises InvalidRequest for what no storyboard of ours sends."""
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_SHOTS:
        raise InvalidRequest("prompt", f"A draft has 1 to {MOST_SHOTS} shots.")
    try:
        shots = [
            Shot(
                prompt=" ".join(str(card["prompt"])[:LONGEST_PROMPT].split()),
                seconds=float(card["seconds"]),
                transition=Transition(card["transition"]),
            )
            for card in sent
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest("prompt", "That is no storyboard.") from error
    if any(not 0 <= shot.seconds < 1e6 for shot in shots):  # NaN is neither
        raise InvalidRequest("prompt", "A shot lasts some seconds.")
    return (replace(shots[0], transition=Transition.SMOOTH), *shots[1:])

"""Which of the form's controls calls which method, and how events are sent."""

from typing import Any

import gradio as gr

from pipeline.studio.desk import Desk
from pipeline.studio.form_desk import MODEL_FIELDS, FormDesk
from pipeline.studio.form_layout import FormControls
from pipeline.studio.forms import FIELDS

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Whatever sets a State goes through the queue: only queued events make Gradio tell that one has changed.
QUEUED: dict[str, Any] = QUIET | {"concurrency_limit": None}
RAW: dict[str, Any] = {"preprocess": False}  # sliders would answer a typed 9999 with a toast; the desk refuses better
LATEST: dict[str, Any] = QUIET | {"queue": False, "trigger_mode": "always_last"}


def wire_form(desk: Desk, form: FormControls, ideas: gr.HTML, advice: list[Any]) -> None:
    """All that happens within the form; `advice` is what `Desk.advise` fills."""
    own = FormDesk(desk.studio.look, desk.studio.looks)
    fields = list(form.fields)
    named = dict(zip(FIELDS, fields, strict=True))
    prompt, model, seconds = named["prompt"], named["model"], named["seconds"]
    gr.on([field.change for field in fields], desk.advise, fields, advice, **LATEST, **RAW)
    lengths = [prompt.change, named["frames"].change, model.change]
    gr.on(lengths, own.follow_length, fields, seconds, **LATEST, **RAW)
    gr.on([prompt.change, seconds.change], own.lay_cards, [prompt, seconds], form.storyboard, **LATEST, **RAW)
    form.storyboard.input(own.take_cards, None, [prompt, seconds], **LATEST)
    ideas.click(own.take_idea, None, prompt, queue=False, **QUIET)
    chosen = [named[name] for name in MODEL_FIELDS]
    model.input(own.choose_model, [model, form.look], chosen, queue=False, **QUIET)
    model.focus(desk.list_models, None, model, queue=False, **QUIET).then(
        desk.advise, fields, advice, queue=False, **QUIET, **RAW
    )
    form.look.input(own.choose_look, [form.look, model], [named["steps"], named["guidance"]], queue=False, **QUIET)
    form.forecast.click(own.take_offer, None, fields, queue=False, **QUIET)
    form.forecast.submit(desk.fetch, None, None, queue=False, **QUIET).success(
        desk.follow_fetch, fields, form.forecast, trigger_mode="multiple", **QUEUED, **RAW
    ).then(desk.list_models, None, model, queue=False, **QUIET)

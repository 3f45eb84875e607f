"""Which of the form's controls calls which method, and how events are sent.

A change of a field is answered by one listener, with all that it changes on the page. With two of `trigger_mode`
"always_last" on one event, Gradio sends that event to both again when either was asked meanwhile, so that each keeps
asking the other again, without end, as soon as somebody types quickly.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.events import Dependency

from pipeline.studio.desk import Desk
from pipeline.studio.following import ends_silently
from pipeline.studio.form_desk import MODEL_FIELDS, FormDesk
from pipeline.studio.form_layout import FormControls
from pipeline.studio.forms import FIELDS

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Whatever sets a State goes through the queue: only queued events make Gradio tell that one has changed.
QUEUED: dict[str, Any] = QUIET | {"concurrency_limit": None}
RAW: dict[str, Any] = {"preprocess": False}  # sliders would answer a typed 9999 with a toast; the desk refuses better
LATEST: dict[str, Any] = QUIET | {"queue": False, "trigger_mode": "always_last"}


def wire_form(
    desk: Desk, form: FormControls, ideas: gr.HTML, advice: list[Any], offer: Callable[..., Any], offered: gr.HTML
) -> tuple[Callable[..., list[Any]], list[Any]]:
    """All that happens within the form; `advice` is what `Desk.advise` fills, `offered` what `offer` does.

    Returns what answers a change of any field, and the components it fills.
    """
    own = FormDesk(desk.studio.look, desk.studio.looks)
    fields = list(form.fields)
    named = dict(zip(FIELDS, fields, strict=True))
    prompt, model, seconds = named["prompt"], named["model"], named["seconds"]
    answered = [*advice, seconds, form.storyboard, offered]

    def answer(request: gr.Request, *values: Any) -> list[Any]:
        said = dict(zip(FIELDS, values, strict=True))
        cards = own.lay_cards(said["prompt"], said["seconds"])
        return [*desk.advise(request, *values), own.follow_length(*values), cards, offer(request, *values)]

    gr.on([field.change for field in fields], answer, fields, answered, **LATEST, **RAW)
    form.storyboard.input(own.take_cards, None, [prompt, seconds, form.storyboard], **LATEST)
    ideas.click(own.take_idea, None, prompt, queue=False, **QUIET)
    chosen = [named[name] for name in MODEL_FIELDS]
    model.input(own.choose_model, [model, form.look], chosen, queue=False, **QUIET)
    model.focus(desk.list_models, None, model, queue=False, **QUIET).then(
        desk.advise, fields, advice, queue=False, **QUIET, **RAW
    )
    form.look.input(own.choose_look, [form.look, model], [named["steps"], named["guidance"]], queue=False, **QUIET)
    form.forecast.click(own.take_offer, None, fields, queue=False, **QUIET)
    follow_download(form.forecast.submit(desk.fetch, None, None, queue=False, **QUIET), desk, form)
    return answer, answered


def follow_download(asked: Dependency, desk: Desk, form: FormControls) -> None:
    """Have the form say how far a download is, once what may have begun one went well, and then what is here."""
    asked.success(
        ends_silently(desk.follow_fetch), list(form.fields), form.forecast, trigger_mode="multiple", **QUEUED, **RAW
    ).then(desk.list_models, None, form.fields[FIELDS.index("model")], queue=False, **QUIET)

"""The form: which controls stand where, with which words. What happens when they are used is wired in wiring.py.

Eight at rest, in a film-maker's words; whatever else a request can say is under *More options*, in more_layout.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.plan.presets import Look
from pipeline.plan.request import LONGEST_PROMPT, LONGEST_SECONDS, MOST_SHOTS
from pipeline.studio.advice import Machine
from pipeline.studio.filling import label, shape_choices
from pipeline.studio.forms import CUSTOM, FIELDS, Form, look_of, spec_of
from pipeline.studio.more_layout import lay_out_more
from pipeline.studio.scripted import scripted

SHORTEST_SECONDS, SECONDS_STEP = 0.5, 0.5
LONGEST_TEXT = MOST_SHOTS * (LONGEST_PROMPT + 40)  # characters: all shots, each with its mark; the rest is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class FormControls:
    """The form's components; `fields` in the order of `forms.FIELDS`."""

    fields: tuple[Any, ...]
    look: gr.Radio
    storyboard: gr.HTML
    note: gr.HTML
    refusals: gr.HTML
    forecast: gr.HTML
    make: gr.Button
    stop: gr.Button
    go_on: gr.Button


def lay_out_form(machine: Machine, default: Form, looks: Mapping[str, Look]) -> FormControls:
    """Everything of the form, from top to bottom."""
    placed: dict[str, Any] = {
        "prompt": gr.Textbox(
            default.prompt,
            label=label("prompt"),
            info=label("prompt_help"),
            placeholder=label("prompt_placeholder"),
            lines=3,
            max_lines=8,
            max_length=LONGEST_TEXT,
            autofocus=True,
            elem_id="rushes-prompt",
        )
    }
    storyboard = scripted("storyboard", taken=0)
    note = scripted("note", styles=("advice",))
    with gr.Row(elem_id="rushes-buttons"):
        make = gr.Button(label("make"), variant="primary", elem_id="rushes-make", scale=3, min_width=120)
        stop = gr.Button(label("stop"), elem_id="rushes-stop", interactive=False, scale=2, min_width=120)
        go_on = gr.Button(label("go_on"), elem_id="rushes-go-on", visible=False, scale=2, min_width=120)
    forecast = scripted("forecast", styles=("advice",))
    placed["shape"] = gr.Radio(
        shape_choices(spec_of(default), default.shape),
        value=default.shape,
        label=label("shape"),
        elem_id="rushes-shape",
        elem_classes="rushes-chips",
    )
    placed["seconds"] = gr.Slider(
        SHORTEST_SECONDS,
        LONGEST_SECONDS,
        default.seconds,
        step=SECONDS_STEP,
        label=label("length"),
        buttons=[],
        elem_id="rushes-length",
    )
    look = gr.Radio(
        [(label(f"look_{key}"), key) for key in (*looks, CUSTOM)],
        value=look_of(default, looks),
        label=label("look"),
        elem_id="rushes-look",
        elem_classes="rushes-chips",
    )
    placed["profile"] = gr.Dropdown(
        [(label(f"profile_{key}"), key) for key in machine.profiles],
        value=default.profile,
        label=label("memory"),
        filterable=False,
        elem_id="rushes-memory",
    )
    placed |= lay_out_more(machine, default)
    refusals = scripted("refusals", styles=(), places={name: placed[name].elem_id for name in FIELDS})
    return FormControls(
        fields=tuple(placed[name] for name in FIELDS),
        look=look,
        storyboard=storyboard,
        note=note,
        refusals=refusals,
        forecast=forecast,
        make=make,
        stop=stop,
        go_on=go_on,
    )

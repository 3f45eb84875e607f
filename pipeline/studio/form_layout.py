"""The form: which controls stand where, with which words. What happens when they are used is wired in page.py."""

import math
from typing import Any

import gradio as gr

from pipeline.plan.catalog import CATALOG
from pipeline.plan.request import LONGEST_SECONDS, LOWEST_PRECISIONS, MOST_GUIDANCE, MOST_STEPS
from pipeline.studio.advice import EXAMPLES, Machine
from pipeline.studio.desk import shape_choices
from pipeline.studio.forms import Form, spec_of
from pipeline.studio.player import PAGE_ASSETS, script_texts

SHORTEST_SECONDS, SECONDS_STEP = 0.5, 0.5


def label(key: str) -> Any:
    """A text that the browser looks up in `page.labels`."""
    return gr.I18n()(key)


def lay_out_form(machine: Machine, default: Form) -> tuple[tuple[Any, ...], gr.HTML, gr.HTML, tuple[gr.Button, ...]]:
    """The fields in the order of `forms.FIELDS`, the note, the forecast, the buttons: make, stop, go on."""
    prompt = gr.Textbox(
        default.prompt,
        label=label("prompt"),
        info=label("prompt_help"),
        placeholder=label("prompt_placeholder"),
        lines=2,
        max_lines=6,
        autofocus=True,
        elem_id="rushes-prompt",
    )
    with gr.Row(elem_id="rushes-examples"):
        for example in EXAMPLES:
            chip = gr.Button(example, size="sm", min_width=0, elem_classes="rushes-chip")
            chip.click(None, None, prompt, js=f"() => {example!r}", api_visibility="private")
    note = _advice("note")
    model = gr.Dropdown(
        [(spec.title, spec.key) for spec in CATALOG.values()],
        value=default.model,
        label=label("model"),
        filterable=False,
        elem_id="rushes-model",
    )
    shape = gr.Radio(
        shape_choices(spec_of(default), default.shape),
        value=default.shape,
        label=label("shape"),
        elem_id="rushes-shape",
    )
    seconds = gr.Slider(
        SHORTEST_SECONDS,
        LONGEST_SECONDS,
        default.seconds,
        step=SECONDS_STEP,
        label=label("length"),
        buttons=[],
        elem_id="rushes-length",
    )
    profile = gr.Dropdown(
        [(label(f"profile_{key}"), key) for key in machine.profiles],
        value=default.profile,
        label=label("memory"),
        filterable=False,
    )
    limit = gr.Slider(
        0,
        _most_gib(machine),
        default.limit_gib,
        step=0.01,
        label=label("limit"),
        info=label("limit_help"),
        buttons=[],
        elem_id="rushes-limit",
    )
    with gr.Accordion(label("more"), open=False, elem_id="rushes-more"):
        seed = gr.Textbox(
            default.seed, label=label("seed"), info=label("seed_help"), placeholder=label("seed_placeholder")
        )
        steps = gr.Slider(
            1, MOST_STEPS, default.steps, step=1, label=label("steps"), info=label("steps_help"), buttons=[]
        )
        guidance = gr.Slider(
            1,
            MOST_GUIDANCE,
            default.guidance,
            step=0.5,
            label=label("guidance"),
            info=label("guidance_help"),
            buttons=[],
        )
        precision = gr.Radio(
            [(label(f"precision_{name}"), name) for name in LOWEST_PRECISIONS],
            value=default.lowest_precision,
            label=label("precision"),
            info=label("precision_help"),
        )
        chunk = gr.Number(
            default.chunk_frames,
            label=label("chunk"),
            info=label("chunk_help"),
            minimum=0,
            buttons=[],
            elem_id="rushes-chunk",
        )
        negative = gr.Textbox(default.negative_prompt, label=label("negative"), info=label("negative_help"))
    forecast = _advice("forecast")
    with gr.Row(elem_id="rushes-buttons"):
        make = gr.Button(label("make"), variant="primary", elem_id="rushes-make", scale=3, min_width=120)
        stop = gr.Button(label("stop"), elem_id="rushes-stop", interactive=False, scale=2, min_width=120)
        go_on = gr.Button(label("go_on"), elem_id="rushes-go-on", visible=False, scale=2, min_width=120)
    gr.Markdown(label("keys"), elem_classes="rushes-quiet")
    fields = (prompt, model, shape, seconds, profile, limit, seed, steps, guidance, precision, chunk, negative)
    return fields, note, forecast, (make, stop, go_on)


def _most_gib(machine: Machine) -> int:
    """The end of the limit's slider: all memory of the device drafts are made on."""
    device = machine.device(machine.profiles["auto"])
    return math.ceil(device.total_bytes / 2**30)


def _advice(name: str) -> gr.HTML:
    """A component that shows advice; its value is a sentence or an `Advice` as plain values."""
    return gr.HTML(
        value=None,
        html_template=(PAGE_ASSETS / f"{name}.html").read_text(encoding="utf-8"),
        css_template=(PAGE_ASSETS / "advice.css").read_text(encoding="utf-8"),
        js_on_load=(PAGE_ASSETS / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=f"rushes-{name}",
        texts=script_texts(),
    )

"""Updates that put a form on the page: what stands in its fields, and which of them have other choices or rest."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from pipeline.plan.request import LONGEST_SECONDS
from pipeline.plan.spec import ModelSpec
from pipeline.studio.forms import Form, seconds_told, size_of, spec_of
from pipeline.studio.pictures import PICTURE_FIELDS, fill_picture

ANY_TAIL = ""  # the model's own way


def label(key: str) -> Any:
    """A text that the browser looks up in `page.labels`."""
    return gr.I18n()(key)


def fill(form: Form) -> list[Any]:
    """The fields in the order of `forms.FIELDS`: the shape's choices are those of its model, and its own, the ways to
    go on those that its model has, and its length is a storyboard's where there is one."""
    values: dict[str, Any] = asdict(form)
    spec = spec_of(form)
    values["seconds"] = fill_length(form)
    values["shape"] = gr.update(choices=shape_choices(spec, form.shape), value=form.shape)
    values["tail"] = gr.update(choices=tail_choices(spec), value=form.tail if form.tail in spec.tails else ANY_TAIL)
    values |= {field: fill_picture(place, values[field], spec) for place, field in PICTURE_FIELDS.items()}
    return list(values.values())


def fill_length(form: Form) -> Any:
    """The length's slider: a storyboard, or frames by hand, say their own, so it stands there and cannot be moved."""
    told = seconds_told(form)
    if told is None:
        return gr.update(value=form.seconds, interactive=True)
    return gr.update(value=min(told, LONGEST_SECONDS) if form.frames else told, interactive=False)


def shape_choices(spec: ModelSpec, own: str | None) -> list[tuple[Any, str]]:
    """A model's shapes as the page offers them, and the form's own size where that is another."""
    choices: list[tuple[Any, str]] = [
        (label(f"shape_{spec.key}_{shape.name}"), size_of(shape)) for shape in spec.shapes
    ]
    if own and own not in [size for _, size in choices]:
        choices.append((own.replace("x", "\u00d7"), own))
    return choices


def tail_choices(spec: ModelSpec) -> list[tuple[Any, str]]:
    """How a model's chunks can go on from one another; its own way first, under no name."""
    return [(label("tail_usual"), ANY_TAIL), *((label(f"tail_{tail}"), str(tail)) for tail in spec.tails)]

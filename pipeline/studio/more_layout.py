"""*More options*: every setting of a request that a film-maker need not know, with a sentence and its default."""

import math
from typing import Any

import gradio as gr

from pipeline.plan.catalog import CATALOG
from pipeline.plan.continuing import RANGES
from pipeline.plan.limits import ENCODER_POLICIES, LOWEST_PRECISIONS
from pipeline.plan.request import LONGEST_PROMPT, MOST_GUIDANCE, MOST_STEPS
from pipeline.plan.spec import Keyframe
from pipeline.studio.advice import Machine
from pipeline.studio.filling import label, tail_choices
from pipeline.studio.forms import HELD_BY, Form, spec_of
from pipeline.studio.pictures import PICTURE_FIELDS, picture_field

LONGEST_SEED = 100  # characters; those of the largest are ten


def lay_out_more(machine: Machine, default: Form) -> dict[str, Any]:
    """The fields by name, in an accordion that is closed."""
    with gr.Accordion(label("more"), open=False, elem_id="rushes-more"):
        return {
            **_lay_out_model(default),
            **_lay_out_pictures(default),
            **_lay_out_keyframes(default),
            **_lay_out_chunks(default),
            **_lay_out_memory(machine, default),
        }


def _lay_out_model(default: Form) -> dict[str, Any]:
    return {
        "model": gr.Dropdown(
            [(spec.title, spec.key) for spec in CATALOG.values()],
            value=default.model,
            label=label("model"),
            info=label("model_help"),
            filterable=False,
            elem_id="rushes-model",
        ),
        "seed": gr.Textbox(
            default.seed,
            label=label("seed"),
            info=label("seed_help"),
            placeholder=label("seed_placeholder"),
            max_length=LONGEST_SEED,
            elem_id="rushes-seed",
        ),
    }


def _lay_out_pictures(default: Form) -> dict[str, Any]:
    _heading("more_pictures")
    return {
        "steps": gr.Slider(
            1,
            MOST_STEPS,
            default.steps,
            step=1,
            label=label("steps"),
            info=label("steps_help"),
            buttons=[],
            elem_id="rushes-steps",
        ),
        "guidance": gr.Slider(
            1,
            MOST_GUIDANCE,
            default.guidance,
            step=0.5,
            label=label("guidance"),
            info=label("guidance_help"),
            buttons=[],
            elem_id="rushes-guidance",
        ),
        "negative_prompt": gr.Textbox(
            default.negative_prompt,
            label=label("negative"),
            info=label("negative_help"),
            max_length=2 * LONGEST_PROMPT,
            elem_id="rushes-negative",
        ),
    }


def _lay_out_keyframes(default: Form) -> dict[str, Any]:
    _heading("more_keyframes")
    given = {Keyframe.START: default.start_image, Keyframe.END: default.end_image}
    return {PICTURE_FIELDS[place]: picture_field(place, name, spec_of(default)) for place, name in given.items()}


def _lay_out_chunks(default: Form) -> dict[str, Any]:
    _heading("more_chunks")
    return {
        "frames": _number("frames", default.frames),
        "chunk_frames": _number("chunk", default.chunk_frames),
        "overlap_frames": _number("overlap", default.overlap_frames),
        "tail": gr.Dropdown(
            tail_choices(spec_of(default)),
            value=default.tail,
            label=label("tail"),
            info=label("tail_help"),
            filterable=False,
            elem_id="rushes-tail",
        ),
        **{name: _lay_out_share(name, getattr(default, name)) for name in HELD_BY},
    }


def _lay_out_share(name: str, value: float | None) -> gr.Slider:
    """Of what else holds chunks together."""
    least, most = RANGES[name]
    return gr.Slider(least, most, value, step=0.05, label=label(name), info=label(f"{name}_help"), buttons=[])


def _lay_out_memory(machine: Machine, default: Form) -> dict[str, Any]:
    _heading("more_memory")
    device = machine.device(machine.profiles["auto"])
    card = machine.has_card("auto")
    return {
        "lowest_precision": gr.Radio(
            [(label(f"precision_{name}"), name) for name in LOWEST_PRECISIONS],
            value=default.lowest_precision,
            label=label("precision"),
            info=label("precision_help"),
            elem_id="rushes-precision",
            elem_classes="rushes-chips",
        ),
        "encoder": gr.Radio(
            [(label(f"encoder_{name}"), name) for name in ENCODER_POLICIES],
            value=default.encoder,
            label=label("encoder"),
            info=label("encoder_help"),
            elem_id="rushes-encoder",
            elem_classes="rushes-chips",
        ),
        "decode_float32": gr.Checkbox(
            bool(default.decode_float32),
            label=label("decode_float32"),
            info=label("decode_float32_help"),
            elem_id="rushes-decode-float32",
        ),
        "vram_limit_gib": _limit("vram_limit", default.vram_limit_gib, device.total_bytes, visible=card),
        "ram_limit_gib": _limit("ram_limit", default.ram_limit_gib, device.ram_total_bytes),
    }


def _heading(key: str) -> None:
    gr.Markdown(label(key), elem_classes="rushes-group")


def _number(name: str, value: float | None) -> gr.Number:
    return gr.Number(
        value,
        label=label(name),
        info=label(f"{name}_help"),
        minimum=0,
        buttons=[],
        elem_id=f"rushes-{name}",
    )


def _limit(name: str, value: float | None, most_bytes: int, *, visible: bool = True) -> gr.Slider:
    """A budget in GiB, up to all that the machine has."""
    return gr.Slider(
        0,
        math.ceil(most_bytes / 2**30),
        value,
        step=0.01,
        label=label(name),
        info=label(f"{name}_help"),
        buttons=[],
        visible=visible,
        elem_id=f"rushes-{name.replace('_', '-')}",
    )

"""The page: what stands where, and which event calls which method of the desk. Building it starts nothing."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.plan.catalog import CATALOG
from pipeline.studio import library, takes
from pipeline.studio.desk import MODEL_FIELDS, Desk, Studio, fill
from pipeline.studio.endpoints import add_endpoints
from pipeline.studio.form_layout import label, lay_out_form
from pipeline.studio.forms import FIELDS
from pipeline.studio.player import PAGE_ASSETS, player
from pipeline.studio.shelf import shelf
from pipeline.studio.texts import Language, Speaker, say, sentences

CHINESE = ("zh", "zh-CN", "zh-TW", "zh-HK")  # what browsers call it
BROWSER_SECRET = "rushes"  # not a secret: it must be the same after a restart, or browsers forget their draft
HEAD_SCRIPTS = (
    "playback.js",
    "controls.js",
    "outcome.js",
    "copying.js",
    "filmstrip.js",
    "surgery.js",
    "cards.js",
    "compare.js",
    "opening.js",
    "keys.js",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The components that events read and write; `fields` in the order of `forms.FIELDS`."""

    fields: tuple[Any, ...]
    note: gr.HTML
    forecast: gr.HTML
    make: gr.Button
    stop: gr.Button
    go_on: gr.Button
    player: gr.HTML
    offer: gr.HTML
    sheet: gr.HTML
    shelf: gr.HTML


def build_page(studio: Studio) -> gr.Blocks:
    """The page; launch it with `labels(studio)`, `head()`, the theme, the stylesheet `page.css` and the media route."""
    desk = Desk(studio)
    with gr.Blocks(title="Rushes", analytics_enabled=False) as page:
        _lay_out_top()
        with gr.Row(elem_id="rushes-desk"):
            with gr.Column(scale=4, min_width=320, elem_id="rushes-form"):
                fields, note, forecast, (make, stop, go_on) = lay_out_form(studio.machine, desk.default)
            with gr.Column(scale=7, min_width=320, elem_id="rushes-stage"):
                screen = player()
                gr.Markdown(label("miniature_note"), elem_classes="rushes-quiet")
        offer, sheet = takes.takes_offer(), takes.takes_sheet()
        with gr.Column(elem_id="rushes-drafts"):
            gr.Markdown(label("shelf"), elem_classes="rushes-heading")
            row = shelf()
        _wire(
            page,
            desk,
            Controls(
                fields=fields,
                note=note,
                forecast=forecast,
                make=make,
                stop=stop,
                go_on=go_on,
                player=screen,
                offer=offer,
                sheet=sheet,
                shelf=row,
            ),
        )
        add_endpoints(studio)
    built: gr.Blocks = page
    return built


def labels(studio: Studio) -> gr.I18n:
    """All fixed labels in all languages; the browser chooses."""
    tables = {language: dict(sentences(language, Speaker.LABEL)) for language in Language}
    for language, table in tables.items():
        for spec in CATALOG.values():
            for shape in spec.shapes:
                size = {"width": shape.width, "height": shape.height}
                table[f"shape_{spec.key}_{shape.name}"] = say(language, f"shape_{shape.name}", **size)
        for key, profile in studio.machine.profiles.items():
            title = profile.title_zh if language is Language.ZH else profile.title
            device = studio.machine.device(profile)
            if key == "auto":
                gigabytes = device.total_bytes / 2**30
                title = say(language, "memory_auto", title=title, device=device.name, gigabytes=gigabytes)
            table[f"profile_{key}"] = title
    return gr.I18n(en=tables[Language.EN], **dict.fromkeys(CHINESE, tables[Language.ZH]))


def head() -> str:
    """The scripts that components share, for `launch(head=…)`."""
    sources = ((PAGE_ASSETS / name).read_text(encoding="utf-8") for name in HEAD_SCRIPTS)
    return "".join(f"<script>{source}</script>" for source in sources)


def _lay_out_top() -> None:
    with gr.Row(elem_id="rushes-top"):
        gr.Markdown("# Rushes")
        gr.Markdown(label("tagline"), elem_classes="rushes-quiet")


def _wire(page: gr.Blocks, desk: Desk, controls: Controls) -> None:
    draft = gr.State(None)
    kept_draft = gr.BrowserState(None, storage_key="rushes-draft", secret=BROWSER_SECRET)
    kept_form = gr.BrowserState(None, storage_key="rushes-form", secret=BROWSER_SECRET)
    fields = list(controls.fields)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    # Whatever sets `draft` goes through the queue: only queued events make Gradio tell that a State has changed.
    queued = quiet | {"concurrency_limit": None}
    raw: dict[str, Any] = {
        "preprocess": False
    }  # sliders would answer a typed 9999 with a toast; the desk refuses better
    advice = [controls.note, controls.forecast, kept_form]

    page.load(desk.restore, [kept_draft, kept_form], [draft, *fields, controls.shelf], **queued).then(
        desk.advise, fields, advice, queue=False, **quiet, **raw
    )
    changes = [field.change for field in fields]
    gr.on(changes, desk.advise, fields, advice, queue=False, trigger_mode="always_last", **quiet, **raw)
    prompt, seconds = (fields[FIELDS.index(name)] for name in ("prompt", "seconds"))
    prompt.change(desk.follow_storyboard, prompt, seconds, queue=False, trigger_mode="always_last", **quiet)
    model, chosen = fields[FIELDS.index("model")], [fields[FIELDS.index(name)] for name in MODEL_FIELDS]
    model.input(desk.choose_model, model, chosen, queue=False, **quiet).then(
        desk.follow_storyboard, prompt, seconds, queue=False, **quiet
    )
    model.focus(desk.list_models, None, model, queue=False, **quiet).then(
        desk.advise, fields, advice, queue=False, **quiet, **raw
    )
    controls.forecast.click(desk.take_offer, None, fields, queue=False, **quiet)
    controls.forecast.submit(desk.fetch, None, None, queue=False, **quiet).success(
        desk.follow_fetch, fields, controls.forecast, trigger_mode="multiple", **queued, **raw
    ).then(desk.list_models, None, model, queue=False, **quiet)
    controls.make.click(desk.make, fields, [draft, kept_draft], validator=desk.check, **queued, **raw)
    controls.stop.click(desk.stop_draft, draft, None, queue=False, **quiet)
    controls.player.edit(desk.edit_draft, None, [draft, kept_draft], **queued)
    controls.player.undo(desk.undo_edit, None, [draft, kept_draft], **queued)
    shown = [controls.player, controls.make, controls.stop, controls.go_on, controls.shelf]
    controls.go_on.click(desk.resume_draft, draft, None, queue=False, **quiet).success(
        desk.follow, draft, shown, trigger_mode="multiple", **queued
    )
    states = [draft, kept_draft]
    library.wire(desk.library, controls.shelf, states=states, fields=fields, follow=desk.follow, shown=shown)
    own = takes.Takes(desk.studio.worker, desk.studio.machine, fill)
    takes.wire(own, page, controls.offer, controls.sheet, states=states, fields=fields, secret=BROWSER_SECRET)
    draft.change(desk.follow, draft, shown, trigger_mode="multiple", **queued)

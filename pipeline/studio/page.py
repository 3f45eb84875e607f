"""The page: what stands where, and which event calls which method of the desk. Building it starts nothing."""

import json
from dataclasses import dataclass

import gradio as gr

from pipeline.plan.catalog import CATALOG
from pipeline.studio import library, models_tab, takes
from pipeline.studio.advice import EXAMPLES
from pipeline.studio.blocks import StudioBlocks
from pipeline.studio.desk import Desk, Studio
from pipeline.studio.endpoints import add_endpoints
from pipeline.studio.filling import fill, label
from pipeline.studio.following import ends_silently
from pipeline.studio.form_layout import FormControls, lay_out_form
from pipeline.studio.form_wiring import QUEUED, QUIET, RAW, wire_form
from pipeline.studio.player import player
from pipeline.studio.scripted import PAGE_ASSETS, script_texts, scripted
from pipeline.studio.shelf import shelf
from pipeline.studio.texts import Language, Speaker, say, sentences
from pipeline.studio.translation import say_name

CHINESE = ("zh", "zh-CN", "zh-TW", "zh-HK")  # what browsers call it
BROWSER_SECRET = "rushes"  # not a secret: it must be the same after a restart, or browsers forget their draft
HEAD_SCRIPTS = (
    "gradio.js",
    "playback.js",
    "controls.js",
    "outcome.js",
    "copying.js",
    "filmstrip.js",
    "surgery.js",
    "naming.js",
    "cards.js",
    "compare.js",
    "opening.js",
    "keys.js",
    "window.js",
    "tabs.js",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The components that events read and write."""

    form: FormControls
    top: gr.HTML
    player: gr.HTML
    offer: gr.HTML
    sheet: gr.HTML
    ideas: gr.HTML
    shelf: gr.HTML


def build_page(studio: Studio) -> gr.Blocks:
    """The page; launch it with `labels(studio)`, `head()`, the theme, the stylesheet `page.css` and the media route."""
    desk = Desk(studio)
    with StudioBlocks(title="Rushes", analytics_enabled=False) as page:
        add_endpoints(studio)  # before the page's own events: who comes first has the name, `delete` for one
        top = scripted("top")
        with gr.Tabs(selected=models_tab.DESK, elem_id="rushes-tabs") as tabs:
            with gr.Tab(label("tab_desk"), id=models_tab.DESK, elem_id="rushes-tab-desk"):
                with gr.Row(elem_id="rushes-desk"):
                    with gr.Column(scale=4, min_width=320, elem_id="rushes-form"):
                        form = lay_out_form(studio.machine, desk.default, studio.looks)
                    with gr.Column(scale=7, min_width=320, elem_id="rushes-stage"):
                        screen = player()
                        ideas = scripted("ideas", EXAMPLES)
                offer, sheet = takes.takes_offer(), takes.takes_sheet()
                row = shelf()
            with gr.Tab(label("tab_models"), id=models_tab.MODELS, elem_id="rushes-tab-models") as tab:
                gr.Markdown(label("models_intro"), elem_classes="rushes-quiet")
                cards = models_tab.models_list()
        _wire(page, desk, Controls(form=form, top=top, player=screen, ideas=ideas, offer=offer, sheet=sheet, shelf=row))
        models_tab.wire(desk, tabs, tab, cards, form)
    built: gr.Blocks = page
    return built


def labels(studio: Studio) -> gr.I18n:
    """All fixed labels in all languages; the browser chooses."""
    tables = {language: dict(sentences(language, Speaker.LABEL)) for language in Language}
    for language, table in tables.items():
        for key, look in studio.looks.items():
            table[f"look_{key}"] = look.title_zh if language is Language.ZH else look.title
        for spec in CATALOG.values():
            for shape in spec.shapes:
                size = {"width": shape.width, "height": shape.height}
                table[f"shape_{spec.key}_{shape.name}"] = say(language, f"shape_{shape.name}", **size)
        for key, profile in studio.machine.profiles.items():
            title = profile.title_zh if language is Language.ZH else profile.title
            device = studio.machine.device(profile)
            if key == "auto":
                gigabytes = device.total_bytes / 2**30
                name = say_name(language, "device", device.name)
                title = say(language, "memory_auto", title=title, device=name, gigabytes=gigabytes)
            table[f"profile_{key}"] = title
    return gr.I18n(en=tables[Language.EN], **dict.fromkeys(CHINESE, tables[Language.ZH]))


def head() -> str:
    """The scripts that components share, for `launch(head=…)`."""
    sources = ((PAGE_ASSETS / name).read_text(encoding="utf-8") for name in HEAD_SCRIPTS)
    texts = json.dumps(script_texts(), ensure_ascii=False)
    return "".join(f"<script>{source.replace('TEXTS;', f'{texts};')}</script>" for source in sources)


def _wire(page: gr.Blocks, desk: Desk, controls: Controls) -> None:
    draft = gr.State(None)
    kept_draft = gr.BrowserState(None, storage_key="rushes-draft", secret=BROWSER_SECRET)
    kept_form = gr.BrowserState(None, storage_key="rushes-form", secret=BROWSER_SECRET)
    form, follow = controls.form, ends_silently(desk.follow)
    fields = list(form.fields)
    advice = [form.note, form.forecast, kept_form, form.look]
    sheets = takes.Takes(desk.studio.worker, desk.studio.machine, fill)
    shown = [controls.player, form.make, form.stop, form.go_on, controls.shelf]
    answer, answered = wire_form(desk, form, controls.ideas, advice, sheets.offer, controls.offer)
    page.load(
        desk.restore,
        [kept_draft, kept_form],
        [draft, *fields, *shown],
        js="(draft, form) => window.Rushes.restore(draft, form)",
        **QUEUED,
    ).then(answer, fields, answered, queue=False, **QUIET, **RAW)
    form.make.click(desk.make, fields, [draft, kept_draft, form.refusals], **QUEUED, **RAW)
    form.stop.click(desk.stop_draft, draft, None, queue=False, **QUIET)
    controls.player.edit(desk.edit_draft, None, [draft, kept_draft], **QUEUED)
    controls.player.pause(desk.set_aside, None, None, queue=False, **QUIET)
    controls.player.undo(desk.undo_edit, None, [draft, kept_draft, controls.player], **QUEUED)
    form.go_on.click(desk.resume_draft, draft, None, queue=False, **QUIET).success(
        follow, draft, shown, trigger_mode="multiple", **QUEUED
    )
    states = [draft, kept_draft]
    library.wire(desk.library, controls.shelf, states=states, fields=fields, follow=follow, shown=shown)
    takes.wire(sheets, page, controls.offer, controls.sheet, states=states, fields=fields, secret=BROWSER_SECRET)
    draft.change(follow, draft, shown, trigger_mode="multiple", **QUEUED)

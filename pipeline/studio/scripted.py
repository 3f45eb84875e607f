"""Components of our own: a frame, styles and a script in assets/page draw a value that the server sends."""

from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.studio.texts import Language, Speaker, sentences

PAGE_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "page"


def scripted(name: str, value: Any = None, *, styles: tuple[str, ...] | None = None, **given: Any) -> gr.HTML:
    """A component `rushes-<name>`: its frame, script and styles are files of that name, or `styles` are the named
    ones, of which there may be none.

    What is `given` besides reaches the script as its props.
    """
    return gr.HTML(
        value=value,
        html_template=(PAGE_ASSETS / f"{name}.html").read_text(encoding="utf-8"),
        css_template="".join(
            (PAGE_ASSETS / f"{each}.css").read_text(encoding="utf-8")
            for each in ((name,) if styles is None else styles)
        ),
        js_on_load=(PAGE_ASSETS / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=f"rushes-{name.replace('_', '-')}",
        texts=script_texts(),
        **given,
    )


def script_texts() -> dict[str, dict[str, str]]:
    """What scripts say by themselves, by language."""
    return {language.value: dict(sentences(language, Speaker.SCRIPT)) for language in Language}

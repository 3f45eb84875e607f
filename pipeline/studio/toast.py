"""Refusals that belong to no field, in the corner of the page. Their title is Gradio's own: assets/page/gradio.js."""

import gradio as gr

from pipeline.errors import DraftError
from pipeline.studio.texts import Language
from pipeline.studio.translation import say_error


def toast(language: Language, error: DraftError) -> gr.Error:
    """What an event raises for an error, for the page to show in its language."""
    return gr.Error(say_error(language, error), print_exception=False)

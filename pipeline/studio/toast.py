"""Refusals that belong to no field, in the corner of the page."""

import gradio as gr

from pipeline.errors import DraftError
from pipeline.studio.texts import Language, say
from pipeline.studio.translation import say_error


def toast(language: Language, error: DraftError) -> gr.Error:
    """What an event raises for an error, for the page to show in its language."""
    return gr.Error(say_error(language, error), title=say(language, "toast_refused"), print_exception=False)

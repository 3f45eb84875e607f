"""Gradio's Blocks, with what goes wrong in an event told and logged as we do it.

Gradio prints such an error as it is: past the log's own form, and with all values of the event in it where they are too
few or of a wrong kind, a person's sentence among them. Here the log names the error and where it was, and no value.
"""

import logging
from typing import Any

import gradio as gr

from pipeline.studio.language import language_of
from pipeline.studio.texts import Language, say

logger = logging.getLogger(__name__)


class Unsaid(Exception):
    """Stands in the log for an error whose message may hold what a person wrote; says its kind only."""


class StudioBlocks(gr.Blocks):
    """A page whose events fail with one sentence for the page and where it was for the log."""

    async def process_api(self, block_fn: Any, inputs: list[Any], *given: Any, **named: Any) -> dict[str, Any]:
        """One event. Raises gr.Error, which Gradio does not print."""
        request = named.get("request")
        language = language_of(request) if isinstance(request, gr.Request) else Language.EN
        wanted = len((self.fns[block_fn] if isinstance(block_fn, int) else block_fn).inputs)
        if len(inputs) < wanted and named.get("iterator") is None:
            raise gr.Error(say(language, "values_missing", wanted=wanted, got=len(inputs)), print_exception=False)
        try:
            answer: dict[str, Any] = await super().process_api(block_fn, inputs, *given, **named)
        except gr.Error:
            raise
        except Exception as error:
            unsaid = Unsaid(type(error).__name__).with_traceback(error.__traceback__)
            logger.error("an event of the page failed", exc_info=unsaid)
            raise gr.Error(say(language, "event_failed"), print_exception=False) from None
        return answer

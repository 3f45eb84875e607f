"""What an event refuses is told in the corner of the page, in the visitor's language."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.studio.desk import Desk
from tests.studio.test_desk import REQUEST, RIGHT, Register, sit
from tests.studio.test_player import SECOND

__all__ = ["sit"]
CHINESE: Any = SimpleNamespace(headers={"accept-language": "zh-CN"}, session_hash="page")
ASKED: Any = SimpleNamespace(_data={"draft": "nothing", "way": "boil", "amount": 1, "fetch": "sora"})


@pytest.mark.parametrize(
    ("event", "arguments", "english", "chinese"),
    [
        ("fetch", [ASKED], "There is no model 'sora'. Models: ", "没有 'sora' 这个模型。可选模型："),
        ("edit_draft", [ASKED], "A draft cannot be edited by 'boil'.", "没有 'boil' 这种修改方式。可选："),
        ("set_aside", [ASKED], "There is no such draft.", "没有这份草稿。"),
        ("resume_draft", ["nothing"], "There is no such draft.", "没有这份草稿。"),
    ],
)
def test_a_refusal_is_told_in_the_visitors_language(
    sit: Callable[..., Desk], event: str, arguments: list[Any], english: str, chinese: str
) -> None:
    for request, said in ((REQUEST, english), (CHINESE, chinese)):
        with pytest.raises(gr.Error) as refused:
            getattr(sit(Register(SECOND)), event)(request, *arguments)
        assert refused.value.message.startswith(said)
        assert not refused.value.print_exception


def test_a_draft_that_cannot_be_queued_is_refused_in_the_visitors_language(sit: Callable[..., Desk]) -> None:
    desk = sit(Register())
    desk.make(CHINESE, *RIGHT)
    with pytest.raises(gr.Error, match="已有 1 份草稿在排队。请等其中一份完成。"):
        desk.make(CHINESE, *RIGHT)

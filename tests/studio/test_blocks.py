"""What fails in an event is told in a sentence, and no value of it stands in the log."""

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from gradio.events import api as add_endpoint
from starlette.testclient import TestClient

from pipeline.studio.blocks import StudioBlocks

SECRET = "my grandmother's garden"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A page with an endpoint that is answered at once and one that waits in line; both break over the word."""

    def at_once(prompt: str, seconds: float) -> str:
        raise ValueError(f"{prompt} cannot be {seconds}")

    def in_line(prompt: str, seconds: float) -> str:
        raise ValueError(f"{prompt} cannot be {seconds}")

    with StudioBlocks() as page:
        add_endpoint(at_once, api_name="at_once", queue=False)
        add_endpoint(in_line, api_name="in_line")
    with TestClient(gr.mount_gradio_app(FastAPI(), page.queue(), path="/", ssr_mode=False, show_error=True)) as client:
        yield client


def ask(client: TestClient, name: str, values: list[Any], language: str = "en") -> str:
    """What the endpoint answers."""
    headers = {"accept-language": language}
    begun = client.post(f"/gradio_api/call/{name}", json={"data": values}, headers=headers)
    return client.get(f"/gradio_api/call/{name}/{begun.json()['event_id']}", headers=headers).text


@pytest.mark.parametrize("name", ["at_once", "in_line"])
@pytest.mark.parametrize(
    ("values", "said", "line"),
    [
        pytest.param([SECRET], "This takes 2 values, and 1 came.", "", id="too few"),
        pytest.param([SECRET, {SECRET: 1}], "the studio's log says where", "Unsaid: ", id="a wrong kind"),
        pytest.param([SECRET, 3], "the studio's log says where", "Unsaid: ValueError", id="an error of our own"),
    ],
)
def test_no_value_of_an_event_that_fails_is_logged(
    client: TestClient,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
    values: list[Any],
    said: str,
    line: str,
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert said in ask(client, name, values)
    told = "".join(capfd.readouterr()) + caplog.text
    assert SECRET not in told
    assert line in told


def test_it_is_told_in_the_visitors_language(client: TestClient) -> None:
    assert "这里需要 2 个值，只收到 1 个。".encode("unicode_escape").decode() in ask(
        client, "at_once", [SECRET], "zh-CN"
    )

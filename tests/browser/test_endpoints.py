"""The page's typed endpoints, as a program uses them: make a draft, look at it, stop it, and be refused clearly."""

import time
from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:  # the studio of the browser tests
    client = Client(address, verbose=False)
    yield client
    client.close()


def wait_for(client: Client, draft: str, *states: str) -> dict[str, object]:
    stop = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < stop:
        report = client.predict(draft, api_name="/status")
        if report["state"] in states:
            return report
        time.sleep(0.1)
    raise AssertionError(f"still {report['state']}")


def test_a_draft_made_by_a_program_can_be_followed_and_stopped(client: Client) -> None:
    draft = client.predict("a red ball moves left over snow", 6.0, "wide", 5, api_name="/make_draft")
    wait_for(client, draft, "running")
    assert client.predict(draft, api_name="/stop")["state"] in ("stopping", "stopped")
    assert wait_for(client, draft, "stopped")["chunks"] == 4


def test_a_program_is_refused_with_the_sentence_a_person_would_read(client: Client) -> None:
    with pytest.raises(AppError, match="seconds cannot be made"):
        client.predict("a red ball", 3600.0, "wide", 5, api_name="/make_draft")


def test_a_draft_nobody_made_is_said_not_to_exist(client: Client) -> None:
    with pytest.raises(AppError, match="There is no draft"):
        client.predict("20260101-000000-0123456789abcdef", api_name="/status")

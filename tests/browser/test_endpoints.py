"""The page's typed endpoints, as a program uses them: make a draft, look at it, stop it, and be refused clearly."""

import secrets
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


@pytest.mark.fault(8, 42)
def test_a_program_asks_twice_sees_the_queue_and_takes_a_draft_out_of_it(client: Client) -> None:
    first = client.predict("a red ball moves left over snow", 6.0, "wide", 5, api_name="/make_draft")
    wait_for(client, first, "running")
    asked = ("a blue star rises over sea", 1.0, "wide", 5, secrets.token_hex(16))
    second, again = (client.predict(*asked, api_name="/make_draft") for _ in range(2))
    assert second == again != first
    assert client.predict(api_name="/queue") == [second]
    assert client.predict(second, api_name="/status")["ahead"] == 1
    assert client.predict(second, api_name="/stop")["state"] == "stopped"
    assert client.predict(api_name="/queue") == []
    client.predict(first, api_name="/stop")
    wait_for(client, first, "stopped")


def test_a_draft_is_watched_until_it_is_over_and_stands_on_the_shelf(client: Client) -> None:
    draft = client.predict("a blue star rises over sea", 1.0, "wide", 5, api_name="/make_draft")
    reports = list(client.submit(draft, api_name="/watch"))
    assert [report["draft"] for report in reports] == [draft] * len(reports)
    states = [report["state"] for report in reports]
    assert states[-1] == "finished"
    assert "running" in states
    steps = [report["step"] for report in reports if report["state"] == "running"]
    assert max(steps) > 1
    newest = client.predict(5, api_name="/shelf")[0]
    assert (newest["draft"], newest["state"], newest["model"]) == (draft, "finished", "miniature")
    assert (newest["prompt"], newest["video"]) == ("a blue star rises over sea", "draft.mp4")
    assert client.predict(0, api_name="/shelf") == []


def test_a_draft_nobody_made_cannot_be_watched(client: Client) -> None:
    with pytest.raises(AppError, match="There is no draft"):
        client.predict("20260101-000000-0123456789abcdef", api_name="/watch")


def test_a_program_names_the_model_and_is_told_what_there_is(client: Client) -> None:
    with pytest.raises(AppError, match="somebody/something"):
        client.predict("a red ball", 1.0, "wide", 5, "", "somebody/something", api_name="/make_draft")


def test_every_endpoint_tells_what_it_takes_and_gives(client: Client) -> None:
    told = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for name in ("make_draft", "watch", "status", "stop", "pause", "resume", "edit", "delete", "shelf", "queue"):
        assert told[f"/{name}"]["description"], name
        assert told[f"/{name}"]["returns"], name
        assert all(parameter["python_type"]["type"] != "Any" for parameter in told[f"/{name}"]["parameters"]), name


def test_a_draft_is_deleted_by_a_program_once_nobody_works_on_it(client: Client) -> None:
    draft = client.predict("a red ball moves left over snow", 6.0, "wide", 5, api_name="/make_draft")
    with pytest.raises(AppError, match="Stop it first"):
        client.predict(draft, api_name="/delete")
    client.predict(draft, api_name="/stop")
    wait_for(client, draft, "stopped")
    assert client.predict(draft, api_name="/delete") > 0
    with pytest.raises(AppError, match="There is no draft"):
        client.predict(draft, api_name="/status")


def test_downloads_are_reported_to_programs(client: Client) -> None:
    assert client.predict(api_name="/download_status")["state"] == "none"
    with pytest.raises(AppError, match="somebody/something"):
        client.predict("somebody/something", api_name="/download")
    assert client.predict(api_name="/cancel_download")["state"] == "none"


def test_a_program_is_refused_with_the_sentence_a_person_would_read(client: Client) -> None:
    with pytest.raises(AppError, match="seconds cannot be made"):
        client.predict("a red ball", 3600.0, "wide", 5, api_name="/make_draft")


def test_a_draft_nobody_made_is_said_not_to_exist(client: Client) -> None:
    with pytest.raises(AppError, match="There is no draft"):
        client.predict("20260101-000000-0123456789abcdef", api_name="/status")


@pytest.mark.slow
def test_a_program_edits_a_draft_and_is_told_what_cannot_be(client: Client) -> None:
    draft = client.predict("a red ball moves left over snow", 3.0, "wide", 5, api_name="/make_draft")
    wait_for(client, draft, "finished")
    edited = client.predict(draft, "cut", 1, "", api_name="/edit")
    assert wait_for(client, edited, "finished")["chunks"] == 1
    assert client.predict(draft, api_name="/status")["chunks"] == 2
    with pytest.raises(AppError, match="There is no chunk 9"):
        client.predict(draft, "redo", 9, "", api_name="/edit")
    with pytest.raises(AppError, match="cannot be edited by"):
        client.predict(draft, "paint", 1, "", api_name="/edit")

"""Who is let in: by the right name and password only, not for ever guessing, and never shown in a refusal."""

import base64
import os
from pathlib import Path

import pytest

from pipeline.errors import InvalidRequest
from pipeline.studio import credentials as credentials_module
from pipeline.studio.credentials import (
    MOST_ADDRESSES,
    MOST_ATTEMPTS,
    VARIABLE,
    WINDOW_SECONDS,
    Credentials,
    Door,
    Verdict,
    find_credentials,
)

LINE = "ada:engine: número 1"


def basic(line: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(line.encode()).decode()}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in its only element."""
    now = [1000.0]
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("scheme", ["Basic", "basic"])
def test_the_right_name_and_password_match(scheme: str) -> None:
    assert Credentials(LINE).match(basic(LINE, scheme))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(basic("ada:engine: numero 1"), id="another password"),
        pytest.param(basic("eve:engine: número 1"), id="another name"),
        pytest.param(basic("ada"), id="no password"),
        pytest.param(basic(""), id="nothing"),
        pytest.param(basic(LINE, "Bearer"), id="another scheme"),
        pytest.param("Basic ####", id="no base64"),
        pytest.param("Basic /w==", id="no text"),
        pytest.param("Basic", id="no value"),
        pytest.param("", id="an empty header"),
        pytest.param(basic(LINE + "\n"), id="a line's end"),
        pytest.param(f"Basic {LINE}", id="not encoded"),
    ],
)
def test_anything_else_does_not(header: str) -> None:
    assert not Credentials(LINE).match(header)


def test_the_password_is_not_kept() -> None:
    kept = Credentials(LINE)
    assert LINE not in repr(vars(kept))
    assert LINE.encode() not in b"".join(value for value in vars(kept).values() if isinstance(value, bytes))


@pytest.mark.parametrize(
    "line", ["", "ada", "ada:", ":engine number 1", "ada:short", "ada:engine\x00number", "ada:" + "x" * 2000]
)
def test_a_line_that_is_no_good_is_refused_without_being_repeated(line: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Credentials(line)
    assert refused.value.field == "auth"
    assert not line or line.partition(":")[2] == "" or line.partition(":")[2] not in str(refused.value)


@pytest.mark.fault(39)
def test_guessing_ends_after_five_attempts_and_the_right_password_has_to_wait_too(clock: list[float]) -> None:
    door = Door(Credentials(LINE))
    for attempt in range(MOST_ATTEMPTS):
        assert door.ask(basic(f"ada:guess number {attempt}"), "10.0.0.1") is Verdict.WHO
    for header in (basic("ada:guess"), basic(LINE), None):
        assert door.ask(header, "10.0.0.1") is Verdict.WAIT
    assert door.ask(basic(LINE), "10.0.0.2") is Verdict.WELCOME
    clock[0] += WINDOW_SECONDS
    assert door.ask(basic(LINE), "10.0.0.1") is Verdict.WELCOME


@pytest.mark.fault(39)
def test_attempts_made_while_waiting_do_not_prolong_the_wait(clock: list[float]) -> None:
    door = Door(Credentials(LINE))
    for _ in range(4 * MOST_ATTEMPTS):
        door.ask(basic("ada:guess"), "10.0.0.1")
    clock[0] += WINDOW_SECONDS
    assert door.ask(basic(LINE), "10.0.0.1") is Verdict.WELCOME


def test_asking_without_credentials_is_no_attempt() -> None:
    door = Door(Credentials(LINE))
    assert {door.ask(None, "10.0.0.1") for _ in range(3 * MOST_ATTEMPTS)} == {Verdict.WHO}
    assert door.ask(basic(LINE), "10.0.0.1") is Verdict.WELCOME


def test_no_more_addresses_are_remembered_than_said() -> None:
    door = Door(Credentials(LINE))
    for address in range(MOST_ADDRESSES + 10):
        door.ask(basic("ada:guess"), str(address))
    assert len(door._wrong) == MOST_ADDRESSES


def test_the_variable_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, LINE)
    found = find_credentials(None, None)
    assert found is not None
    assert found.match(basic(LINE))
    assert VARIABLE not in os.environ


def test_a_file_only_its_owner_can_read_is_read(tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text(f"{LINE}\nanything else\n", encoding="utf-8")
    file.chmod(0o600)
    found = find_credentials(None, file)
    assert found is not None
    assert found.match(basic(LINE))


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes")
def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text(LINE, encoding="utf-8")
    file.chmod(0o640)
    with pytest.raises(InvalidRequest, match="Others on this machine can read"):
        find_credentials(None, file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        find_credentials(None, tmp_path / "auth")


def test_two_ways_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, LINE)
    with pytest.raises(InvalidRequest, match="two ways"):
        find_credentials(LINE, None)


def test_nothing_given_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_credentials(None, None) is None

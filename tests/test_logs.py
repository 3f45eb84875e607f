"""Log records stay in their lines, whatever is in them."""

import logging

import pytest

from pipeline.logs import CONTINUED, EscapedFormatter, escape, start_logging

FORGED = "first\n2026-01-01 00:00:00,000 rushes forged\r\x1b[31mred\u2028next\u202egnp.exe\x85\x00"


@pytest.fixture
def record() -> logging.LogRecord:
    return logging.LogRecord("rushes", logging.INFO, __file__, 1, "draft %s", (FORGED,), None)


def test_a_message_is_one_line(record: logging.LogRecord) -> None:
    line = EscapedFormatter("%(name)s %(message)s").format(record)
    assert line == (
        "rushes draft first\\n2026-01-01 00:00:00,000 rushes forged\\r\\x1b[31mred\\u2028next\\u202egnp.exe\\x85\\x00"
    )


def test_a_loggers_name_is_escaped_too(record: logging.LogRecord) -> None:
    record.name = "a\nb"
    assert EscapedFormatter("%(name)s").format(record) == "a\\nb"


def test_every_line_of_a_traceback_is_marked_as_one(record: logging.LogRecord) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    first, *further = EscapedFormatter("%(message)s").format(record).split("\n")
    assert first.startswith("draft first")
    assert len(further) > 3
    assert all(line.startswith(CONTINUED) for line in further)
    assert any(line.startswith(f"{CONTINUED}2026-01-01") for line in further)
    assert "\x1b" not in "".join(further)


def test_words_of_every_language_are_left_alone() -> None:
    assert escape("红球 يتحرك naïve 🎬") == "红球 يتحرك naïve 🎬"


def test_what_is_logged_is_escaped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    start_logging(logging.INFO, "%(message)s")
    logging.getLogger("anything").info("two\nlines")
    assert capsys.readouterr().err == "two\\nlines\n"

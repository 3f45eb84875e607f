"""The table of faults tells the truth: it is what the markers say, and no row is without a proof or a reason."""

import pytest

from tests.faults import TABLE, Row, read_rows, write_table

ROWS = read_rows()


def test_the_table_is_what_the_tests_say() -> None:
    assert TABLE.read_text(encoding="utf-8") == write_table(ROWS), "run python -m tests.faults"


def test_there_is_a_row_for_every_fault() -> None:
    assert len(ROWS) == 45


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_is_proved_or_says_why_it_is_not(row: Row) -> None:
    excuses = [name for name in ("several", "missing") if getattr(row, name)]
    assert len(excuses) == (0 if row.tests else 1), (
        f"{TABLE.stem}, row {row.number}: proved, or one reason why it is not"
    )
    assert "|" not in row.fault + row.promise + row.several + row.missing

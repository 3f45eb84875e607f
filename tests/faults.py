"""Which test proves which promise: reads the markers `fault(row, …)` of all tests, and writes tests/FAULTS.md.

python -m tests.faults
"""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.source import ROOT

TABLE = ROOT / "tests" / "FAULTS.md"
ROWS = ROOT / "tests" / "faults.toml"
HEAD = """# What is promised where something breaks

Written by `python -m tests.faults` from the markers of the tests; do not edit. Every test named here runs without a
graphics card, each time all tests are run; those marked `slow` are left out.

| # | what breaks | what is promised | proved by |
|---|---|---|---|
"""


@dataclass(slots=True)
class Row:
    """One fault. `several` or `missing` says why no test proves it."""

    number: int
    fault: str
    promise: str
    several: str = ""
    missing: str = ""
    tests: list[str] = field(default_factory=list)


def read_rows() -> list[Row]:
    """The table's rows, with the tests that are marked with their numbers.

    Raises:
        ValueError: for a number that is no row's.
    """
    with ROWS.open("rb") as file:
        rows = [Row(number, **values) for number, values in enumerate(tomllib.load(file)["row"], 1)]
    for number, test in find_marked():
        if not 1 <= number <= len(rows):
            raise ValueError(f"{test} is marked with row {number}, and there are {len(rows)}")
        rows[number - 1].tests.append(test)
    return rows


def find_marked() -> list[tuple[int, str]]:
    """Row and test, as `tests/test_worker.py::test_name`, of every marked test that is not slow, in order."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        marks = [node for node in module.body if _is_pytestmark(node)]
        shared = [number for node in marks for number in _numbers(node)]
        if any(map(_is_slow, marks)):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                if any(map(_is_slow, node.decorator_list)):
                    continue
                own = [number for decorator in node.decorator_list for number in _numbers(decorator)]
                name = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
                found |= {(number, name) for number in (*shared, *own)}
    return sorted(found)


def write_table(rows: list[Row]) -> str:
    """The table in Markdown."""
    return HEAD + "".join(f"| {row.number} | {row.fault} | {row.promise} | {_proof(row)} |\n" for row in rows)


def _proof(row: Row) -> str:
    if not row.tests:
        return f"not on one machine: {row.several}" if row.several else f"**nothing yet**: {row.missing}"
    files: dict[str, list[str]] = defaultdict(list)
    for test in row.tests:
        file, _, name = test.partition("::")
        files[file].append(f"`{name}`")
    links = (
        f"[{Path(file).relative_to('tests').as_posix()}]({Path(file).relative_to('tests').as_posix()})"
        for file in files
    )
    return "<br>".join(f"{link}: {', '.join(names)}" for link, names in zip(links, files.values(), strict=True))


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _is_slow(node: ast.AST) -> bool:
    """Whether all of it is; one case of several, marked within a `parametrize`, is not."""
    whole = node.value if isinstance(node, ast.Assign) else node
    marks = whole.elts if isinstance(whole, ast.List) else [whole]
    return any(ast.unparse(mark) == "pytest.mark.slow" for mark in marks)


def _numbers(node: ast.AST) -> Iterator[int]:
    """Of every `pytest.mark.fault(…)` in it."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            yield from (int(ast.literal_eval(argument)) for argument in call.args)


if __name__ == "__main__":
    rows = read_rows()
    TABLE.write_text(write_table(rows), encoding="utf-8")
    sys.exit(0)

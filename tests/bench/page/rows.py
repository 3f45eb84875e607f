"""A row of the table: what was measured, and whether it is what was promised."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """`values` in `unit`, of which the median is to be at most `target`."""

    name: str
    values: Sequence[float]
    unit: str
    target: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return bool(self.values) and float(np.median(self.values)) <= self.target

    def cells(self) -> tuple[str, ...]:
        """As a table's."""
        if not self.values:
            return self.name, "not measured", "", f"{self.target:g} {self.unit}".strip(), "no"
        median, worst = float(np.median(self.values)), max(self.values)
        digits = 2 if self.unit in ("s", "") and self.target else 0
        said = tuple(f"{value:.{digits}f} {self.unit}".strip() for value in (median, worst))
        target = f"{self.target:g} {self.unit}".strip()
        return self.name, said[0], f"{said[1]} of {len(self.values)}", target, "yes" if self.met else "**no**"


def print_table(rows: Sequence[Row]) -> None:
    """With machine, date and commit."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{os.cpu_count()} cores, no graphics card, {time.strftime('%Y-%m-%d')}, commit {git.stdout.strip()}:\n")
    print("| | median | worst | target | met |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")

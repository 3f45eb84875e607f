"""What one line of the measurements says, and how it is read. A line that says anything impossible is an error."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.plan.memory import Placement, Stage
from pipeline.plan.rates import Rates

LEAST_FACTOR, MOST_FACTOR = 0.02, 50.0  # beyond these it was not the formula's work that was measured
SAME_RATE = 1.25  # disk and bus rates within this factor count as unchanged; repeated measurements differ by a tenth

Machine = tuple[str, str]  # kind and name of a device
Shape = tuple[int, int, int, int, bool]  # width, height, frames, steps, guided


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRates:
    """What `doctor` measured on a machine."""

    machine: Machine
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredDraft:
    """How long a finished draft took: `factors` are measured over formula seconds with `rates`; `streamed` that
    denoising hung on the bus."""

    machine: Machine
    model: str
    shape: Shape
    streamed: bool
    rates: Rates
    factors: Mapping[Stage, float]

    def factor(self, stage: Stage, rates: Rates) -> float | None:
        """What the factor would have been had the formula been given `rates`; None where that cannot be told.

        Seconds of computing go as one over the rate of operations. ENCODE is mostly reading and streamed denoising
        mostly moving: they teach only while those rates stand.
        """
        factor = self.factors.get(stage)
        if factor is None:
            return None
        if stage is Stage.ENCODE and not _alike(self.rates.disk_bytes_per_second, rates.disk_bytes_per_second):
            return None
        if stage is Stage.DENOISE and self.streamed:
            standing = _alike(self.rates.bus_bytes_per_second, rates.bus_bytes_per_second) and _alike(
                self.rates.operations_per_second, rates.operations_per_second
            )
            return factor if standing else None
        if stage is not Stage.ENCODE:
            factor *= rates.operations_per_second / self.rates.operations_per_second
        return factor if LEAST_FACTOR <= factor <= MOST_FACTOR else None  # NaN is neither


@dataclass(frozen=True, slots=True, kw_only=True)
class RanOut:
    """A stage ran out of memory although it was forecast to need `need_bytes`, of `free_bytes` there were."""

    machine: Machine
    model: str
    size: tuple[int, int]
    stage: Stage
    need_bytes: float
    free_bytes: float


Measurement = MeasuredRates | MeasuredDraft | RanOut


def _alike(one: float, other: float) -> bool:
    return 1 / SAME_RATE <= one / other <= SAME_RATE


def _number(value: Any) -> float:
    """A finite number, not negative; a ValueError otherwise, as True is one to Python and 1e999 is infinite."""
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _read_machine(row: Mapping[str, Any]) -> Machine:
    kind, name = row["device"]
    return str(kind), str(name)


def _read_sane_rates(row: Mapping[str, Any]) -> Rates:
    values = dict(row["rates"])
    measured = values.pop("measured") is True
    rates = Rates(**{name: _number(value) for name, value in values.items()}, measured=measured)
    if not rates.sane:
        raise ValueError("rates that no machine has")
    return rates


def _read_rates(row: Mapping[str, Any]) -> MeasuredRates:
    return MeasuredRates(machine=_read_machine(row), rates=_read_sane_rates(row))


def _read_draft(row: Mapping[str, Any]) -> MeasuredDraft:
    width, height, frames, steps, guided = row["shape"]
    formula, measured = dict(row["formula_seconds"]), dict(row["measured_seconds"])
    return MeasuredDraft(
        machine=_read_machine(row),
        model=str(row["model"]),
        shape=(width, height, frames, steps, guided),
        streamed=row["choices"][Stage.DENOISE][1] == Placement.STREAMED,
        rates=_read_sane_rates(row),
        factors={Stage(stage): _number(taken) / _number(formula[stage]) for stage, taken in measured.items()},
    )


def _read_ran_out(row: Mapping[str, Any]) -> RanOut:
    width, height = row["size"]
    return RanOut(
        machine=_read_machine(row),
        model=str(row["model"]),
        size=(width, height),
        stage=Stage(row["stage"]),
        need_bytes=_number(row["need_bytes"]),
        free_bytes=_number(row["free_bytes"]),
    )


READERS: Mapping[str, Callable[[Mapping[str, Any]], Measurement]] = {
    "rates": _read_rates,
    "draft": _read_draft,
    "ran out": _read_ran_out,
}

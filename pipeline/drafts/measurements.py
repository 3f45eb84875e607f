"""What finished drafts and `doctor` measured, for the next forecast: `<drafts>/.measurements.jsonl`.

One JSON object a line, appended in one write; no sentence of anybody's is in it. Nothing here ever fails a draft: what
cannot be read or written is left out, and said once in the log.
"""

import json
import logging
import math
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Closeness, Experience, no_experience
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.rates import Rates, guess_rates
from pipeline.plan.request import GenerationRequest

logger = logging.getLogger(__name__)

FORMAT = 1  # grows when the formula changes so much that old lines would mislead; lines of another are left out
MOST_LINES = 2000  # a few years of drafts; older ones teach nothing about this driver and these libraries
MOST_BYTES = 2**20  # of the file's end that is read
LATEST = 5  # records a median is taken over: one disturbed draft moves nothing, a new driver shows after three
LEAST_FACTOR, MOST_FACTOR = 0.02, 50.0  # beyond these it was not the formula's work that was measured
SAME_RATE = 1.25  # disk and bus rates within this factor count as unchanged; repeated measurements differ by a tenth

Machine = tuple[str, str]  # kind and name of a device
Shape = tuple[int, int, int, int, bool]  # width, height, frames, steps, guided


@dataclass(frozen=True, slots=True, kw_only=True)
class _RatesRecord:
    machine: Machine
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class _DraftRecord:
    """`factors` are measured over formula seconds with `rates`; `streamed` that denoising hung on the bus."""

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


_Record = _RatesRecord | _DraftRecord


class Measurements:
    """The measurements in a drafts folder. Cheap to ask at every change of a control: read again only when changed.

    Args:
        folder: the drafts folder; made on the first record if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".measurements.jsonl"
        self._read_at: tuple[int, int] | None = None  # modification time in ns and size of what was read
        self._records: tuple[_Record, ...] = ()
        self._said: set[str] = set()

    def record_rates(self, device: Device, rates: Rates) -> None:
        """Keep what was measured on a device; what cannot be a machine's is not kept."""
        if rates.measured and rates.sane and not device.supposed:
            self._append({"kind": "rates", "device": _machine(device), "rates": asdict(rates)})

    def record_draft(self, plan: DraftPlan, stage_seconds: Mapping[Stage, float], *, encoded: bool) -> None:
        """Keep how long a finished draft's stages took, in seconds over all chunks, beside what was forecast.

        Without `encoded` the embeddings came from the cache, and nothing is learnt about ENCODE. The rates kept with it
        are the present ones: a plan is made from them and does not carry them.
        """
        device, request, forecast = plan.memory.device, plan.request, plan.forecast
        if device.supposed:
            return
        measured = {stage: seconds for stage, seconds in stage_seconds.items() if encoded or stage != Stage.ENCODE}
        self._append(
            {
                "kind": "draft",
                "device": _machine(device),
                "model": request.model,
                "shape": _shape(request),
                "choices": {stage: [c.precision, c.placement] for stage, c in plan.memory.choices.items()},
                "rates": asdict(self._rates(device)),
                "formula_seconds": dict(forecast.formula_seconds),
                "forecast_seconds": forecast.total_seconds,
                "measured_seconds": measured,
                "total_seconds": sum(stage_seconds.values()),
            }
        )

    def experience(self, request: GenerationRequest, device: Device) -> Experience:
        """What to forecast a request on a device with: its rates, and how far each stage was off the formula.

        A stage is corrected by the median of the last five drafts of the same shape, where there are none by those of
        the same model. The closeness is DENOISE's, which is nearly all of a draft.
        """
        rates = self._rates(device)
        experience = no_experience(rates)
        drafts = self._drafts(request.model, device)
        same = [draft for draft in drafts if draft.shape == _shape(request)]
        factors, closeness = dict(experience.factors), experience.closeness
        for stage in Stage:
            for records, close in ((same, Closeness.SHAPE), (drafts, Closeness.MODEL)):
                known = [factor for draft in records if (factor := draft.factor(stage, rates)) is not None]
                if known:
                    factors[stage] = median(known[-LATEST:])
                    closeness = close if stage is Stage.DENOISE else closeness
                    break
        return replace(experience, factors=factors, closeness=closeness)

    def _rates(self, device: Device) -> Rates:
        """The last that were measured on this device, else its guess."""
        if not device.supposed:
            for record in reversed(self._read()):
                if isinstance(record, _RatesRecord) and record.machine == _machine(device):
                    return record.rates
        return guess_rates(device)

    def _drafts(self, model: str, device: Device) -> list[_DraftRecord]:
        if device.supposed:
            return []
        records = (record for record in self._read() if isinstance(record, _DraftRecord))
        return [draft for draft in records if draft.model == model and draft.machine == _machine(device)]

    def _read(self) -> tuple[_Record, ...]:
        """Every readable record, oldest first."""
        try:
            state = self.path.stat()
            if self._read_at != (state.st_mtime_ns, state.st_size):
                self._records, self._read_at = (), (state.st_mtime_ns, state.st_size)
                if not stat.S_ISREG(state.st_mode):
                    raise OSError("it is no file")
                self._records = tuple(self._parse(_last_lines(self.path)))
        except FileNotFoundError:
            self._records, self._read_at = (), None
        except OSError as error:
            self._say_once("%s cannot be read: %s. Forecasts do without it.", error)
        return self._records

    def _parse(self, lines: Iterable[bytes]) -> Iterable[_Record]:
        for line in lines:
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_constant=_refuse)
                if row["format"] == FORMAT and (read := _READERS.get(row["kind"])):
                    yield read(row)
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
                self._say_once("%s has lines that cannot be read: %r. They are left out.", error)

    def _append(self, row: dict[str, Any]) -> None:
        row = {"format": FORMAT, "date": time.strftime("%Y-%m-%dT%H:%M:%S%z")} | row
        try:
            line = json.dumps(row, allow_nan=False, separators=(",", ":")).encode() + b"\n"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not self.path.is_file():
                raise OSError("it is no file")
            with self.path.open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line  # closes a line torn by a full disk
                file.write(line)
        except (OSError, ValueError) as error:
            self._say_once("%s cannot be written: %s. Later forecasts do without this measurement.", error)

    def _say_once(self, sentence: str, error: Exception) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            logger.warning(sentence, self.path, error)


def _machine(device: Device) -> Machine:
    return device.kind.value, device.name


def _shape(request: GenerationRequest) -> Shape:
    return request.shape.width, request.shape.height, request.frames, request.steps, request.guidance > 1


def _alike(one: float, other: float) -> bool:
    return 1 / SAME_RATE <= one / other <= SAME_RATE


def _last_lines(path: Path) -> list[bytes]:
    """Whole lines at a file's end, within both bounds."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - MOST_BYTES)
        file.seek(start)
        lines = file.read(MOST_BYTES).split(b"\n")
    return (lines[1:] if start else lines)[-MOST_LINES - 1 :]  # the last is empty, after the last line's end


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no measurement")


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


def _read_rates(row: Mapping[str, Any]) -> _RatesRecord:
    return _RatesRecord(machine=_read_machine(row), rates=_read_sane_rates(row))


def _read_draft(row: Mapping[str, Any]) -> _DraftRecord:
    width, height, frames, steps, guided = row["shape"]
    formula, measured = dict(row["formula_seconds"]), dict(row["measured_seconds"])
    return _DraftRecord(
        machine=_read_machine(row),
        model=str(row["model"]),
        shape=(width, height, frames, steps, guided),
        streamed=row["choices"][Stage.DENOISE][1] == Placement.STREAMED,
        rates=_read_sane_rates(row),
        factors={Stage(stage): _number(taken) / _number(formula[stage]) for stage, taken in measured.items()},
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], _Record]] = {"rates": _read_rates, "draft": _read_draft}

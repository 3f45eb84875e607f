"""What finished drafts and `doctor` measured, for the next forecast: `<drafts>/.measurements.jsonl`.

One JSON object a line, appended in one write; no sentence of anybody's is in it. Nothing here ever fails a draft: what
cannot be read or written is left out, and said once in the log.
"""

import json
import logging
import os
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.drafts.measured import READERS, Machine, MeasuredDraft, MeasuredRates, Measurement, RanOut, Shape
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.duration import Closeness, Experience, no_experience
from pipeline.plan.memory import Stage
from pipeline.plan.rates import Rates, guess_rates
from pipeline.plan.request import GenerationRequest

logger = logging.getLogger(__name__)

FORMAT = 1  # grows when the formula changes so much that old lines would mislead; lines of another are left out
MOST_LINES = 2000  # a few years of drafts; older ones teach nothing about this driver and these libraries
MOST_BYTES = 2**20  # of the file's end that is read
LATEST = 5  # records a median is taken over: one disturbed draft moves nothing, a new driver shows after three
SAME_ROOM = 1.1  # more free memory than this factor is worth another try of what ran out of memory; assumed


class Measurements:
    """The measurements in a drafts folder. Cheap to ask at every change of a control: read again only when changed.

    Args:
        folder: the drafts folder; made on the first record if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".measurements.jsonl"
        self._read_at: tuple[int, int] | None = None  # modification time in ns and size of what was read
        self._records: tuple[Measurement, ...] = ()
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

    def record_ran_out(self, plan: DraftPlan, need_bytes: Mapping[Stage, int]) -> None:
        """Keep what stages were forecast to need when they ran out of memory, where the draft was finished with less.

        Args:
            plan: the one that was finished.
        """
        for stage, need in need_bytes.items():
            if not plan.memory.device.supposed:
                self._append(
                    {
                        "kind": "ran out",
                        "device": _machine(plan.memory.device),
                        "model": plan.request.model,
                        "size": [plan.request.shape.width, plan.request.shape.height],
                        "stage": stage,
                        "need_bytes": need,
                        "free_bytes": plan.memory.device.free_bytes,
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
        too_much = self._too_much_bytes(request, device)
        return replace(experience, factors=factors, closeness=closeness, too_much_bytes=too_much)

    def _too_much_bytes(self, request: GenerationRequest, device: Device) -> dict[Stage, int]:
        """What ran out of memory last, in pictures of this size, while no more was free than now."""
        size = request.shape.width, request.shape.height
        return {
            record.stage: int(record.need_bytes)
            for record in self._read()
            if isinstance(record, RanOut)
            and not device.supposed
            and (record.machine, record.model, record.size) == (_machine(device), request.model, size)
            and device.free_bytes <= SAME_ROOM * record.free_bytes
        }

    def _rates(self, device: Device) -> Rates:
        """The last that were measured on this device, else its guess."""
        if not device.supposed:
            for record in reversed(self._read()):
                if isinstance(record, MeasuredRates) and record.machine == _machine(device):
                    return record.rates
        return guess_rates(device)

    def _drafts(self, model: str, device: Device) -> list[MeasuredDraft]:
        if device.supposed:
            return []
        records = (record for record in self._read() if isinstance(record, MeasuredDraft))
        return [draft for draft in records if draft.model == model and draft.machine == _machine(device)]

    def _read(self) -> tuple[Measurement, ...]:
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

    def _parse(self, lines: Iterable[bytes]) -> Iterable[Measurement]:
        for line in lines:
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_constant=_refuse)
                if row["format"] == FORMAT and (read := READERS.get(row["kind"])):
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

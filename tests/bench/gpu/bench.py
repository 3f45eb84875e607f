"""Row after row until the time is over: what was measured so far, what is still to be measured, and the two tables."""

import json
import shutil
import time
from collections.abc import Hashable, Mapping
from pathlib import Path

from pipeline.errors import DoesNotFit
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import CARD_CONTEXT_BYTES, Placement, Stage
from pipeline.plan.rates import Rates
from tests.bench.gpu.process import FAILED, Figures, Job, RowProcesses, Task
from tests.bench.gpu.rows import GIB, Row, cap_bytes, make_plan, stages_of
from tests.bench.gpu.table import CARD_COLUMNS, NONE, PEER_COLUMNS, card_cells, heading, line, peer_cells

RESERVE_SECONDS = 15.0  # before the time is over: for ending a row, cleaning up and the last line
LONGEST_ROW_SECONDS = 180.0  # one that hangs costs no more
NOT_RUN = "not run: the time was over"


class Bench:
    """One run of the command.

    Args:
        device: where rows are measured.
        folder: for what they write; theirs alone.
        minutes: after which no row is begun or goes on.
        save: a file for all figures.
        commit: what is measured.
    """

    def __init__(
        self, device: Device, folder: Path, *, minutes: float, save: Path | None = None, commit: str = "unknown"
    ) -> None:
        self._device, self._folder, self._save, self._commit = device, folder, save, commit
        self._until = time.monotonic() + 60 * minutes - RESERVE_SECONDS
        self._processes = RowProcesses()
        self._stages: dict[Hashable, tuple[Figures, int]] = {}
        self._peers: dict[str, Figures] = {}
        self._contexts: list[int] = []
        self.within = True

    def run(self, peers: tuple[Row, ...], cards: tuple[Row, ...]) -> bool:
        """Print both tables; whether something was measured, and no row went above its card's memory."""
        try:
            rates = self._measure_rates()
            if rates is None:
                return False
            _say(heading(PEER_COLUMNS))
            for row in peers:
                self._run_peers(row, rates)
            _say(f"\n{heading(CARD_COLUMNS)}")
            for index, row in enumerate(cards):
                self._run_card(
                    row, rates, smallest=row.card_gib == min(r.card_gib or 0 for r in cards if r.name == row.name)
                )
                if row.model not in {later.model for later in cards[index + 1 :]}:
                    self._forget_weights(row.model)
        finally:
            self._processes.close()
        if any(self._contexts):
            most = max(self._contexts) / GIB
            _say(
                f"\nBesides tensors a process held {most:.2f} GiB of the card; {CARD_CONTEXT_BYTES / GIB:.2f} assumed."
            )
        return self.within

    def _measure_rates(self) -> Rates | None:
        found = self._measure("rates", None, Task.RATES)
        device = self._device
        _say(f"# Random weights of full size on {device.name}, {time.strftime('%Y-%m-%d')}, commit {self._commit}\n")
        if FAILED in found:
            _say(f"Nothing can be measured here: {found[FAILED]}")
            return None
        torch = found.pop("torch")
        rates = Rates(**found)
        _say(
            f"torch {torch}, driver {device.driver or 'none'}, {device.cores} cores, "
            f"{device.ram_total_bytes / GIB:.0f} GiB of main memory. Matrix product "
            f"{rates.operations_per_second / 1e12:.4g} TFLOP/s, bus {rates.bus_bytes_per_second / 1e9:.3g} GB/s, disk "
            f"{rates.disk_bytes_per_second / 1e9:.3g} GB/s.\n\n"
            "Peaks are what torch's allocator reserved, forecasts those of the plan without a context; steps are the "
            "shortest after the first, of LTX with guidance, of Wan one pass. Weights are made in memory, so main "
            "memory is without what reading files takes.\n"
        )
        return rates

    def _run_peers(self, row: Row, rates: Rates) -> None:
        try:
            plan = make_plan(row, self._device)
        except DoesNotFit as error:
            _say(line((row.name, *[NONE] * (len(PEER_COLUMNS) - 2), f"not run: {error.message}")))
            return
        found = self._peers[row.name] = self._measure(row.name, plan, Task.PEERS)
        _say(line(peer_cells(row, plan, found, rates)))

    def _run_card(self, row: Row, rates: Rates, *, smallest: bool) -> None:
        assert row.card_gib is not None
        if row.card_gib * GIB > self._device.total_bytes:
            _say(line(_blank(row, f"not run: the card here has {self._device.total_bytes / GIB:.0f} GiB")))
            return
        try:
            plan = make_plan(row, self._device)
        except DoesNotFit as error:
            _say(line(_blank(row, f"not run: {error.message}")))
            return
        keys = {stage: _key(row, plan, stage) for stage in stages_of(plan)}
        known = {stage: self._stages[key] for stage, key in keys.items() if key in self._stages}
        wanted = _wanted(plan, tuple(keys), known)
        began, found = time.monotonic(), Figures()
        if wanted:
            found = self._measure(f"{row.name} on {row.card_gib} GB", plan, Task.CARD, wanted)
        ran = {stage: found[stage] for stage in wanted if stage in found}
        for stage, figures in ran.items():
            if not {"exhausted", "skipped"} & figures.keys():
                self._stages[keys[stage]] = figures, row.card_gib
        self._contexts.append(found.get("context_bytes", 0))
        stages = {stage: figures for stage, (figures, _) in known.items()} | ran
        notes = self._judge(plan, stages) if ran or not wanted else []
        notes += [found[FAILED]] if FAILED in found else []
        notes += [f"{time.monotonic() - began:.0f} s"] if ran else []
        notes += [f"{stage} as on {size} GB" for stage, (_, size) in known.items() if stage not in wanted]
        cells = card_cells(row, plan, stages, self._peers.get(row.name, {}), rates, smallest=smallest)
        _say(line((*cells, ", ".join(notes))))

    def _judge(self, plan: DraftPlan, stages: Mapping[Stage, Figures]) -> list[str]:
        """Whether the row stayed below the cap, as far as it came."""
        ran = {stage: figures for stage, figures in stages.items() if "skipped" not in figures}
        cap = cap_bytes(plan)
        above = [stage for stage, figures in ran.items() if "exhausted" in figures or figures["peak_bytes"] > cap]
        unreal = [stage for stage, figures in ran.items() if not figures.get("finite", True)]
        notes = [f"not finite: {', '.join(unreal)}"] if unreal else []
        if above:
            self.within = False
            return [f"ABOVE THE CAP of {cap / GIB:.2f} GiB: {', '.join(above)}", *notes]
        return ["within the cap" if len(ran) == len(Stage) else "within the cap as far as it came", *notes]

    def _measure(self, name: str, plan: DraftPlan | None, task: Task, stages: tuple[Stage, ...] = ()) -> Figures:
        """In a process of its own; what it wrote besides quantized weights is gone after it."""
        seconds = min(self._until - time.monotonic(), LONGEST_ROW_SECONDS)
        if seconds <= 0:
            return {FAILED: NOT_RUN}
        job = Job(task=task, device=self._device, folder=self._folder, plan=plan, stages=stages)
        found = self._processes.run(job, seconds)
        for left in (self._folder / "checkpoint", *(self._folder / "kept").glob("*/*/*.tmp")):
            shutil.rmtree(left, ignore_errors=True)
        if self._save:
            with self._save.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"row": name} | found) + "\n")
        return found

    def _forget_weights(self, model: str) -> None:
        """Quantized ones that no later row opens."""
        for folder in (self._folder / "kept" / "rushes-quantized").glob(f"{model}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _key(row: Row, plan: DraftPlan, stage: Stage) -> Hashable:
    """Names a way to run a stage: the same key, the same figures."""
    choice = plan.memory.choices[stage]
    if stage is Stage.ENCODE:
        return plan.spec.text_encoder.class_name, choice.precision, choice.placement
    return row.name, choice


def _wanted(plan: DraftPlan, order: tuple[Stage, ...], known: Mapping[Stage, object]) -> tuple[Stage, ...]:
    """Stages that have to be run; beside a text encoder that stays on the card only with it."""
    missing = {stage for stage in order if stage not in known}
    if missing and plan.memory.choices[Stage.ENCODE].placement is Placement.KEPT:
        missing.add(Stage.ENCODE)
    return tuple(stage for stage in order if stage in missing)


def _blank(row: Row, note: str) -> tuple[str, ...]:
    """A line of the second table without figures."""
    return (row.name, f"{row.card_gib} GB", *[NONE] * (len(CARD_COLUMNS) - 3), note)


def _say(text: str) -> None:
    print(text, flush=True)

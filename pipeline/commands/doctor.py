"""What this machine can do and what keeps it from doing more: `python -m pipeline doctor`.

Every probe may fail on a strange machine; what fails becomes a sentence, and the others go on. Nothing is downloaded.
"""

import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import pipeline
from pipeline.commands.fitting import ModelFinding, say_models, try_model
from pipeline.drafts.measurements import Measurements
from pipeline.errors import say_bytes
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.device import CARD_ORDER, DRIVER_ORDER, Device, DeviceKind, probe_device
from pipeline.plan.duration import Closeness, Experience, no_experience
from pipeline.plan.memory import Precision, Stage, Workload
from pipeline.plan.placement import Budget, choices
from pipeline.plan.planner import budget_for
from pipeline.plan.presets import find_profile
from pipeline.plan.rates import Rates
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import ModelSpec

PROFILE = "auto"
LIBRARIES = ("torch", "diffusers", "transformers", "optimum-quanto", "gradio", "moviepy", "huggingface-hub")
INSTALL = "Install what Rushes needs: pip install -r requirements.txt"
ANSWER_SECONDS = 10  # for ffmpeg to say its version
LITTLE_DISK_BYTES = 2**30  # a draft takes 10 to 100 MB
BUSY_SHARE = 0.5  # of a card's memory in other programs' hands, from which on it is worth a sentence
WHY = 'Why, and what would be faster: python -m pipeline plan "…" --model … --width … --height … --seconds …'
WANTED_BY = {  # as pipeline/plan/placement.py decides
    Precision.BFLOAT16: "an NVIDIA card of compute capability 8.0 or more",
    Precision.FP8: "an NVIDIA card",
    Precision.INT8: "an NVIDIA card",
    Precision.INT4: "an NVIDIA card of compute capability 8.0 or more",
}
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the report, for people."""

    topic: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything found; `problems` are sentences that say what to do.

    `rates` are those forecasts rest on, `budget` is what a draft may use.
    """

    problems: tuple[str, ...]
    facts: tuple[Fact, ...]
    device: Device | None
    rates: Rates | None
    budget: Budget | None
    models: tuple[ModelFinding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values: bytes and seconds as numbers."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def to_text(self) -> str:
        """A page for a terminal: problems first."""
        lines = [f"! {problem}" for problem in self.problems] or ["No problems found."]
        width, topic = max((len(fact.name) for fact in self.facts), default=0), ""
        for fact in self.facts:
            lines += ["", fact.topic] if fact.topic != topic else []
            lines.append(f"  {fact.name:{width}}  {fact.value}")
            topic = fact.topic
        if self.device and self.models and self.budget:
            lines += ["", f"What fits here now, with profile {PROFILE}: {_say_budget(self.budget, self.device)}"]
            lines += [*say_models(self.models, self.device), "", WHY]
        return "\n".join(lines)


def examine(drafts: Path, *, measure: bool = True) -> Report:
    """Look at everything a draft depends on; never raises for what it finds.

    Args:
        drafts: the drafts folder, which need not exist; what is measured is kept there for forecasts.
        measure: take a few seconds to measure the device, the bus and the disk.
    """
    return _Examination(drafts).report(measure=measure)


def _say_budget(budget: Budget, device: Device) -> str:
    ram = f"{say_bytes(budget.ram_bytes)} of main memory"
    return f"{say_bytes(budget.card_bytes)} of the card and {ram}" if device.kind is DeviceKind.CUDA else ram


def _find_budget(device: Device) -> Budget:
    return budget_for(pipeline.request("-", seed=0), device, find_profile(PROFILE))


class _Examination:
    """One look at the machine; facts and problems gather while it goes on."""

    def __init__(self, drafts: Path) -> None:
        self.drafts, self.measurements = drafts, Measurements(drafts)
        self.facts: list[Fact] = []
        self.problems: list[str] = []

    def report(self, *, measure: bool) -> Report:
        self.note("Rushes", "version", pipeline.__version__)
        self.note("Rushes", "Python", platform.python_version())
        self.note("Rushes", "system", platform.platform())
        device = self.ask("The device", partial(probe_device, folder=self.drafts))
        if device:
            self.ask("What the device can do", partial(self.describe, device))
        self.ask("The drafts folder", self.look_at_folder)
        for name in LIBRARIES:
            self.ask(name, partial(self.look_at_library, name), hint=INSTALL)
        self.ask("ffmpeg", self.look_at_ffmpeg, hint="Install it again: pip install --force-reinstall imageio-ffmpeg")
        rates, models, budget = None, [], None
        if device:
            budget = self.ask("The budget", partial(_find_budget, device))
            usable = self.ask("torch", partial(self.look_at_torch, device), hint=INSTALL)
            if usable and measure:
                rates = self.ask("How fast the device is", partial(self.measure, device))
            rates = self.ask("The rates", partial(self.find_rates, device, rates))
            found = [self.ask(spec.title, partial(self.try_model, spec, device, rates)) for spec in CATALOG.values()]
            models = [model for model in found if model]
            if not any(model.fits for model in models):
                self.problems.append("No model fits here now: close other programs, or free some disk.")
        return Report(
            problems=tuple(self.problems),
            facts=tuple(self.facts),
            device=device,
            rates=rates,
            budget=budget,
            models=tuple(models),
        )

    def note(self, topic: str, name: str, value: str) -> None:
        self.facts.append(Fact(topic=topic, name=name, value=value))

    def ask(self, what: str, probe: Callable[[], Answer], *, hint: str = "") -> Answer | None:
        """A probe's answer, or None: whatever goes wrong is a problem of that name."""
        try:
            return probe()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.problems.append(f"{what} could not be examined: {reason.rstrip('.')}. {hint}".rstrip())
            return None

    def describe(self, device: Device) -> None:
        self.note("Device", "name", device.name)
        if device.kind is DeviceKind.CUDA:
            self.note("Device", "driver", device.driver or "unknown")
            self.note("Device", "compute capability", ".".join(map(str, device.compute_capability or ["unknown"])))
            order = os.environ.get(CARD_ORDER, DRIVER_ORDER)
            if order != DRIVER_ORDER:
                several = "with several cards a draft may be planned for another than the one it is made on"
                self.problems.append(f"{CARD_ORDER} is {order}: {several}. Unset it, or set it to {DRIVER_ORDER}.")
            used, total = device.total_bytes - device.free_bytes, say_bytes(device.total_bytes)
            self.note("Device", "VRAM", f"{say_bytes(device.free_bytes)} free of {total}")
            if used > BUSY_SHARE * device.total_bytes:
                held = f"Other programs hold {say_bytes(used)} of the card's {total}"
                self.problems.append(f"{held}: close them, nvidia-smi names them.")
        ram = f"{say_bytes(device.ram_free_bytes)} free of {say_bytes(device.ram_total_bytes)}"
        self.note("Device", "main memory", ram)
        self.note("Device", "computes in", device.dtype)
        for precision, said in _say_precisions(device):
            self.note("Device", precision, said)

    def look_at_folder(self) -> None:
        there = self.drafts.resolve()
        while not there.exists() and there != there.parent:
            there = there.parent
        try:
            tempfile.TemporaryFile(dir=there).close()
        except OSError as error:
            reason = error.strerror or str(error)
            self.problems.append(f"{there} cannot be written ({reason}): choose another folder with --drafts.")
            return
        free = shutil.disk_usage(there).free
        self.note("Disk", "drafts folder", f"{self.drafts.resolve()}, {say_bytes(free)} free")
        if free < LITTLE_DISK_BYTES:
            self.problems.append(f"Only {say_bytes(free)} are free for drafts in {self.drafts}: free some disk.")

    def look_at_library(self, name: str) -> None:
        try:
            self.note("Libraries", name, version(name))
        except PackageNotFoundError:
            self.note("Libraries", name, "not installed")
            self.problems.append(f"{name} is not installed. {INSTALL}")

    def look_at_ffmpeg(self) -> None:
        from imageio_ffmpeg import get_ffmpeg_exe

        command = [get_ffmpeg_exe(), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout
        self.note("Libraries", "ffmpeg", said.split(" Copyright")[0].strip())
        self.note("Libraries", "ffmpeg program", command[0])

    def look_at_torch(self, device: Device) -> bool:
        """Whether torch can compute on the device that the driver names."""
        from pipeline.gpu.access import find_obstacle, find_overlooked_card

        obstacle, card = find_obstacle(device), find_overlooked_card(device)
        self.note("Libraries", "torch can use it", "no" if obstacle else "yes")
        if obstacle:
            self.problems.append(obstacle)
        if card:
            self.problems.append(f"torch finds the {card} and nvidia-smi does not: mend the driver, or set the PATH.")
        return not obstacle

    def measure(self, device: Device) -> Rates:
        from pipeline.gpu.rates import measure_rates

        rates = measure_rates(device, self.drafts)
        self.measurements.record_rates(device, rates)
        return rates

    def find_rates(self, device: Device, now: Rates | None) -> Rates:
        """What was measured now, else earlier, else a guess."""
        rates = now or self.measurements.experience(pipeline.request("-", seed=0), device).rates
        source = "measured now" if now else "measured earlier" if rates.measured else "guessed"
        product = f"{rates.operations_per_second / 1e12:.2f} TFLOP/s in {device.dtype}, {source}"
        self.note("Rates", "matrix product", product)
        if device.kind is DeviceKind.CUDA:
            self.note("Rates", "memory to card", f"{rates.bus_bytes_per_second / 1e9:.1f} GB/s, {source}")
        self.note("Rates", "disk", f"{rates.disk_bytes_per_second / 1e9:.2f} GB/s, {source}")
        return rates

    def try_model(self, spec: ModelSpec, device: Device, rates: Rates | None) -> ModelFinding:
        """Forecast from what was measured now, where it could not be kept, too."""

        def experience(request: GenerationRequest) -> Experience:
            kept = self.measurements.experience(request, device)
            return no_experience(rates) if rates and kept.closeness is Closeness.GUESSED else kept

        return try_model(spec, device, find_profile(PROFILE), experience)


def _say_precisions(device: Device) -> Iterator[tuple[str, str]]:
    load = Workload(
        spec=MINIATURE, shape=MINIATURE.shapes[0], chunk_latents=1, guided=False, continued=False, window_latents=1
    )
    offered = {choice.precision for choice in choices(Stage.DENOISE, load, device, lowest=Precision.INT4)}
    for precision, wanted in WANTED_BY.items():
        stored = "" if precision == device.dtype else f": stored so, computed in {device.dtype}"
        yield precision, f"yes{stored}" if precision in offered else f"no: wants {wanted}"

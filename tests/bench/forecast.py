"""Forecast against measurement, for the miniature here: peak memory and seconds, each draft in its own process.

    python -m tests.bench.forecast

The first pass forecasts from measured rates alone, the second from what the first pass taught. Ratios are forecast ÷
measured. `HOST_BYTES` of pipeline/plan/memory.py and the efficiencies of pipeline/plan/duration.py come from here.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pipeline
from pipeline.drafts.measurements import Measurements
from pipeline.gpu.rates import measure_rates
from pipeline.plan.device import probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.spec import VideoShape

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = (  # width, height, frames, guidance
    (256, 160, 97, 4.0),
    (256, 160, 49, 4.0),
    (128, 96, 97, 1.0),
    (320, 320, 97, 4.0),
    (192, 192, 193, 4.0),
)
IMPORTED = "import pipeline.engine, pipeline.models.ltx, imageio_ffmpeg\n"  # all that a draft needs, and no weight
DRAFT = "import sys\nfrom pipeline.__main__ import main\nassert main(sys.argv[1:]) == 0\n"
PEAK = "print(next(line.strip() for line in open('/proc/self/status') if line.startswith('VmHWM')))"
SENTENCE = "a red ball moves left over snow"


def run(code: str, *arguments: str) -> tuple[str, int]:
    """What a fresh interpreter printed, and its largest resident memory in bytes, as the kernel counts it."""
    done = subprocess.run(
        [sys.executable, "-c", code + PEAK, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    *printed, peak = done.stdout.splitlines()
    return "\n".join(printed), int(peak.split()[1]) * 1024


def make(plan: DraftPlan, drafts: Path) -> tuple[float, int]:
    """Seconds of a draft as the engine counts them, and its process's largest resident memory in bytes."""
    request = plan.request
    shape = ["--width", str(request.shape.width), "--height", str(request.shape.height), "--seed", str(request.seed)]
    more = ["--frames", str(request.frames), "--guidance", str(request.guidance), "--drafts", str(drafts), "--json"]
    printed, peak = run(DRAFT, "draft", request.prompt, *shape, *more)
    return float(json.loads(printed.splitlines()[-1])["seconds"]), peak


def main() -> None:
    """Command line."""
    print(f"# Forecast ÷ measured, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {probe_device().name}\n")
    _, imported = run(IMPORTED)
    print(f"The engine's process before a weight is read: {imported / 2**20:.0f} MiB\n")
    with tempfile.TemporaryDirectory() as folder:
        drafts = Path(folder)
        device = probe_device(folder=drafts)
        rates = measure_rates(device, drafts)
        Measurements(drafts).record_rates(device, rates)
        print(
            f"Rates: {rates.operations_per_second:.3g} operations/s, disk {rates.disk_bytes_per_second:.3g} bytes/s\n"
        )
        print("| draft | forecast from | seconds | measured | ratio | MiB | measured | ratio |\n" + "|---" * 8 + "|")
        for seed in (1, 2):
            for width, height, frames, guidance in REQUESTS:
                request = replace(
                    pipeline.request(SENTENCE, seed=seed),
                    shape=VideoShape(width=width, height=height),
                    frames=frames,
                    guidance=guidance,
                )
                plan = pipeline.plan(request, drafts)
                seconds, peak = make(plan, drafts)
                said, need = plan.forecast.total_seconds, plan.memory.peak_bytes
                print(
                    f"| {width}x{height}x{frames}, guidance {guidance:g} | {plan.forecast.closeness} | {said:.1f} | "
                    f"{seconds:.1f} | {said / seconds:.2f} | {need / 2**20:.0f} | {peak / 2**20:.0f} | "
                    f"{need / peak:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

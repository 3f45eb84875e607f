"""From nothing to the first picture: the figures a newcomer feels, on this machine.

    python -m tests.bench.first_light [--only start plan draft ratio memory]

start   seconds from `python app.py` to an answering page, and to a warm engine
plan    seconds of `python -m pipeline plan`
draft   seconds from the click to the first moving preview, first playable slice and whole draft (default 4 seconds),
        through the worker process as the page uses it; the first draft after the start and a second one
ratio   our chunk ÷ the bare diffusers pipeline call, same seed, steps and embeddings, interleaved, medians; the
        latents must be identical
memory  resident memory of the engine's process after 8 chunks ÷ after 2
"""

import argparse
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pipeline
from pipeline.plan.draft import DraftPlan
from pipeline.worker import Worker

if TYPE_CHECKING:
    from diffusers import LTXConditionPipeline
    from torch import Tensor

    from pipeline.models.ltx import LTXModel
    from pipeline.prompt.cache import PromptEmbeds

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "a red ball moves left over snow"
START_TIMEOUT_SECONDS = 120.0


def main() -> None:
    """Command line."""
    parts: dict[str, Callable[[], list[str]]] = {
        "start": measure_start,
        "plan": measure_plan,
        "draft": measure_draft,
        "ratio": measure_ratio,
        "memory": measure_memory,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, commit {commit.strip()}\n")
    print("| what | measured | target |\n|---|---|---|")
    for name in options.only:
        for line in parts[name]():
            print(f"| {line} |", flush=True)


def measure_start() -> list[str]:
    """Start the page as a person would and ask it until it answers."""
    with tempfile.TemporaryDirectory() as drafts, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [sys.executable, "app.py", "--port", str(port), "--drafts", drafts, "--no-browser"]
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not _answers(port):
                if process.poll() is not None or time.monotonic() - began > START_TIMEOUT_SECONDS:
                    raise RuntimeError("app.py did not come up")
                time.sleep(0.02)
            answered = time.monotonic() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    return [f"page answering after `python app.py` | {answered:.1f} s | 6 s"]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure_plan() -> list[str]:
    """Median of five."""
    values = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "pipeline", "plan", SENTENCE], cwd=ROOT, check=True, capture_output=True)
        values.append(time.monotonic() - began)
    return [f"`python -m pipeline plan` | {statistics.median(values):.2f} s | 1 s"]


def measure_draft() -> list[str]:
    """Two drafts, one after the other, through a worker that has just become ready."""
    lines = []
    with tempfile.TemporaryDirectory() as drafts:
        worker = Worker(Path(drafts))
        began = time.monotonic()
        worker.start()
        while not worker.ready:
            time.sleep(0.01)
        lines.append(f"engine warm after its start | {time.monotonic() - began:.1f} s | ")
        try:
            for which, sentence in (("first draft", SENTENCE), ("second draft", "a blue star falls over sand")):
                times = _follow(worker, pipeline.plan(pipeline.request(sentence, seed=1)))
                lines += [
                    f"{which}: click to first moving preview | {times['preview']:.1f} s | 5 s",
                    f"{which}: click to first playable slice | {times['slice']:.1f} s | 15 s",
                    f"{which}: whole draft of 4 s | {times['whole']:.1f} s | 45 s",
                ]
        finally:
            worker.close()
    return lines


def _follow(worker: Worker, plan: DraftPlan) -> dict[str, float]:
    began, times, version = time.monotonic(), {}, -1
    draft = worker.submit(plan)
    while True:
        status = worker.wait(draft, version, 60)
        assert status is not None
        assert not status.message, status
        version, now = status.version, time.monotonic() - began
        if status.preview:
            times.setdefault("preview", now)
        if status.slices:
            times.setdefault("slice", now)
        if status.state.over:
            return times | {"whole": now}


def open_miniature(plan: DraftPlan) -> tuple["LTXModel", "LTXConditionPipeline"]:
    """Our model, and diffusers' own pipeline on the same weights."""
    import torch
    from diffusers import LTXConditionPipeline

    from pipeline.models.ltx import LTXModel
    from pipeline.plan.spec import Component

    model = LTXModel(plan.spec, plan.memory.device)
    bare = LTXConditionPipeline(
        scheduler=model.checkpoint.scheduler(),
        vae=model.checkpoint.load(Component.VAE, torch.float32),
        text_encoder=None,
        tokenizer=None,
        transformer=model.checkpoint.load(Component.TRANSFORMER, torch.float32).eval(),
    )
    bare.set_progress_bar_config(disable=True)
    return model, bare


def call_bare(
    bare: "LTXConditionPipeline", plan: DraftPlan, positive: "PromptEmbeds", negative: "PromptEmbeds"
) -> "Tensor":
    """The latents that diffusers' own pipeline makes of a draft's sentence, in one window."""
    import torch

    from pipeline.models.ltx import timesteps

    wanted = plan.request
    return bare(  # type: ignore[no-any-return]
        width=wanted.shape.width,
        height=wanted.shape.height,
        num_frames=wanted.frames,
        frame_rate=plan.spec.fps,
        num_inference_steps=wanted.steps,
        timesteps=timesteps(plan.spec, wanted.steps),
        guidance_scale=wanted.guidance,
        generator=torch.Generator("cpu").manual_seed(wanted.seed),
        prompt_embeds=positive.embeds,
        prompt_attention_mask=positive.mask,
        negative_prompt_embeds=negative.embeds,
        negative_prompt_attention_mask=negative.mask,
        output_type="latent",
        return_dict=False,
    )[0]


def measure_ratio() -> list[str]:
    """Our denoise with previews and stop checks against the pipeline's own call, interleaved."""
    import torch

    from pipeline.drafts.journal import Journal
    from pipeline.drafts.room import Room
    from pipeline.engine import Engine
    from pipeline.making import Making
    from pipeline.models.base import Sampling

    wanted = replace(pipeline.request(SENTENCE, seed=5), frames=49)
    plan = pipeline.plan(wanted)
    model, bare = open_miniature(plan)
    positive, negative = model.encode([SENTENCE, ""])
    sampling = Sampling(
        shape=wanted.shape, steps=wanted.steps, guidance=wanted.guidance, positive=positive, negative=negative
    )

    ours_seconds, bare_seconds, same = [], [], True
    with tempfile.TemporaryDirectory() as drafts:
        engine = Engine(Path(drafts))
        engine.run(plan, "20260101-000000-0123456789abcdef", lambda _: None)  # warms everything up once
        journal = Journal(Path(drafts), "20260101-000000-0123456789abcdef")
        room = Room(journal, plan.memory.disk_bytes, lambda _: None)
        run = Making(plan, model, journal, lambda _: None, room)
        run.embeds = {SENTENCE: positive, "": negative}
        theirs = call_bare(bare, plan, positive, negative)
        for _ in range(7):
            run.running.remove()  # else it goes on from the last step kept of the time before
            began = time.monotonic()
            ours = run._denoise(plan.chunks[0])
            ours_seconds.append(time.monotonic() - began)
            began = time.monotonic()
            theirs = call_bare(bare, plan, positive, negative)
            bare_seconds.append(time.monotonic() - began)
            same = same and bool(torch.equal(ours, theirs))
        silent = model.denoise(plan.chunks[0], sampling, tail=None, on_step=lambda *_: None)
        same = same and bool(torch.equal(silent, theirs))
    ratio = statistics.median(ours_seconds) / statistics.median(bare_seconds)
    return [
        f"our loop ÷ bare `LTXConditionPipeline`, 49 frames | {ratio:.3f} | 1.05",
        f"the same latents, bit for bit | {'yes' if same else 'NO'} | yes",
        f"previews ÷ steps, in time | {run.previews.preview_seconds / run.previews.step_seconds:.1%} | 5 %",
    ]


def resident_bytes(chunks: int) -> tuple[int, int]:
    """Resident memory inside one process, after chunk 2 and after the last of so many of one long draft."""
    script = (
        "import sys, pipeline, psutil\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "spec = pipeline.find_model('miniature')\n"
        "frames = 49 + (int(sys.argv[2]) - 1) * 32\n"
        "wanted = replace(pipeline.request('a red ball bounces over night', seed=2), frames=frames)\n"
        "seen = {}\n"
        "for event in pipeline.draft(wanted, Path(sys.argv[1])):\n"
        "    if type(event).__name__ == 'SliceReady':\n"
        "        seen[event.chunk + 1] = psutil.Process().memory_info().rss\n"
        "print(seen[2], seen[int(sys.argv[2])])\n"
    )
    with tempfile.TemporaryDirectory() as drafts:
        command = [sys.executable, "-c", script, drafts, str(chunks)]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return int(answer[-2]), int(answer[-1])


def measure_memory() -> list[str]:
    """After 2 and after 8 chunks."""
    two, eight = resident_bytes(8)
    return [f"resident memory after 8 chunks ÷ after 2 | {eight / two:.3f} ({eight / 2**20:.0f} MiB) | 1.05"]


if __name__ == "__main__":
    main()

"""What chunks cost: memory as a draft grows longer, and time beside the bare work of the model."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pipeline
from pipeline.conditioning import sampling_of
from pipeline.engine import Engine
from pipeline.models.ltx import LTXModel
from pipeline.plan.draft import DraftPlan
from tests.bench.chunks.films import frames_of, make
from tests.bench.first_light import SENTENCE, resident_bytes

REPEATS = 5


def measure_memory() -> list[str]:
    """Resident memory of one process after the second and the last of sixteen chunks."""
    two, last = resident_bytes(16)
    return [f"resident memory after 16 chunks ÷ after 2 | {last / two:.3f} ({last / 2**20:.0f} MiB) | 1.05"]


def measure_time() -> list[str]:
    """A draft of four chunks through the engine ÷ its chunks and slices by the model alone, in processor seconds.

    Of this process and of the encoder that it starts: a machine that others use makes clocks useless. The best of a few
    of each, in turn.
    """
    plan = pipeline.plan(replace(pipeline.request(SENTENCE, seed=5), frames=frames_of(4)))
    model = LTXModel(plan.spec, plan.memory.device)
    with tempfile.TemporaryDirectory() as drafts:
        engine = Engine(Path(drafts))
        engine.open(plan.spec, plan.memory.device)
        make(engine, plan)
        ours, bare = [], []
        for _ in range(REPEATS):
            began = _processor_seconds()
            make(engine, plan)
            between = _processor_seconds()
            _run_bare(model, plan)
            ours.append(between - began)
            bare.append(_processor_seconds() - between)
    return [f"4 chunks ÷ the same denoised and decoded by the model alone | {min(ours) / min(bare):.3f} | 1.05"]


def _run_bare(model: LTXModel, plan: DraftPlan) -> None:
    import torch

    positive, negative = model.encode([SENTENCE, ""])
    embeds, timeline = {SENTENCE: positive, plan.request.negative_prompt: negative}, None
    for chunk in plan.chunks:
        sampling = sampling_of(plan, chunk, embeds, {})
        tail = None if timeline is None else timeline[:, :, chunk.start :]
        made = model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)
        new = made[:, :, chunk.overlap :]
        timeline = new if timeline is None else torch.cat([timeline, new], dim=2)
        with model.open_decoder().visit() as decode:
            for piece in plan.slices:
                if piece.chunk == chunk.index:
                    decode(timeline[:, :, piece.start : piece.stop])


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

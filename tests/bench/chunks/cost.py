"""What chunks cost: memory as a draft grows longer, and time beside the bare work of the model."""

import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import pipeline
from pipeline.conditioning import sampling_of
from pipeline.engine import Engine
from pipeline.models.ltx import LTXModel
from pipeline.plan.draft import DraftPlan
from pipeline.prompt.cache import PromptEmbeds
from tests.bench.chunks.exact import chunk_latents
from tests.bench.chunks.films import frames_of, make
from tests.bench.first_light import SENTENCE, resident_bytes

REPEATS, PROCESSES = 11, 3


def measure_memory() -> list[str]:
    """Resident memory of a process after the second and the last of sixteen chunks.

    The median of a few: what glibc keeps of a decoded slice is there at one event and not at another. Of three single
    processes one came to 1.095, the others to 1.000 and 1.002.
    """
    ratio, last = sorted((last / two, last) for two, last in (resident_bytes(16) for _ in range(PROCESSES)))[
        PROCESSES // 2
    ]
    return [f"resident memory after 16 chunks ÷ after 2 | {ratio:.3f} ({last / 2**20:.0f} MiB) | 1.05"]


def measure_time() -> list[str]:
    """A draft of four chunks through the engine ÷ its chunks and slices by the model alone, in processor seconds.

    Of this process and of the encoder that it starts: a machine that others use makes clocks useless. One of each in
    turn, and the median of their ratios: the least of five of each came to 1.026 to 1.054 in three runs.
    """
    plan = pipeline.plan(replace(pipeline.request(SENTENCE, seed=5), frames=frames_of(4)))
    model = LTXModel(plan.spec, plan.memory.device)
    told = [SENTENCE, plan.request.negative_prompt]
    embeds = dict(zip(told, model.encode(told), strict=True))
    with tempfile.TemporaryDirectory() as drafts:
        engine = Engine(Path(drafts))
        engine.open(plan.spec, plan.memory.device)
        film = make(engine, plan)
        timeline = torch.cat([chunk_latents(film, at.index)[:, :, at.overlap :] for at in plan.chunks], dim=2)
        _run_bare(model, plan, embeds, timeline)
        ratios = []
        for _ in range(REPEATS):
            began = _processor_seconds()
            make(engine, plan)
            between = _processor_seconds()
            _run_bare(model, plan, embeds, timeline)
            ratios.append((between - began) / (_processor_seconds() - between))
    ratio = statistics.median(ratios)
    return [f"4 chunks ÷ the same denoised and decoded by the model alone | {ratio:.3f} | 1.05"]


def _run_bare(model: LTXModel, plan: DraftPlan, embeds: Mapping[str, PromptEmbeds], timeline: Tensor) -> None:
    """Each chunk from what it was given in the draft, whose latents `timeline` is, and each slice of that."""
    for chunk in plan.chunks:
        before = timeline[:, :, : chunk.start + chunk.overlap] if chunk.index else None
        sampling = sampling_of(plan, chunk, embeds, before, {})
        tail = None if before is None else before[:, :, chunk.start :]
        model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)
        with model.open_decoder().visit() as decode:
            for piece in plan.slices:
                if piece.chunk == chunk.index:
                    decode(timeline[:, :, piece.start : piece.stop])


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""What chunks cost: memory as a draft grows longer, and time beside the bare work of the model."""

import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pipeline
from pipeline.conditioning import sampling_of
from pipeline.drafts.journal import new_draft_id
from pipeline.engine import Engine
from pipeline.events import Event, Finished, SliceReady
from pipeline.models.ltx import LTXModel
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.prompt.cache import PromptEmbeds
from pipeline.seams.trace import Floats
from tests.bench.chunks.exact import chunk_latents
from tests.bench.chunks.films import frames_of, make
from tests.bench.first_light import SENTENCE, resident_bytes

REPEATS, PROCESSES = 9, 3


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
    """A draft of four chunks through the engine ÷ its chunks and slices by the model alone.

    In seconds of a clock, and of processors: of this process and of the encoder that it starts. A machine that others
    use is now slow, now fast, within a second: of whole drafts in turn, ten seconds each, the median ratio of eleven
    came to 1.00 to 1.08. So the model makes each chunk alone as soon as the engine has made it, while the engine waits;
    each has the least of `REPEATS`, as others only ever add to it, and their sums are divided. What does not fall into
    every chunk, previews and where the chunk stands, falls several times or by turns into each.
    """
    plan = pipeline.plan(replace(pipeline.request(SENTENCE, seed=5), frames=frames_of(4)))
    model = LTXModel(plan.spec, plan.memory.device)
    told = [SENTENCE, plan.request.negative_prompt]
    embeds = dict(zip(told, model.encode(told), strict=True))
    with tempfile.TemporaryDirectory() as drafts, ThreadPoolExecutor(1) as alone:
        engine = Engine(Path(drafts))
        engine.open(plan.spec, plan.memory.device)
        film = make(engine, plan)
        timeline = torch.cat([chunk_latents(film, at.index)[:, :, at.overlap :] for at in plan.chunks], dim=2)
        runs = []
        for _ in range(1 + REPEATS):  # the first is warming up
            turns = _Turns(plan, lambda chunk: alone.submit(_run_bare, model, plan, chunk, embeds, timeline).result())
            engine.run(plan, new_draft_id(), turns.hear)
            runs.append(turns.seconds)
    ours, bare = np.min(np.array(runs[1:]), axis=0).sum(axis=0)
    clock, processor = ours / bare
    said = f"4 chunks ÷ the same denoised and decoded by the model alone, the least of {REPEATS} of each chunk"
    return [f"{said} | {clock:.3f} ({ours[0]:.1f} s) | 1.05", f"the same in processor seconds | {processor:.3f} |"]


class _Turns:
    """The engine and the model alone, a chunk each in turn: `seconds` by chunk, who, and clock or processors.

    The model alone runs in another thread, where nobody asks it between two operations whether to stop.
    """

    def __init__(self, plan: DraftPlan, run_bare: Callable[[Chunk], None]) -> None:
        self._plan, self._run_bare = plan, run_bare
        self._since = _now()
        self.seconds = list[tuple[Floats, Floats]]()

    def hear(self, event: Event) -> None:
        """Of the engine: a chunk is made with its last slice, the last one with the film."""
        following = self._plan.slices[event.index + 1 :][:1] if isinstance(event, SliceReady) else ()
        if not isinstance(event, Finished) and not any(piece.chunk > len(self.seconds) for piece in following):
            return
        ours = _now() - self._since
        self._run_bare(self._plan.chunks[len(self.seconds)])
        self.seconds.append((ours, _now() - self._since - ours))
        self._since = _now()


def _run_bare(
    model: LTXModel, plan: DraftPlan, chunk: Chunk, embeds: Mapping[str, PromptEmbeds], timeline: Tensor
) -> None:
    """A chunk from what it was given in the draft, whose latents `timeline` is, and its slices of that."""
    before = timeline[:, :, : chunk.start + chunk.overlap] if chunk.index else None
    sampling = sampling_of(plan, chunk, embeds, before, {})
    tail = None if before is None else before[:, :, chunk.start :]
    model.denoise(chunk, sampling, tail=tail, on_step=lambda *_: None)
    with model.open_decoder().visit() as decode:
        for piece in plan.slices:
            if piece.chunk == chunk.index:
                decode(timeline[:, :, piece.start : piece.stop])


def _now() -> Floats:
    times = os.times()
    return np.array([times.elapsed, times.user + times.system + times.children_user + times.children_system])

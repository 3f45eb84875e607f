"""Many drafts through one engine, with a model that only counts steps: memory and handles stay as they were.

Films are left out, too: ffmpeg is a process of its own, and two of them a draft would be nearly all of the time.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import torch
from torch import Tensor

from pipeline import engine, reel
from pipeline.drafts.film import TABLE
from pipeline.drafts.journal import new_draft_id
from pipeline.events import Event, Finished
from pipeline.models.base import Decode, Decoder, Frames, Keep, OnStep, Sampling, SamplingState
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Held
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.placement import Choice
from pipeline.prompt.cache import PromptEmbeds


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """Resident memory and open handles after the first tenth of the jobs, and at the end."""

    jobs: int
    steps: int
    finished: int
    first_mib: float
    last_mib: float
    first_handles: int
    last_handles: int


class CountingModel:
    """Takes every step and draws nothing."""

    def __init__(self) -> None:
        self.spec, self.steps = MINIATURE, 0

    def follow(self, choices: Mapping[Stage, Choice]) -> None:
        """However it was chosen."""

    def warm_up(self) -> None:
        """There is nothing to read."""

    def held(self) -> Held:
        """Nothing."""
        return Held()

    def identity(self) -> str:
        """Of no weights."""
        return "counting"

    def encoder_fingerprint(self) -> str:
        """Of no encoder."""
        return "counting"

    def encode(self, sentences: list[str]) -> list[PromptEmbeds]:
        """One token each."""
        return [PromptEmbeds(torch.zeros(1, 1, 4), torch.ones(1, 1)) for _ in sentences]

    def denoise(
        self,
        chunk: Chunk,
        sampling: Sampling,
        *,
        tail: Tensor | None,
        on_step: OnStep,
        resume_from: SamplingState | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        """Grey."""
        shape = sampling.shape
        cells = shape.height // self.spec.latent_pixels, shape.width // self.spec.latent_pixels
        latents = torch.zeros(1, 4, chunk.latents, *cells)
        for step in range(resume_from.step if resume_from else 0, sampling.steps):
            self.steps += 1
            if keep:
                keep(SamplingState(step=step + 1, tensors={"latents": latents}))
            on_step(step + 1, lambda: latents)
        return latents if tail is None else torch.cat([tail, latents[:, :, tail.shape[2] :]], dim=2)

    def open_decoder(self) -> Decoder:
        """One that draws black."""
        return BlackDecoder(self.spec.frame_stride, self.spec.latent_pixels)

    def preview(self, latents: Tensor) -> Frames | None:
        """None."""


class BlackDecoder:
    """Frames of the right number and size."""

    def __init__(self, stride: int, pixels: int) -> None:
        self._stride, self._pixels = stride, pixels

    @contextmanager
    def visit(self) -> Iterator[Decode]:
        """There is nothing to bring in."""

        def decode(latents: Tensor) -> Frames:
            frames, height, width = latents.shape[2:]
            return np.zeros(((frames - 1) * self._stride + 1, height * self._pixels, width * self._pixels, 3), np.uint8)

        yield decode


def soak_jobs(folder: Path, jobs: int, plan: DraftPlan) -> JobFigures:
    """Make `jobs` drafts with one engine, each with another seed, and delete each."""
    model, process, finished = CountingModel(), psutil.Process(), 0

    def emit(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, Finished)

    with mock.patch.object(engine, "open_model", return_value=model), _without_films():
        worker, first = engine.Engine(folder), (0.0, 0)
        for job in range(jobs):
            draft = new_draft_id()
            worker.run(replace(plan, request=replace(plan.request, seed=job)), draft, emit)
            shutil.rmtree(folder / draft)
            if job == jobs // 10:
                first = _held(process)
        last = _held(process)
    return JobFigures(
        jobs=jobs,
        steps=model.steps,
        finished=finished,
        first_mib=first[0],
        last_mib=last[0],
        first_handles=first[1],
        last_handles=last[1],
    )


def _held(process: psutil.Process) -> tuple[float, int]:
    handles = process.num_handles() if os.name == "nt" else process.num_fds()
    return process.memory_info().rss / 2**20, handles


@contextmanager
def _without_films() -> Iterator[None]:
    def write(_frames: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"slice")

    def join(_slices: Any, path: Path, *, settings: dict[str, Any], **_: Any) -> None:
        path.write_bytes(TABLE + bytes(8) + settings["film_frames"].to_bytes(4))  # which is all that is asked of it

    with mock.patch.object(reel, "write_slice", write), mock.patch.object(reel, "join_slices", join):
        yield

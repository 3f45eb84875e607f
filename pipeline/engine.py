"""THE MAIN LINE: a plan in, events out, everything finished on disk. Knows no page, no process and no model family.

    1 encode every sentence
    2 for each chunk:  2.1 denoise   2.2 save its latents   2.3 decode, fade, write what can be played
    3 finish one mp4

Events are handed to a callback, because a library's denoise loop calls back and cannot yield.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.drafts.measurements import Measurements
from pipeline.errors import InvalidRequest, StopRequested
from pipeline.events import ChunkDenoised, Encoded, Event, Finished, Preview, SliceReady, Started, StepDone, Stopped
from pipeline.gpu.residency import check_choice, peak_bytes
from pipeline.models import open_model
from pipeline.models.base import Sampling, VideoModel
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import Device, DeviceKind, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.planner import decide_again
from pipeline.plan.spec import ModelSpec
from pipeline.prompt.cache import EmbeddingCache, PromptEmbeds
from pipeline.prompt.encoding import encode_sentences
from pipeline.video.blending import Crossfader
from pipeline.video.mp4 import join_slices, write_slice
from pipeline.video.preview import to_strip

logger = logging.getLogger(__name__)

PREVIEW_SHARE = 0.05  # of a step's time a preview may cost; dearer ones are drawn less often
Emit = Callable[[Event], None]


class Engine:
    """Makes drafts, one at a time.

    Args:
        drafts: folder of all drafts; embeddings are cached in `.embeddings` inside it.
    """

    def __init__(self, drafts: Path) -> None:
        self.drafts, self.cache = drafts, EmbeddingCache(drafts / ".embeddings")
        self._model: VideoModel | None = None
        self._opened: tuple[str, str] = ("", "")

    def open(self, spec: ModelSpec, device: Device) -> VideoModel:
        """A model; the one opened before when nothing changed."""
        wanted = (spec.key, device.kind)
        if self._model is None or self._opened != wanted:
            self._model = None
            self._model = open_model(spec, device)
            self._opened = wanted
        return self._model

    def run(self, plan: DraftPlan, draft: str, emit: Emit) -> None:
        """Make a draft; planned again where memory has shrunk since it was planned. Ends with Finished or Stopped.

        Raises:
            DraftError: with finished slices kept on disk.
        """
        plan = _as_things_are_now(plan)
        journal = Journal(self.drafts, draft)
        journal.begin(plan)

        def tell(event: Event) -> None:
            journal.note(event)
            emit(event)

        tell(Started(draft=draft, plan=plan))
        run = _Run(plan, self.open(plan.spec, plan.memory.device), journal, tell)
        try:
            run.encode(self.cache)
            for chunk in plan.chunks:
                run.make_chunk(chunk)
            run.finish()
            Measurements(self.drafts).record_draft(plan, run.stage_seconds, encoded=run.encoded)
        except StopRequested:
            run.keep()


def _as_things_are_now(plan: DraftPlan) -> DraftPlan:
    """The plan, or another where it no longer fits. Raises DraftError for what cannot be carried out here."""
    if plan.memory.device.supposed:
        raise InvalidRequest(
            "vram_limit", f"There is no such card here: {plan.memory.device.name}.", "It can be planned."
        )
    device = probe_device(use_card=plan.memory.device.kind is not DeviceKind.CPU)
    if device.kind is plan.memory.device.kind:
        plan = decide_again(plan, device)
    for choice in plan.memory.choices.values():
        check_choice(choice, plan.memory.device)
    return plan


class _Run:
    """The state of one draft while it is made: timeline so far, what is held back, what can be played."""

    def __init__(self, plan: DraftPlan, model: VideoModel, journal: Journal, tell: Emit) -> None:
        self.plan, self.model, self.journal, self.tell = plan, model, journal, tell
        self.began = time.monotonic()
        self.embeds: dict[str, PromptEmbeds] = {}
        self.timeline: Tensor | None = None  # [1, C, latents so far, h, w] float32 on the CPU
        self.fader = Crossfader()
        self.encoded = False
        self.decoder = model.open_decoder(tile_pixels=plan.memory.choices[Stage.DECODE].tile_pixels)
        self.stage_seconds = dict.fromkeys(Stage, 0.0)
        self.pieces: list[Path] = []
        self.frames = self.chunks = 0
        self.preview_seconds = self.step_seconds = 0.0

    # 1 -----------------------------------------------------------------------------------------------------------
    def encode(self, cache: EmbeddingCache) -> None:
        """Every sentence of the draft to embeddings, kept beside it."""
        start = time.monotonic()
        request = self.plan.request
        sentences = [shot.prompt for shot in request.shots]
        if self.plan.guided:
            sentences.append(request.negative_prompt)
        encoded = encode_sentences(
            sentences,
            encoder=self.model.encoder_fingerprint(),
            dtype=self.plan.memory.dtype,
            cache=cache,
            encode=self.model.encode,
        )
        self.embeds = encoded.embeds
        tensors: dict[str, Tensor] = {}
        for index, embeds in enumerate(encoded.embeds.values()):
            tensors |= {f"{index}.embeds": embeds.embeds.contiguous(), f"{index}.mask": embeds.mask}
        with self.journal.writing(self.journal.embeddings_path()) as path:
            save_file(tensors, path)
        seconds = self.stage_seconds[Stage.ENCODE] = time.monotonic() - start
        self.encoded = encoded.cached < len(encoded.embeds)
        logger.info("encode: %.2f s, %d of %d cached", seconds, encoded.cached, len(encoded.embeds))
        self.tell(Encoded(sentences=len(encoded.embeds), cached=encoded.cached, seconds=seconds))

    # 2 -----------------------------------------------------------------------------------------------------------
    def make_chunk(self, chunk: Chunk) -> None:
        """Denoise a chunk, save it, decode what it completes. A chunk once denoised is decoded, stop or not."""
        start = time.monotonic()
        latents = self._denoise(chunk)
        new = latents[:, :, chunk.overlap :]
        self.timeline = new if self.timeline is None else torch.cat([self.timeline, new], dim=2)
        with self.journal.writing(self.journal.latents_path(chunk.index)) as path:
            save_file({"latents": latents}, path)
        seconds = time.monotonic() - start
        self.stage_seconds[Stage.DENOISE] += seconds
        self.chunks = chunk.index + 1
        logger.info(
            "denoise chunk %d: %.2f s, peak %.2f GiB",
            chunk.index,
            seconds,
            peak_bytes(self.plan.memory.device) / 2**30,
        )
        self.tell(ChunkDenoised(chunk=chunk.index, seconds=seconds))
        for piece in self.plan.slices:
            if piece.chunk == chunk.index:
                start = time.monotonic()
                frames = self.decoder.push(self.timeline[:, :, piece.start : piece.stop])
                self._write(self.fader.push(frames[piece.skip :], fade=piece.fade, hold=piece.hold), chunk.index, start)

    def _denoise(self, chunk: Chunk) -> Tensor:
        request = self.plan.request
        sampling = Sampling(
            shape=request.shape,
            steps=request.steps,
            guidance=request.guidance,
            positive=self.embeds[request.shots[chunk.shot].prompt],
            negative=self.embeds[request.negative_prompt] if self.plan.guided else None,
        )
        tail = self.timeline[:, :, chunk.start :] if self.timeline is not None else None
        last = time.monotonic()

        def on_step(step: int, clean: Callable[[], Tensor]) -> None:
            nonlocal last
            seconds = time.monotonic() - last
            preview = self._preview(clean, seconds)
            self.tell(StepDone(chunk=chunk.index, step=step, steps=request.steps, seconds=seconds, preview=preview))
            self._check_stop()
            last = time.monotonic()

        self._check_stop()
        return self.model.denoise(chunk, sampling, tail=tail, on_step=on_step)

    def _preview(self, clean: Callable[[], Tensor], step_seconds: float) -> Preview | None:
        """A preview while previews have cost less than their share. Whatever goes wrong, the draft goes on."""
        self.step_seconds += step_seconds
        if self.preview_seconds > PREVIEW_SHARE * self.step_seconds:
            return None
        start = time.monotonic()
        try:
            frames = self.model.preview(clean())
            return None if frames is None else to_strip(frames)
        except Exception:
            logger.warning("no preview of this step", exc_info=True)
            return None
        finally:
            self.preview_seconds += time.monotonic() - start

    def _write(self, frames: NDArray[np.uint8], chunk: int, start: float) -> None:
        index = len(self.pieces)
        path = self.journal.slice_path(index)
        with self.journal.writing(path) as temporary:
            write_slice(frames, temporary, fps=self.plan.spec.fps)
        self.pieces.append(path)
        seconds = time.monotonic() - start
        self.stage_seconds[Stage.DECODE] += seconds
        self.tell(
            SliceReady(
                index=index,
                chunk=chunk,
                file=path.name,
                first_frame=self.frames,
                frames=len(frames),
                seconds=seconds,
            )
        )
        self.frames += len(frames)

    def _check_stop(self) -> None:
        if self.journal.stop_requested():
            raise StopRequested

    # 3 -----------------------------------------------------------------------------------------------------------
    def finish(self) -> None:
        """All slices to one mp4."""
        self._join()
        seconds = time.monotonic() - self.began
        peak = peak_bytes(self.plan.memory.device)
        logger.info("draft: %d frames in %.1f s, peak %.2f GiB", self.frames, seconds, peak / 2**30)
        self.tell(Finished(file="draft.mp4", frames=self.frames, seconds=seconds, peak_bytes=peak))

    def keep(self) -> None:
        """Stopped: what is decoded but was held back for the next chunk is written too, then everything is joined."""
        held = self.fader.flush()
        if held is not None:
            self._write(held, self.chunks - 1, time.monotonic())
        if self.pieces:
            self._join()
        file = "draft.mp4" if self.pieces else None
        seconds = time.monotonic() - self.began
        self.tell(Stopped(file=file, frames=self.frames, chunks=self.chunks, seconds=seconds))

    def _join(self) -> None:
        seams = [asdict(seam) for seam in self.plan.seams if seam.frame < self.frames]
        settings = asdict(self.plan.request) | {"seams": seams}
        with self.journal.writing(self.journal.video_path()) as path:
            join_slices(self.pieces, path, title=self.plan.request.prompt, settings=settings)

"""THE MAIN LINE of one draft: from the plan to embeddings, latents, frames and a film, each part on disk at once.

    1 encode every sentence
    2 for each chunk:  2.1 denoise, and keep where it stands   2.2 save its latents
                       2.3 decode, fade, write what can be played
    3 finish one mp4

Events are handed to a callback, because a library's denoise loop calls back and cannot yield. Knows no page, no process
and no model family.
"""

import gc
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from traceback import clear_frames
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from pipeline.conditioning import keeping_look, picture_of, sampling_of, seen_by
from pipeline.drafts.journal import Journal
from pipeline.drafts.room import Room
from pipeline.errors import DraftError, OutOfMemory, StopRequested
from pipeline.events import ChunkDenoised, Encoded, Event, Finished, Retreated, SliceReady, StepDone, Stopped
from pipeline.gpu.backend import is_out_of_memory, peak_bytes
from pipeline.gpu.interrupting import asking, heeding
from pipeline.models.base import SamplingState, VideoModel
from pipeline.patience import Patience
from pipeline.plan.chunks import Chunk
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.plan.retreat import exhausted, retreat
from pipeline.plan.spec import Keyframe, Tail
from pipeline.prompt.cache import EmbeddingCache, PromptEmbeds
from pipeline.prompt.encoding import encode_sentences
from pipeline.reel import Reel
from pipeline.restoring import Restored
from pipeline.running import RunningChunk, identify
from pipeline.video.blending import Crossfader
from pipeline.video.matching import ColourMatcher
from pipeline.video.mp4 import GO_ON
from pipeline.video.preview import PacedPreviews

logger = logging.getLogger(__name__)

Emit = Callable[[Event], None]
Result = TypeVar("Result")


class Making:
    """The state of one draft while it is made: timeline so far, what is held back, what can be played."""

    def __init__(self, plan: DraftPlan, model: VideoModel, journal: Journal, tell: Emit, room: Room) -> None:
        self.plan, self.model, self.journal, self.tell, self.room = plan, model, journal, tell, room
        self.began = time.monotonic()
        self.embeds: dict[str, PromptEmbeds] = {}
        self.timeline: Tensor | None = None  # [1, C, latents so far, h, w] float32 on the CPU
        self.overlaps: dict[int, Tensor] = {}  # by chunk, what it made of a tail that was not certain
        self.fader, self.colours = Crossfader(), ColourMatcher(plan.request.continuity.match_colour)
        self.behind: dict[int, Tensor] = {}  # chunks that are finished, behind one that is still to be made
        self.encoded = self.resumed = False  # whether a sentence was read, a chunk taken up in the middle
        self.decoder = model.open_decoder()
        self.stage_seconds = dict.fromkeys(Stage, 0.0)
        self.reel = Reel(journal, room)
        self.decoded = self.faded = 0  # slices that the decoder, the fader were given
        self.chunks = 0
        self.previews = PacedPreviews()
        self.running, self.patience = RunningChunk(journal), Patience(journal)
        self.too_much_bytes: dict[Stage, int] = {}  # what stages that ran out of memory were forecast to need

    # 0 -----------------------------------------------------------------------------------------------------------
    def take_up(self, restored: Restored) -> None:
        """Go on from what is there."""
        self.embeds = restored.embeds
        for chunk, latents in zip(self.plan.chunks, restored.latents, strict=False):
            self._append(chunk, latents)
        self.behind = restored.behind
        self.reel.take_up(restored)
        # A causal decoder needs all that came before; else the last slice is decoded again for the end it holds back.
        self.decoded = self.faded = 0 if self.plan.spec.causal_decoder else max(0, len(self.reel.slices) - 1)

    # 1 -----------------------------------------------------------------------------------------------------------
    def encode(self, sentences: list[str], cache: EmbeddingCache) -> None:
        """Every sentence of the draft to embeddings, kept beside it."""
        start = time.monotonic()
        if self.embeds:
            self.tell(Encoded(sentences=len(sentences), cached=len(sentences), seconds=0.0))
            return
        with asking():
            encoded = self._attempt(
                Stage.ENCODE,
                lambda: encode_sentences(
                    sentences,
                    encoder=self.model.encoder_fingerprint(),
                    precision=self.plan.memory.choices[Stage.ENCODE].precision,
                    cache=cache,
                    encode=self.model.encode,
                ),
            )
        self.embeds = encoded.embeds
        tensors: dict[str, Tensor] = {}
        for index, embeds in enumerate(encoded.embeds[sentence] for sentence in sentences):
            tensors |= {f"{index}.embeds": embeds.embeds.contiguous(), f"{index}.mask": embeds.mask}
        self.room.put(self.journal.embeddings_path(), partial(save_file, tensors))
        seconds = self.stage_seconds[Stage.ENCODE] = time.monotonic() - start
        self.encoded = encoded.cached < len(encoded.embeds)
        logger.info("encode: %.2f s, %d of %d cached", seconds, encoded.cached, len(encoded.embeds))
        self.tell(Encoded(sentences=len(encoded.embeds), cached=encoded.cached, seconds=seconds))

    # 2 -----------------------------------------------------------------------------------------------------------
    def make_chunk(self) -> None:
        """Denoise the next chunk, save it, decode what it completes: after a stop no more than its first slice."""
        start = time.monotonic()
        latents = self.behind.pop(self.chunks, None)
        if latents is None:
            latents = self._attempt(Stage.DENOISE, lambda: self._denoise(self.plan.chunks[self.chunks]))
            self._check_numbers(latents)
            self.room.put(self.journal.latents_path(self.chunks), partial(save_file, {"latents": latents}))
            self.running.remove()
        chunk = self.plan.chunks[self.chunks]  # of the plan as it is now
        seconds = time.monotonic() - start
        self.stage_seconds[Stage.DENOISE] += seconds
        self._append(chunk, latents)
        peak = peak_bytes(self.plan.memory.device)
        logger.info("denoise chunk %d: %.2f s, peak %.2f GiB", chunk.index, seconds, peak / 2**30)
        self.tell(ChunkDenoised(chunk=chunk.index, seconds=seconds))
        self.decode()

    def _check_numbers(self, latents: Tensor) -> None:
        if not latents.isfinite().all():
            self.running.remove()
            said = f"The model computed values that are no numbers in chunk {self.chunks + 1}."
            raise DraftError(said, "Try another seed, less guidance or finer weights; what is finished is kept.")

    def _append(self, chunk: Chunk, latents: Tensor) -> None:
        new = latents[:, :, chunk.overlap : chunk.overlap + chunk.new_latents]
        self.timeline = new if self.timeline is None else torch.cat([self.timeline, new], dim=2)
        if self.plan.request.continuity.tail_strength < 1:
            self.overlaps[chunk.index] = latents[:, :, : chunk.overlap]
        self.chunks = chunk.index + 1

    def _tail(self, chunk: Chunk) -> Tensor | None:
        """What a chunk begins with: latents [1, C, overlap, h, w] of those before it, or one of a picture."""
        if self.timeline is None:
            return picture_of(self.plan, chunk, Keyframe.START, self.model, self.journal)
        if not chunk.overlap:
            return None
        if self.plan.request.continued_by is not Tail.FRAMES:
            return self.timeline[:, :, chunk.start :]
        return self.model.reencode(self.timeline[:, :, chunk.scene_start :], chunk.overlap)

    def _denoise(self, chunk: Chunk) -> Tensor:
        with asking():
            tail = self._attempt(Stage.DECODE, lambda: self._tail(chunk))
            if chunk.overlap and (tail is None or tail.shape[2] != chunk.overlap):  # else the seam would skip time
                raise ValueError(f"chunk {chunk.index} is given other than the {chunk.overlap} latents planned")
            picture = partial(picture_of, self.plan, chunk, Keyframe.END, self.model, self.journal)
            end = self._attempt(Stage.DECODE, picture)
        sampling = sampling_of(self.plan, chunk, self.embeds, self.timeline, self.behind, end)
        last, steps = time.monotonic(), sampling.steps * chunk.rounds
        resume_from = self.running.begin(identify(self.plan.request.model, chunk, sampling, tail), steps=steps)
        self.resumed = self.resumed or resume_from is not None

        def on_step(step: int, clean: Callable[[], Tensor]) -> None:
            nonlocal last
            seconds = time.monotonic() - last
            preview = self.previews.draw(lambda: self.model.preview(clean()), step_seconds=seconds)
            self.tell(StepDone(chunk=chunk.index, step=step, steps=steps, seconds=seconds, preview=preview))
            self._check_stop()
            self.patience.learn(seconds)
            last = time.monotonic()

        def keep(state: SamplingState) -> None:
            self._check_numbers(state.tensors["latents"])  # no step is made from what is none
            self.running.keep(state)

        self._check_stop()
        latents = self.model.denoise(chunk, sampling, tail=tail, on_step=on_step, resume_from=resume_from, keep=keep)
        return keeping_look(self.plan, chunk, latents, self.timeline)

    def decode(self) -> None:
        """Every slice that is denoised and not yet written."""
        if any(piece.chunk < self.chunks for piece in self.plan.slices[len(self.reel.slices) :]):
            self._attempt(Stage.DECODE, self._decode)

    def _decode(self) -> None:
        """A new decoder is told first what came before."""
        assert self.timeline is not None
        start, first = time.monotonic(), self.decoded
        with heeding(self.patience.check), asking(), self.decoder.visit() as decode:
            for piece in self.plan.slices[self.decoded :]:
                if piece.chunk >= self.chunks:
                    break
                if self.decoded > first:
                    self._check_stop()
                frames = decode(seen_by(piece, self.plan.chunks, self.timeline, self.overlaps))
                frames = self.colours.match(frames, piece, self.plan.seams)
                self.decoded = piece.index + 1
                if piece.index == self.faded:
                    fade = min(piece.fade, self.fader.held_frames)  # nothing is held where a draft is taken up
                    faded = self.fader.push(frames[piece.skip :], fade=fade, hold=piece.hold)
                    self.faded = self.decoded
                    if piece.index == len(self.reel.slices):
                        self._write(faded, piece.chunk, start, self.patience.check)
                if any(following.opens_scene for following in self.plan.slices[self.decoded : self.decoded + 1]):
                    self.decoder.restart()
                start = time.monotonic()

    def _attempt(self, stage: Stage, work: Callable[[], Result]) -> Result:
        """Do it; where memory runs out, do it again the next way that takes less, until there is none.

        Denoising goes on from the last step that is done, unless the chunk itself becomes another.

        Raises:
            OutOfMemory: with the plan of the last attempt, what it needs, and what would fit.
        """
        while True:
            try:
                return work()
            except (OutOfMemory, MemoryError, RuntimeError, OSError) as error:
                if not isinstance(error, OutOfMemory) and not is_out_of_memory(error):
                    raise
                clear_frames(error.__traceback__)
            # Not in the `except` block: the error holds on to what was computed.
            gc.collect()
            self.too_much_bytes[stage] = self.plan.memory.choices[stage].card_bytes
            plan = retreat(self.plan, stage, chunks_done=self.chunks, slices_done=len(self.reel.slices))
            if plan is None:
                raise exhausted(self.plan, stage)
            self.plan = plan
            self.room.write(partial(self.journal.write_json, "plan.json", plan.to_json()))
            self.model.follow(plan.memory.choices)
            self.tell(Retreated(stage=stage, reason=plan.reasons[0], plan=plan))
            if stage is Stage.DECODE:
                self.decoder = self.model.open_decoder()
                self.decoded = 0 if plan.spec.causal_decoder else self.faded

    def _write(
        self, frames: NDArray[np.uint8], chunk: int, start: float, check: Callable[[], None] = lambda: None
    ) -> None:
        first = self.reel.frames
        path = self.reel.add(frames, fps=self.plan.spec.fps, check=check)
        seconds = time.monotonic() - start
        self.stage_seconds[Stage.DECODE] += seconds
        self.tell(
            SliceReady(
                index=len(self.reel.slices) - 1,
                chunk=chunk,
                file=path.name,
                first_frame=first,
                frames=len(frames),
                seconds=seconds,
            )
        )

    def _check_stop(self) -> None:
        if self.journal.stop_requested():
            self.running.save()
            raise StopRequested

    # 3 -----------------------------------------------------------------------------------------------------------
    def finish(self) -> None:
        """All slices to one mp4. Raises DraftError where one is missing or torn: what is there can be gone on from."""
        frames, made = sum(piece.frames for piece in self.plan.slices), self.reel.frames
        if made == frames:
            self.reel.join(self.plan)
            made = self.journal.kept_film()[1]
        if made != frames:
            raise DraftError(f"Only {made} of {frames} frames were written.", GO_ON)
        self.running.remove()
        seconds, peak = time.monotonic() - self.began, peak_bytes(self.plan.memory.device)
        logger.info("draft: %d frames in %.1f s, peak %.2f GiB", self.reel.frames, seconds, peak / 2**30)
        self.tell(Finished(file="draft.mp4", frames=self.reel.frames, seconds=seconds, peak_bytes=peak))

    def keep(self) -> None:
        """Stopped: what is decoded but was held back for the next chunk is written too, then everything is joined.

        What is held back for a slice of the same chunk is not: a draft that goes on would take it for that slice. Where
        the disk is full the slices are all that is kept; they can be played, and joined when the draft goes on.
        """
        held = self.fader.flush()
        more = any(piece.chunk < self.chunks for piece in self.plan.slices[len(self.reel.slices) :])
        with suppress(StopRequested):  # again: instead of waiting for room
            if held is not None and not more:
                self._write(held, self.chunks - 1, time.monotonic())
            self.reel.keep(self.plan)
        file, frames = self.journal.kept_film()
        seconds = time.monotonic() - self.began
        self.tell(Stopped(file=file, frames=frames or self.reel.frames, chunks=self.chunks, seconds=seconds))

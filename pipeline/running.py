"""Where the chunk that is being denoised stands: in main memory after each step, on disk every now and then.

So that what stops it, a crash or a lack of memory, costs few steps of it or none.
"""

import hashlib
import json
import logging
import time
from dataclasses import asdict
from importlib.metadata import version

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.drafts.journal import Journal
from pipeline.errors import WriteFailed
from pipeline.models.base import Sampling, SamplingState
from pipeline.plan.chunks import Chunk

logger = logging.getLogger(__name__)

SHARE = 0.01  # of the time since a state was written that the next one may take; dearer states are written less often


def identify(model: str, chunk: Chunk, sampling: Sampling, tail: Tensor | None) -> str:
    """Names all that a state depends on besides weights, and the library whose samplers it is of: a state with another
    name is another chunk's. Device and precision are none of it: what was begun may go on in another."""
    settings = asdict(chunk), asdict(sampling.shape), sampling.steps, sampling.guidance, sampling.tail
    digest = hashlib.sha256(json.dumps([model, settings, version("diffusers")]).encode())
    if sampling.tail_strength < 1 or sampling.shared_noise:
        digest.update(str((sampling.tail_strength, sampling.shared_noise)).encode())
    if sampling.guided_share < 1:
        digest.update(str(sampling.guided_share).encode())
    if sampling.recalled is not None:
        digest.update(str(sampling.recalled.place).encode())
    recalled = sampling.recalled.latent if sampling.recalled else None
    given = tail, sampling.ahead, sampling.keyframe, recalled
    texts = (text for text in (sampling.positive, sampling.negative) if text is not None)
    for tensor in (*(part for text in texts for part in (text.embeds, text.mask)), *given):
        if tensor is not None:
            digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class RunningChunk:
    """The chunk of a draft that is being denoised. Nothing that goes wrong here fails the draft."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._name, self._steps = "", 0
        self._state: SamplingState | None = None
        self._written_step = 0
        self._written_at, self._writing_seconds = time.monotonic(), 0.0  # the last time, and what it took

    def begin(self, name: str, *, steps: int) -> SamplingState | None:
        """What a chunk goes on from, in memory if it was interrupted just now, else from disk; None from the start.

        Args:
            name: from `identify`.
            steps: all of the chunk's.
        """
        if name != self._name:
            self._name, self._steps, self._state = name, steps, self._read(name, steps)
            self._written_step = self._state.step if self._state else 0
        return self._state

    def keep(self, state: SamplingState) -> None:
        """A step is done. Written if what the last writing took has become its share of the time since; not after the
        last, when the chunk itself is next."""
        if state.step >= self._steps:
            return
        self._state = state
        if self._writing_seconds <= SHARE * (time.monotonic() - self._written_at):
            self.save()

    def save(self) -> None:
        """Write where the chunk stands, unless it is written."""
        if self._state is None or self._written_step == self._state.step:
            return
        start = time.monotonic()
        try:
            with self._journal.writing(self._journal.running_path()) as path:
                save_file(
                    dict(self._state.tensors), path, metadata={"chunk": self._name, "step": str(self._state.step)}
                )
            self._written_step = self._state.step
        except (WriteFailed, SafetensorError) as error:
            logger.warning("where the chunk stands is not kept: %s", error)
        finally:
            self._written_at = time.monotonic()
            self._writing_seconds = self._written_at - start

    def remove(self) -> None:
        """The chunk is finished, or there is none."""
        self._name, self._state, self._written_step = "", None, 0
        self._journal.running_path().unlink(missing_ok=True)

    def _read(self, name: str, steps: int) -> SamplingState | None:
        path = self._journal.running_path()
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("chunk") != name or not 0 < int(metadata["step"]) < steps:
                    return None
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dictionary
        except (OSError, SafetensorError, LookupError, ValueError) as error:
            logger.warning("%s cannot be read; the chunk begins anew: %s", path, error)
            return None
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            return None
        return SamplingState(step=int(metadata["step"]), tensors=tensors)

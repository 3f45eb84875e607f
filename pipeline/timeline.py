"""The latents of a draft so far, and which version of them a decode window sees."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.plan.chunks import Chunk, Slice


class Timeline:
    """Grows chunk by chunk; `latents` are [1, C, F, h, w] float32 on the CPU, None as long as there are none."""

    def __init__(self) -> None:
        self.latents: Tensor | None = None
        self._overlaps: dict[int, Tensor] = {}

    def append(self, chunk: Chunk, latents: Tensor, *, certain: bool) -> None:
        """What a chunk adds, of all its latents; where its tail was not `certain`, its version of that, too."""
        new = latents[:, :, chunk.overlap : chunk.overlap + chunk.new_latents]
        self.latents = new if self.latents is None else torch.cat([self.latents, new], dim=2)
        if not certain:
            self._overlaps[chunk.index] = latents[:, :, : chunk.overlap]

    def seen_by(self, piece: Slice, chunks: Sequence[Chunk]) -> Tensor:
        """The latents [1, C, F, h, w] of a decode window, as they were when its chunk was there and no later one."""
        assert self.latents is not None
        latents = self.latents[:, :, piece.start : piece.stop]
        for chunk in chunks[: piece.chunk + 1]:
            first, stop = max(chunk.start, piece.start), min(chunk.start + chunk.overlap, piece.stop)
            if chunk.index in self._overlaps and first < stop:
                latents = latents.clone()
                version = self._overlaps[chunk.index][:, :, first - chunk.start : stop - chunk.start]
                latents[:, :, first - piece.start : stop - piece.start] = version
        return latents

"""Windows that take every step together: what they say of a latent in which they overlap is averaged.

The weights are a window's sigmoid ramps at its ends, made to sum to one over all windows. The average deviates as much
as what is averaged, by the same weights, models/deviation.py.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.deviation import deviation_of, with_deviation
from pipeline.video.blending import sigmoid_ramp

Windows = tuple[tuple[int, int], ...]


def window_weights(windows: Windows) -> list[Tensor]:
    """Of each window [start, stop), of each of its latents; float32, at every latent they sum to one."""
    weights = [torch.ones(stop - start) for start, stop in windows]
    for before, after in pairwise(range(len(windows))):
        shared = windows[before][1] - windows[after][0]
        ramp = torch.from_numpy(sigmoid_ramp(shared))
        weights[after][:shared] *= ramp
        weights[before][len(weights[before]) - shared :] *= 1 - ramp
    total = torch.zeros(windows[-1][1])
    for (start, stop), weight in zip(windows, weights, strict=True):
        total[start:stop] += weight
    return [weight / total[start:stop] for (start, stop), weight in zip(windows, weights, strict=True)]


def average(windows: Windows, parts: Iterable[Tensor]) -> Tensor:
    """What is said of each window, [B, C, F, ...], as one of the whole timeline; of latents of one window unchanged."""
    whole: Tensor | None = None
    shared = _shared(windows)
    for (start, stop), weight, part in zip(windows, window_weights(windows), parts, strict=True):
        if whole is None:
            whole = part.new_zeros(*part.shape[:2], windows[-1][1], *part.shape[3:])
            wanted = torch.zeros(len(part), windows[-1][1], device=part.device)
        whole[:, :, start:stop] += weight.to(part).view(-1, *[1] * (part.dim() - 3)) * part
        wanted[:, start:stop] += weight.to(wanted) * deviation_of(part)
    assert whole is not None
    if shared:
        whole[:, :, shared] = with_deviation(whole[:, :, shared], wanted[:, shared])
    return whole


def _shared(windows: Windows) -> list[int]:
    """The latents that are in more than one window."""
    return sorted({place for (_, stop), (start, _) in pairwise(windows) for place in range(start, stop)})


def in_windows(transformer: nn.Module, windows: Windows) -> Any:
    """A context in which a call with all tokens of a timeline runs as one call a window; none changes nothing.

    For transformers of LTX's kind: `hidden_states` [B, F h w, C], `video_coords` [B, 3, F h w], one timestep for all.
    """
    return _split(transformer, windows) if windows else nullcontext()


@contextmanager
def _split(transformer: nn.Module, windows: Windows) -> Iterator[None]:
    whole = transformer.forward
    latents = windows[-1][1]

    def forward(hidden_states: Tensor, video_coords: Tensor, **shared: Any) -> tuple[Tensor]:
        by_latent, places = hidden_states.unflatten(1, (latents, -1)), video_coords.unflatten(2, (latents, -1))

        parts = (
            whole(
                hidden_states=by_latent[:, start:stop].flatten(1, 2),
                video_coords=places[:, :, start:stop].flatten(2, 3),
                **shared,
            )[0].unflatten(1, (stop - start, -1))
            for start, stop in windows
        )
        return (average(windows, (part.movedim(-1, 1) for part in parts)).movedim(1, -1).flatten(1, 2),)

    transformer.forward = forward
    try:
        yield
    finally:
        transformer.forward = whole

"""What has gone out of the picture, shown again: a latent of long ago beside those that a chunk is given.

A tail of less than a second knows nothing of what left before, which would come back as the sentence has it and no
more, with another shape or size. So where the tail shows less than the first chunk of its shot did, the latent of that
chunk which is least like the tail stands beside the window, clean, at its own time. What is still in view needs no
memory, and would be drawn back to what it was: an object that has grown would shrink again.

How much latents show is the deviation from their own mean over the picture, which an even ground has little of.
"""

from collections.abc import Sequence

from torch import Tensor

from pipeline.models.base import Recalled


def recall(timeline: Tensor, places: Sequence[int], *, start: int, share: float) -> Recalled | None:
    """A latent for a chunk that begins at `start` of its timeline; None where its tail shows enough.

    Args:
        timeline: normalised latents [1, C, F, h, w], those at `start` and behind it the chunk's tail.
        places: on it, that may be recalled, all before `start`.
        share: of what they show; less than that is not enough.
    """
    tail = timeline[0, :, start:]
    if not places or not tail.numel():
        return None
    past = timeline[0, :, list(places)]
    if float(_shown(tail).max()) >= share * float(_shown(past).max()):
        return None
    apart = (past[:, :, None] - tail[:, None]).square().mean((0, 3, 4)).min(dim=1).values  # [places]
    place = places[int(apart.argmax())]
    return Recalled(latent=timeline[:, :, place : place + 1], place=place - start)


def _shown(latents: Tensor) -> Tensor:
    """[F], of latents [C, F, h, w]."""
    return (latents - latents.mean((2, 3), keepdim=True)).square().mean((0, 2, 3)).sqrt()

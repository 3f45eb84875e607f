"""Where the last frames before a chunk come from that are encoded again for it. Integers only.

They are decoded in windows, as a draft's slices are: what a chunk is given may be longer than one.
"""

from pipeline.plan.chunks import Chunk, Slice, plan_slices

WARM_UP_LATENTS = 1
"""Least that is decoded in front of them: a window's first latent is one frame, which nothing comes before."""


def plan_reencoding(count: int, *, there: int, window: int, stride: int, causal: bool) -> tuple[Slice, ...]:
    """The decode windows of the end of a timeline, on which its first latent is 0.

    Args:
        count: latents that its last frames are to be encoded to.
        there: how long the timeline is; at least `count`.
        window: most latents decoded at once.
        stride: frames a latent stands for (the first one stands for a single frame).
        causal: whether the decoder remembers the window before.

    Returns:
        Slices of one chunk; together `(seen - 1) * stride + 1` frames of its `seen` latents.
    """
    seen = min(there, max(window, count + WARM_UP_LATENTS))
    end = Chunk(index=0, start=0, stop=seen, overlap=0, seed=0, shot=0)
    return plan_slices((end,), window=window, stride=stride, causal=causal)

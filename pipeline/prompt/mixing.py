"""Several sentences as one: where a shot passes into the next, what the transformer reads is between the two."""

from collections.abc import Sequence

import torch

from pipeline.prompt.cache import PromptEmbeds


def mix_embeds(parts: Sequence[tuple[PromptEmbeds, float]]) -> PromptEmbeds:
    """The weighted sum of embeddings, row by row, [1, T, D] in their dtype; weights sum to one.

    A row is as long as its parts are on average: the plain sum of two directions is shorter, and says less of both.
    Rows without a token are zeros, so a sentence's end fades out where the other one goes on; read is what either has.
    """
    if len(parts) == 1:
        return parts[0][0]
    rows = torch.stack([weight * embeds.embeds.float() for embeds, weight in parts])
    total, length = rows.sum(dim=0), rows.norm(dim=-1, keepdim=True).sum(dim=0)
    total = torch.nn.functional.normalize(total, dim=-1) * length
    mask = torch.stack([embeds.mask for embeds, _ in parts]).amax(dim=0)
    return PromptEmbeds(total.to(parts[0][0].embeds.dtype), mask)

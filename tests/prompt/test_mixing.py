"""Sentences between sentences: weighted sums, row by row, read where either has a token."""

import pytest
import torch

from pipeline.prompt.cache import PromptEmbeds
from pipeline.prompt.mixing import mix_embeds


def embeds(tokens: int, value: float, dtype: torch.dtype = torch.float32) -> PromptEmbeds:
    """[1, 4, 2], `value` in the rows that have a token."""
    mask = (torch.arange(4) < tokens).long()[None]
    return PromptEmbeds((mask[..., None] * torch.full((1, 4, 2), value)).to(dtype), mask)


def test_a_mix_is_the_weighted_sum_and_is_read_where_either_is() -> None:
    mixed = mix_embeds([(embeds(1, 4.0), 0.25), (embeds(3, 8.0), 0.75)])
    assert mixed.embeds[0, :, 0].tolist() == pytest.approx([7.0, 6.0, 6.0, 0.0])
    assert mixed.mask.tolist() == [[1, 1, 1, 0]]


def test_a_mix_of_two_directions_is_as_long_as_they_are() -> None:
    one, other = embeds(2, 0.0), embeds(2, 0.0)
    one.embeds[0, :2, 0], other.embeds[0, :2, 1] = 3.0, 5.0
    mixed = mix_embeds([(one, 0.5), (other, 0.5)]).embeds
    assert mixed.norm(dim=-1)[0].tolist() == pytest.approx([4.0, 4.0, 0.0, 0.0])
    assert (mixed[0, 0] / mixed[0, 0].norm()).tolist() == pytest.approx([3 / 34**0.5, 5 / 34**0.5])


def test_one_sentence_alone_is_itself() -> None:
    only = embeds(2, 3.0)
    assert mix_embeds([(only, 1.0)]) is only


def test_a_mix_has_its_parts_precision() -> None:
    half = [(embeds(2, 1.0, torch.bfloat16), 0.5), (embeds(2, 3.0, torch.bfloat16), 0.5)]
    assert mix_embeds(half).embeds.dtype is torch.bfloat16
    assert mix_embeds(half).embeds[0, 0, 0] == 2

"""One visit of the encoder for all sentences that nobody knows, none when every one is known."""

from pathlib import Path

import pytest
import torch

from pipeline.prompt.cache import EmbeddingCache, PromptEmbeds
from pipeline.prompt.encoding import EncodedSentences, encode_sentences


class CountingEncoder:
    """Remembers every visit: only their number and content matter here."""

    def __init__(self) -> None:
        self.visits: list[list[str]] = []

    def __call__(self, sentences: list[str]) -> list[PromptEmbeds]:
        self.visits.append(sentences)
        mask = torch.tensor([[1, 0]])
        return [PromptEmbeds(torch.tensor([[[float(len(sentence))], [0.0]]]), mask) for sentence in sentences]


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path)


def run(
    cache: EmbeddingCache, encoder: CountingEncoder, *sentences: str, name: str = "e", dtype: str = "f"
) -> EncodedSentences:
    return encode_sentences(sentences, encoder=name, precision=dtype, cache=cache, encode=encoder)


def test_all_new_sentences_go_in_one_visit_each_once_in_order(cache: EmbeddingCache) -> None:
    encoder = CountingEncoder()
    encoded = run(cache, encoder, "three", "a", "three", "")
    assert encoder.visits == [["three", "a", ""]]
    assert encoded.cached == 0
    assert {sentence: float(e.embeds[0, 0, 0]) for sentence, e in encoded.embeds.items()} == {"three": 5, "a": 1, "": 0}


def test_known_sentences_need_no_encoder(cache: EmbeddingCache) -> None:
    run(cache, CountingEncoder(), "three", "a")
    encoder = CountingEncoder()
    encoded = run(cache, encoder, "a", "three")
    assert encoder.visits == []
    assert encoded.cached == 2
    assert float(encoded.embeds["three"].embeds[0, 0, 0]) == 5


def test_only_the_new_one_of_two_sentences_is_encoded(cache: EmbeddingCache) -> None:
    run(cache, CountingEncoder(), "a")
    encoder = CountingEncoder()
    assert run(cache, encoder, "a", "new").cached == 1
    assert encoder.visits == [["new"]]


@pytest.mark.parametrize("other", [{"name": "another"}, {"dtype": "half"}])
def test_another_encoder_or_precision_is_asked_again(cache: EmbeddingCache, other: dict[str, str]) -> None:
    run(cache, CountingEncoder(), "a")
    encoder = CountingEncoder()
    assert run(cache, encoder, "a", **other).cached == 0
    assert encoder.visits == [["a"]]

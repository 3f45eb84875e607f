"""The same sentence for the same encoder is encoded once, ever; whatever is wrong with a file only costs time."""

import os
from pathlib import Path

import pytest
import torch

from pipeline.prompt.cache import EmbeddingCache, PromptEmbeds

SENTENCE = "a red ball 红 moves left"
KEY = ("ltx/text_encoder/1:2", "bfloat16", SENTENCE)


def embedding(tokens: int = 8, real: int = 3, dtype: torch.dtype = torch.bfloat16, value: float = 1.5) -> PromptEmbeds:
    """As an encoder gives it: `real` tokens of `value`, then padding."""
    embeds, mask = torch.zeros(1, tokens, 4, dtype=dtype), torch.zeros(1, tokens, dtype=torch.int64)
    embeds[:, :real], mask[:, :real] = value, 1
    return PromptEmbeds(embeds, mask)


def same(one: PromptEmbeds, other: PromptEmbeds) -> bool:
    return (
        one.embeds.dtype == other.embeds.dtype
        and torch.equal(one.embeds, other.embeds)
        and one.mask.dtype == other.mask.dtype
        and torch.equal(one.mask, other.mask)
    )


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "embeddings")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("real", [0, 1, 3, 8])
def test_what_was_stored_comes_back_bit_for_bit_padding_included(
    cache: EmbeddingCache, real: int, dtype: torch.dtype
) -> None:
    stored = embedding(real=real, dtype=dtype)
    cache.store(*KEY, stored)
    found = cache.find(*KEY)
    assert found is not None
    assert same(found, stored)


def test_another_cache_on_the_same_folder_finds_it(cache: EmbeddingCache) -> None:
    cache.store(*KEY, embedding())
    found = EmbeddingCache(cache.folder).find(*KEY)
    assert found is not None
    assert same(found, embedding())


@pytest.mark.parametrize(
    "other",
    [
        ("ltx/text_encoder/1:3", KEY[1], KEY[2]),
        (KEY[0], "float16", KEY[2]),
        (KEY[0], KEY[1], KEY[2] + " "),
        (KEY[0] + KEY[1], "", KEY[2]),
        (KEY[0], "", KEY[1] + KEY[2]),
    ],
    ids=["encoder", "precision", "sentence", "shifted left", "shifted right"],
)
@pytest.mark.fault(43)
def test_another_encoder_precision_or_sentence_is_another_embedding(
    cache: EmbeddingCache, other: tuple[str, str, str]
) -> None:
    cache.store(*KEY, embedding())
    assert cache.find(*other) is None
    cache.store(*other, embedding(value=2.0))
    found = cache.find(*KEY)
    assert found is not None
    assert same(found, embedding())


@pytest.mark.parametrize("content", [b"", b"torn", b"\xff" * 100])
@pytest.mark.fault(43)
def test_a_damaged_file_is_a_miss_and_is_replaced(cache: EmbeddingCache, content: bytes) -> None:
    cache.store(*KEY, embedding())
    (file,) = cache.folder.iterdir()
    file.write_bytes(content)
    assert cache.find(*KEY) is None
    cache.store(*KEY, embedding())
    assert cache.find(*KEY) is not None


@pytest.mark.fault(43)
def test_half_a_file_is_a_miss(cache: EmbeddingCache) -> None:
    cache.store(*KEY, embedding())
    (file,) = cache.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert cache.find(*KEY) is None


def test_no_sentence_stands_in_a_file_or_its_name(cache: EmbeddingCache) -> None:
    cache.store(*KEY, embedding())
    (file,) = cache.folder.iterdir()
    for word in ("red", "ball", "红"):
        assert word not in file.name
        assert word.encode() not in file.read_bytes()


def test_the_least_recently_used_go_first_when_the_folder_is_full(tmp_path: Path) -> None:
    probe = EmbeddingCache(tmp_path / "probe")
    probe.store(*KEY, embedding())
    (one,) = probe.folder.iterdir()
    cache = EmbeddingCache(tmp_path / "full", largest_bytes=3 * one.stat().st_size)

    def key(sentence: str) -> tuple[str, str, str]:
        return (KEY[0], KEY[1], sentence)

    for age, sentence in enumerate(("oldest", "older", "old")):
        before = set(cache.folder.iterdir()) if age else set()
        cache.store(*key(sentence), embedding())
        (new,) = set(cache.folder.iterdir()) - before
        os.utime(new, (1000 + age, 1000 + age))
    assert cache.find(*key("oldest")) is not None  # used: now it is the youngest
    cache.store(*key("new"), embedding())
    assert {name: cache.find(*key(name)) is not None for name in ("oldest", "older", "old", "new")} == {
        "oldest": True,
        "older": False,
        "old": True,
        "new": True,
    }


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am a file")
    cache = EmbeddingCache(tmp_path / "file" / "embeddings")
    cache.store(*KEY, embedding())
    assert cache.find(*KEY) is None


def test_nothing_half_written_is_left(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    cache.store(*KEY, embedding())
    assert not list(cache.folder.iterdir())

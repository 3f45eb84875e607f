"""The miniature's language: known words are read as themselves, strange ones as strange, and no sentence is cut off."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.training.scenes import ALL_WORDS, BACKGROUNDS, COLOURS, MOTIONS, SHAPES
from pipeline.training.sentences import (
    COLOUR_WORDS,
    MOTION_PARTICIPLES,
    MOTION_VERBS,
    PLACES,
    SHAPE_WORDS,
    build_tokenizer,
    canonical,
    paraphrase,
    training_sentence,
    vocabulary,
)
from pipeline.training.teacher import TEXT_TOKENS


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def read(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)


def test_every_word_of_the_vocabulary_is_read_as_itself(tokenizer: PreTrainedTokenizerFast) -> None:
    for word in vocabulary():
        assert read(tokenizer, word) == [word, "</s>"]


def test_the_vocabulary_is_sorted_and_without_repetition() -> None:
    assert list(vocabulary()) == sorted(set(vocabulary()))


def test_strange_words_are_read_as_unknown(tokenizer: PreTrainedTokenizerFast) -> None:
    assert read(tokenizer, "a red dragon moves") == ["a", "red", "<unk>", "moves", "</s>"]
    assert set(read(tokenizer, "Большой 球 🎈 x9")[:-1]) == {"<unk>"}


def test_unknown_words_put_in_by_training_are_one_token_each(tokenizer: PreTrainedTokenizerFast) -> None:
    assert read(tokenizer, "a <unk> ball") == ["a", "<unk>", "ball", "</s>"]


def test_capitals_and_commas_are_read_like_any_other(tokenizer: PreTrainedTokenizerFast) -> None:
    assert read(tokenizer, "Over the SNOW, a Red ball.") == [
        *("over", "the", "snow", ",", "a", "red", "ball", "."),
        "</s>",
    ]


def test_the_empty_sentence_is_only_its_end(tokenizer: PreTrainedTokenizerFast) -> None:
    assert read(tokenizer, "") == ["</s>"]


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        (COLOUR_WORDS, COLOURS),
        (SHAPE_WORDS, SHAPES),
        (MOTION_VERBS, MOTIONS),
        (MOTION_PARTICIPLES, MOTIONS),
        (PLACES, BACKGROUNDS),
    ],
    ids=["colours", "shapes", "verbs", "participles", "places"],
)
def test_every_thing_in_the_world_can_be_said_and_nothing_else(
    table: dict[str, object], keys: dict[str, object]
) -> None:
    assert set(table) == set(keys)


@pytest.mark.parametrize(
    "table", [COLOUR_WORDS, SHAPE_WORDS, MOTION_VERBS, MOTION_PARTICIPLES, PLACES], ids=lambda table: next(iter(table))
)
def test_no_phrase_means_two_things(table: dict[str, tuple[str, ...]]) -> None:
    phrases = [phrase for phrases in table.values() for phrase in phrases]
    assert len(phrases) == len(set(phrases))


def test_every_canonical_sentence_holds_its_own_words_and_is_understood(tokenizer: PreTrainedTokenizerFast) -> None:
    for words in ALL_WORDS:
        sentence = canonical(words)
        for word in (words.colour, words.shape, *words.motion.split(), words.background):
            assert word in sentence.split()
        assert "<unk>" not in read(tokenizer, sentence)
    assert len({canonical(words) for words in ALL_WORDS}) == len(ALL_WORDS)


def test_paraphrases_say_colour_shape_motion_and_place_in_known_words(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = np.random.default_rng(1)
    for words in ALL_WORDS:
        said = f" {paraphrase(words, rng)} "
        motions = MOTION_VERBS[words.motion] + MOTION_PARTICIPLES[words.motion]
        for phrases in (COLOUR_WORDS[words.colour], SHAPE_WORDS[words.shape], motions, PLACES[words.background]):
            assert any(f" {phrase} " in said for phrase in phrases), said
        assert "<unk>" not in read(tokenizer, said)


def test_a_scene_is_said_in_many_ways() -> None:
    rng = np.random.default_rng(2)
    assert len({paraphrase(ALL_WORDS[0], rng) for _ in range(200)}) > 150


def test_no_training_sentence_is_longer_than_what_the_model_reads(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = np.random.default_rng(3)
    sentences = [training_sentence(words, rng) for words in ALL_WORDS]
    assert max(len(ids) for ids in tokenizer(sentences).input_ids) <= TEXT_TOKENS
    assert tokenizer.model_max_length == TEXT_TOKENS


def test_training_hears_canonical_sentences_paraphrases_and_strange_words() -> None:
    rng = np.random.default_rng(4)
    heard = [(words, training_sentence(words, rng)) for words in ALL_WORDS]
    plain = sum(sentence == canonical(words) for words, sentence in heard) / len(heard)
    strange = sum("<unk>" in sentence for _, sentence in heard) / len(heard)
    assert 0.2 < plain < 0.36
    assert 0.1 < strange < 0.2


def test_the_same_chance_says_the_same_sentence() -> None:
    said = [training_sentence(ALL_WORDS[100], np.random.default_rng(seed)) for seed in (8, 8, 9)]
    assert said[0] == said[1] != said[2]


def test_a_saved_tokenizer_reads_like_the_one_that_was_built(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    sentences = [canonical(words) for words in ALL_WORDS[::50]] + ["A Dragon, flying"]
    settings = {"padding": "max_length", "max_length": TEXT_TOKENS, "truncation": True}
    assert loaded(sentences, **settings).input_ids == tokenizer(sentences, **settings).input_ids
    assert loaded(sentences, **settings).attention_mask == tokenizer(sentences, **settings).attention_mask

"""All sentences of a draft to embeddings, in one visit of the encoder, or none when every sentence is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.prompt.cache import EmbeddingCache, PromptEmbeds


@dataclass(frozen=True, slots=True)
class EncodedSentences:
    """Embeddings by sentence, and how many of them came from the cache."""

    embeds: dict[str, PromptEmbeds]
    cached: int


def encode_sentences(
    sentences: Sequence[str],
    *,
    encoder: str,
    precision: str,
    cache: EmbeddingCache,
    encode: Callable[[list[str]], list[PromptEmbeds]],
) -> EncodedSentences:
    """Embed each distinct sentence.

    Args:
        sentences: shots and the negative prompt; repeats are encoded once.
        encoder: fingerprint of the weights.
        precision: theirs; embeddings of coarser weights are others.
        cache: asked first.
        encode: brings the encoder in for the sentences nobody knows, and takes it out again.
    """
    wanted = list(dict.fromkeys(sentences))
    known = {sentence: found for sentence in wanted if (found := cache.find(encoder, precision, sentence))}
    unknown = [sentence for sentence in wanted if sentence not in known]
    if unknown:
        for sentence, embeds in zip(unknown, encode(unknown), strict=True):
            cache.store(encoder, precision, sentence, embeds)
            known[sentence] = embeds
    return EncodedSentences(known, len(wanted) - len(unknown))

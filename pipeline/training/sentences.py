"""The miniature's language: many ways to say one scene, and the word-level tokenizer that reads them.

The canonical form is `a {colour} {shape} {motion} over {background}`. Training hears paraphrases, other word orders
and unknown words, so that a person need not know the form.
"""

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pipeline.training.scenes import BACKGROUNDS, COLOURS, MOTIONS, SHAPES, Words

COLOUR_WORDS = {
    "red": ("red", "scarlet", "crimson"),
    "green": ("green", "lime"),
    "blue": ("blue",),
    "yellow": ("yellow", "golden"),
    "purple": ("purple", "violet"),
    "orange": ("orange",),
    "white": ("white",),
    "pink": ("pink",),
}
SHAPE_WORDS = {
    "ball": ("ball", "circle", "sphere", "disc"),
    "square": ("square", "box", "block"),
    "triangle": ("triangle", "pyramid"),
    "star": ("star",),
}
MOTION_VERBS = {
    "moves left": ("moves left", "goes left", "drifts to the left", "slides left", "travels to the left", "flies left"),
    "moves right": (
        "moves right",
        "goes right",
        "drifts to the right",
        "slides right",
        "travels to the right",
        "flies right",
    ),
    "rises": ("rises", "goes up", "moves up", "floats up", "climbs", "drifts upwards"),
    "falls": ("falls", "goes down", "moves down", "drops", "sinks", "drifts downwards"),
    "bounces": ("bounces", "bounces up and down", "jumps", "hops"),
    "grows": ("grows", "gets bigger", "gets larger", "expands"),
    "shrinks": ("shrinks", "gets smaller", "gets tiny", "contracts"),
    "stands still": ("stands still", "stays still", "does not move", "rests", "waits", "stays in place"),
}
MOTION_PARTICIPLES = {
    "moves left": ("moving left", "going left", "drifting to the left", "sliding left", "flying to the left"),
    "moves right": ("moving right", "going right", "drifting to the right", "sliding right", "flying to the right"),
    "rises": ("rising", "going up", "moving up", "floating up", "climbing", "drifting upwards"),
    "falls": ("falling", "going down", "moving down", "dropping", "sinking", "drifting downwards"),
    "bounces": ("bouncing", "bouncing up and down", "jumping", "hopping"),
    "grows": ("growing", "getting bigger", "getting larger", "expanding"),
    "shrinks": ("shrinking", "getting smaller", "getting tiny", "contracting"),
    "stands still": ("standing still", "staying still", "not moving", "resting", "waiting"),
}
PLACES = {
    "night": ("over night", "at night", "in the night", "over the night", "in the dark", "in the night sky"),
    "snow": ("over snow", "over the snow", "on snow", "in the snow", "above the snow"),
    "grass": ("over grass", "over the grass", "on grass", "on the meadow", "above a green meadow", "on the lawn"),
    "sand": ("over sand", "over the sand", "on sand", "on the beach", "in the desert", "above the sand"),
    "sea": ("over sea", "over the sea", "on the sea", "above the ocean", "over the water", "at sea"),
}
OPENINGS = ("", "", "", "", "a video of", "a short clip of", "we see", "there is")
ADVERBS = ("", "", "", "slowly", "gently", "quickly", "steadily")
FILLERS = ("a", "the", "one", "it", "that", "is", ",", ".", "and", "while", "with", "of", "scene", "film", "shot")


def canonical(words: Words) -> str:
    """`a {colour} {shape} {motion} over {background}`."""
    article = "an" if words.colour[0] == "o" else "a"
    return f"{article} {words.colour} {words.shape} {words.motion} over {words.background}"


def paraphrase(words: Words, rng: np.random.Generator) -> str:
    """One of the many ways to say a scene: synonyms, participles, word order, openings and adverbs."""

    def pick(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    colour, shape = pick(COLOUR_WORDS[words.colour]), pick(SHAPE_WORDS[words.shape])
    verb, participle = pick(MOTION_VERBS[words.motion]), pick(MOTION_PARTICIPLES[words.motion])
    place, article, adverb = pick(PLACES[words.background]), pick(("a", "a", "the", "one")), pick(ADVERBS)
    thing = f"{article} {colour} {shape}"
    if colour == "orange" and article == "a":
        thing = f"an {colour} {shape}"
    forms = (
        f"{thing} {verb} {adverb} {place}",
        f"{thing} {adverb} {verb} {place}",
        f"{place} , {thing} {adverb} {participle}",
        f"{place} {thing} {verb}",
        f"{pick(OPENINGS)} {thing} {participle} {adverb} {place}",
        f"{pick(OPENINGS)} {thing} {place} , {participle}",
        f"{article} {shape} that is {colour} {verb} {place}",
        f"{colour} {shape} {participle} {place}",
        f"{colour} {shape} , {place} , {participle}",
    )
    return " ".join(pick(forms).split())


def training_sentence(words: Words, rng: np.random.Generator) -> str:
    """What training hears: canonical a third of the time, else a paraphrase; now and then with strange words in it."""
    sentence = canonical(words) if rng.random() < 0.33 else paraphrase(words, rng)
    if rng.random() < 0.15:
        parts = sentence.split()
        for _ in range(int(rng.integers(1, 4))):
            parts.insert(int(rng.integers(len(parts) + 1)), "<unk>")
        sentence = " ".join(parts)
    return sentence


def vocabulary() -> tuple[str, ...]:
    """Every word the miniature knows, sorted."""
    tables = (COLOUR_WORDS, SHAPE_WORDS, MOTION_VERBS, MOTION_PARTICIPLES, PLACES)
    phrases = [phrase for table in tables for phrases in table.values() for phrase in phrases]
    phrases += [*COLOURS, *SHAPES, *MOTIONS, *BACKGROUNDS, *OPENINGS, *ADVERBS, *FILLERS, "an"]
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A lower-casing word-level tokenizer over `vocabulary()`; unknown words become <unk>, </s> ends a sentence."""
    special = ("<pad>", "</s>", "<unk>")
    words = {word: number for number, word in enumerate((*special, *vocabulary()))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", words["</s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=32
    )

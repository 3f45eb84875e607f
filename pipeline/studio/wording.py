"""Durations and lists of words as people say them, in the page's language."""

from pipeline.studio.texts import Language, say


def say_duration(language: Language, seconds: float) -> str:
    """A rough duration for people: seconds up to ten, then steps of five, minutes from two on, hours from two on."""
    if seconds >= 7200:
        return say(language, "hours", hours=seconds / 3600)
    if seconds >= 120:
        return say(language, "minutes", minutes=round(seconds / 60))
    whole = max(1, round(seconds)) if seconds < 10 else round(seconds / 5) * 5
    return say(language, "seconds", seconds=whole)


def join_words(language: Language, words: tuple[str, ...]) -> str:
    """`a, b or c`."""
    if len(words) == 1:
        return words[0]
    return say(language, "or", first=say(language, "comma").join(words[:-1]), last=words[-1])

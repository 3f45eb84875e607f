"""Durations and lists of words as people say them."""

import pytest

from pipeline.studio.texts import Language
from pipeline.studio.wording import join_words, say_duration


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (7.4, "7 s"), (12.0, "10 s"), (63.0, "65 s"), (125.0, "2 min")]
)
def test_durations_are_rounded_for_people(seconds: float, said: str) -> None:
    assert say_duration(Language.EN, seconds) == said


def test_words_are_joined_as_people_say_them() -> None:
    assert join_words(Language.EN, ("ball", "square", "star")) == "ball, square or star"
    assert join_words(Language.EN, ("ball",)) == "ball"

"""Storyboards: what people type becomes shots, shots become text again, and what is wrong is told with the nearest."""

import time
from random import Random

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import LTX_2B, MINIATURE
from pipeline.plan.request import MOST_SHOTS, Shot, Transition
from pipeline.plan.storyboard import (
    TIMED,
    check_sentence,
    is_storyboard,
    lay_out,
    read_shots,
    sketch_shots,
    write_shots,
)

SMOOTH, CUT, SAME_LOOK = Transition.SMOOTH, Transition.CUT, Transition.SAME_LOOK
BOAT = (
    Shot(prompt="A boat leaves", seconds=2.0),
    Shot(prompt="The boat arrives", seconds=3.0, transition=CUT),
    Shot(prompt="It is night", seconds=1.5, transition=SAME_LOOK),
)
WORDS = ("a", "red ball", "[x]", "[", "]", "3 s", "2s", "cut", ",", "/", "//", "红球", "-", "\u00e9 (2)", "[a/b]")
FRAGMENTS = (*WORDS, "[2s]", "[ 1.25 sec , cut ]", "[3s cut same look]", "[.5S CUT]", " / ", "\n", " ", "[2s", "[0s]")


@pytest.mark.parametrize(
    "text",
    [
        "[2s] A boat leaves / [3s cut] The boat arrives / [1.5s cut, same look] It is night",
        "[2s] A boat leaves\n[3s cut] The boat arrives\n[1.5s cut, same look] It is night\n",
        "\n [2 s]A boat\n leaves /\n [3.0 seconds, CUT]  The boat arrives\n\n/[1.50sec cut same look] It is night",
        "[2s, smooth] A boat leaves [3s cut] The boat arrives [1.5s cut, same look] It is night",
        "[2s cut] A boat leaves / [3s cut] The boat arrives / [1.5s cut, same look] It is night",
    ],
    ids=["one line", "one shot a line", "spaces and breaks", "no slashes", "the first one cut"],
)
def test_a_storyboard_is_read_however_it_is_laid_out(text: str) -> None:
    first, *others = read_shots(text, 9.0)
    assert (first.prompt, first.seconds) == ("A boat leaves", 2.0)
    assert tuple(others) == BOAT[1:]


def test_a_storyboard_is_written_in_one_line() -> None:
    text = "[2s] A boat leaves / [3s cut] The boat arrives / [1.5s cut, same look] It is night"
    assert write_shots(BOAT) == text


@pytest.mark.parametrize("text", ["a red ball", "a [red] ball", "either / or", "ball [3]", "the 2s [x] / [y]"])
def test_a_sentence_without_seconds_in_brackets_is_one_shot(text: str) -> None:
    assert not is_storyboard(text)
    assert read_shots(f" {text}\n", 4.0) == (Shot(prompt=text, seconds=4.0),)
    assert write_shots(read_shots(text, 4.0)) == text


def test_shots_become_text_and_the_same_shots_again() -> None:
    random, told = Random(1), 0
    for _ in range(3000):
        shots = tuple(
            Shot(
                prompt=" ".join(random.choices(WORDS, k=random.randint(1, 4))),
                seconds=random.choice(
                    (random.randint(1, 60), random.randint(1, 6000) / 100, random.uniform(0.001, 60))
                ),
                transition=random.choice(list(Transition)),
            )
            for _ in range(random.randint(2, 5))
        )
        if any(
            "/ [" in shot.prompt
            or shot.prompt.endswith("/")
            or TIMED.search(shot.prompt)
            or not shot.prompt.strip("/ ")
            for shot in shots
        ):
            continue  # where a shot begins, or ends, and no sentence
        told += 1
        assert read_shots(write_shots(shots), 0) == shots
    assert told > 1000


def test_what_can_be_read_is_the_same_after_being_written() -> None:
    random, seen = Random(2), 0
    for _ in range(20_000):
        text = "[2s] a" + "".join(random.choices(FRAGMENTS, k=random.randint(0, 6)))
        try:
            shots = read_shots(text, 4.0)
        except InvalidRequest:
            continue
        seen += len(shots) > 1
        assert read_shots(write_shots(shots), shots[0].seconds) == shots, text
    assert seen > 1000


@pytest.mark.parametrize(
    ("text", "message", "nearest"),
    [
        ("[0s] a ball", "Shot 1 cannot last 0 seconds", "Nearest: [0.5s]."),
        ("[2s] a ball / [0.0s cut] b", "Shot 2 cannot last 0.0 seconds", "Nearest: [0.5s]."),
        ("[61s] a ball", "Shot 1 cannot last 61 seconds", "Nearest: [60s]."),
        (f"[{'9' * 400}s] a ball", "Shot 1 cannot last 999", "Nearest: [60s]."),
        ("[2s] a / [-3s cut] b", "Shot 2 begins with [-3s cut]", "Nearest: [3s cut]."),
        ("[2,5s] a", "Shot 1 begins with [2,5s]", "Nearest: [2.5s]."),
        ("[2] a", "Shot 1 begins with [2]", "Nearest: [2s]."),
        ("[1m] a", "Shot 1 begins with [1m]", "Nearest: [60s]."),
        ("[0.5 min cut] a", "Shot 1 begins with [0.5 min cut]", "Nearest: [30s cut]."),
        ("【2】a", "Shot 1 begins with [2]", "Nearest: [2s]."),
        ("【2秒】a", "Shot 1 begins with [2秒]", "Nearest: [2s]."),
        ("[two seconds] a", "Shot 1 begins with [two seconds]", "[3s cut, same look]."),
        ("[2 cut] a", "Shot 1 begins with [2 cut], which says no seconds.", "Nearest: [2s cut]."),
        ("[2s fade] a", "Shot 1 begins with [2s fade], and “fade” is no way to come in.", "Nearest: [2s]."),
        ("[2s] a / [3s,  fast  cut] b", "begins with [3s, fast cut], and “fast cut” is no way", "Nearest: [3s cut]."),
        ("[2s,] a", "Shot 1 begins with [2s,], and “,” is no way to come in.", "Nearest: [2s]."),
        ("[2s a ball", "Shot 1 begins with [2s a ball, a bracket that does not end.", "Nearest: [2s]."),
        ("[2s] a / [cut] b", "Shot 2 begins with [cut]", "A shot begins with [2s]"),
        ("[2s]", "Shot 1 has no sentence", "after [2s]"),
        ("[2s] / [3s] b", "Shot 1 has no sentence", "after [2s]"),
        ("[2s] a / [3s]  ", "Shot 2 has no sentence", "after [3s]"),
        ("a ball [2s] b", "“a ball” stands before", "[2s] a ball"),
        ("\n".join(["[1s] a ball"] * 100), "1 to 32 shots, not 100", "the first 32"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_wrong_is_told_with_the_nearest_that_is_right(text: str, message: str, nearest: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_shots(text, 4.0)
    assert refusal.value.field == "prompt"
    assert message in refusal.value.message
    assert nearest in refusal.value.hint
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("[2s] a /", ["a"]),
        ("[2s] a // [2s] b /\n", ["a", "b"]),
        ("［2s］a／［3s，cut］b", ["a", "b"]),
        ("【2s】a / 【３s cut】b ／", ["a", "b"]),
        ("[２s] 看［左边］／右边【3】／[3s　cut] Ａ[１]", ["看［左边］／右边【3】", "Ａ[１]"]),
        ("【2s】a\n［3s cut］b", ["a", "b"]),
    ],
)
def test_a_stray_slash_and_wide_marks_are_no_part_of_a_sentence(text: str, sentences: list[str]) -> None:
    shots = read_shots(text, 4.0)
    assert [shot.prompt for shot in shots] == sentences
    assert [shot.prompt for shot in sketch_shots(text, 4.0)] == sentences
    assert all(shot.transition is CUT for shot in shots[1:] if "cut" in text)
    assert sum(shot.seconds for shot in shots) == (2 if len(shots) == 1 else 5 if "cut" in text else 4)


@pytest.mark.parametrize("text", ["【开场】红球", "看【3】", "a／b", "红球［左边］", "either / 【3】", "Ａ／【x】"])
def test_wide_brackets_that_say_no_seconds_are_a_sentence_s_own(text: str) -> None:
    assert read_shots(text, 4.0) == (Shot(prompt=text, seconds=4.0),)


@pytest.mark.parametrize("text", ["[" * 200_000, "\n" * 20_000, "【2s " * 40_000, "／ 【" * 60_000])
def test_a_long_text_is_looked_through_at_once(text: str) -> None:
    began = time.process_time()
    is_storyboard(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("text", ["[2s] a ball / [3s cut] a star", "a ball [3s] b", "【2s】a", "a / [b", "[a] ball"])
def test_what_a_storyboard_cannot_hold_is_no_sentence(text: str) -> None:
    with pytest.raises(InvalidRequest, match="begins a shot in brackets"):
        check_sentence(text)


@pytest.mark.parametrize("text", ["", "a [red] ball", "either / or", "看【3】", "the 2s"])
def test_what_it_can_hold_is_one(text: str) -> None:
    check_sentence(text)
    shots = (Shot(prompt="a", seconds=1.0), Shot(prompt=text or "b", seconds=1.0))
    assert read_shots(write_shots(shots), 0) == shots


def test_the_most_shots_are_read() -> None:
    assert len(read_shots(" / ".join(["[1s] a ball"] * MOST_SHOTS), 4.0)) == MOST_SHOTS


# Lengths ------------------------------------------------------------------------------------------------------------
def test_a_storyboard_says_how_many_frames_there_are() -> None:
    shots, frames = lay_out("[2s] a boat / [3s cut] b / [1s] c", LTX_2B, None)
    assert [shot.seconds for shot in shots] == [2, 3, 1]
    assert frames == 8 * 18 + 2  # two scenes, each of whose first latents is one frame
    assert lay_out("a boat", MINIATURE, None) == ((Shot(prompt="a boat", seconds=4.0),), 97)
    assert lay_out("a boat", MINIATURE, 2.0) == ((Shot(prompt="a boat", seconds=2.0),), 49)


def test_a_length_besides_a_storyboard_must_be_its_own() -> None:
    text = "[2s] a boat / [0.1s cut] b / [0.2s] c"
    with pytest.raises(InvalidRequest, match=r"2\.3 seconds together, and 8 are asked") as refusal:
        lay_out(text, LTX_2B, 8.0)
    assert refusal.value.field == "seconds"
    assert lay_out(text, LTX_2B, 2.3) == lay_out(text, LTX_2B, None)


def test_shots_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="A draft of 80 seconds") as refusal:
        lay_out("[40s] a / [40s] b", LTX_2B, None)
    assert refusal.value.field == "seconds"

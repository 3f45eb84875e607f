"""What the form does by itself: models bring their settings, looks theirs, cards become the text and the text cards."""

from dataclasses import asdict, astuple, replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.presets import load_looks
from pipeline.plan.request import MOST_SHOTS
from pipeline.plan.storyboard import read_shots
from pipeline.studio.form_desk import MODEL_FIELDS, FormDesk
from pipeline.studio.forms import CUSTOM, FIELDS, form_of
from pipeline.studio.pictures import PICTURE_FIELDS

LOOKS = load_looks()
DESK = FormDesk(LOOKS["balanced"], LOOKS)
RIGHT = replace(form_of(LOOKS["balanced"]), prompt="a red ball moves left over snow", seed="7")
BOAT = "[2s] a boat leaves / [3s cut] the boat arrives / [1.5s cut, same look] it is night"
UNTOUCHED = (gr.skip(), gr.skip())


def event(**data: object) -> Any:
    return SimpleNamespace(_data=data)


def values_of(updates: list[Any]) -> tuple[Any, ...]:
    """What stands in the fields after some updates."""
    return tuple(update["value"] if isinstance(update, dict) else update for update in updates)


def choices_of(update: dict[str, Any]) -> list[str]:
    return [size for _, size in update["choices"]]


# Models and looks ---------------------------------------------------------------------------------------------------
def test_a_model_brings_its_own_shapes_length_steps_and_guidance() -> None:
    updates = dict(zip(MODEL_FIELDS, DESK.choose_model("wan-5b", "balanced"), strict=True))
    assert choices_of(updates["shape"]) == ["1280x704", "960x960", "704x1280"]
    assert choices_of(updates["tail"]) == ["", "latents", "frames", "co-denoise"]
    own = [update for field, update in updates.items() if field not in PICTURE_FIELDS.values()]  # test_pictures.py
    assert values_of(own) == ("1280x704", 5.0, 50, 5.0, 0, 0, 0, "", 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def test_another_model_is_made_as_carefully_as_the_look_says() -> None:
    steps = MODEL_FIELDS.index("steps")
    found = {look: DESK.choose_model("wan-5b", look)[steps] for look in (*LOOKS, CUSTOM)}
    assert found == {"quick": 25, "balanced": 50, "careful": 75, CUSTOM: 50}


@pytest.mark.parametrize("model", ["sora", "", None])
def test_a_model_there_is_none_of_leaves_the_first_form(model: str | None) -> None:
    updates = DESK.choose_model(model, "quick")[: -len(PICTURE_FIELDS)]  # which come last: test_pictures.py
    assert values_of(updates) == ("256x160", 4.0, 24, 4.0, 0, 0, 0, "", 1.0, 0.5, 0.0, 1.0, 0.35, 0.9, 0.8)


def test_a_look_is_the_steps_and_the_guidance_of_the_model() -> None:
    assert DESK.choose_look("quick", "miniature") == [8, 4.0]
    assert DESK.choose_look("careful", "ltx-13b") == [45, 5.0]


@pytest.mark.parametrize(
    ("look", "model"), [(CUSTOM, "miniature"), (None, "miniature"), ("quick", "sora"), ("x", None)]
)
def test_no_look_changes_nothing(look: str | None, model: str | None) -> None:
    assert DESK.choose_look(look, model) == [gr.skip(), gr.skip()]


# Offers and ideas ---------------------------------------------------------------------------------------------------
def test_an_offer_that_was_pressed_fills_the_form() -> None:
    offered = asdict(replace(RIGHT, shape="192x128"))
    filled = DESK.take_offer(event(form=offered))
    assert dict(zip(FIELDS, values_of(filled), strict=True)) == offered
    assert "192x128" in choices_of(filled[FIELDS.index("shape")])  # a size of its own is one more choice


@pytest.mark.parametrize("form", [None, 7, {"prompt": "x"}, []], ids=str)
def test_an_offer_that_is_none_changes_nothing(form: object) -> None:
    assert DESK.take_offer(event(form=form)) == [gr.skip()] * len(FIELDS)


def test_an_idea_becomes_the_sentence() -> None:
    assert DESK.take_idea(event(sentence="a pink star falls over sand")) == "a pink star falls over sand"
    assert DESK.take_idea(event(sentence=7)) == gr.skip()
    assert len(DESK.take_idea(event(sentence="x" * 10_000))) == 2000


# The storyboard -----------------------------------------------------------------------------------------------------
def test_a_text_becomes_cards_and_the_cards_that_text() -> None:
    cards = DESK.lay_cards(BOAT, 4.0)
    assert cards["marked"]
    assert [tuple(shot.values()) for shot in cards["shots"]] == [
        ("a boat leaves", 2.0, "smooth"),
        ("the boat arrives", 3.0, "cut"),
        ("it is night", 1.5, "cut, same look"),
    ]
    assert DESK.take_cards(event(shots=list(cards["shots"]), change=3)) == (BOAT, gr.skip(), gr.update(taken=3))


def test_a_plain_sentence_is_one_card_of_the_sliders_length() -> None:
    cards = DESK.lay_cards("a red ball", 4.5)
    assert (cards["marked"], [tuple(shot.values()) for shot in cards["shots"]]) == (
        False,
        [("a red ball", 4.5, "smooth")],
    )


def test_a_last_shot_that_is_left_alone_is_a_plain_sentence_of_its_length() -> None:
    shots = [{"prompt": "a boat", "seconds": 2.5, "transition": "cut"}]
    assert DESK.take_cards(event(shots=shots))[:2] == ("a boat", 2.5)


def test_cards_that_are_still_being_written_come_back_as_they_are() -> None:
    shots = [
        {"prompt": "a boat", "seconds": 2.0, "transition": "smooth"},
        {"prompt": "", "seconds": 0.0, "transition": "cut"},
        {"prompt": "", "seconds": 90.0, "transition": "smooth"},
    ]
    text, *_ = DESK.take_cards(event(shots=shots))
    assert list(DESK.lay_cards(text, 4.0)["shots"]) == shots
    with pytest.raises(InvalidRequest, match="Shot 2"):
        read_shots(text, 4.0)


def test_the_first_shot_comes_in_by_no_cut() -> None:
    shots = [
        {"prompt": "a", "seconds": 1, "transition": "cut"},
        {"prompt": "b", "seconds": 2, "transition": "cut"},
    ]
    assert DESK.take_cards(event(shots=shots))[0] == "[1s] a / [2s cut] b"


@pytest.mark.parametrize("text", ["", None, "[x] a ball", "a ball [2s] b"])
def test_what_has_no_cards_has_none(text: str | None) -> None:
    shots = DESK.lay_cards(text, None)["shots"]
    assert shots == () or [shot["prompt"] for shot in shots] == [""]


CARD = {"prompt": "a ball", "seconds": 2, "transition": "cut"}


@pytest.mark.parametrize(
    "shots",
    [
        None,
        [],
        "x",
        [7],
        [{}],
        [CARD | {"seconds": "two"}],
        [CARD | {"seconds": float("nan")}],
        [CARD | {"seconds": -1}],
        [CARD | {"transition": "wipe"}],
        [CARD] * (MOST_SHOTS + 1),
    ],
    ids=lambda shots: str(shots)[:40],
)
def test_what_no_storyboard_sends_changes_nothing_and_is_answered(shots: object) -> None:
    assert DESK.take_cards(event(shots=shots, change=1)) == (*UNTOUCHED, gr.update(taken=1))


def test_markup_and_line_breaks_in_a_card_stay_one_line_of_text() -> None:
    shots = [CARD | {"prompt": "<img src=x>\n ${1}"}, CARD]
    text, *_ = DESK.take_cards(event(shots=shots))
    assert text == "[2s] <img src=x> ${1} / [2s cut] a ball"


def test_all_fields_are_taken_in_their_order() -> None:
    assert len(astuple(RIGHT)) == len(FIELDS)

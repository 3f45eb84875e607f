"""The form: a right one becomes its request, a wrong field is refused by name, and a draft's settings come back."""

from dataclasses import asdict, replace

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.presets import load_looks
from pipeline.studio.forms import Form, form_of, read_form, refusals, restore_form
from pipeline.studio.texts import Language
from pipeline.studio.translation import say_error

DEFAULT = form_of(load_looks()["first-light"])
RIGHT = replace(DEFAULT, prompt="a red ball moves left over snow", seed="7")


def test_the_first_form_is_right_but_for_the_sentence() -> None:
    assert set(refusals(DEFAULT, card=False)) == {"prompt"}


def test_a_right_form_becomes_its_request() -> None:
    request = read_form(RIGHT, card=False)
    assert (request.prompt, request.seed, request.frames) == ("a red ball moves left over snow", 7, 97)
    assert (request.shape.width, request.shape.height) == (256, 160)


@pytest.mark.parametrize(("typed", "asked"), [(0, None), (None, None), (33, 33), (33.0, 33)])
def test_a_chunk_length_that_is_not_given_is_the_planners(typed: float | None, asked: int | None) -> None:
    assert read_form(replace(RIGHT, chunk_frames=typed), card=False).chunk_frames == asked


def test_an_empty_seed_is_a_new_one_each_time() -> None:
    assert read_form(replace(RIGHT, seed=""), card=False).seed != read_form(replace(RIGHT, seed=" "), card=False).seed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("prompt", "", id="no sentence"),
        pytest.param("prompt", " \n ", id="only space"),
        pytest.param("prompt", None, id="cleared sentence"),
        pytest.param("prompt", "x" * 10_000, id="10,000 characters"),
        pytest.param("prompt", "a red\x00 ball", id="control character"),
        pytest.param("prompt", "a red \ud800 ball", id="half a surrogate pair"),
        pytest.param("negative_prompt", "x" * 10_000, id="long negative prompt"),
        pytest.param("shape", "round", id="unknown shape"),
        pytest.param("shape", None, id="no shape"),
        pytest.param("shape", "257x160", id="size off the grid"),
        pytest.param("shape", "99999x99999", id="endless size"),
        pytest.param("model", "sora", id="unknown model"),
        pytest.param("model", None, id="no model"),
        pytest.param("limit_gib", -3, id="negative limit"),
        pytest.param("limit_gib", 0.01, id="limit below what any driver takes"),
        pytest.param("limit_gib", float("nan"), id="limit that is no number"),
        pytest.param("limit_gib", 1e9, id="endless limit"),
        pytest.param("lowest_precision", "int1", id="unknown precision"),
        pytest.param("lowest_precision", None, id="no precision"),
        pytest.param("chunk_frames", 30, id="chunk off the grid"),
        pytest.param("chunk_frames", 25.5, id="half a frame"),
        pytest.param("chunk_frames", -33, id="negative chunk"),
        pytest.param("chunk_frames", 17, id="chunk that adds nothing to its overlap"),
        pytest.param("chunk_frames", 57, id="chunk longer than the model was trained for"),
        pytest.param("chunk_frames", float("nan"), id="chunk that is no number"),
        pytest.param("seconds", 0, id="no length"),
        pytest.param("seconds", -4, id="negative length"),
        pytest.param("seconds", 3600, id="an hour"),
        pytest.param("seconds", float("nan"), id="length that is no number"),
        pytest.param("seconds", None, id="cleared length"),
        pytest.param("profile", "7gb", id="unknown profile"),
        pytest.param("profile", None, id="no profile"),
        pytest.param("seed", "-1", id="negative seed"),
        pytest.param("seed", str(2**32), id="seed too large"),
        pytest.param("seed", "9" * 5000, id="endless seed"),
        pytest.param("seed", "seven", id="seed in words"),
        pytest.param("seed", "1.5", id="half a seed"),
        pytest.param("steps", 0, id="no steps"),
        pytest.param("steps", 2.5, id="half a step"),
        pytest.param("steps", 1e9, id="endless steps"),
        pytest.param("steps", None, id="cleared steps"),
        pytest.param("guidance", float("nan"), id="guidance that is no number"),
        pytest.param("guidance", float("inf"), id="infinite guidance"),
        pytest.param("guidance", 0.5, id="guidance below 1"),
        pytest.param("guidance", None, id="cleared guidance"),
    ],
)
def test_a_wrong_field_is_refused_alone_and_by_name(field: str, value: object) -> None:
    wrong = refusals(replace(RIGHT, **{field: value}), card=False)
    assert set(wrong) == {field}
    for language in Language:
        sentence = say_error(language, wrong[field])
        assert 10 < len(sentence) < 400
        assert "{" not in sentence


def test_all_wrong_fields_are_told_at_once() -> None:
    form = replace(RIGHT, prompt="", seed="x", steps=0)
    assert set(refusals(form, card=False)) == {"prompt", "seed", "steps"}


def test_strange_words_are_not_refused() -> None:
    prompt = "<img src=x onerror=alert(1)> ${1} {{2}} 红球 🎈"
    assert read_form(replace(RIGHT, prompt=prompt), card=False).prompt == prompt


def test_a_wrong_form_makes_no_request() -> None:
    with pytest.raises(InvalidRequest):
        read_form(DEFAULT, card=False)


def test_a_drafts_settings_come_back_into_the_form() -> None:
    form = Form(
        prompt="a pink star rises at night",
        model="miniature",
        shape="160x256",
        seconds=2.7,
        profile="cpu",
        limit_gib=2.5,
        seed="11",
        steps=12,
        guidance=2.0,
        lowest_precision="int4",
        chunk_frames=33,
        negative_prompt="snow",
    )
    request = read_form(form, card=False)
    restored = restore_form(asdict(request), DEFAULT)
    assert read_form(restored, card=False) == request
    assert restored == form

"""The form: a right one becomes its request, a wrong field is refused by name, and a draft's settings come back."""

from dataclasses import asdict, fields, replace

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, WAN_5B
from pipeline.plan.presets import load_looks
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Continuity
from pipeline.studio.forms import (
    CUSTOM,
    FIELDS,
    Form,
    form_for,
    form_kept,
    form_of,
    form_with,
    look_of,
    read_form,
    refusals,
    restore_form,
    seconds_told,
)
from pipeline.studio.texts import Language
from pipeline.studio.translation import say_error

LOOKS = load_looks()
DEFAULT = form_of(LOOKS["balanced"])
RIGHT = replace(DEFAULT, prompt="a red ball moves left over snow", seed="7")


def test_the_first_form_is_right_but_for_the_sentence() -> None:
    assert set(refusals(DEFAULT)) == {"prompt"}


def test_a_right_form_becomes_its_request() -> None:
    request = read_form(RIGHT)
    assert (request.prompt, request.seed, request.frames) == ("a red ball moves left over snow", 7, 97)
    assert (request.shape.width, request.shape.height) == (256, 160)


@pytest.mark.parametrize(("typed", "asked"), [(0, None), (None, None), (33, 33), (33.0, 33)])
def test_a_chunk_length_that_is_not_given_is_the_planners(typed: float | None, asked: int | None) -> None:
    assert read_form(replace(RIGHT, chunk_frames=typed)).chunk_frames == asked


def test_an_empty_seed_is_a_new_one_each_time() -> None:
    assert read_form(replace(RIGHT, seed="")).seed != read_form(replace(RIGHT, seed=" ")).seed


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
        pytest.param("ram_limit_gib", -3, id="negative limit"),
        pytest.param("ram_limit_gib", 0.01, id="limit below what any driver takes"),
        pytest.param("vram_limit_gib", float("nan"), id="limit that is no number"),
        pytest.param("vram_limit_gib", 1e9, id="endless limit"),
        pytest.param("frames", 98, id="frames off the grid"),
        pytest.param("frames", 1e9, id="endless frames"),
        pytest.param("frames", float("nan"), id="frames that are no number"),
        pytest.param("overlap_frames", 16, id="overlap off the grid"),
        pytest.param("overlap_frames", 25, id="overlap longer than the model was trained for"),
        pytest.param("tail", "causal", id="a way to go on that the model does not have"),
        pytest.param("tail", "x", id="no way to go on"),
        pytest.param("encoder", "x", id="unknown policy"),
        pytest.param("start_image", "holiday.png", id="a picture's file instead of its name"),
        pytest.param("encoder", None, id="no policy"),
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
    wrong = refusals(replace(RIGHT, **{field: value}))
    assert set(wrong) == {field}
    for language in Language:
        sentence = say_error(language, wrong[field])
        assert 10 < len(sentence) < 400
        assert "{" not in sentence


def test_all_wrong_fields_are_told_at_once() -> None:
    form = replace(RIGHT, prompt="", seed="x", steps=0)
    assert set(refusals(form)) == {"prompt", "seed", "steps"}


def test_strange_words_are_not_refused() -> None:
    prompt = "<img src=x onerror=alert(1)> ${1} {{2}} 红球 🎈"
    assert read_form(replace(RIGHT, prompt=prompt)).prompt == prompt


def test_a_wrong_form_makes_no_request() -> None:
    with pytest.raises(InvalidRequest):
        read_form(DEFAULT)


def test_a_drafts_settings_come_back_into_the_form() -> None:
    form = Form(
        prompt="a pink star rises at night",
        model="miniature",
        shape="160x256",
        seconds=2.7,
        profile="cpu",
        seed="11",
        steps=12,
        guidance=2.0,
        negative_prompt="snow",
        chunk_frames=33,
        overlap_frames=9,
        tail="repaint",
        tail_strength=0.9,
        anchor=0.25,
        shared_noise=0.5,
        match_colour=1.0,
        guided_share=0.6,
        recall=0.7,
        turn_away=0.8,
        lowest_precision="int4",
        encoder="unload",
        decode_float32=True,
        vram_limit_gib=3.5,
        ram_limit_gib=2.5,
        start_image="a" * 64,
        end_image="b" * 64,
    )
    request = read_form(form)
    restored = restore_form(asdict(request), DEFAULT)
    assert read_form(restored) == request
    assert restored == form


@pytest.mark.parametrize(("frames", "by_hand"), [(193, 193), (0, 0)])
def test_a_storyboard_comes_back_with_its_frames_where_they_were_given_by_hand(frames: int, by_hand: int) -> None:
    form = replace(RIGHT, prompt="[2s] a red ball over snow / [2s] a blue ball over snow", frames=frames)
    request = read_form(form)
    restored = restore_form(asdict(request), DEFAULT)
    assert restored.frames == by_hand
    assert read_form(restored) == request


def test_everything_a_request_can_say_stands_in_the_form() -> None:
    elsewhere = {"shots": "prompt"}
    said = {elsewhere.get(field.name, field.name) for field in fields(GenerationRequest)} - {"continuity"}
    assert said | {field.name for field in fields(Continuity)} <= set(FIELDS)


def test_frames_by_hand_are_made_exactly_and_the_length_follows() -> None:
    form = replace(RIGHT, frames=57)
    assert read_form(form).frames == 57
    assert seconds_told(form) == 57 / 24
    assert seconds_told(RIGHT) is None
    assert form_with(form, replace(read_form(form), frames=41)).frames == 41
    assert form_with(RIGHT, replace(read_form(RIGHT), frames=41)).frames == 0


def test_frames_by_hand_are_divided_as_the_shots_say() -> None:
    request = read_form(replace(RIGHT, prompt="[1s] a red ball falls / [3s] a blue star rises", frames=193))
    assert (request.frames, [shot.seconds for shot in request.shots]) == (193, [1.0, 3.0])


@pytest.mark.parametrize("model", CATALOG)
def test_every_look_is_a_right_form_for_every_model(model: str) -> None:
    for key, look in LOOKS.items():
        form = form_of(look, CATALOG[model])
        assert set(refusals(form)) == {"prompt"}
        assert look_of(form, LOOKS) == key
        assert look_of(replace(form, steps=99), LOOKS) == CUSTOM
        assert look_of(replace(form, guidance=19.5), LOOKS) == CUSTOM


def test_a_form_that_a_browser_kept_comes_back() -> None:
    form = replace(form_for(WAN_5B), prompt="a boat", overlap_frames=9, encoder="resident")
    assert form_kept(asdict(form), DEFAULT) == form


def test_a_form_of_another_version_is_read_as_far_as_it_goes() -> None:
    older = {"prompt": "a boat", "steps": 7, "limit_gib": 2.0, "colour": "red"}
    assert form_kept(older, DEFAULT) == replace(DEFAULT, prompt="a boat", steps=7)


@pytest.mark.parametrize("kept", [None, 7, "x", [], {}, {"steps": 7}], ids=str)
def test_what_is_no_form_is_not_read(kept: object) -> None:
    assert form_kept(kept, DEFAULT) == DEFAULT

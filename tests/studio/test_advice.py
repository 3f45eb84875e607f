"""Advice before the button: the forecast follows the form, what does not fit is said, strange words are named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import pipeline
from pipeline.plan.catalog import LTX_2B, WAN_5B
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.studio import advice
from pipeline.studio.advice import EXAMPLES, Machine, advise, note_unknown_words, read_vocabulary
from pipeline.studio.forms import form_for, form_of, form_with
from pipeline.studio.texts import Language, say
from tests.test_installed import whole
from tests.test_weights import Keeper, hub, keep

__all__ = ["hub", "keep"]
FORM = form_of(load_looks()["balanced"])
KNOWN = frozenset(word for example in EXAMPLES for word in example.split())


@pytest.fixture
def machine(
    make_device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Machine]:
    """A machine with so many GiB free, in main memory or on a card."""

    def make(gib: float, kind: DeviceKind = DeviceKind.CPU) -> Machine:
        monkeypatch.setattr(advice, "probe_device", lambda **_: make_device(gib, kind))
        return Machine(load_profiles(), tmp_path)

    return make


def test_the_forecast_says_frames_memory_time_and_chunks(machine: Callable[..., Machine]) -> None:
    said = advise(FORM, machine(8), Language.EN)
    assert said.fits
    assert said.line.startswith("About ")
    assert ", first picture in " in said.line
    assert said.detail.startswith("97 frames · 3 chunks · about ")
    assert 0 < said.share < 1
    assert not said.offers
    assert len(said.reasons) >= 3


def test_the_forecast_follows_the_length(machine: Callable[..., Machine]) -> None:
    said = advise(replace(FORM, seconds=1.0), machine(8), Language.EN)
    assert said.detail.startswith("25 frames · 1 chunk · ")


@pytest.mark.parametrize("language", Language)
def test_what_does_not_fit_is_said_before_the_button(machine: Callable[..., Machine], language: Language) -> None:
    said = advise(FORM, machine(1.01), language)
    assert not said.fits
    assert "MiB are allowed." in said.line if language is Language.EN else said.line.endswith(" MB。")
    assert said.share > 1


def test_what_does_not_fit_offers_changes_that_do(machine: Callable[..., Machine]) -> None:
    studio = machine(1.54)  # of which auto leaves one alone
    said = advise(FORM, studio, Language.EN)
    assert not said.fits
    assert said.offers
    for offer in said.offers:
        assert advise(offer.form, studio, Language.EN).fits
        assert "about" in offer.label


def test_a_slow_draft_offers_faster_ones(machine: Callable[..., Machine]) -> None:
    said = advise(replace(FORM, seconds=60.0, steps=100), machine(8), Language.EN)
    assert said.fits
    assert [offer.label.split()[0] for offer in said.offers][:2] == ["Make", "Make"]  # it shorter, it smaller


@pytest.mark.parametrize(
    ("language", "said"), [(Language.EN, "Make it in 2 shorter chunks (about "), (Language.ZH, "分成更短的 2 段（约 ")]
)
def test_one_click_cuts_a_slow_clip_into_shorter_chunks(
    machine: Callable[..., Machine], language: Language, said: str
) -> None:
    studio, form = machine(24, DeviceKind.CUDA), replace(form_for(WAN_5B), prompt="a boat")
    whole = advise(form, studio, language)
    assert say(language, "one_chunk") in whole.detail
    offer = whole.offers[0]
    assert offer.label.startswith(said)
    assert offer.form == replace(form, seconds=5.04, chunk_frames=65)  # 121 frames
    cut = advise(offer.form, studio, language)
    assert cut.fits
    assert say(language, "many_chunks", count=2) in cut.detail
    assert not any(again.label.startswith(said[:10]) for again in cut.offers)


def test_a_change_of_model_leaves_the_chunks_to_the_planner() -> None:
    form = replace(form_for(WAN_5B), chunk_frames=65)
    assert form_with(form, pipeline.request("a boat", model=LTX_2B.key)).chunk_frames == 0


def test_a_limit_is_the_budget(machine: Callable[..., Machine]) -> None:
    said = advise(replace(FORM, ram_limit_gib=3.0), machine(8), Language.EN)
    assert " of 3.0 GB" in said.detail


def test_a_wrong_field_is_said_before_the_button(machine: Callable[..., Machine]) -> None:
    said = advise(replace(FORM, seed="x"), machine(8), Language.EN)
    assert not said.fits
    assert "seed" in said.line


def test_the_driver_is_not_asked_at_every_change(
    make_device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []

    def probe(*, use_card: bool, folder: Path) -> Device:
        assert folder == tmp_path
        asked.append(use_card)
        return make_device(8)

    monkeypatch.setattr(advice, "probe_device", probe)
    machine = Machine(load_profiles(), tmp_path)
    for _ in range(5):
        advise(FORM, machine, Language.EN)
    assert asked == [True]


# Models that are not here -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", Language)
def test_a_model_that_is_not_here_is_forecast_with_what_it_needs(
    machine: Callable[..., Machine], keep: Keeper, language: Language
) -> None:
    form, studio = form_for(LTX_2B), machine(64)
    said = advise(form, studio, language)
    assert said.fits
    assert "121 " in said.detail
    assert LTX_2B.title in said.need
    assert "14.8 GB" in said.need
    assert said.command == "python -m pipeline download ltx-2b"
    keep(LTX_2B.repository, *whole(LTX_2B))
    after = advise(form, studio, language)
    assert (after.line, after.need, after.command) == (said.line, "", "")


def test_a_model_that_is_here_needs_nothing(machine: Callable[..., Machine]) -> None:
    said = advise(FORM, machine(8), Language.EN)
    assert (said.need, said.command) == ("", "")


def test_what_is_wrong_with_the_form_is_said_beside_what_the_model_needs(machine: Callable[..., Machine]) -> None:
    said = advise(replace(form_for(LTX_2B), seed="x"), machine(64), Language.EN)
    assert "seed" in said.line
    assert said.command == "python -m pipeline download ltx-2b"


def test_an_offer_of_another_model_tells_that_it_is_not_here(machine: Callable[..., Machine], keep: Keeper) -> None:
    studio, form = machine(24), form_for(WAN_5B)
    offered = advise(form, studio, Language.EN).offers[-1]
    assert offered.form.model == "ltx-2b"
    assert "LTX-Video 2B 0.9.5 · not downloaded, 14.8" in offered.label
    keep(LTX_2B.repository, *whole(LTX_2B))
    assert "LTX-Video 2B 0.9.5 (about" in advise(form, studio, Language.EN).offers[-1].label


@pytest.mark.parametrize("language", Language)
def test_a_folder_of_ones_own_is_believed_over_the_cache(
    machine: Callable[..., Machine], keep: Keeper, tmp_path: Path, language: Language
) -> None:
    keep(LTX_2B.repository, *whole(LTX_2B))
    studio = Machine(machine(64).profiles, tmp_path, {"ltx-2b": tmp_path / "gone"})
    said = advise(form_for(LTX_2B), studio, language)
    sentence = "is not a folder." if language is Language.EN else "不是文件夹。"
    assert f"{tmp_path / 'gone'} {sentence}" in said.need
    assert said.command == ""


@pytest.mark.parametrize("prompt", ["", *EXAMPLES, "A RED ball, moves left over snow."])
def test_known_words_need_no_note(prompt: str) -> None:
    assert note_unknown_words(prompt, KNOWN, Language.EN) == ""


@pytest.mark.parametrize("language", Language)
def test_strange_words_are_named_with_what_is_known(language: Language) -> None:
    note = note_unknown_words("a red dragon moves over a castle", KNOWN, language)
    assert "dragon" in note
    assert "castle" in note
    assert "triangle" in note


def test_many_strange_words_do_not_flood_the_page() -> None:
    assert len(note_unknown_words(" ".join(f"word{n}" * 20 for n in range(500)), KNOWN, Language.EN)) < 500


def test_words_are_read_from_the_miniatures_tokenizer(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": {"<pad>": 0, "</s>": 1, ",": 2, "red": 3, "ball": 4}}}))
    assert read_vocabulary(file) == {"red", "ball"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1}'], ids=["empty", "list", "no model", "no words"])
def test_without_a_readable_tokenizer_there_is_no_note(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(content)
    assert note_unknown_words("a dragon", read_vocabulary(file), Language.EN) == ""


def test_the_examples_are_words_the_shipped_miniature_knows() -> None:
    known = read_vocabulary()
    assert known
    assert not [example for example in EXAMPLES if note_unknown_words(example, known, Language.EN)]

"""The pairs of translation.py: every sentence of the source has one, each is found, and each is Chinese throughout."""

import re
import string
from itertools import product

import pytest

from pipeline.plan.combinations import ILLEGAL, find_obstacle
from pipeline.plan.edits import WAYS
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import Choice
from pipeline.studio.texts import Language
from pipeline.studio.translation import DIGITS, PAIRS, Pair, read_pairs, translate
from tests.studio.english import english_in
from tests.studio.said import returned, sentences

ZH = read_pairs(Language.ZH)
ALL = [(table, pair) for table, pairs in ZH.items() for pair in pairs]
BLANK = re.compile(r"{\w+}")
UNCHANGED = {("{name}", "{name}"), ("{model}", "{model}"), ("{detail}", "{detail}")}


def written(pair: Pair) -> str:
    """The English of a pair as its file has it, for messages."""
    return "".join(
        text + (f"{{{name}}}" if name else "") for text, name in zip(pair.fixed, (*pair.names, ""), strict=True)
    )


def test_every_sentence_of_the_source_has_its_pair_and_no_pair_is_for_nothing() -> None:
    there, said = {pair.fixed for pair in ZH["sentences"]}, sentences()
    assert len(said) > 200
    assert not [f"{place}: {'{}'.join(parts)}" for parts, place in said.items() if parts not in there]
    assert not ["{}".join(parts) for parts in there - set(said)]


@pytest.mark.parametrize(
    ("table", "module", "name"),
    [
        ("change", "pipeline.plan.alternatives", "name"),
        ("difference", "pipeline.gpu.folders", "_first_difference"),
        ("bytes", "pipeline.errors", "say_bytes"),
        ("duration", "pipeline.plan.alternatives", "say_seconds"),
    ],
)
def test_every_phrase_of_the_source_has_its_pair(table: str, module: str, name: str) -> None:
    there = {pair.fixed for pair in ZH[table]}
    assert {parts for parts in returned(module, name) if any(parts)} <= there | {("", "")}


def test_every_stage_and_every_way_to_edit_has_its_word() -> None:
    assert {written(pair) for pair in ZH["stage"]} == set(Stage)
    assert {written(pair) for pair in ZH["edit"]} == set(WAYS)


def test_every_way_to_run_a_stage_is_said_in_chinese() -> None:
    ways = product(Stage, Precision, Placement, (None, 256), (True, False), (True, False))
    for stage, precision, placement, tile, parked, together in ways:
        choice = Choice(
            stage=stage,
            precision=precision,
            placement=placement,
            tile_pixels=tile,
            window_latents=7,
            together=together or stage is not Stage.DENOISE,
            parked=parked,
            card_bytes=2**33,
            ram_bytes=2**34,
        )
        for reason in (
            f"{choice.name[0].upper()}{choice.name[1:]}: 8.0 GiB.",
            f"Not {choice.name}: needs 1 MiB of memory, 2.0 GiB are allowed.",
        ):
            said = translate(Language.ZH, reason)
            assert said != reason
            assert not english_in(said), said


def test_every_obstacle_has_its_pair() -> None:
    obstacles = {find_obstacle(*way) for way in product(Stage, Precision, Placement)} | set(ILLEGAL.values())
    assert obstacles - {""} == {written(pair) for pair in ZH["obstacle"]}


@pytest.mark.parametrize(("table", "pair"), ALL, ids=lambda part: part if isinstance(part, str) else written(part)[:60])
def test_a_pair_takes_the_same_values_and_is_chinese(table: str, pair: Pair) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(pair.said) if name]
    assert sorted(names) == sorted(pair.names)
    assert len(set(names)) == len(names)
    if (written(pair), pair.said) in UNCHANGED:
        assert all(name.rstrip(DIGITS) != table for name in names)  # else it would be looked up in itself
        return
    assert not english_in(BLANK.sub("2", pair.said)), pair.said
    assert not re.search("[\u4e00-\u9fff] ?[,;:!?]", pair.said), "half-width punctuation"
    if table == "sentences" and written(pair)[-1] in ".…":
        assert pair.said.endswith("。")


def sample(name: str) -> str:
    """A value that a name can have, in English."""
    table = ZH.get(name.rstrip(DIGITS))
    return example(table[0]) if table and name != "sentences" else "Free some disk." if table else f"‹{name}›"


def example(pair: Pair) -> str:
    """A sentence that is this pair's."""
    return "".join(
        text + (sample(name) if name else "") for text, name in zip(pair.fixed, (*pair.names, ""), strict=True)
    )


@pytest.mark.parametrize("pair", ZH["sentences"], ids=lambda pair: written(pair)[:60])
def test_no_pair_stands_in_the_way_of_another(pair: Pair) -> None:
    said = translate(Language.ZH, example(pair))
    assert pair.find_values(example(pair)) is not None
    for text, name, _, _ in string.Formatter().parse(pair.said):
        assert text.strip() in said
        assert not name or name.rstrip(DIGITS) in ZH or sample(name) in said


def test_only_what_is_not_english_has_pairs() -> None:
    assert {path.name for path in PAIRS.iterdir()} == set(Language) - {Language.EN}
    assert not read_pairs(Language.EN)


def test_no_pair_stands_twice() -> None:
    assert len({(table, pair.fixed) for table, pair in ALL}) == len(ALL)

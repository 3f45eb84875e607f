"""Presets are files a person copies and edits, so every mistake in one is named by file and key."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidRequest, PresetError
from pipeline.plan.catalog import CATALOG
from pipeline.plan.presets import PRESETS, find_profile, load_looks, load_profiles

PROFILE = """schema = 1
title = "Mine"
title_zh = "我的"
use_card = true
card_gib = 10
reserve_gib = 0.5
ram_reserve_gib = 2
measured = "not yet"
"""
LOOK = """schema = 1
title = "Mine"
title_zh = "我的"
[models]
""" + "".join(f'"{model}" = {{ steps = 20, guidance = 3.0 }}\n' for model in CATALOG)


def write(folder: Path, text: str) -> Path:
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return folder


def test_every_shipped_file_loads_under_its_own_name() -> None:
    assert set(load_profiles()) == {path.stem for path in (PRESETS / "vram").glob("*.toml")}
    assert set(load_looks()) == {path.stem for path in (PRESETS / "looks").glob("*.toml")}
    assert {path.suffix for path in PRESETS.rglob("*") if path.is_file()} == {".toml"}


def test_profiles_are_listed_from_auto_by_budget_to_no_card() -> None:
    assert list(load_profiles()) == [
        "auto",
        *("4gb", "6gb", "8gb", "12gb", "16gb", "24gb", "48gb", "80gb"),
        "cpu",
    ]


def test_a_profile_is_named_after_its_budget_and_leaves_something_free() -> None:
    for key, profile in load_profiles().items():
        if key.endswith("gb"):
            assert f"{profile.card_gib:g}gb" == key
            assert (profile.ram_gib or 0) >= 1.5 * (profile.card_gib or 0) > 0
        else:
            assert profile.card_gib is None is profile.ram_gib
        assert profile.use_card == (key != "cpu")
        assert profile.reserve_gib > 0
        assert profile.ram_reserve_gib > 0


def test_looks_are_quick_balanced_and_careful_with_more_steps_each() -> None:
    looks = load_looks()
    assert list(looks) == ["quick", "balanced", "careful"]
    for model in CATALOG:
        steps = [look.models[model].steps for look in looks.values()]
        assert steps == sorted(set(steps)), model


def test_the_balanced_look_is_what_the_makers_of_each_model_use() -> None:
    made = {key: (spec.default_steps, spec.default_guidance) for key, spec in CATALOG.items()}
    assert {key: (care.steps, care.guidance) for key, care in load_looks()["balanced"].models.items()} == made


def test_no_profile_claims_a_measurement_nobody_made() -> None:
    assert {profile.measured for profile in load_profiles().values()} == {"not yet"}


def test_every_title_is_given_in_both_languages() -> None:
    titles = [(profile.title, profile.title_zh) for profile in load_profiles().values()]
    titles += [(look.title, look.title_zh) for look in load_looks().values()]
    assert all(title.strip() for pair in titles for title in pair)


def test_a_copied_profile_is_read_as_written(tmp_path: Path) -> None:
    profile = load_profiles(write(tmp_path, PROFILE))["mine"]
    assert (profile.card_gib, profile.ram_gib, profile.reserve_gib, profile.use_card) == (10.0, None, 0.5, True)
    assert profile.ram_reserve_gib == 2.0
    assert isinstance(profile.card_gib, float)


MISTAKES = [
    # an edit of the good profile, the key that must be named, what must be said about it
    pytest.param('measured = "not yet"', 'measured = "not yet"\nvram = 3', "vram", "is not a key", id="unknown key"),
    pytest.param('measured = "not yet"', "[limits]\nmeasured = 1", "limits", "is not a key", id="unknown table"),
    pytest.param('title = "Mine"', 'title = "Mine"\nkey = "auto"', "key", "is not a key", id="name given twice"),
    pytest.param("card_gib = 10", 'card_gib = "10"', "card_gib", "must be float, not '10'", id="text for a number"),
    pytest.param("card_gib = 10", "card_gib = true", "card_gib", "must be float, not True", id="truth for a number"),
    pytest.param("use_card = true", "use_card = 1", "use_card", "must be bool, not 1", id="number for a truth"),
    pytest.param('title = "Mine"', "title = 3", "title", "must be str, not 3", id="number for a text"),
    pytest.param("card_gib = 10", "card_gib = -1", "card_gib", "not a budget", id="negative budget"),
    pytest.param("card_gib = 10", "card_gib = nan", "card_gib", "not a budget", id="NaN budget"),
    pytest.param("card_gib = 10", "card_gib = inf", "card_gib", "not a budget", id="infinite budget"),
    pytest.param("\nreserve_gib = 0.5", "", "reserve_gib", "is missing", id="missing key"),
    pytest.param("ram_reserve_gib = 2\n", "", "ram_reserve_gib", "is missing", id="missing reserve of memory"),
    pytest.param("ram_reserve_gib = 2", "ram_reserve_gib = -2", "ram_reserve_gib", "not a budget", id="negative"),
    pytest.param("ram_reserve_gib = 2", "ram_reserve_gib = nan", "ram_reserve_gib", "not a budget", id="NaN reserve"),
    pytest.param("ram_reserve_gib = 2", "ram_reserve_gib = 1e9", "ram_reserve_gib", "not a budget", id="absurd"),
    pytest.param("schema = 1\n", "", "schema", "must be 1", id="no schema"),
    pytest.param("schema = 1", "schema = 2", "schema", "must be 1", id="schema of another version"),
    pytest.param("schema = 1", "schema = true", "schema", "must be 1", id="schema of another type"),
    pytest.param("card_gib = 10", f"card_gib = 1{'0' * 400}", "card_gib", "must be float", id="beyond floats"),
    pytest.param("card_gib = 10", "card_gib =", "file", "line 5", id="broken TOML"),
    pytest.param("card_gib = 10", f"card_gib = {'9' * 5000}", "file", "", id="number of 5,000 digits"),
]


@pytest.mark.parametrize(("old", "new", "key", "said"), MISTAKES)
def test_a_mistake_in_a_profile_is_named_by_file_and_key(
    old: str, new: str, key: str, said: str, tmp_path: Path
) -> None:
    assert old in PROFILE
    with pytest.raises(PresetError) as refusal:
        load_profiles(write(tmp_path, PROFILE.replace(old, new)))
    assert refusal.value.message.startswith(f"mine.toml: {key}: ")
    assert said in refusal.value.message
    assert refusal.value.file == "mine.toml"


MINE = '"miniature" = { steps = 20, guidance = 3.0 }'
LOOK_MISTAKES = [
    pytest.param(MINE, "", "models", "says nothing of miniature", id="a model left out"),
    pytest.param(MINE, f"{MINE}\nsora = {{}}", "models.sora", "miniature, anyflow", id="unknown model"),
    pytest.param(MINE, "miniature = 20", "models.miniature", "is no model's table", id="no table"),
    pytest.param("steps = 20", "steps = 0", "models.miniature.steps", "Nearest: 1", id="no steps"),
    pytest.param("steps = 20", "steps = 2.5", "models.miniature.steps", "must be int", id="half a step"),
    pytest.param("guidance = 3.0", "guidance = nan", "models.miniature.guidance", "Nearest: 3", id="NaN guidance"),
    pytest.param("steps = 20, ", "", "models.miniature.steps", "is missing", id="missing key"),
    pytest.param("steps = 20", "step = 20", "models.miniature.step", "is not a key", id="unknown key"),
    pytest.param('title = "Mine"', 'titel = "Mine"', "titel", "is not a key", id="misspelt title"),
    pytest.param("[models]", "[model]", "models", "must be a table", id="no models"),
]


@pytest.mark.parametrize(("old", "new", "key", "said"), LOOK_MISTAKES)
def test_a_mistake_in_a_look_is_named_by_file_and_key(old: str, new: str, key: str, said: str, tmp_path: Path) -> None:
    assert old in LOOK
    with pytest.raises(PresetError) as refusal:
        load_looks(write(tmp_path, LOOK.replace(old, new, 1)))
    assert refusal.value.message.startswith(f"mine.toml: {key}: ")
    assert said in refusal.value.message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PresetError, match=r"mine\.toml: file: "):
        load_profiles(tmp_path)


def test_an_unknown_profile_is_refused_with_the_list_of_profiles() -> None:
    with pytest.raises(InvalidRequest, match="auto, 4gb, 6gb, 8gb, 12gb, 16gb, 24gb, 48gb, 80gb, cpu") as refusal:
        find_profile("7gb")
    assert refusal.value.field == "profile"

"""The Models tab's cards: what each says, and which button it has, for whatever is here and is being downloaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.drafts.measurements import Measurements
from pipeline.fetcher import FetchState, FetchStatus
from pipeline.installed import Presence
from pipeline.inventory import Entry, take_inventory
from pipeline.plan.device import DeviceKind
from pipeline.plan.presets import find_profile
from pipeline.studio.models_tab import Card, lay_out, say_size
from pipeline.studio.texts import Language
from tests.conftest import DeviceMaker

ROOM = 2**40
Cards = dict[str, Card]


@pytest.fixture
def entries(make_device: DeviceMaker, tmp_path: Path) -> tuple[Entry, ...]:
    """On a card with 4 GB; nothing is here but the miniature."""
    device = make_device(4.0, DeviceKind.CUDA, ram_gib=16.0)
    return take_inventory(device, find_profile("auto"), Measurements(tmp_path), {})


def cards(
    entries: tuple[Entry, ...],
    fetched: FetchStatus | None = None,
    room_bytes: int = ROOM,
    language: Language = Language.EN,
) -> Cards:
    return {card.model: card for card in lay_out(entries, fetched, room_bytes, language)}


def fetching(**fields: object) -> FetchStatus:
    status = FetchStatus(model="ltx-2b", state=FetchState.RUNNING, done_bytes=5 * 2**30, total_bytes=20 * 2**30)
    return replace(status, **fields)  # type: ignore[arg-type]


def test_what_is_here_can_be_used_and_what_is_not_can_be_downloaded(entries: tuple[Entry, ...]) -> None:
    found = cards(entries)
    miniature, ltx = found["miniature"], found["ltx-2b"]
    assert (miniature.action, miniature.label) == ("use", "Use this model")
    assert miniature.where == "Ready, ships with Rushes · 30\u00a0MB"
    assert (ltx.action, ltx.label, ltx.done) == ("download", "Download 14.8\u00a0GB", None)
    assert ltx.where == "Not here · 14.8\u00a0GB to download"
    assert ltx.licence == "Licence: LTX-Video Open Weights License 0.X"


def test_how_a_model_fits_is_told_with_a_duration_or_with_what_is_missing(entries: tuple[Entry, ...]) -> None:
    found = cards(entries)
    assert found["miniature"].forecast.startswith("Fits. A draft of 4.0 s at 256×160 takes about ")
    assert found["ltx-2b"].forecast.startswith("Fits with 8-bit weights. A draft of 5.0 s at 704×480 takes about ")
    assert found["wan-a14b"].forecast.startswith("Does not fit: it needs ")
    assert [found[key].fit for key in ("miniature", "ltx-2b", "wan-a14b")] == ["whole", "coarser", "not"]


def test_a_running_download_shows_how_far_it_is_and_can_be_cancelled(entries: tuple[Entry, ...]) -> None:
    found = cards(entries, fetching())
    assert found["ltx-2b"].where == "Downloading: 5.0\u00a0GB of 20.0\u00a0GB"
    assert (found["ltx-2b"].action, found["ltx-2b"].label, found["ltx-2b"].done) == ("cancel", "Cancel", 0.25)
    assert (found["wan-5b"].action, found["wan-5b"].note) == (
        "",
        "Another model is being downloaded; one comes at a time.",
    )
    assert found["miniature"].action == "use"


def test_before_its_size_is_known_a_download_has_come_to_nothing(entries: tuple[Entry, ...]) -> None:
    assert cards(entries, fetching(done_bytes=0, total_bytes=0))["ltx-2b"].done == 0.0


def test_a_download_that_failed_says_why_and_can_go_on(entries: tuple[Entry, ...]) -> None:
    halves = tuple(
        replace(entry, installation=replace(entry.installation, presence=Presence.PARTIAL, here_bytes=2**30))
        if entry.installation.spec.key == "ltx-2b"
        else entry
        for entry in entries
    )
    found = cards(halves, fetching(state=FetchState.FAILED, message="Nobody answers."))
    assert (found["ltx-2b"].note, found["ltx-2b"].action) == ("Nobody answers.", "download")
    assert found["ltx-2b"].label == "Go on, 14.8\u00a0GB to come"
    assert found["ltx-2b"].where == "Partly here, 1.0\u00a0GB; 14.8\u00a0GB to come"
    assert found["wan-5b"].note == ""


def test_what_the_disk_has_no_room_for_cannot_be_started(entries: tuple[Entry, ...]) -> None:
    found = cards(entries, room_bytes=14 * 2**30)
    assert (found["ltx-2b"].action, found["anyflow-1.3b"].action) == ("", "download")
    assert "room for 14.0\u00a0GB only" in found["ltx-2b"].note
    assert "room for 0\u00a0MB only" in cards(entries, room_bytes=-5)["ltx-2b"].note


def test_what_is_wrong_with_a_folder_of_ones_own_is_said_instead_of_a_button(entries: tuple[Entry, ...]) -> None:
    broken = (replace(entries[0], installation=replace(entries[0].installation, obstacle="It is broken.")),)
    (card,) = cards(broken).values()
    assert (card.action, card.note) == ("", "It is broken.")


def test_cards_speak_chinese(entries: tuple[Entry, ...]) -> None:
    found = cards(entries, language=Language.ZH)
    assert found["miniature"].label == "使用这个模型"
    assert found["ltx-2b"].label == "下载 14.8\u00a0GB"
    assert found["wan-a14b"].forecast.startswith("放不下")


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0\u00a0MB"), (31 * 2**20, "31\u00a0MB"), (int(1.5 * 2**30), "1.5\u00a0GB")]
)
def test_sizes_are_said_in_megabytes_up_to_a_gigabyte(size: int, said: str) -> None:
    assert say_size(Language.EN, size) == said

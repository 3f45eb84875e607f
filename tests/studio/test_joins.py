"""The badge: the seam check's verdict in a creator's words; a film that cannot be judged has none and loses nothing."""

from pathlib import Path

import pytest

from pipeline.drafts.journal import Journal
from pipeline.plan.chunks import Seam
from pipeline.seams.check import SeamFinding, Verdict
from pipeline.seams.drift import Drift
from pipeline.seams.metrics import Metric
from pipeline.studio import joins as joins_module
from pipeline.studio.joins import look_at_joins, say_joins
from pipeline.studio.texts import Language
from tests.seams import field
from tests.seams.test_film import write_film

DRAFT = "20260101-120000-0123456789abcdef"
STILL = Drift(luma=0, luma_slope=0, contrast=1, saturation=1, detail=1, motion=1)
GOOD = {Metric.SR: 1.1, Metric.SA: 1.0, Metric.CS: 0.4, Metric.MR: 1.0, Metric.HD: 0.99}


def verdict(*seams: dict[Metric, float]) -> Verdict:
    """Of a film with a seam a second at 24 frames a second, with these numbers beside good ones."""
    findings = tuple(
        SeamFinding(seam=Seam(frame=24 * (index + 1), faded_frames=0), values=GOOD | values)
        for index, values in enumerate(seams)
    )
    return Verdict(frames=24 * (len(seams) + 1), findings=findings, drift=STILL, added_drift=None)


def test_good_joins_are_praised_with_the_figure_nearest_to_its_limit() -> None:
    said = say_joins(verdict({}, {Metric.CS: 1.47}, {}), Language.EN, fps=24)
    assert not said.flagged
    assert said.sentence == "Joins do not show: 3 of 3 pass. Worst at 2.0 s: a colour step of 1.5 out of 255."


@pytest.mark.parametrize(
    ("values", "told", "in_chinese"),
    [
        ({Metric.SR: 4.0}, "4.0 times the usual change", "4.0 倍"),
        ({Metric.SR: 0.1}, "0.1 times the usual change", "0.1 倍"),
        ({Metric.SA: 6.0}, "6.0 times the usual jerk", "6.0 倍"),
        ({Metric.CS: 9.0}, "a colour step of 9.0 out of 255", "9.0"),
        ({Metric.MR: 5.0}, "motion 5.0 times less steady", "5.0 倍"),
        ({Metric.HD: 0.4}, "40% of the detail around it", "40%"),
    ],
    ids=str,
)
def test_a_join_that_may_show_is_told_where_and_why(values: dict[Metric, float], told: str, in_chinese: str) -> None:
    found = verdict({}, {}, values, {Metric.CS: 1.6})
    said = say_joins(found, Language.EN, fps=24)
    assert said.flagged
    assert said.sentence.startswith("A join may show: 2 of 4 flagged. Worst at 3.0 s: ")
    assert told in said.sentence
    chinese = say_joins(found, Language.ZH, fps=24).sentence
    assert in_chinese in chinese
    assert "4 处中有 2 处" in chinese


def test_joins_that_only_together_change_too_much_are_told_in_one_short_sentence() -> None:
    found = verdict(*[{Metric.SR: 1.89}] * 4)
    said = say_joins(found, Language.EN, fps=24)
    assert (found.flagged, said.flagged) == (0, True)
    assert said.sentence == "Joins may show: half change 1.9 times as much as around them, or more."
    assert "1.9 倍" in say_joins(found, Language.ZH, fps=24).sentence
    assert say_joins(verdict(*[{Metric.SR: 1.89}] * 3), Language.EN, fps=24).sentence.startswith("Joins do not show")
    flagged = verdict(*[{Metric.SR: 1.89}] * 3, {Metric.SR: 4.0})
    assert "1 of 4 flagged" in say_joins(flagged, Language.EN, fps=24).sentence


@pytest.mark.parametrize("language", Language)
def test_no_sentence_is_longer_than_that_of_motion(language: Language) -> None:
    longest = say_joins(verdict(*[{Metric.MR: 12.9}] * 12), language, fps=24).sentence
    assert len(say_joins(verdict(*[{Metric.SR: 1.9}] * 12), language, fps=24).sentence) <= len(longest)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Journal(tmp_path, DRAFT).folder.mkdir()
    return tmp_path


def film(drafts: Path, frames: field.Frames, **settings: object) -> None:
    write_film(Journal(drafts, DRAFT).video_path(), frames, settings)


SEAM = {"frame": field.FRAMES // 2, "faded_frames": 0}


def test_a_draft_s_film_is_judged_by_the_seams_it_names(folder: Path) -> None:
    film(folder, field.clean(), seams=[SEAM])
    found = look_at_joins(folder, DRAFT)
    assert found is not None
    assert [finding.seam.frame for finding in found.findings] == [SEAM["frame"]]
    assert found.flagged == 0


def test_a_film_is_judged_once_and_again_when_it_is_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(folder, field.clean(), seams=[SEAM])
    judged = []
    trace = joins_module.trace_film
    monkeypatch.setattr(joins_module, "trace_film", lambda film: (judged.append(film), trace(film))[1])
    assert look_at_joins(folder, DRAFT) == look_at_joins(folder, DRAFT)
    assert len(judged) == 1
    film(folder, field.clean()[:-8], seams=[SEAM])
    assert look_at_joins(folder, DRAFT) is not None
    assert len(judged) == 2


def test_one_chunk_and_scenes_of_one_chunk_have_no_badge(folder: Path) -> None:
    film(folder, field.clean(), seams=[])
    assert look_at_joins(folder, DRAFT) is None
    film(folder, field.clean()[:-8], seams=[], cuts=[SEAM["frame"]])
    assert look_at_joins(folder, DRAFT) is None


def test_a_join_too_near_the_end_does_not_take_the_badge_from_the_others(folder: Path) -> None:
    film(folder, field.clean(), seams=[SEAM, {"frame": field.FRAMES - 4, "faded_frames": 0}])
    found = look_at_joins(folder, DRAFT)
    assert found is not None
    assert say_joins(found, Language.EN, fps=24).sentence.startswith("Joins do not show: 1 of 1 pass.")


@pytest.mark.parametrize("content", [None, b"", b"I am text"], ids=["missing", "empty", "text"])
def test_what_cannot_be_judged_has_no_badge(folder: Path, content: bytes | None) -> None:
    if content is not None:
        Journal(folder, DRAFT).video_path().write_bytes(content)
    assert look_at_joins(folder, DRAFT) is None


def test_an_error_nobody_thought_of_is_no_reason_to_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(folder, field.clean(), seams=[SEAM])

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(joins_module, "trace_film", fail)
    assert look_at_joins(folder, DRAFT) is None

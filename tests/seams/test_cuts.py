"""A cut is meant: it is no seam, and neither a seam's window nor the drift reaches across it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import Seam
from pipeline.seams.check import judge, trace_film
from pipeline.seams.film import Film, find_film
from pipeline.seams.report import verdict_as_json, verdict_as_text
from pipeline.seams.trace import trace_frames
from tests.seams import field
from tests.seams.test_film import write_film

CUT = field.FRAMES
ALL = range(2 * field.FRAMES)
SEAM = Seam(frame=CUT // 2, faded_frames=0)


def two_scenes() -> field.Frames:
    """A film and, after a cut, the same darker and turned round."""
    film = field.clean()
    return np.concatenate([film, film[::-1] // 3])


def test_a_cut_taken_for_a_seam_is_flagged_and_meant_it_is_not() -> None:
    trace = trace_frames(two_scenes(), matched=ALL)
    assert judge(trace, (SEAM, Seam(frame=CUT, faded_frames=0))).flagged == 1
    verdict = judge(trace, (SEAM,), cuts=(CUT,))
    assert (verdict.flagged, verdict.passed, verdict.cuts) == (0, True, (CUT,))


@pytest.mark.parametrize("away", [8, 9, 12])
def test_a_seam_beside_a_cut_has_the_numbers_of_its_own_scene(away: int) -> None:
    alone, both = (trace_frames(film, matched=ALL) for film in (field.clean(), two_scenes()))
    before = Seam(frame=CUT - away, faded_frames=0)
    (wanted,) = judge(alone, (before,)).findings
    (found,) = judge(both, (before,), cuts=(CUT,)).findings
    assert found == wanted
    turned = trace_frames(field.clean()[::-1] // 3, matched=ALL)
    (wanted,) = judge(turned, (Seam(frame=away, faded_frames=0),)).findings
    (found,) = judge(both, (Seam(frame=CUT + away, faded_frames=0),), cuts=(CUT,)).findings
    assert found.values == wanted.values
    assert found.seam.frame == CUT + away


def test_a_seam_too_near_to_a_cut_is_told_and_not_judged() -> None:
    near = (Seam(frame=CUT - 7, faded_frames=0), Seam(frame=CUT + 7, faded_frames=0))
    verdict = judge(trace_frames(two_scenes(), matched=ALL), (SEAM, *near), cuts=(CUT,))
    assert verdict.unjudged == near
    assert [finding.seam for finding in verdict.findings] == [SEAM]
    text = verdict_as_text(Film(path=Path("film.mp4"), seams=(SEAM, *near), cuts=(CUT,)), verdict)
    assert f"1 cut, meant and not judged, at frame {CUT}\n" in text
    assert f"2 seams more, with too few frames around to be judged, at frame {CUT - 7}, {CUT + 7}\n" in text


def test_drift_is_that_of_the_longest_scene() -> None:
    film = field.clean()
    longer = np.concatenate([film[:60] // 3, film])
    alone = judge(trace_frames(film, matched=()), ())
    assert judge(trace_frames(longer, matched=()), (), cuts=(60,)).drift == alone.drift
    assert abs(judge(trace_frames(longer, matched=()), ()).drift.luma) > abs(alone.drift.luma) + 20


def test_a_film_says_its_cuts(tmp_path: Path) -> None:
    rows = [{"frame": SEAM.frame, "faded_frames": 0}]
    path = write_film(tmp_path / "film.mp4", two_scenes(), {"seams": rows, "cuts": [CUT]})
    film = find_film(str(path), tmp_path)
    assert (film.seams, film.cuts) == ((SEAM,), (CUT,))
    verdict = judge(trace_film(film), (SEAM,), cuts=film.cuts)
    assert verdict.passed
    assert verdict_as_json(film, verdict)["cuts"] == (CUT,)


@pytest.mark.parametrize("cuts", [None, 5, "5", [True], [-1], [0], [1.5], [["5"]], {"5": 5}], ids=str)
def test_what_is_no_list_of_cuts_counts_as_none(tmp_path: Path, cuts: object) -> None:
    path = write_film(tmp_path / "film.mp4", field.clean()[:20], {"seams": [], "cuts": cuts})
    assert find_film(str(path), tmp_path).cuts == ()


@pytest.mark.parametrize("cuts", [[2], [10, 12], [19], [500]], ids=str)
def test_cuts_that_leave_nothing_to_measure_are_refused(tmp_path: Path, cuts: list[int]) -> None:
    path = write_film(tmp_path / "film.mp4", field.clean()[:20], {"seams": [], "cuts": cuts})
    with pytest.raises(InvalidRequest, match="leave fewer than 4 frames"):
        trace_film(find_film(str(path), tmp_path))

"""The gate, the refusals, and what is told of a verdict."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import Seam
from pipeline.seams.check import SeamFinding, Verdict, judge, trace_film
from pipeline.seams.drift import Drift
from pipeline.seams.film import Film
from pipeline.seams.metrics import Metric
from pipeline.seams.report import verdict_as_json, verdict_as_text, worst_and_median
from pipeline.seams.trace import trace_frames
from pipeline.video.mp4 import write_slice
from tests.seams import field

SR, SA, CS, MR, HD = Metric
GOOD = {SR: 1.0, SA: 1.0, CS: 0.0, MR: 1.0, HD: 1.0}
STEADY = Drift(luma=0.0, luma_slope=0.0, contrast=1.0, saturation=1.0, detail=1.0, motion=1.0)
FILM = Film(path=Path("film.mp4"), seams=())


def finding(frame: int = 49, **values: float) -> SeamFinding:
    return SeamFinding(
        seam=Seam(frame=frame, faded_frames=16), values=GOOD | {Metric(name): value for name, value in values.items()}
    )


def verdict(*findings: SeamFinding, added: Drift | None = None) -> Verdict:
    return Verdict(frames=97, findings=findings, drift=STEADY, added_drift=added)


# The gate -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"), [("SR", 2.01), ("SR", 0.49), ("SA", 2.01), ("CS", 1.51), ("MR", 1.61), ("HD", 0.949)]
)
def test_any_number_beyond_its_limit_flags_a_seam(name: str, value: float) -> None:
    assert finding().beyond == ()
    assert finding(**{name: value}).beyond == (Metric(name),)


def test_numbers_at_their_limits_do_not() -> None:
    assert finding(SR=2.0, SA=2.0, CS=1.5, MR=1.6, HD=0.95).beyond == ()
    assert finding(SR=0.5).beyond == ()


@pytest.mark.parametrize(
    ("seams", "flagged", "passed"),
    [
        *((0, 0, True), (1, 0, True), (1, 1, False), (7, 1, False), (8, 1, True), (8, 2, False)),
        *((15, 1, True), (15, 2, False), (16, 2, True), (16, 3, False)),
    ],
)
def test_one_flagged_seam_in_eight_may_be(seams: int, flagged: int, passed: bool) -> None:
    found = verdict(*[finding(SR=9.0, SA=9.0)] * flagged, *[finding()] * (seams - flagged))
    assert (found.flagged, found.passed) == (flagged, passed)


@pytest.mark.parametrize(
    ("ratios", "passed"),
    [
        *(([1.9] * 3, True), ([1.26] * 4, False), ([1.25] * 4, True), ([0.6] * 4, True)),
        *(([1.0, 1.0, 1.9, 1.9], False), ([1.0, 1.0, 1.4, 1.9], True), ([1.0, 1.0, 1.3, 1.9, 1.9], False)),
        ([1.0] * 7 + [9.0], True),
    ],
    ids=str,
)
def test_a_film_of_which_most_seams_change_more_than_the_rest_does_not_pass(ratios: list[float], passed: bool) -> None:
    found = verdict(*[finding(SR=ratio) for ratio in ratios])
    assert found.flagged <= found.allowed
    assert found.passed is passed


def test_small_jumps_at_every_seam_are_seen_by_their_median() -> None:
    seams = tuple(Seam(frame=frame, faded_frames=0) for frame in field.SEAMS)
    found = judge(trace_frames(field.jumping(0.6), matched=range(field.FRAMES)), seams)
    assert (found.flagged, found.passed) == (0, False)
    assert found.medians_beyond[SR] == pytest.approx(1.52, abs=0.05)
    assert judge(trace_frames(field.clean(), matched=range(field.FRAMES)), seams).passed


def test_drift_that_chunks_added_fails_a_film_also_without_a_flag() -> None:
    assert verdict(finding(), added=STEADY).passed
    found = verdict(finding(), added=replace(STEADY, saturation=1.4))
    assert (found.flagged, found.drifted, found.passed) == (0, ("saturation",), False)


def test_drift_alone_is_told_and_not_judged() -> None:
    drifting = replace(STEADY, luma=40.0, contrast=0.2)
    assert Verdict(frames=97, findings=(finding(),), drift=drifting, added_drift=None).passed


def test_a_film_is_judged_against_itself_in_one_chunk() -> None:
    seams = tuple(Seam(frame=frame, faded_frames=0) for frame in field.SEAMS)
    whole = trace_frames(field.clean(), matched=range(field.FRAMES))
    assert judge(whole, seams, whole).added_drift == STEADY
    pale = field.to_frames(
        128 + (field.picture(field.moments()) - 128) * np.linspace(1, 0.6, field.FRAMES)[:, None, None, None]
    )
    found = judge(trace_frames(pale, matched=range(field.FRAMES)), seams, whole)
    assert found.flagged == 0
    assert {"contrast", "saturation", "detail"} <= set(found.drifted)
    with pytest.raises(InvalidRequest, match="136 frames cannot be compared with one of 100"):
        judge(whole, seams, trace_frames(field.clean()[:100], matched=()))


# Refusals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frames", "seams", "told"),
    [
        (40, None, "is not written in it.*--at 49 98"),
        (40, [7], r"Frame 7 is too near the beginning.*The first that can be is 8\."),
        (40, [-5], "Frame -5 is too near the beginning"),
        (40, [0], "Frame 0 is too near the beginning"),
        (40, [20, 33], r"Frame 33 is not in .*film\.mp4 or too near its end.*40 frames.*The last that can be is 32\."),
        (40, [4000], "Frame 4000 is not in "),
        (16, [9], r"The last that can be is 8\."),
        (1, [8], r"it has 1 frame, and 8 from the seam on are needed\."),
        (3, [8], r"has 3 frames.*It is too short to have a seam\."),
        (15, [8], r"It is too short to have a seam\."),
        (3, [], r"too short to be checked: 3 of at least 4 frames\."),
        (1, [], "1 of at least 4 frames"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(
    tmp_path: Path, frames: int, seams: list[int] | None, told: str
) -> None:
    write_slice(field.clean()[:frames], tmp_path / "film.mp4", fps=24)
    known = None if seams is None else tuple(Seam(frame=frame, faded_frames=0) for frame in seams)
    with pytest.raises(InvalidRequest) as refusal:
        trace_film(Film(path=tmp_path / "film.mp4", seams=known, given=True))
    assert re.search(told, str(refusal.value)), refusal.value


@pytest.mark.parametrize(("frames", "seams"), [(40, [8, 32]), (16, [8]), (4, [])])
def test_what_just_can_be_checked_is_checked(tmp_path: Path, frames: int, seams: list[int]) -> None:
    write_slice(field.clean()[:frames], tmp_path / "film.mp4", fps=24)
    film = Film(path=tmp_path / "film.mp4", seams=tuple(Seam(frame=frame, faded_frames=16) for frame in seams))
    found = judge(trace_film(film), film.seams or ())
    values = [value for finding in found.findings for value in finding.values.values()]
    assert len(values) == 5 * len(seams)
    assert np.isfinite([*values, found.drift.luma, found.drift.luma_slope, found.drift.motion]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [[4], [0], [36], [40], [10**400], [4, 36]], ids=lambda frames: str(frames)[:9])
def test_seams_of_a_film_too_near_its_ends_are_told_and_not_judged(tmp_path: Path, frames: list[int]) -> None:
    write_slice(field.clean()[:40], tmp_path / "film.mp4", fps=24)
    near, seam = tuple(Seam(frame=frame, faded_frames=0) for frame in frames), Seam(frame=20, faded_frames=0)
    film = Film(path=tmp_path / "film.mp4", seams=tuple(sorted((*near, seam), key=lambda seam: seam.frame)))
    found = judge(trace_film(film), film.seams or ())
    assert ([finding.seam for finding in found.findings], found.unjudged) == ([seam], near)
    assert np.isfinite(found.drift.luma_slope)
    counted = "2 seams" if len(near) > 1 else "1 seam"
    assert f"\n  {counted} more, with too few frames around to be judged, at frame " in verdict_as_text(film, found)
    told = json.loads(json.dumps(verdict_as_json(film, found), allow_nan=False))
    assert [row["frame"] for row in told["unjudged"]] == frames


def test_a_film_of_which_no_seam_can_be_judged_passes_and_says_so() -> None:
    found = replace(verdict(), unjudged=(Seam(frame=93, faded_frames=0),))
    assert verdict_as_text(FILM, found).endswith("\nPassed: there is no seam in it that can be judged.")


# Reports ------------------------------------------------------------------------------------------------------------
def test_the_worst_is_the_one_farthest_towards_its_limit() -> None:
    found = verdict(
        finding(SR=1.9, CS=-3.0, HD=1.2), finding(SR=0.45, CS=1.0, HD=0.96), finding(SR=1.0, CS=0.5, HD=0.99)
    )
    told = worst_and_median(found)
    assert (told[SR], told[CS], told[HD]) == ((0.45, 1.0), (1.0, 0.5), (0.96, 0.99))


def test_a_verdict_is_told_seam_by_seam() -> None:
    lines = verdict_as_text(FILM, verdict(finding(49, SR=2.5), finding(73, HD=0.9494))).splitlines()
    assert lines[0] == "film.mp4, 97 frames, 2 seams"
    assert lines[1].split() == ["frame", "SR", "SA", "CS", "MR", "HD"]
    assert lines[2].split() == ["49", "2.500!", "1.000", "0.000", "1.000", "1.000"]
    assert lines[3].split() == ["73", "1.000", "1.000", "0.000", "1.000", "0.949!"]
    assert lines[4].split() == ["worst", "2.500", "1.000", "0.000", "1.000", "0.949"]
    assert " ".join(lines[6].split()) == "limits 0.5 to 2 up to 2 up to 1.5 up to 1.6 from 0.95"
    assert lines[-1] == "Flagged: 2 of 2 seams flagged, none may be."
    assert max(map(len, lines)) <= 120


def test_a_median_beyond_its_limit_is_told() -> None:
    found = verdict(*[finding(frame, SR=1.3) for frame in (49, 73, 97, 121)])
    lines = verdict_as_text(FILM, found).splitlines()
    assert lines[-4].split() == ["median", "1.300!", "1.000", "0.000", "1.000", "1.000"]
    assert lines[-1] == "Flagged: 0 of 4 seams flagged, none may be; the median of SR is 1.300, up to 1.25 may be."
    told = json.loads(json.dumps(verdict_as_json(FILM, found), allow_nan=False))
    assert (told["passed"], told["medians_beyond"]) == (False, ["SR"])
    assert told["median_limits"] == {"SR": {"low": None, "high": 1.25}}


def test_one_chunk_passes_and_has_no_seam() -> None:
    told = verdict_as_text(FILM, verdict())
    assert told.startswith("film.mp4, 97 frames, 0 seams\n")
    assert told.endswith("\nPassed: it is one chunk, there is no seam.")
    assert verdict_as_json(FILM, verdict())["worst"] == {}


def test_what_drifted_is_told() -> None:
    told = verdict_as_text(FILM, verdict(finding(), added=replace(STEADY, luma=-13.0, luma_slope=-2.0, motion=0.4)))
    assert "luma -13.0! (-2.0! a chunk), contrast x1.00, saturation x1.00, detail x1.00, motion x0.40!" in told
    assert told.endswith(
        "Flagged: 0 of 1 seam flagged, none may be; its chunks made it drift in luma, luma slope, motion."
    )


def test_a_verdict_for_machines_holds_the_same() -> None:
    found = verdict(finding(49, SR=2.5), finding(73), added=STEADY)
    told = json.loads(json.dumps(verdict_as_json(FILM, found), allow_nan=False))
    assert (told["film"], told["frames"], told["passed"], told["flagged"], told["allowed"]) == (
        *("film.mp4", 97, False),
        *(1, 0),
    )
    assert told["seams"][0] == {"frame": 49, "faded_frames": 16, "values": GOOD | {"SR": 2.5}, "beyond": ["SR"]}
    assert told["seams"][1]["beyond"] == []
    assert told["worst"]["SR"] == 2.5
    assert told["median"]["SR"] == 1.75
    assert told["limits"]["SR"] == {"low": 0.5, "high": 2.0}
    assert told["added_drift"]["contrast"] == 1.0

"""Every number of a seam by its definition, its limits as calibrated, and which fault moves which number."""

from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import pytest

from pipeline.plan.chunks import Seam
from pipeline.seams.check import Verdict, judge
from pipeline.seams.metrics import LIMITS, MARGIN_FRAMES, Limit, Metric, matched_frames, measure_seam
from pipeline.seams.trace import Trace, trace_frames
from tests.seams import field

SR, SA, CS, MR, HD = Metric


def seams(*frames: int, faded_frames: int = 0) -> tuple[Seam, ...]:
    return tuple(Seam(frame=frame, faded_frames=faded_frames) for frame in frames)


def verdict(frames: field.Frames, *, faded_frames: int = 0) -> Verdict:
    """Of a film with the field's seams."""
    found = seams(*field.SEAMS, faded_frames=faded_frames)
    return judge(trace_frames(frames, matched=matched_frames(found)), found)


def random_trace(frames: int = 60, seed: int = 0) -> Trace:
    """Numbers that no film has: each window of them has another median."""
    source = np.random.default_rng(seed)
    names = ("change", "acceleration", "residual", "detail", "luma", "contrast", "saturation")
    columns = {name: source.uniform(1, 9, frames) for name in names}
    columns["change"][0] = columns["acceleration"][0] = columns["acceleration"][-1] = np.nan
    return Trace(colour=source.uniform(0, 255, (frames, 3)), **columns)


# Definitions --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("frame", [8, 9, 12, 30, 51, 52])
@pytest.mark.parametrize("seed", range(3))
def test_each_number_is_what_its_definition_says(frame: int, seed: int) -> None:
    """Written out once more, frame by frame."""
    t = random_trace(60, seed)
    window = [n for n in range(frame - 8, frame + 9) if 1 <= n < 60]
    ends = [n for n in window if n not in (frame - 1, frame) and n < 59]
    near = [n for n in range(frame - 4, frame + 5) if n != frame]
    fade = [n for n in range(frame - 16, frame) if n >= 0]
    beside = [n for n in [*range(fade[0] - 8, fade[0]), *range(frame, frame + 8)] if 0 <= n < 60]

    def step(at: int) -> float:
        sums = [sum(t.colour[n] for n in range(first, first + 4)) / 4 for first in (at - 4, at)]
        return float(max(abs(sums[1] - sums[0])))

    places = [frame + offset for offset in (-8, -7, -6, -5, -4, 4, 5, 6, 7, 8)]
    expected = {
        SR: (t.change[frame] + 0.25) / (median(t.change[n] for n in window if n != frame) + 0.25),
        SA: (max(t.acceleration[frame - 1 : frame + 1]) + 0.25) / (median(t.acceleration[n] for n in ends) + 0.25),
        CS: step(frame) - median(step(at) for at in places if at >= 4 and at + 4 <= 60),
        MR: (t.residual[frame] + 0.25) / (median(t.residual[n] for n in near) + 0.25),
        HD: (sum(t.detail[n] for n in fade) / len(fade) + 0.25) / (median(t.detail[n] for n in beside) + 0.25),
    }
    assert measure_seam(t, Seam(frame=frame, faded_frames=16)) == pytest.approx(expected)


def test_without_a_fade_the_blend_is_the_frames_around_the_seam() -> None:
    t = random_trace()
    expected = (t.detail[26:34].mean() + 0.25) / (np.median([*t.detail[18:26], *t.detail[34:42]]) + 0.25)
    assert measure_seam(t, Seam(frame=30, faded_frames=0))[HD] == pytest.approx(expected)


def test_the_residuals_that_are_measured_are_those_that_are_needed() -> None:
    assert matched_frames(seams(20, 40)) == {*range(16, 25), *range(36, 45)}


def test_a_seam_may_be_as_near_to_either_end_as_is_said() -> None:
    for frames in (2 * MARGIN_FRAMES, 40):
        for frame in (MARGIN_FRAMES, frames - MARGIN_FRAMES):
            values = measure_seam(random_trace(frames), Seam(frame=frame, faded_frames=16))
            assert all(np.isfinite(value) for value in values.values())


# Limits -------------------------------------------------------------------------------------------------------------
def test_the_limits_are_those_of_the_calibration() -> None:
    told = {metric: (limit.low, limit.high) for metric, limit in LIMITS.items()}
    assert told == {SR: (0.5, 2.0), SA: (None, 2.0), CS: (None, 1.5), MR: (None, 1.6), HD: (0.95, None)}


@pytest.mark.parametrize(
    ("limit", "within", "beyond"),
    [
        (Limit(high=2.0), [-5.0, 0.0, 1.99, 2.0], [2.001, 9.0]),
        (Limit(low=0.95), [0.95, 0.951, 7.0], [0.949, 0.1]),
        (Limit(low=0.5, high=2.0), [0.5, 1.0, 2.0], [2.001, 0.4]),
    ],
    ids=str,
)
def test_a_limit_belongs_to_what_is_allowed(limit: Limit, within: list[float], beyond: list[float]) -> None:
    assert all(limit.strain(value) <= 1 for value in within)
    assert all(limit.strain(value) > 1 for value in beyond)
    assert sorted(beyond, key=limit.strain)[-1] == beyond[-1]


# Faults -------------------------------------------------------------------------------------------------------------
def test_a_film_without_a_fault_is_not_flagged() -> None:
    found = verdict(field.clean(), faded_frames=16)
    assert found.flagged == 0
    for finding in found.findings:
        assert [finding.values[metric] for metric in (SR, SA, MR, HD)] == pytest.approx([1] * 4, abs=0.1)
        assert abs(finding.values[CS]) < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_places_that_are_no_seams_are_flagged_rarely(seed: int) -> None:
    everywhere = seams(*range(MARGIN_FRAMES, field.FRAMES - MARGIN_FRAMES + 1))
    frames = field.clean(seed)
    found = judge(trace_frames(frames, matched=matched_frames(everywhere)), everywhere)
    assert len(found.findings) == 121
    assert found.flagged <= 3


@pytest.mark.parametrize(
    ("make", "by", "faded_frames"),
    [
        (field.cut, {SR, SA, MR}, 0),
        (partial(field.jumping, 8), {SR, SA, MR}, 0),
        (partial(field.jumping, 4), {SR, SA, MR}, 0),
        (partial(field.jumping, 2), {SR, SA}, 0),
        (partial(field.jumping, -1), {SR}, 0),
        (partial(field.brighter, 2), {CS}, 0),
        (partial(field.brighter, 4), {CS}, 0),
        (partial(field.brighter, -6), {SA}, 0),
        (partial(field.gained, 1.05), {CS, SA, MR}, 0),
        (partial(field.ghosting, 6), {HD}, 16),
        (partial(field.ghosting, 9, fade=8), {HD}, 8),
    ],
    ids=["cut", "jump 8", "jump 4", "jump 2", "repeat", "+2", "+4", "-6", "gain", "ghosts", "short ghosts"],
)
def test_a_fault_at_every_seam_is_flagged_at_every_seam(
    make: Callable[[], field.Frames], by: set[Metric], faded_frames: int
) -> None:
    found = verdict(make(), faded_frames=faded_frames)
    assert found.flagged == len(field.SEAMS)
    assert not found.passed
    for finding in found.findings:
        assert by <= set(finding.beyond), (finding.seam, finding.values)


def test_what_ghosts_move_is_nothing_else() -> None:
    assert {
        metric for finding in verdict(field.ghosting(6), faded_frames=16).findings for metric in finding.beyond
    } == {HD}


def test_a_still_film_has_nothing_to_be_divided_by_and_passes() -> None:
    still = np.repeat(field.clean()[:1], field.FRAMES, axis=0)
    found = verdict(still)
    assert found.passed
    assert found.findings[0].values == pytest.approx({SR: 1, SA: 1, CS: 0, MR: 1, HD: 1})


def test_a_repeated_frame_is_not_taken_for_a_still() -> None:
    assert all(finding.values[SR] < 0.5 for finding in verdict(field.jumping(-1)).findings)


def test_a_fade_makes_a_step_of_six_levels_pass() -> None:
    """What chunks that differ in brightness are faded for: 6 levels at once are seen, over 16 frames they are not."""
    hard = field.picture(field.moments())
    soft = hard.copy()
    for seam in field.SEAMS:
        hard[seam:] += 6
        soft[seam - 16 : seam] += 6 * field.sigmoid_ramp(16)[:, None, None, None]
        soft[seam:] += 6
    assert all(finding.values[CS] > 5.5 for finding in verdict(field.to_frames(hard)).findings)
    faded = verdict(field.to_frames(soft), faded_frames=16)
    assert faded.passed
    assert all(finding.values[CS] < 1.5 for finding in faded.findings)

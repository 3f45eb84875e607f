"""Drift from a film's first frames to its last ones, by hand, and what chunks may add to it."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.plan.chunks import Seam
from pipeline.seams.drift import DRIFT_LIMITS, Drift, beyond_limits, compare_drift, measure_drift
from pipeline.seams.trace import Trace

NONE = Drift(luma=0.0, luma_slope=0.0, contrast=1.0, saturation=1.0, detail=1.0, motion=1.0)


def trace(frames: int = 200, **columns: object) -> Trace:
    """Of a film in which nothing changes; name what does."""
    standard: dict[str, object] = {"colour": np.full((frames, 3), 100.0)}
    for name in ("change", "acceleration", "residual", "detail", "luma", "contrast", "saturation"):
        standard[name] = np.full(frames, 10.0)
    return Trace(**(standard | columns))  # type: ignore[arg-type]


def seams(*frames: int) -> tuple[Seam, ...]:
    return tuple(Seam(frame=frame, faded_frames=0) for frame in frames)


def test_a_film_in_which_nothing_changes_does_not_drift() -> None:
    assert asdict(measure_drift(trace(), seams(49, 98))) == pytest.approx(asdict(NONE))


@pytest.mark.parametrize(("frames", "ends"), [(200, 30), (90, 16), (20, 10)], ids=["share", "least", "half"])
def test_the_ends_are_15_percent_16_frames_or_half_of_the_film(frames: int, ends: int) -> None:
    luma = np.full(frames, 10.0)
    luma[:ends], luma[frames - ends :] = 4.0, 20.0
    assert measure_drift(trace(frames, luma=luma), ()).luma == pytest.approx(16)
    if 2 * ends < frames:
        luma[ends - 1], luma[frames - ends] = 10.0, 10.0
        assert measure_drift(trace(frames, luma=luma), ()).luma < 15.9


@pytest.mark.parametrize(
    ("column", "name"),
    [("contrast", "contrast"), ("saturation", "saturation"), ("detail", "detail"), ("change", "motion")],
)
def test_ratios_are_of_the_last_frames_to_the_first(column: str, name: str) -> None:
    values = np.linspace(10, 20, 200)
    values[:30], values[-30:] = 10.0, 5.0
    values[0] = np.nan if column == "change" else 10.0  # nothing is before the first frame
    assert asdict(measure_drift(trace(**{column: values}), ())) == pytest.approx(asdict(NONE) | {name: 5.25 / 10.25})


def test_the_slope_is_that_of_the_chunks_means() -> None:
    luma = np.concatenate([np.full(49, 100.0), np.full(49, 103.0), np.full(102, 106.0)])
    assert measure_drift(trace(luma=luma), seams(49, 98)).luma_slope == pytest.approx(3)
    assert measure_drift(trace(luma=luma), ()).luma_slope == 0


def test_a_film_is_compared_by_differences_of_levels_and_quotients_of_ratios() -> None:
    chunked = Drift(luma=9.0, luma_slope=2.0, contrast=1.2, saturation=1.5, detail=0.8, motion=0.5)
    unchunked = Drift(luma=4.0, luma_slope=-1.0, contrast=0.8, saturation=1.0, detail=1.6, motion=2.0)
    expected = Drift(luma=5.0, luma_slope=3.0, contrast=1.5, saturation=1.5, detail=0.5, motion=0.25)
    assert asdict(compare_drift(chunked, unchunked)) == pytest.approx(asdict(expected))


def test_the_limits_of_drift_are_those_of_the_calibration() -> None:
    assert {name: (limit.low, limit.high) for name, limit in DRIFT_LIMITS.items()} == {
        "luma": (None, 12.0),
        "luma_slope": (None, 1.0),
        "contrast": (0.9, 1.25),
        "saturation": (0.9, 1.35),
        "detail": (0.85, None),
        "motion": (0.5, None),
    }
    assert set(DRIFT_LIMITS) == set(asdict(NONE))


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("luma", (-12.0, 12.0), (-12.1, 12.1)),
        ("luma_slope", (-1.0, 1.0), (-1.01, 1.01)),
        ("contrast", (0.9, 1.25), (0.89, 1.26)),
        ("saturation", (0.9, 1.35), (0.89, 1.36)),
        ("detail", (0.85, 9.0), (0.84,)),
        ("motion", (0.5, 9.0), (0.49,)),
    ],
)
def test_what_drifts_too_far_is_named(name: str, within: tuple[float, ...], beyond: tuple[float, ...]) -> None:
    assert beyond_limits(NONE) == ()
    for value in within:
        assert beyond_limits(replace(NONE, **{name: value})) == ()
    for value in beyond:
        assert beyond_limits(replace(NONE, **{name: value})) == (name,)

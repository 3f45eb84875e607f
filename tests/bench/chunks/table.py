"""Figures as Markdown."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pipeline.seams.drift import beyond_limits, compare_drift
from pipeline.seams.metrics import LIMITS, Metric
from tests.bench.chunks.films import Measured

SEAM_COLUMNS = (
    "how chunks go on",
    "chunks",
    "films",
    "flagged seams",
    "SR",
    "SA",
    "CS",
    "MR",
    "HD",
    "colour kept",
    "shape kept",
    "direction kept",
)
DRIFT_COLUMNS = ("how chunks go on", "films", "beyond a limit", "luma", "contrast", "saturation", "detail", "motion")
OWN_COLUMNS = ("how chunks go on", "films", "luma, levels", "contrast", "saturation", "detail")
TOLD = ("luma", "contrast", "saturation", "detail", "motion")


def header(columns: Sequence[str]) -> str:
    """The two lines with which a table begins."""
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def share(kept: Sequence[bool]) -> str:
    """How many of how many."""
    return f"{sum(kept)} of {len(kept)}, {np.mean(kept):.0%}" if kept else "–"


def seam_row(name: str, films: Sequence[Measured]) -> str:
    """Median and worst of each number over all seams of some films, and what the object kept."""
    findings = [finding for film in films for finding in film.verdict.findings]
    cells = [name, str(len(films[0].verdict.findings) + 1), str(len(films))]
    cells.append(share([bool(finding.beyond) for finding in findings]))
    for metric in Metric:
        values = [finding.values[metric] for finding in findings]
        worst = max(values, key=LIMITS[metric].strain)
        cells.append(f"{np.median(values):.2f}, {worst:.2f}")
    cells.append(share([film.looks.colour_kept for film in films]))
    cells.append(share([film.looks.shape_kept for film in films]))
    cells.append(share([went for film in films for went in film.looks.went_on]))
    return row(cells)


def own_drift_row(name: str, films: Sequence[Measured]) -> str:
    """How far some films drift from their own first frames to their last, either way: medians of levels and factors."""
    drifts = [asdict(film.verdict.drift) for film in films]
    cells = [name, str(len(films)), f"{np.median([abs(drift['luma']) for drift in drifts]):.1f}"]
    for measure in ("contrast", "saturation", "detail"):
        cells.append(f"{np.exp(np.median([abs(np.log(drift[measure])) for drift in drifts])):.2f}")
    return row(cells)


def drift_row(name: str, films: Sequence[Measured], others: Sequence[Measured]) -> str:
    """What some films drift more than the same in one window: median, and the two ends."""
    added = [compare_drift(film.verdict.drift, other.verdict.drift) for film, other in zip(films, others, strict=True)]
    beyond = [set(beyond_limits(drift)) - {"luma_slope"} for drift in added]
    names = sorted(set().union(*beyond))
    told = ", ".join(f"{name} {sum(name in found for found in beyond)}" for name in names) or "none"
    cells = [name, str(len(films)), f"{sum(map(bool, beyond))} ({told})"]
    for measure in TOLD:
        values = [asdict(drift)[measure] for drift in added]
        cells.append(f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    return row(cells)

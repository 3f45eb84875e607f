"""Figures as Markdown."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pipeline.seams.check import Verdict
from pipeline.seams.drift import DRIFT_LIMITS, beyond_limits, compare_drift
from pipeline.seams.metrics import LIMITS, Metric
from tests.bench.chunks.films import Measured

SEAM_COLUMNS = (
    "how chunks go on",
    "chunks",
    "films",
    "flagged seams",
    "films beyond a median",
    "SR",
    "SA",
    "CS",
    "MR",
    "HD",
    "colour kept",
    "shape kept",
    "direction kept",
    "comes in from an edge",
)
DRIFT_COLUMNS = ("how chunks go on", "films", "beyond a limit", "luma", "contrast", "saturation", "detail", "motion")
OWN_COLUMNS = ("how chunks go on", "films", "luma, levels", "contrast", "saturation", "detail")
FADING_COLUMNS = ("how chunks go on", "films", "beyond a limit", "background", "object", "contrast", "sharpness")
FADING_LIMITS = {  # those of the whole picture's drift, for what is its like
    "background": DRIFT_LIMITS["luma"],
    "object": DRIFT_LIMITS["luma"],
    "contrast": DRIFT_LIMITS["contrast"],
    "sharpness": DRIFT_LIMITS["detail"],
}
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
    kept = (
        share([film.looks.colour_kept for film in films]),
        share([film.looks.shape_kept for film in films]),
        share([went for film in films for went in film.looks.went_on]),
        share([came for film in films for came in film.looks.came_in]),
    )
    return _findings_row(name, [film.verdict for film in films], kept)


def between_row(name: str, films: Sequence[Measured]) -> str:
    """The same of the places half-way between two seams."""
    return _findings_row(f"{name}, between seams", [film.between for film in films], ("",) * 4)


def _findings_row(name: str, verdicts: Sequence[Verdict], kept: Sequence[str]) -> str:
    findings = [finding for verdict in verdicts for finding in verdict.findings]
    cells = [name, str(len(verdicts[0].findings) + 1), str(len(verdicts))]
    cells.append(share([bool(finding.beyond) for finding in findings]))
    cells.append(share([bool(verdict.medians_beyond) for verdict in verdicts]))
    for metric in Metric:
        values = [finding.values[metric] for finding in findings]
        worst = max(values, key=LIMITS[metric].strain)
        beyond = sum(LIMITS[metric].strain(value) > 1 for value in values)
        cells.append(f"{np.median(values):.2f}, {worst:.2f} ({beyond})")
    return row([*cells, *kept])


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


def fading_row(name: str, films: Sequence[Measured], others: Sequence[Measured]) -> str:
    """How otherwise the background and the object are painted at the end: median and worst, and in how many films more
    so than in one window by more than a limit."""
    owns, whole = ([asdict(film.fading) for film in made] for made in (films, others))
    cells, beyond = list[str](), np.zeros(len(films), bool)
    for measure, limit in FADING_LIMITS.items():
        levels = measure in ("background", "object")
        own, other = (np.array([fading[measure] for fading in made]) for made in (owns, whole))
        added = own - other if levels else own / other
        beyond |= [value == value and limit.strain(value) > 1 for value in added]
        known = own[~np.isnan(own)]
        worst = known.max() if levels else known[np.abs(np.log(known)).argmax()]
        cells.append(f"{np.median(known):.1f}, {worst:.1f}" if levels else f"{np.median(known):.2f}, {worst:.2f}")
    seen = sum(not np.isnan(fading["object"]) for fading in owns)
    return row([name, f"{len(films)}, object at both ends in {seen}", str(beyond.sum()), *cells])

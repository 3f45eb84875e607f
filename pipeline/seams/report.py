"""A verdict for people and for machines."""

from dataclasses import asdict
from statistics import median
from typing import Any

from pipeline.seams.check import Verdict, count_of
from pipeline.seams.drift import DRIFT_LIMITS, Drift
from pipeline.seams.film import Film
from pipeline.seams.metrics import LIMITS, MEDIAN_LIMITS, Metric

COLUMN = 11  # characters


def worst_and_median(verdict: Verdict) -> dict[Metric, tuple[float, float]]:
    """Of each number of a film with seams: the one nearest to its limit or farthest beyond, and the median."""
    columns = {metric: [finding.values[metric] for finding in verdict.findings] for metric in Metric}
    return {metric: (max(values, key=LIMITS[metric].strain), median(values)) for metric, values in columns.items()}


def verdict_as_text(film: Film, verdict: Verdict) -> str:
    """Several lines; a number beyond its limit has a `!` behind it."""
    lines = [f"{film.path}, {count_of(verdict.frames, 'frame')}, {count_of(len(verdict.findings), 'seam')}"]
    if verdict.cuts:
        frames = ", ".join(map(str, verdict.cuts))
        lines.append(f"  {count_of(len(verdict.cuts), 'cut')}, meant and not judged, at frame {frames}")
    if verdict.unjudged:
        frames = ", ".join(str(seam.frame) for seam in verdict.unjudged)
        count = count_of(len(verdict.unjudged), "seam")
        lines.append(f"  {count} more, with too few frames around to be judged, at frame {frames}")
    if verdict.findings:
        lines.append(_row("frame", [f"{metric} " for metric in Metric]))
        for finding in verdict.findings:
            marks = {metric: "!" if metric in finding.beyond else " " for metric in Metric}
            lines.append(_row(finding.seam.frame, [f"{finding.values[m]:.3f}{marks[m]}" for m in Metric]))
        both = worst_and_median(verdict)
        lines.append(_row("worst", [f"{both[metric][0]:.3f} " for metric in Metric]))
        marks = {metric: "!" if metric in verdict.medians_beyond else " " for metric in Metric}
        lines.append(_row("median", [f"{both[metric][1]:.3f}{marks[metric]}" for metric in Metric]))
        lines.append(_row("limits", [f"{LIMITS[metric]} " for metric in Metric]))
    lines.append(f"  drift, first frames to last: {_say_drift(verdict.drift)}")
    if verdict.added_drift is not None:
        lines.append(f"  drift that the chunks added: {_say_drift(verdict.added_drift, verdict.drifted)}")
    return "\n".join([*lines, _say_outcome(verdict)])


def verdict_as_json(film: Film, verdict: Verdict) -> dict[str, Any]:
    """Plain values."""
    both = worst_and_median(verdict) if verdict.findings else {}
    return {
        "film": str(film.path),
        "frames": verdict.frames,
        "passed": verdict.passed,
        "flagged": verdict.flagged,
        "allowed": verdict.allowed,
        "cuts": verdict.cuts,
        "unjudged": [asdict(seam) for seam in verdict.unjudged],
        "seams": [
            asdict(finding.seam) | {"values": finding.values, "beyond": finding.beyond} for finding in verdict.findings
        ],
        "worst": {metric: values[0] for metric, values in both.items()},
        "median": {metric: values[1] for metric, values in both.items()},
        "limits": {metric: asdict(limit) for metric, limit in LIMITS.items()},
        "median_limits": {metric: asdict(limit) for metric, limit in MEDIAN_LIMITS.items()},
        "medians_beyond": tuple(verdict.medians_beyond),
        "drift": asdict(verdict.drift),
        "added_drift": None if verdict.added_drift is None else asdict(verdict.added_drift),
        "drift_limits": {name: asdict(limit) for name, limit in DRIFT_LIMITS.items()},
        "drifted": verdict.drifted,
    }


def _say_outcome(verdict: Verdict) -> str:
    if not verdict.findings and not verdict.drifted:
        if verdict.unjudged:
            return "Passed: there is no seam in it that can be judged."
        return "Passed: there is no seam in it." if verdict.cuts else "Passed: it is one chunk, there is no seam."
    count = len(verdict.findings)
    said = f"{verdict.flagged} of {count_of(count, 'seam')} flagged, {verdict.allowed or 'none'} may be"
    for metric, value in verdict.medians_beyond.items():
        said += f"; the median of {metric} is {value:.3f}, {MEDIAN_LIMITS[metric]} may be"
    if verdict.drifted:
        said += f"; its chunks made it drift in {', '.join(verdict.drifted).replace('_', ' ')}"
    return f"{'Passed' if verdict.passed else 'Flagged'}: {said}."


def _row(head: object, cells: list[str]) -> str:
    return f"  {head:<8}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _say_drift(drift: Drift, beyond: tuple[str, ...] = ()) -> str:
    def mark(name: str) -> str:
        return "!" if name in beyond else ""

    values = asdict(drift)
    levels = [f"luma {drift.luma:+.1f}{mark('luma')} ({drift.luma_slope:+.1f}{mark('luma_slope')} a chunk)"]
    ratios = [f"{name} x{values[name]:.2f}{mark(name)}" for name in ("contrast", "saturation", "detail", "motion")]
    return ", ".join(levels + ratios)

"""The seam check: a film is measured as it streams by, then judged.

A seam is flagged when any of its numbers is beyond its limit; a film passes with at most one flagged seam in eight, so
one of fewer than eight seams with none. About 9 % of the places that are no seams are beyond a limit too: among films
without a fault that flags 17 % of those with two seams, 48 % with seven, 16 % with eight (binomial). So a flagged seam
is one to look at, and its numbers say how bad it is.

Nor does a film pass whose median of SR over its seams is beyond `MEDIAN_LIMITS`, where it has `FEWEST_FOR_MEDIAN`.
By chance that is, where SR is log-normal with a median of 1.03 and 95 % below 1.4 to 1.6 as at the places that
`metrics` was calibrated on, and one place says nothing of another: 15 to 24 % of films with one seam, 8 to 18 % with
two, 6 to 14 % with three, 3 to 10 % with four, 1 to 4 % with eight (200,000 simulated films each). So it is asked from
four on, where it flags no more films than a single place is flagged. In 48 drawn films without a seam (tests/bench/
chunks/films.py) it flags none of the 8880 sets of four places that are 24 frames apart; of 16 films of the miniature
with seven seams it flags two at the seams (1.27, 1.33), none half-way between.

A cut is meant, so it is no seam. What lies between two cuts is measured as a film of its own; a seam that has fewer
than `MARGIN_FRAMES` frames to a cut or an end of the film is not judged: a causal model's last block may be that short.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from pipeline.errors import InvalidRequest
from pipeline.plan.chunks import Seam
from pipeline.seams.drift import Drift, beyond_limits, compare_drift, measure_drift
from pipeline.seams.film import Film, read_small_frames
from pipeline.seams.metrics import LIMITS, MARGIN_FRAMES, MEDIAN_LIMITS, Metric, matched_frames, measure_seam
from pipeline.seams.trace import Trace, trace_frames

SEAMS_PER_FLAG = 8
FEWEST_FOR_MEDIAN = 4  # seams
FEWEST_FRAMES = 4  # two at each end, so that drift knows motion
NAME_THEM = "Name the first frame of each chunk after the first, counted from 0: --at 49 98."


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamFinding:
    """A seam and its numbers."""

    seam: Seam
    values: dict[Metric, float]

    @property
    def beyond(self) -> tuple[Metric, ...]:
        """Which of them flag it."""
        return tuple(metric for metric, value in self.values.items() if LIMITS[metric].strain(value) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found in a film. `drift` is that of its longest scene; `added_drift` is what it has more than the same
    in one chunk, None without that. `unjudged` are seams too near to a cut or an end."""

    frames: int
    findings: tuple[SeamFinding, ...]
    drift: Drift
    added_drift: Drift | None
    cuts: tuple[int, ...] = ()
    unjudged: tuple[Seam, ...] = ()

    @property
    def flagged(self) -> int:
        """Seams with a number beyond its limit."""
        return sum(bool(finding.beyond) for finding in self.findings)

    @property
    def allowed(self) -> int:
        """Flagged seams with which it still passes."""
        return len(self.findings) // SEAMS_PER_FLAG

    @property
    def medians_beyond(self) -> dict[Metric, float]:
        """Medians over its seams that are beyond their limits; none of fewer seams than tell."""
        if len(self.findings) < FEWEST_FOR_MEDIAN:
            return {}
        medians = {metric: median(finding.values[metric] for finding in self.findings) for metric in MEDIAN_LIMITS}
        return {metric: value for metric, value in medians.items() if MEDIAN_LIMITS[metric].strain(value) > 1}

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of what its chunks made drift beyond a limit."""
        return () if self.added_drift is None else beyond_limits(self.added_drift)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return self.flagged <= self.allowed and not self.medians_beyond and not self.drifted


def trace_film(film: Film) -> Trace:
    """Measure a film, whose length costs no memory.

    Raises:
        InvalidRequest: for what is no video, is too short, has other frames than it was made with, or has seams that
            nobody knows, or that a person named too near its ends.
        DraftError: when there is no ffmpeg.
    """
    if film.seams is None:
        raise InvalidRequest(
            "at",
            f"Where the seams of {film.path} are is not written in it: Rushes did not make it, or it was changed.",
            NAME_THEM,
        )
    given = film.seams if film.given else ()
    for seam in given:
        if seam.frame < MARGIN_FRAMES:
            raise InvalidRequest(
                "at",
                f"Frame {seam.frame} is too near the beginning: {MARGIN_FRAMES} frames before a seam are needed.",
                f"The first that can be is {MARGIN_FRAMES}.",
            )
    trace = trace_frames(read_small_frames(film.path), matched=matched_frames(film.seams))
    if film.frames is not None and film.frames != trace.frames:
        raise InvalidRequest(
            "at",
            f"{film.path} was changed after it was made: it had {count_of(film.frames, 'frame')} then and has"
            f" {trace.frames} now, so its seams are not where it says.",
            NAME_THEM,
        )
    last = trace.frames - MARGIN_FRAMES
    for seam in given:
        if seam.frame > last:
            raise InvalidRequest(
                "at",
                f"Frame {seam.frame} is not in {film.path} or too near its end: it has"
                f" {count_of(trace.frames, 'frame')}, and {MARGIN_FRAMES} from the seam on are needed.",
                f"The last that can be is {last}." if last >= MARGIN_FRAMES else "It is too short to have a seam.",
            )
    if trace.frames < FEWEST_FRAMES:
        raise InvalidRequest(
            "film", f"{film.path} is too short to be checked: {trace.frames} of at least {FEWEST_FRAMES} frames."
        )
    if min(len(scene) for scene in _scenes(film.cuts, trace.frames)) < FEWEST_FRAMES:
        raise InvalidRequest(
            "film",
            f"The cuts that are written in {film.path} leave fewer than {FEWEST_FRAMES} frames between two: it was"
            " changed.",
        )
    return trace


def judge(trace: Trace, seams: tuple[Seam, ...], unchunked: Trace | None = None, cuts: tuple[int, ...] = ()) -> Verdict:
    """What a film's numbers mean.

    Args:
        trace: from `trace_film`.
        seams: the film's.
        cuts: the film's, as the first frames after them.
        unchunked: of the same request, seed included, made in one chunk; without it drift is told and not judged.

    Raises:
        InvalidRequest: when `unchunked` is not as long as the film.
    """
    scenes = _scenes(cuts, trace.frames)
    longest = max(scenes, key=len)
    drift, added = _drift(trace, seams, longest), None
    if unchunked is not None:
        if unchunked.frames != trace.frames:
            raise InvalidRequest(
                "against",
                f"A film of {trace.frames} frames cannot be compared with one of {unchunked.frames}.",
                "Make the same draft with the same seed in one chunk.",
            )
        added = compare_drift(drift, _drift(unchunked, seams, longest))
    findings = []
    for scene in scenes:
        part = trace.between(scene.start, scene.stop)
        inner = range(scene.start + MARGIN_FRAMES, scene.stop - MARGIN_FRAMES + 1)
        for seam in (seam for seam in seams if seam.frame in inner):
            values = measure_seam(part, replace(seam, frame=seam.frame - scene.start))
            findings.append(SeamFinding(seam=seam, values=values))
    judged = [finding.seam for finding in findings]
    return Verdict(
        frames=trace.frames,
        findings=tuple(findings),
        drift=drift,
        added_drift=added,
        cuts=cuts,
        unjudged=tuple(seam for seam in seams if seam not in judged),
    )


def count_of(count: int, what: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _scenes(cuts: tuple[int, ...], frames: int) -> list[range]:
    """The frames between two cuts."""
    return [range(start, stop) for start, stop in pairwise((0, *cuts, frames))]


def _drift(trace: Trace, seams: tuple[Seam, ...], scene: range) -> Drift:
    """Of one scene, which says nothing of the others: another shot is another picture."""
    own = tuple(replace(seam, frame=seam.frame - scene.start) for seam in seams if seam.frame in scene[1:])
    return measure_drift(trace.between(scene.start, scene.stop), own)

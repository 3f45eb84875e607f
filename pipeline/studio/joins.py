"""The badge under a draft of several chunks: whether the joins between them show, in a creator's words.

Judging reads the whole film, so it belongs into a thread. A film that cannot be judged has no badge, and loses nothing.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.drafts.journal import Journal
from pipeline.errors import DraftError
from pipeline.seams.check import Verdict, judge, trace_film
from pipeline.seams.film import find_film
from pipeline.seams.metrics import LIMITS, Metric
from pipeline.studio.texts import Language, say

logger = logging.getLogger(__name__)

REMEMBERED_FILMS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """What the badge says; `flagged` draws it as a warning."""

    sentence: str
    flagged: bool


def look_at_joins(drafts: Path, draft: str) -> Verdict | None:
    """The seam check's verdict on a draft's film; None where it has no seams, or for whatever reason cannot be judged.

    Takes seconds for a long film; the same film is judged once.
    """
    try:
        film = Journal(drafts, draft).video_path()
        verdict = _judge(drafts, draft, film.stat().st_mtime_ns)
    except (DraftError, OSError) as error:
        logger.info("the joins of %s were not judged: %s", draft, error)
        return None
    except Exception:  # a badge is no reason for a page to fail
        logger.exception("the joins of %s could not be judged", draft)
        return None
    return verdict if verdict.findings else None


@lru_cache(maxsize=REMEMBERED_FILMS)
def _judge(drafts: Path, draft: str, written_ns: int) -> Verdict:
    """A film that goes on is written anew, and judged anew."""
    del written_ns
    film = find_film(draft, drafts)
    return judge(trace_film(film), film.seams or (), cuts=film.cuts)


def say_joins(verdict: Verdict, language: Language, *, fps: int) -> Joins:
    """A verdict with seams in one sentence, with the figure that is nearest to its limit or farthest beyond.

    Where no seam is flagged and only all of them together change too much, with how much half of them do.
    """
    if not verdict.flagged and Metric.SR in verdict.medians_beyond:
        value = verdict.medians_beyond[Metric.SR]
        return Joins(sentence=say(language, "joins_median_SR", value=value), flagged=True)
    figures = [
        (found.seam.frame, metric, value) for found in verdict.findings for metric, value in found.values.items()
    ]
    frame, metric, value = max(figures, key=lambda figure: LIMITS[figure[1]].strain(figure[2]))
    flagged, count = verdict.flagged, len(verdict.findings)
    said = say(language, "joins_flagged" if flagged else "joins_passed", flagged=flagged, count=count)
    worst = say(language, f"worst_{metric}", value=value)
    return Joins(sentence=say(language, "joins", said=said, seconds=frame / fps, worst=worst), flagged=flagged > 0)

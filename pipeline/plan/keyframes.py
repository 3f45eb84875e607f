"""Pictures that a draft is to begin or to end with: which models take them, and how a request names one.

A picture is named by what is in it, the SHA-256 of its size and its pixels (drafts/pictures.py), so that a request
means the same wherever the file was.
"""

import re
from collections.abc import Mapping

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG
from pipeline.plan.spec import Keyframe, ModelSpec, Tail

DIGEST = re.compile(r"[0-9a-f]{64}")


def check_keyframes(spec: ModelSpec, pictures: Mapping[Keyframe, str], tail: Tail) -> None:
    """Raise InvalidRequest where a model takes no such picture, its way to go on holds none, or a name is none.

    Args:
        pictures: their names, of those that are asked for.
        tail: how chunks go on.
    """
    for place, name in pictures.items():
        if place not in spec.keyframes:
            able = (f"{other.title} ({other.key})" for other in CATALOG.values() if place in other.keyframes)
            raise InvalidRequest(
                f"{place}_image",
                f"{spec.title} takes no {place} frame.",
                f"Leave the picture out, or choose a model that does: {', '.join(able)}.",
            )
        if not DIGEST.fullmatch(name):
            raise InvalidRequest(
                f"{place}_image", f"{name[:80]!r} names no picture.", "Give a PNG, JPEG or WebP picture."
            )
        if tail is Tail.CO_DENOISE:
            raise InvalidRequest(
                f"{place}_image",
                f"All chunks are denoised together by {tail}, which holds no {place} frame.",
                f"Nearest: {spec.tail}.",
            )

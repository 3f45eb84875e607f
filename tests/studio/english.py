"""Chinese sentences, and what is left of English in them."""

import re

from pipeline.errors import DraftError
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.studio.texts import Language
from pipeline.studio.translation import say_error

WORD = re.compile(r"[A-Za-z]{2,}")
NAMES = re.compile(
    r"""python\ -m\ pipeline\ download\ [\w.-]+ | hf\ auth\ login | git\ checkout\ --\ assets |
    --[a-z-]+(\ MODEL=DIR)? | https?://[\w./-]+ | [\w.-]+/[\w./-]+ | \[\d[\w.,\ ]*\] | \d{8}-\d{6}-[0-9a-f]{16} |
    \b[A-Z]+(_[A-Z]+)+\b | \b\w+\.(json|safetensors|mp4|bin)\b | \b\w+_\w+\b | \b(bfloat|float|int|fp)\d+\b |
    \bT5\b | \bSHA-256\b""",
    re.VERBOSE,
)
"""Commands, options, addresses, paths, marks of a storyboard, ids of drafts, settings, files, parts, precisions."""
KNOWN = {
    *("GB", "MB", "dB", "mp", "CPU", "NVIDIA", "GeForce", "RTX", "Apple", "Transformer", "VAE", "LoRA", "PSNR", "Wan"),
    *("JSON", "UUID", "pickle", "safetensors", "diffusers", "pipeline", "group", "offloading", "quanto", "ffmpeg"),
    *("Rushes", "Hugging", "Face", "Space", "PNG", "JPEG", "WebP"),
}
"""Words that Chinese film-makers use as they are."""


def english_in(text: str, *own: str) -> list[str]:
    """Its English words, but for names that are the same in Chinese and whatever a person wrote or named: `own`."""
    for part in sorted(own, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", " ", text, flags=re.ASCII)
    text = NAMES.sub(" ", text)
    titles = {spec.title.removesuffix(", distilled") for spec in CATALOG.values() if spec is not MINIATURE}
    for name in sorted((*titles, *CATALOG), key=len, reverse=True):
        text = text.replace(name, " ")
    return [word for word in WORD.findall(text) if word not in KNOWN]


def chinese(error: DraftError, *own: str) -> str:
    """An error as the Chinese page says it, found to be Chinese."""
    said = say_error(Language.ZH, error)
    assert said != str(error)
    assert not english_in(said, *own), said
    return said

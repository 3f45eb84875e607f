"""What a browser may do with the page: the headers of every answer.

No script runs but those of the page as it was sent: each inline one is allowed by its hash. Gradio's components compile
their templates with `new Function`, so `unsafe-eval` has to stay; styles are set inline all over the page.
"""

import base64
import hashlib
import re
from collections.abc import Iterable

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def script_hashes(html: bytes) -> list[str]:
    """The sources that allow the inline scripts of a page, each once."""
    digests = (hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(html))
    return list(dict.fromkeys(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests))


def framing_headers(framer: str) -> dict[str, str]:
    """For browsers that do not know frame-ancestors, which have no word for one other page."""
    return {} if framer else {"X-Frame-Options": "DENY"}


def content_policy(hashes: Iterable[str], framer: str = "") -> str:
    """The Content-Security-Policy of a page whose inline scripts have these hashes, and which `framer` may embed."""
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", "'unsafe-eval'", *hashes]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'none'",
        "frame-ancestors": framer or "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())

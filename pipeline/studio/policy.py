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
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def script_hashes(html: bytes) -> list[str]:
    """The sources that allow the inline scripts of a page, each once."""
    digests = (hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(html))
    return list(dict.fromkeys(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests))


def content_policy(hashes: Iterable[str]) -> str:
    """The Content-Security-Policy of a page whose inline scripts have these hashes."""
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
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())

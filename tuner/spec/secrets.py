"""Passwords in a spec's text: where they are, and the text without them."""

from __future__ import annotations

import re

_OUTSIDE = r"(?!\$\{\w+\})"  # ${NAME} is replaced when connecting: only the name is in the text
_PATTERNS = (
    re.compile(rf"(://[^:/@\s]*:){_OUTSIDE}[^/\s]*(?=@)"),
    re.compile(rf"([?&](?!sslkey=)[^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*=){_OUTSIDE}[^&\s'\"]+", re.IGNORECASE),
    re.compile(rf"([?&]odbc_connect=)(?=[^&]*(?:pwd|password)(?:=|%3D){_OUTSIDE})[^&]*", re.IGNORECASE),
)


def masked(text: str) -> str:
    """`text` with *** for the passwords of its URLs, by user, query parameter or ODBC string; ${NAME} stays."""
    for pattern in _PATTERNS:
        text = pattern.sub(r"\1***", text)
    return text


def holds_secret(text: str) -> bool:
    """Whether a password is written out in `text`."""
    return masked(text) != text

"""What kind of thing an accepted token opened: a sign-in page with status 200 is not the thing itself."""

from __future__ import annotations

import hashlib
from typing import Any

from auditor.model import JSON
from auditor.sources.http import Received, media_type, read_json

LONGEST_KIND = 1000


def describe(received: Received) -> str:
    """Return the kind of a body in a text, with none of its values.

    Its media type, then the names and types of a JSON object's members, or the title of a page; as a digest where that
    is long. A body that says it is JSON and is not raises `SourceFailure`.
    """
    media = media_type(received)
    if media == "application/json" or media.endswith("+json"):
        body = read_json(received, Any)
        members = sorted(body.items()) if isinstance(body, dict) else []
        kind = ", ".join(f"{name}: {kind_of(value)}" for name, value in members) if members else kind_of(body)
    elif media in ("text/html", "application/xhtml+xml"):
        kind = _title(received.raw)
    else:
        return media or "of no stated kind"
    if len(kind) > LONGEST_KIND:
        kind = f"of SHA-256 {hashlib.sha256(kind.encode()).hexdigest()}"
    return f"{media} ({kind})"


def _title(page: bytes) -> str:
    """Return the text of a page's title; each byte is looked at once, however the page is written."""
    small = page.lower()
    begin = small.find(b">", small.find(b"<title")) + 1 if b"<title" in small else 0
    end = small.find(b"</title", begin) if begin else -1
    return " ".join(page[begin:end].decode("utf-8", "replace").split()) if end >= 0 else "without a title"


def kind_of(value: JSON) -> str:
    """Name the JSON type of a value."""
    names = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "number")

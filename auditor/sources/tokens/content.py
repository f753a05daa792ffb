"""What kind of thing an accepted token opened: a sign-in page with status 200 is not the thing itself."""

from __future__ import annotations

import re
from typing import Any

from auditor.model import JSON
from auditor.sources.http import Received, read_json

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
LONGEST_TITLE = 200


def media_type(received: Received) -> str:
    """Return the media type of a body, without parameters; "" where none is stated."""
    return received.headers.get("content-type", "").partition(";")[0].strip().lower()


def describe(received: Received) -> dict[str, JSON]:
    """Return the kind of a body, none of its values: media type, types of a JSON object's members, title of a page.

    A body that says it is JSON and is not raises `SourceFailure`.
    """
    media = media_type(received)
    if media == "application/json" or media.endswith("+json"):
        body = read_json(received, Any)
        if isinstance(body, dict):
            return {"media_type": media, "members": {name: kind_of(value) for name, value in sorted(body.items())}}
        return {"media_type": media, "type": kind_of(body)}
    if media in ("text/html", "application/xhtml+xml"):
        title = _TITLE.search(received.raw)
        text = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        return {"media_type": media, "title": text[:LONGEST_TITLE]}
    return {"media_type": media}


def kind_of(value: JSON) -> str:
    """Name the JSON type of a value."""
    names = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "number")

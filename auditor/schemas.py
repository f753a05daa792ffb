"""JSON Schemas as they are published: the same to the byte, whatever version of Python writes them."""

from __future__ import annotations

import inspect
from typing import Any


def published(schema: Any) -> Any:
    """Return a schema in plain JSON types, its descriptions without the indentation of the source.

    Python 3.13 takes that away when it compiles a docstring; earlier versions keep it.
    """
    if isinstance(schema, dict):
        return {
            name: inspect.cleandoc(part) if name == "description" and isinstance(part, str) else published(part)
            for name, part in schema.items()
        }
    return [published(part) for part in schema] if isinstance(schema, list | tuple) else schema

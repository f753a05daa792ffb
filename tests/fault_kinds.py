"""What can go wrong with an answer on its way, and how each source lets a test do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from auditor.questions import Operation, Reply

Fault = Literal["refuse", "break", "truncate", "mistype_word", "mistype_number", "timeout"]
FAULTS: tuple[Fault, ...] = ("refuse", "break", "truncate", "mistype_word", "mistype_number", "timeout")
PORTAL = b"<html><head><title>Please sign in</title></head><body>Welcome to the hotel network</body></html>"


class Harness(Protocol):
    """One source, to be asked over recorded bytes."""

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        """Ask the world once more and keep the bytes; return in how many pieces they came (pages, statements)."""

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        """Ask over the kept bytes, with a fault in one page; None where this fault does not exist for them."""

    def close(self) -> None:
        """Let go of the connection."""


def key(operation: str, params: Mapping[str, Any]) -> str:
    return operation + json.dumps(params, sort_keys=True)


@dataclass
class Exchange:
    status: int
    headers: dict[str, str]
    body: bytes


def mistype_json(body: bytes, fault: Fault) -> bytes | None:
    """Give every text and boolean of a JSON answer, or every number, another type; None where there is none."""
    words = fault == "mistype_word"

    def other(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: other(member) for name, member in value.items()}
        if isinstance(value, list):
            return [other(item) for item in value]
        if isinstance(value, str):
            return 7 if words else value
        if isinstance(value, bool):
            return "banana" if words else value
        return value if words or value is None else "banana"

    try:
        before = json.loads(body)
    except json.JSONDecodeError:
        return None
    after = other(before)
    return None if after == before else json.dumps(after).encode()

"""What each part of a demo world gives: targets to audit, the environment they need, and the truth about them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol, runtime_checkable

import msgspec


class Expected(msgspec.Struct, frozen=True):
    """One line of the truth: what a check must find out about one resource of a world."""

    check: str
    target: str
    resource: str  # the finding's resource.id
    outcome: Literal["pass", "fail", "error", "not_applicable", "manual"]
    why: str  # the fault in words; "" where healthy


class Part(Protocol):
    """One half of a running world (its AWS, its PostgreSQL), until it is stopped."""

    targets: list[dict[str, object]]  # entries of auditor.yaml
    environment: dict[str, str]  # variables those entries refer to
    expected: list[Expected]

    def stop(self) -> None:
        """End every server of this part and remove its files. A second call does nothing."""


@runtime_checkable
class Changed(Protocol):
    """A part that was otherwise when an earlier run looked at it."""

    def as_it_was(self) -> AbstractContextManager[None]:
        """Put everything back to what it was then, for as long as the context lasts."""
        ...


class SandboxError(Exception):
    """A world cannot be started. One line: what is missing and what to do."""


def password_group_id(table: str, group: Mapping[str, object]) -> str:
    """Name one group of password rows as the finding about it does.

    `table` is SCHEMA.TABLE.COLUMN. `group` has `encoding` and `scheme`, and where they are known `cost` (a mapping
    of cost parameters, `{"iterations": 390000}`), `digest_bits` and `salt` (False where there is none).
    """
    text = f"{table}/{group['encoding']}:{group['scheme']}"
    cost = group.get("cost")
    if isinstance(cost, Mapping) and cost:
        text += ":" + ",".join(f"{name}={value}" for name, value in cost.items())
    if group.get("digest_bits") is not None:
        text += f":{group['digest_bits']}"
    if group.get("salt") is False:
        text += ":unsalted"
    return text

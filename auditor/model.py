"""The nouns of an audit and its errors: everything else speaks in these words. Imports nothing of ours."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

JSON = Any  # what a JSON decoder returns: dict, list, str, int, float, bool or None
Privacy = Literal["plain", "pseudonymous"]
"""How e-mail addresses are kept: as they are, or as pseudonyms."""


class Outcome(enum.StrEnum):
    """What one test found for one subject."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"


class ClaimVerdict(enum.StrEnum):
    """What all tests of one published claim say together."""

    SUPPORTED = "supported"
    SUPPORTED_WITH_EXCEPTIONS = "supported_with_exceptions"
    REFUTED = "refuted"
    UNPROVEN = "unproven"


class Basis(enum.StrEnum):
    """How strong a kind of evidence is, strongest first."""

    BEHAVIOUR = "behaviour"
    CONFIGURATION = "configuration"
    RECORDS = "records"
    ATTESTATION = "attestation"


def weakest(bases: Iterable[Basis]) -> Basis | None:
    """Return the weakest basis of several, or None of none."""
    return max(bases, key=list(Basis).index, default=None)


class Severity(enum.StrEnum):
    """How much a failing test matters to the company; it never changes a verdict."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Resource(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a finding is about. `type` is dotted (`aws.ec2.volume`), `id` is the system's own name for it."""

    type: str
    id: str
    name: str = ""
    region: str = ""


class Citation(msgspec.Struct, frozen=True):
    """Where in the run something was read: a segment, its first and last line, a JSON Pointer (RFC 6901)."""

    file: str
    lines: tuple[int, int]
    pointer: str = ""


class AuditorError(Exception):
    """Base of every error that is meant for a person to read."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a policy or settings file, with the place to mend it (1-based; 0 where there is no line)."""

    message: str
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = self.file + (f":{self.line}:{self.column}" if self.line else "")
        return f"{place}: {self.message}" if place else self.message


class UsageError(AuditorError):
    """Policy, settings or command line cannot be used; carries every problem found, not just the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class EvidenceError(AuditorError):
    """Stored evidence is not what was sealed, or cannot be read back."""


class Citable(Protocol):
    """Anything that stands somewhere in the run."""

    def cite(self) -> Citation:
        """Return where."""
        ...


class Unproven(AuditorError):
    """A check cannot tell: the finding becomes `error` with this reason, citing these places."""

    def __init__(self, reason: str, cites: Iterable[Citable | Citation] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cites = tuple(cite if isinstance(cite, Citation) else cite.cite() for cite in cites)


class Unreadable(Unproven):
    """An answer was read that is an error, or does not hold what was looked for."""


class Verdict(msgspec.Struct, frozen=True):
    """What `evaluate` says of one subject. Without `cites`, what it read is cited."""

    outcome: Outcome
    message: str
    advice: str = ""
    basis: Basis | None = None
    cites: tuple[Citation, ...] = ()


def passed(message: str, *, advice: str = "") -> Verdict:
    """Judge that the subject is as the claim says."""
    return Verdict(Outcome.PASS, message, advice)


def failed(message: str, *, advice: str = "") -> Verdict:
    """Judge that the subject is proved to be otherwise."""
    return Verdict(Outcome.FAIL, message, advice)


def manual(message: str, *, advice: str = "") -> Verdict:
    """Judge that the evidence lives elsewhere, or needs an attestation."""
    return Verdict(Outcome.MANUAL, message, advice)


def not_applicable(message: str, *, advice: str = "") -> Verdict:
    """Judge that the subject is proved to be out of scope."""
    return Verdict(Outcome.NOT_APPLICABLE, message, advice)

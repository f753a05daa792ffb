"""What GitHub Actions reads of a step: claims as annotations, at their line in the policy file, and its outputs.

GitHub's runner looks for commands in every line of a step: `::name::` at its beginning, blanks apart, and `##[name]`
anywhere. So whatever names of other people stand in is printed between `::stop-commands::` and a token that nobody can
guess. Escaping is that of actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from auditor.model import ClaimVerdict
from auditor.policy import Policy
from auditor.results import ClaimResult, Head
from auditor.wording import counted, harmless

MOST_OF_A_KIND = 10
"""GitHub shows ten errors and ten warnings of a step, and drops the others without a word."""
MOST_REASONS, MOST_REASON = 5, 400
KINDS = {ClaimVerdict.REFUTED: "error", ClaimVerdict.UNPROVEN: "warning"}


def are_read() -> bool:
    """Whether this is a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def paused() -> Iterator[None]:
    """While this is open, nothing that is printed is a command."""
    if not are_read():
        yield
        return
    token = secrets.token_hex(16)
    click.echo(f"::stop-commands::{token}")
    try:
        yield
    finally:
        click.echo(f"::{token}::")


def show(head: Head, policy: Policy) -> None:
    """Print one annotation for each refuted and each unproven claim, as many as GitHub would show."""
    if not are_read():
        return
    for verdict, kind in KINDS.items():
        claims = [claim for claim in head.claims if claim.verdict is verdict]
        for claim in claims[:MOST_OF_A_KIND]:
            click.echo(f"::{kind} {_properties(claim, policy)}::{data(_message(claim))}")
        more = len(claims) - MOST_OF_A_KIND
        if more > 0:
            click.echo(f"::notice title={kind}s::{counted(more, 'more claim')} {verdict.value}: see the report")


def set_outputs(head: Head, run: Path) -> None:
    """Tell the steps after this one the run's folder and how many claims came to each verdict ($GITHUB_OUTPUT)."""
    path = os.environ.get("GITHUB_OUTPUT")
    if not are_read() or not path:
        return
    counts = {name.replace("_", "-"): str(count) for name, count in msgspec.structs.asdict(head.summary.claims).items()}
    with Path(path).open("a", encoding="utf-8", errors="surrogateescape") as handle:
        for name, value in {"run": str(run.resolve()), **counts}.items():
            end = secrets.token_hex(16)  # so that no value can be taken for further outputs
            handle.write(f"{name}<<{end}\n{value}\n{end}\n")


def _properties(claim: ClaimResult, policy: Policy) -> str:
    properties = {}
    if place := policy.places.get(claim.id):
        properties = {"file": _in_repository(place.file), "line": str(place.line)}
    properties["title"] = f"claim {claim.verdict.value}: {claim.id}"
    return ",".join(f"{name}={escaped(text)}" for name, text in properties.items())


def _in_repository(file: str) -> str:
    """Return a path as annotations want it: from the root of the repository, where it is inside."""
    path = Path(file).resolve()
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _message(claim: ClaimResult) -> str:
    reasons = [f"- {_line(reason)}" for reason in claim.reasons[:MOST_REASONS]]
    if len(claim.reasons) > MOST_REASONS:
        reasons.append(f"and {len(claim.reasons) - MOST_REASONS:,} more")
    return "\n".join([f"“{_line(claim.statement)}”", *reasons])


def _line(text: str) -> str:
    shown = harmless(text)
    return shown if len(shown) <= MOST_REASON else shown[: MOST_REASON - 1] + "…"


def data(text: str) -> str:
    """Return text as the message of a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped(text: str) -> str:
    """Return text as a property of a command."""
    return data(harmless(text)).replace(":", "%3A").replace(",", "%2C")

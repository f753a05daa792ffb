"""The exit codes: the one table from which `--help`, the README and the reference are written."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

SUPPORTED, REFUTED, USAGE, UNPROVEN, EVIDENCE = range(5)
INTERNAL, INTERRUPTED, TERMINATED = 70, 130, 143

MEANINGS: Mapping[int, str] = {
    SUPPORTED: "every claim is supported, accepted exceptions included",
    REFUTED: "a claim is refuted",
    USAGE: "a mistake in the command line, policies, settings or plug-ins; nothing was run",
    UNPROVEN: "nothing is refuted, something is unproven",
    EVIDENCE: "evidence does not verify; what would not, is not sealed",
    INTERNAL: "internal error, or the output cannot be written",
    INTERRUPTED: "interrupted (Ctrl-C); the segments closed so far stay",
    TERMINATED: "terminated (SIGTERM); the segments closed so far stay",
}
VERDICTS = (SUPPORTED, REFUTED, UNPROVEN)
"""The codes that say what the claims came to."""
ALWAYS = (USAGE, INTERNAL)
"""The codes that any command may end with."""


def epilog(*codes: int, done: str = "", unproven: str = "") -> str:
    """Return what a command's help says of its exit codes.

    `done` and `unproven` are what 0 and 3 mean where they are not about claims.
    """
    own = {SUPPORTED: done, UNPROVEN: unproven}
    meanings = {**MEANINGS, **{code: said for code, said in own.items() if said}}
    wanted = {*codes, *ALWAYS, *(code for code, said in own.items() if said)}
    shown = {code: meanings[code] for code in sorted(wanted)}
    lines = (textwrap.fill(f"{code:<4} {said}", 76, subsequent_indent=" " * 5) for code, said in shown.items())
    return "\n".join(["\b", "Exit codes:", *(textwrap.indent(line, "  ") for line in lines)])


def markdown() -> str:
    """Return the table as the README prints it."""
    rows = (f"| {code} | {said} |" for code, said in MEANINGS.items())
    return "\n".join(["| code | meaning |", "|---|---|", *rows])

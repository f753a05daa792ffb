"""`auditor doctor`: what is in the way of a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import options
from auditor.cli.exit_codes import UNPROVEN, epilog

if TYPE_CHECKING:
    from rich.console import Console

    from auditor.doctor import Checkup, Examination
    from auditor.plan import Plan
    from auditor.questions import Allowance

TARGETS_AT_ONCE = 16
READY, NOT_TRIED, WIDEST = "ready", "not tried", len("wrong target")
STYLES = {READY: "bold green", NOT_TRIED: "dim"}
MOST_REASON = 600
ADVICE = {
    "unreachable": "is the address right, the system up, and the way to it open (network, firewall, proxy)?",
    "wrong target": "correct the target in the settings, or sign in elsewhere",
    "clock skew": "set the clock that is wrong: dates cannot be compared",
    "certificate": "correct the target's trust in the settings, or the certificate of the server",
    "credentials": "see that the secret or file is where the settings say, can be read, and is still valid",
    "rate limit": "wait until it is lifted, or ask with another token",
}
EXIT_CODES = epilog(done="every check of every target is ready", unproven="something is in the way")


@click.command(name="doctor", epilog=EXIT_CODES)
@options.config
@options.policies
@options.selection
@options.verbose
@options.no_color
def command(config: Path, policies: Path, verbose: int, no_color: bool, **selected: tuple[str, ...]) -> int:  # noqa: FBT001
    """Try each question once, and say what is in the way of a run.

    Who asks comes first; where the wrong system answers, nothing else is asked. Then every operation of the enabled
    checks is tried at most once for each target, its first page only, and of the regions the first; what creates
    something, such as a token, only where the target allows it. Nothing is judged, and nothing is written.
    """
    import threading

    from auditor import doctor, plugins
    from auditor.cli import inputs, logs, screen
    from auditor.redact import Redactor
    from auditor.sources.clock import utcnow
    from auditor.tasks import Context, find_secrets

    checks, sources = plugins.checks(), plugins.sources()
    loaded, pack, planned = inputs.plan_of(config, policies, selected, checks, sources)
    redactor = Redactor()
    logs.set_up(verbose, redactor, None)
    keeper = find_secrets(loaded, sources, redactor)
    cancelled = threading.Event()
    context = Context(
        run=Path(),
        plan=planned,
        settings=loaded,
        tests={test.id: test for _, test in pack.tests()},
        checks=checks,
        sources=sources,
        redactor=redactor,
        secret=keeper.get,
        clock=utcnow,
        cancelled=cancelled,
        patient=False,
    )
    console = screen.console(color=options.wants_color(no_color=no_color))
    pool = ThreadPoolExecutor(TARGETS_AT_ONCE)
    ready = []
    try:
        for examination in doctor.examine_all(context, pool):
            _show(console, examination, _remedy(examination, config, policies))
            ready.append(examination.ready)
    finally:
        cancelled.set()
        pool.shutdown(wait=False, cancel_futures=True)
    complete = _show_excluded(console, planned)
    _show_counts(console, ready)
    return 0 if all(ready) and complete else UNPROVEN


def _remedy(examination: Examination, config: Path, policies: Path) -> str:
    """Return the command that prints what has to be granted on this target."""
    from auditor.cli.permissions import spelled

    return spelled(examination.remedy, examination.target, config, policies) if examination.remedy else ""


def _show(console: Console, examination: Examination, remedy: str) -> None:
    from rich.text import Text

    from auditor.cli.screen import show_indented
    from auditor.wording import harmless

    state = "ready" if examination.ready else "not ready"
    headline = "; ".join([f"{examination.target} ({examination.type}): {state}", *_notes(examination)])
    show_indented(console, harmless(headline), "bold", indent=0)
    seen: set[str] = set()
    for checkup in examination.checkups:
        state = _state(checkup)
        console.print(Text.assemble("  ", (f"{state:<{WIDEST}}", STYLES.get(state, "bold red")), f"  {checkup.check}"))
        for text in _reasons(checkup, seen):
            show_indented(console, harmless(text), "dim", indent=6)
    for text in _advice(examination, remedy):
        show_indented(console, harmless(text), indent=2)
    console.print()


def _state(checkup: Checkup) -> str:
    if checkup.symptoms:
        return checkup.symptoms[0].trouble.value
    return READY if checkup.tried else NOT_TRIED


def _notes(examination: Examination) -> Iterator[str]:
    from auditor.doctor import differ
    from auditor.judge import MOST_SKEW

    if examination.region:
        yield f"of its regions, {examination.region} was looked at"
    if examination.skew is not None and abs(examination.skew) > MOST_SKEW:
        yield differ(examination.skew)
    if examination.allowance is not None:
        yield _left(examination.allowance)


def _left(allowance: Allowance) -> str:
    """Say what a rate limit leaves."""
    limit = f" of {allowance.limit:,}" if allowance.limit is not None else ""
    until = f" until {allowance.resets_at:%H:%M} UTC" if allowance.resets_at is not None else ""
    return f"{allowance.remaining:,}{limit} requests left{until}"


def _reasons(checkup: Checkup, seen: set[str]) -> Iterator[str]:
    """Say what is in the way of a check; what was said of this target before is only named."""
    operations: dict[str, list[str]] = {}
    for symptom in checkup.symptoms:
        needs = f"; needs {symptom.permission}" if symptom.permission not in symptom.reason else ""
        reason = textwrap.shorten(symptom.reason, MOST_REASON, placeholder=" …") + needs
        operations.setdefault(reason, []).extend([symptom.operation] if symptom.operation else [])
    for reason, names in operations.items():
        said = "as above" if reason in seen else reason
        seen.add(reason)
        yield f"{', '.join(names)}: {said}" if names else said
    if checkup.untried and checkup.tried:
        why = "" if checkup.symptoms else ", because nothing here asks for it"
        yield f"not tried{why}: {', '.join(checkup.untried)}"


def _advice(examination: Examination, remedy: str) -> Iterator[str]:
    from auditor.questions import Trouble

    symptoms = [symptom for checkup in examination.checkups for symptom in checkup.symptoms]
    for trouble in dict.fromkeys(symptom.trouble for symptom in symptoms):
        if trouble is Trouble.DENIED or (trouble is Trouble.ERROR and not all(one.operation for one in symptoms)):
            if remedy:
                yield f"what it takes is printed by: {remedy}"
        elif trouble.value in ADVICE:
            yield f"{trouble.value}: {ADVICE[trouble.value]}"


def _show_excluded(console: Console, plan: Plan) -> bool:
    """Name the tests that have no target, or were deselected; return whether all others have one."""
    from auditor.cli.screen import show_indented
    from auditor.plan import DESELECTED
    from auditor.wording import harmless

    excluded = [test for test in plan.tests if test.excluded]
    if excluded:
        console.print("not tried")
        for test in excluded:
            show_indented(console, harmless(f"{test.id}: {test.excluded}"), indent=2)
        console.print()
    return all(test.excluded.startswith(DESELECTED) for test in excluded)


def _show_counts(console: Console, ready: list[bool]) -> None:
    from auditor.wording import counted

    parts = [(ready.count(True), "ready"), (ready.count(False), "not ready")]
    said = ", ".join(f"{count} {state}" for count, state in parts if count)
    console.print(f"{counted(len(ready), 'target')}: {said}" if ready else "no target is asked anything")

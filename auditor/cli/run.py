"""`auditor run`: audit the systems of auditor.yaml."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import click

from auditor.cli import completing, options

EXIT_CODES = """\
\b
Exit codes:
  0    every claim is supported (accepted exceptions included)
  1    a claim is refuted
  2    a mistake in the command line, policies or settings: nothing was run
  3    nothing is refuted, but something is unproven
  70   internal error, or the output cannot be written
  130  interrupted (143: terminated); the segments closed so far stay
"""


def _only(kind: str, offered: completing.Completer) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Return the option that selects one kind of thing by its id."""
    return click.option(
        f"--{kind}",
        f"{kind}s",
        multiple=True,
        metavar="ID",
        shell_complete=offered,
        help=f"Only this {kind} (repeatable).",
    )


@click.command(name="run", epilog=EXIT_CODES)
@click.option(
    "-c",
    "--config",
    type=options.AnyPath,
    metavar="FILE",
    default=Path("auditor.yaml"),
    show_default=True,
    help="The systems to ask.",
)
@options.policies
@options.output
@options.formats
@options.workers
@options.fail_on
@_only("claim", completing.claims)
@_only("test", completing.tests)
@_only("check", completing.checks)
@_only("target", completing.targets)
@options.verbose
@options.no_color
def command(
    config: Path,
    policies: Path,
    output: Path,
    formats: str,
    workers: str,
    fail_on: str,
    claims: tuple[str, ...],
    tests: tuple[str, ...],
    checks: tuple[str, ...],
    targets: tuple[str, ...],
    verbose: int,
    no_color: bool,  # noqa: FBT001 - click passes flags so
) -> int:
    """Audit the systems of auditor.yaml and write the evidence.

    Reads the policies, asks every target, keeps every answer, judges only what was kept, and writes JSON and HTML
    reports. What is deselected counts as unproven, never as passed.
    """
    selection = {"claims": claims, "tests": tests, "checks": checks, "targets": targets}
    return audit(config, policies, output, formats, workers, fail_on, selection, verbose, no_color=no_color)


def audit(
    config: Path,
    policies: Path,
    output: Path,
    formats: str,
    workers: str,
    fail_on: str,
    selection: dict[str, tuple[str, ...]],
    verbose: int,
    *,
    no_color: bool,
) -> int:
    """Carry out one audit as the command line describes it; `auditor demo` does exactly this as well."""
    from auditor import executors, plan, plugins
    from auditor.cli import earlier, inputs, logs, screen, workflow_commands
    from auditor.engine import Audit, Plugins
    from auditor.redact import Redactor

    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    chosen = options.chosen_formats(formats, list(found.reports))
    pool = executors.make(workers)
    loaded, pack = inputs.read(config, policies, found.checks, found.sources)
    targets = plan.declare(loaded, found.sources)
    _refuse_unknown(
        selection,
        {
            "claims": [claim.id for _, claim in pack.claims()],
            "tests": [test.id for _, test in pack.tests()],
            "checks": found.checks.keys(),
            "targets": [target.id for target in targets],
        },
    )
    planned = plan.make(pack, targets, loaded.organization, found.checks, plan.Selection(**selection))
    options.make_folder(output)
    redactor = Redactor()
    logs.set_up(verbose, redactor, output / "auditor.log")
    color = options.wants_color(no_color=no_color)
    previous = earlier.find(output, loaded.organization)
    with screen.progress(color=color) as progress:
        audit = Audit(
            settings=loaded,
            policy=pack,
            plan=planned,
            plugins=found,
            output=output,
            formats=chosen,
            redactor=redactor,
            progress=progress,
        )
        try:
            run, head = audit.run(pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    console = screen.console(color=color)
    with workflow_commands.paused():
        screen.show_claims(console, head)
        screen.show_files(console, [run / found.reports[name].filename for name in chosen])
    workflow_commands.show(head, pack)
    earlier.show(console, previous, run)
    return options.exit_code(head, fail_on)


def _refuse_unknown(selection: Mapping[str, tuple[str, ...]], known: Mapping[str, Collection[str]]) -> None:
    """Refuse names that select nothing: a typing error must not look like a small audit."""
    from auditor.model import Problem, UsageError
    from auditor.wording import or_known, quoted

    problems = [
        Problem(f"--{kind[:-1]}: there is no {kind[:-1]} {quoted(name)}{or_known(name, known[kind])}")
        for kind, names in selection.items()
        for name in names
        if name not in known[kind]
    ]
    if problems:
        raise UsageError(*problems)

"""`auditor run`: audit the systems of auditor.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from auditor.cli import Terminated, options
from auditor.cli.exit_codes import EVIDENCE, INTERRUPTED, TERMINATED, VERDICTS, epilog

if TYPE_CHECKING:
    from auditor.cli.earlier import Unknown

EXIT_CODES = epilog(*VERDICTS, EVIDENCE, INTERRUPTED, TERMINATED)


@click.command(name="run", epilog=EXIT_CODES)
@options.config
@options.policies
@options.output
@options.formats
@options.workers
@options.fail_on
@options.selection
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
    since: Path | Unknown | Literal["the last run"] | None = "the last run",
    show: bool = True,
) -> int:
    """Carry out one audit as the command line describes it; `auditor demo` does exactly this as well.

    `since` is the run that this one is compared with at the end; without `show`, nothing is said of what it came to.
    """
    from auditor import executors, plugins
    from auditor.cli import earlier, inputs, logs, screen, workflow_commands
    from auditor.engine import Audit, Plugins
    from auditor.redact import Redactor
    from auditor.sources.clock import utcnow

    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    chosen = options.chosen_formats(formats, list(found.reports))
    pool = executors.make(workers)
    loaded, pack, planned = inputs.plan_of(config, policies, selection, found.checks, found.sources)
    options.make_folder(output)
    redactor = Redactor()
    key = inputs.signing_key(loaded, redactor.conceal, utcnow())
    authority = inputs.time_stamp_authority(loaded)
    logs.set_up(verbose, redactor, output / "auditor.log")
    color = options.wants_color(no_color=no_color)
    previous = earlier.find(output, loaded.organization) if since == "the last run" else since
    with screen.progress(color=color) as progress:
        audit = Audit(
            settings=loaded,
            policy=pack,
            plan=planned,
            plugins=found,
            output=output,
            formats=chosen,
            redactor=redactor,
            key=key,
            key_file=inputs.key_file(loaded),
            authority=authority,
            progress=progress,
        )
        try:
            run, head = audit.run(pool)
        except (KeyboardInterrupt, Terminated) as error:
            error.add_note("the segments closed so far stay")
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if not show:
        return options.exit_code(head, fail_on)
    console = screen.console(color=color)
    with workflow_commands.paused():
        screen.show_claims(console, head)
        screen.show_seal(console, head.run, key.id if key else "")
        screen.show_files(console, [run / found.reports[name].filename for name in chosen])
    workflow_commands.show(head, pack)
    workflow_commands.set_outputs(head, run)
    earlier.show(console, previous, run)
    return options.exit_code(head, fail_on)

"""`auditor evaluate`: judge a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, VERDICTS, epilog


@click.command(name="evaluate", epilog=epilog(*VERDICTS, EVIDENCE))
@click.argument("run", type=options.RunFolder, shell_complete=completing.runs)
@options.empty_folder("result")
@options.formats
@options.fail_on
@options.no_color
def command(run: Path, output: Path, formats: str, fail_on: str, no_color: bool) -> int:  # noqa: FBT001
    """Judge a stored run again, offline, under the policy that is stored with it.

    The sealed files are compared with their digests first. The findings are the same to the byte; RUN is not touched.
    """
    from auditor import plugins
    from auditor.cli import logs, screen, workflow_commands
    from auditor.engine import Plugins, evaluate
    from auditor.redact import Redactor
    from auditor.sources.clock import utcnow

    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    chosen = options.chosen_formats(formats, list(found.reports))
    options.new_folder(output, run)
    logs.set_up(0, Redactor(), output / "auditor.log")
    head = evaluate(run, output, found, chosen, utcnow)
    console = screen.console(color=options.wants_color(no_color=no_color))
    with workflow_commands.paused():
        screen.show_claims(console, head)
        screen.show_files(console, [output / found.reports[name].filename for name in chosen])
    return options.exit_code(head, fail_on)

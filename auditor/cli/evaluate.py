"""`auditor evaluate`: judge a stored run again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, VERDICTS, epilog


class _Moment(click.ParamType[dt.datetime]):
    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        try:
            moment = dt.datetime.fromisoformat(value)
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):  # a day before the first, or after the last
            self.fail(f"{value!r} is no date or time such as 2026-11-25 or 2026-11-25T14:15:02Z", param, ctx)


@click.command(name="evaluate", epilog=epilog(*VERDICTS, EVIDENCE))
@click.argument("run", type=options.RunFolder, shell_complete=completing.runs)
@options.empty_folder("result")
@options.formats
@click.option("--policies", type=options.AnyPath, metavar="PACK", help="Judge under other policies: a what-if.")
@click.option("--as-of", type=_Moment(), metavar="TIME", help="Judge as if it were this time (UTC): a what-if.")
@options.keys
@options.allow_unsigned
@options.fail_on
@options.no_color
def command(
    run: Path,
    output: Path,
    formats: str,
    policies: Path | None,
    as_of: dt.datetime | None,
    keys_file: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
    fail_on: str,
    no_color: bool,  # noqa: FBT001
) -> int:
    """Judge a stored run again, offline, under the policy that is stored with it.

    RUN is verified first (see `auditor verify`), and not touched. Findings and reports are the same to the byte. With
    other policies or another date the result is a what-if, and every report says so.
    """
    from auditor import plugins
    from auditor.cli import logs, screen, seals, workflow_commands
    from auditor.cli.complaint import complain
    from auditor.engine import Plugins, WhatIf, evaluate
    from auditor.redact import Redactor
    from auditor.wording import harmless

    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    chosen = options.chosen_formats(formats, list(found.reports))
    seals.refuse_no_run(run)
    what_if = WhatIf(policies=policies and policies.resolve(), as_of=as_of)  # "." has no name
    with seals.known(keys_file, run) as keys:
        options.new_folder(output, run)
        logs.set_up(0, Redactor(), output / "auditor.log")
        head = evaluate(run, output, found, chosen, keys.ring, allow_unsigned=allow_unsigned, what_if=what_if)
    complain(seals.signed(head.run.id, head.run.sequence, seals.signer(run, keys.ring)), *keys.source)
    console = screen.console(color=options.wants_color(no_color=no_color))
    with workflow_commands.paused():
        screen.show_claims(console, head)
        if head.run.what_if:
            screen.show_line(console, f"what-if: {harmless(head.run.what_if)}; no result of the run")
        screen.show_files(console, [output / found.reports[name].filename for name in chosen])
    return options.exit_code(head, fail_on)

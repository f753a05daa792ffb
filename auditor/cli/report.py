"""`auditor report`: write the reports of a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, epilog


@click.command(name="report", epilog=epilog(EVIDENCE, done="the reports are written"))
@click.argument("run", type=options.RunFolder, shell_complete=completing.runs)
@options.empty_folder("reports")
@options.formats
@options.keys
@options.allow_unsigned
def command(
    run: Path,
    output: Path,
    formats: str,
    keys_file: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
) -> int:
    """Write the reports of a stored run again, from its findings; nothing is judged and RUN is not touched.

    RUN is verified first (see `auditor verify`).
    """
    from auditor import plugins, verify
    from auditor.cli import screen, seals
    from auditor.cli.complaint import complain
    from auditor.contents import Directory
    from auditor.engine import Plugins, open_run, render

    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    chosen = options.chosen_formats(formats, list(found.reports))
    seals.refuse_no_run(run)
    options.refuse_folder(output, run)
    with seals.known(keys_file, run) as keys:
        verified = verify.verify_run(Directory(run), keys.ring, allow_unsigned=allow_unsigned)
    render(open_run(run, found.sources), options.make_folder(output), found, chosen)
    complain(seals.in_words(verified), *keys.source)
    screen.show_files(screen.console(color=False), [output / found.reports[name].filename for name in chosen])
    return 0

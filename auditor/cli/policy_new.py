"""`auditor policy new`: a working folder that is valid at once, to be edited."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from auditor.cli import completing, options

NEXT = (
    "auditor policy validate {pack} -c auditor.yaml",
    "auditor doctor --policies {pack}",
    "auditor policy coverage page.html --policies {pack}",
    "auditor run --policies {pack}",
)
"""What a person does next, once the examples are replaced."""


@click.command(name="new")
@click.argument("folder", type=options.AnyPath)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=completing.types,
    help="A type of system to look at, such as aws or postgres (repeatable; default: all that a check reads).",
)
@click.option("--organization", metavar="NAME", help="As it is printed in reports (default: the folder's name).")
def command(folder: Path, types: tuple[str, ...], organization: str | None) -> int:
    """Lay out a working folder to begin with.

    FOLDER gets auditor.yaml and policies/, explained line by line and valid at once. Its claims are examples: they
    stay unproven until your own published words stand in them. Nothing that exists is overwritten.
    """
    from auditor import plugins, starter
    from auditor.model import AuditorError

    name = organization if organization is not None else folder.resolve().name or "example"
    if not name.strip() or not name.isprintable():
        raise click.BadParameter("must be a name that can be printed on one line", param_hint="--organization")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    laid_out = starter.lay_out(name, types, today, plugins.checks(), plugins.sources())
    try:
        _refuse_to_overwrite(folder, laid_out.files)
        _write(folder, laid_out.files)
    except OSError as error:
        raise AuditorError(f"cannot write {error.filename}: {error.strerror}; choose another folder") from None
    for file in laid_out.files:
        click.echo(folder / file)
    click.echo(f"\nPut your own values into auditor.yaml and {laid_out.pack}/, then:")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {shlex.quote(str(folder))}")
    for line in NEXT:
        click.echo(f"  {line.format(pack=laid_out.pack)}")
    return 0


def _refuse_to_overwrite(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse the whole where anything is in the way of a part."""
    from auditor.model import Problem, UsageError

    problems = []
    for file in files:
        path = folder / file
        around = [parent for parent in (path.parent, *path.parent.parents) if parent.exists() and not parent.is_dir()]
        if around:
            problems.append(Problem("is no folder; choose another one", str(around[0])))
        elif path.is_symlink() or (path.exists() and not (path.is_file() and path.stat().st_size == 0)):
            problems.append(Problem("exists, and nothing is overwritten; choose another folder", str(path)))
    if problems:
        raise UsageError(*dict.fromkeys(problems))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none: what was begun is taken back."""
    written: list[Path] = []
    try:
        for file, text in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                path.unlink()  # it is empty
            with path.open("x", encoding="utf-8") as handle:
                written.append(path)
                handle.write(text)
    except OSError:
        for path in written:
            path.unlink()
        raise

"""Options that several commands share, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli import completing
from auditor.cli.exit_codes import REFUTED, SUPPORTED, UNPROVEN

if TYPE_CHECKING:
    from auditor.results import Head

FAIL_ON = ("unproven", "refuted", "never")
AnyPath = click.Path(path_type=Path, readable=False)
"""Whatever is wrong with what is there, the one who reads it says it better than click."""


class _RunFolder(click.Path):
    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # type: ignore[override]
        path = Path(value)
        if not path.is_dir():
            what = "is a file" if path.is_file() else "does not exist"
            self.fail(f"{value} {what}; a run is a folder such as reports/<run id>", param, ctx)
        return path


RunFolder = _RunFolder()
"""An existing folder, which is to be that of a run."""

config = click.option(
    "-c",
    "--config",
    type=AnyPath,
    metavar="FILE",
    default=Path("auditor.yaml"),
    show_default=True,
    help="The systems to ask.",
)
output = click.option(
    "-o",
    "--output",
    type=AnyPath,
    metavar="FOLDER",
    default=Path("reports"),
    show_default=True,
    help="Where runs go.",
)
formats = click.option(
    "-f",
    "--format",
    "formats",
    metavar="NAMES",
    default="json,html",
    show_default=True,
    shell_complete=completing.formats,
    help="Reports to write, comma-separated.",
)
workers = click.option(
    "--workers", metavar="WHERE", default="threads:16", show_default=True, help="Where tasks run: threads:N."
)
fail_on = click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="unproven",
    show_default=True,
    help="The least that exits non-zero: unproven; refuted (then blindness passes); or never.",
)
verbose = click.option("-v", "--verbose", count=True, help="More on stderr; twice for everything.")
no_color = click.option("--no-color", is_flag=True, help="No colours (also: NO_COLOR).")
policies = click.option(
    "--policies",
    type=AnyPath,
    default=Path("policies/explo"),
    show_default=True,
    help="A policy pack: a folder of YAML files, or one file.",
)

_SELECTED = {
    "claim": completing.claims,
    "test": completing.tests,
    "check": completing.checks,
    "target": completing.targets,
}


def selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --claim, --test, --check and --target; they come as `claims`, `tests`, `checks` and `targets`."""
    for name, offered in reversed(_SELECTED.items()):
        command = click.option(
            f"--{name}",
            f"{name}s",
            multiple=True,
            metavar="ID",
            shell_complete=offered,
            help=f"Only this {name} (repeatable).",
        )(command)
    return command


keys = click.option(
    "--keys",
    "keys_file",
    type=AnyPath,
    metavar="FILE",
    help="The public keys whose signatures count (default: auditor.keys.json here, or beside what is verified).",
)
allow_unsigned = click.option(
    "--allow-unsigned", is_flag=True, help="Take runs that were made without a key: anybody could have changed them."
)


def empty_folder(what: str) -> Callable[..., Any]:
    """Add -o, an empty folder for something; it comes as `output` (see `new_folder`)."""
    return click.option(
        "-o", "--output", type=AnyPath, metavar="FOLDER", required=True, help=f"An empty folder for the {what}."
    )


def wants_color(*, no_color: bool) -> bool:
    """Whether colours may be used at all."""
    return not no_color and not os.environ.get("NO_COLOR")


def chosen_formats(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the formats named; `report.json` is always among them, for it is what the other commands read."""
    from auditor.wording import or_known, quoted

    names = dict.fromkeys(["json", *(name.strip() for name in text.split(",") if name.strip())])
    for name in names:
        if name not in known:
            raise click.BadParameter(f"unknown format {quoted(name)}{or_known(name, known)}", param_hint="--format")
    return tuple(names)


def exit_code(head: Head, fail_on: str) -> int:
    """Return the exit code that a report stands for."""
    if head.summary.claims.refuted and fail_on != "never":
        return REFUTED
    if head.summary.claims.unproven and fail_on == "unproven" and not head.summary.claims.refuted:
        return UNPROVEN
    return SUPPORTED


def make_folder(path: Path) -> Path:
    """Return the folder, made where it was missing."""
    from auditor.model import AuditorError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuditorError(f"cannot write to {path}: {error.strerror}; choose another folder with -o") from None
    return path


def new_folder(path: Path, run: Path) -> Path:
    """Return an empty folder to write results of a run into (see `refuse_folder`)."""
    refuse_folder(path, run)
    return make_folder(path)


def refuse_folder(path: Path, run: Path) -> None:
    """Refuse a folder in which results would mix with other results, or that is in the run."""
    if path.resolve().is_relative_to(run.resolve()):
        raise click.BadParameter(f"{path} is inside the run, which stays as it is", param_hint="--output")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise click.BadParameter(f"{path} is not an empty folder", param_hint="--output")

"""`auditor package`: everything an auditor needs, in one file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, epilog

if TYPE_CHECKING:
    from auditor.keys import SigningKey

KEY = "AUDITOR_KEY"
"""The variable that holds the private key, in PEM, where no file is named."""


@click.command(name="package", epilog=epilog(EVIDENCE, done="the package is written"))
@click.argument(
    "runs", metavar="RUN...", nargs=-1, required=True, type=options.RunFolder, shell_complete=completing.runs
)
@click.option(
    "-o", "--output", type=options.AnyPath, metavar="FILE", default=Path("evidence.zip"), show_default=True,
    help="The archive to write.",
)  # fmt: skip
@options.keys
@click.option(
    "--key", type=options.AnyPath, metavar="FILE", help=f"The private key that signs the package (also: {KEY}, in PEM)."
)
@options.allow_unsigned
def command(
    runs: tuple[Path, ...],
    output: Path,
    keys_file: Path | None,
    key: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
) -> int:
    """Pack runs for the auditor: pages from every claim to the raw answers, by criterion, and how to verify it all.

    The runs are verified first, and not touched. The same runs and keys make the same file, byte for byte, with the
    same version of auditor and the dependencies that the package names in sbom.cdx.json.
    """
    from auditor import plugins
    from auditor.cli import seals
    from auditor.packaging.build import build
    from auditor.wording import harmless

    for run in runs:
        seals.refuse_no_run(run)
    _refuse_to_replace(output)
    signing = _signing_key(key)
    with seals.known(keys_file, runs[0]) as keys:
        place = output.resolve()  # of a link, what it leads to
        options.make_folder(place.parent)
        built = build(runs, place, keys.ring, signing, plugins.sources(), allow_unsigned=allow_unsigned)
    click.echo(harmless(f"{output}: {built.files:,} files, {place.stat().st_size:,} bytes"))
    for one in built.runs:
        signed = f"signed by key {one.key.id}" if one.key else "UNSIGNED"
        click.echo(f"{one.run}: number {one.scope.sequence}, {signed}")
    click.echo(
        f"signed by key {signing.id}" if signing else "UNSIGNED: anybody could change its pages (sign it: --key)"
    )
    if keys.file and (signing or any(one.key for one in built.runs)):
        click.echo(harmless("".join(keys.source) or f"keys: {keys.file}"))
    click.echo(f"sha256: {built.sha256}")
    return 0


def _refuse_to_replace(output: Path) -> None:
    """Refuse what is there and is no archive: a key, or whatever else was named by mistake, would be gone."""
    if output.is_dir():
        raise click.BadParameter(f"{output} is a folder; name a file such as evidence.zip", param_hint="--output")
    try:
        is_archive = stat.S_ISREG(output.stat().st_mode) and _begins_as_archive(output)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{output} cannot be read: {error.strerror}; choose another file"
        raise click.BadParameter(reason, param_hint="--output") from None
    if not is_archive:
        reason = f"{output} is there, and is no archive that could be replaced; choose another file"
        raise click.BadParameter(reason, param_hint="--output")


def _begins_as_archive(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"PK\3\4"


def _signing_key(path: Path | None) -> SigningKey | None:
    from auditor import keys

    if path is not None:
        return keys.parse_private(keys.read_private(path), str(path))
    if text := os.environ.get(KEY):
        return keys.parse_private(text, f"environment variable {KEY}")
    return None

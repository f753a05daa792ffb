"""`auditor package`: everything an auditor needs, in one file."""

from __future__ import annotations

import os
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

    for run in runs:
        seals.refuse_no_run(run)
    if output.is_dir():
        raise click.BadParameter(f"{output} is a folder; name a file such as evidence.zip", param_hint="--output")
    signing = _signing_key(key)
    with seals.known(keys_file, runs[0]) as keys:
        options.make_folder(output.parent)
        built = build(runs, output, keys.ring, signing, plugins.sources(), allow_unsigned=allow_unsigned)
    click.echo(f"{output}: {built.files:,} files, {output.stat().st_size:,} bytes")
    for one in built.runs:
        signed = f"signed by key {one.key.id}" if one.key else "UNSIGNED"
        click.echo(f"{one.run}: number {one.scope.sequence}, {signed}")
    click.echo(
        f"signed by key {signing.id}" if signing else "UNSIGNED: anybody could change its pages (sign it: --key)"
    )
    if keys.file:
        click.echo("".join(keys.source) or f"keys: {keys.file}")
    click.echo(f"sha256: {built.sha256}")
    return 0


def _signing_key(path: Path | None) -> SigningKey | None:
    from auditor import keys

    if path is not None:
        return keys.parse_private(keys.read_private(path), str(path))
    if text := os.environ.get(KEY):
        return keys.parse_private(text, f"environment variable {KEY}")
    return None

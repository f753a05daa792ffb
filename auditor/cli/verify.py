"""`auditor verify`: whether evidence is what was sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, epilog

if TYPE_CHECKING:
    from auditor.verify import Verified


@click.command(name="verify", epilog=epilog(EVIDENCE, done="everything is what was sealed"))
@click.argument("path", type=options.AnyPath, shell_complete=completing.runs)
@options.keys
@options.allow_unsigned
@click.option("--since", type=click.IntRange(1), default=1, metavar="N", help="Runs before number N were moved away.")
@click.option("--head", default="", metavar="HEAD", help="A chain head sent away earlier: it must still be there.")
def command(
    path: Path,
    keys_file: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
    since: int,
    head: str,
) -> int:
    """Verify a run, or a folder of runs and that none was taken out of their chain.

    Every byte is compared with what was sealed, and the seal with the public keys. What does not verify is told with
    file, line and reason.
    """
    from auditor import verify
    from auditor.contents import Directory
    from auditor.seal import EVIDENCE as STATEMENT
    from auditor.seal import MANIFEST

    if not path.is_dir():
        what = "is a file" if path.is_file() else "does not exist"
        raise click.BadParameter(f"{path} {what}; a run is a folder such as reports/<run id>", param_hint="PATH")
    ring, file = options.found_keys(keys_file, path)
    if (path / STATEMENT).exists() or (path / MANIFEST).exists():
        found = [verify.verify_run(Directory(path), ring, allow_unsigned=allow_unsigned)]
    else:
        found = verify.verify_chain(path, ring, allow_unsigned=allow_unsigned, since=since, head=head)
        if not found:
            raise click.BadParameter(f"there is no run in {path}", param_hint="PATH")
    for one in found:
        click.echo(_in_words(one))
    if len(found) > 1:
        click.echo(f"the chain is whole, from number {found[0].scope.sequence} to {found[-1].scope.sequence}")
    if file is not None and keys_file is None:
        click.echo(f"keys: {file}; compare their fingerprints with those that the company gave you")
    return 0


def _in_words(one: Verified) -> str:
    signed = f"signed by key {one.key.id}" if one.key else "UNSIGNED: anybody could have made or changed it"
    return f"{one.run}: verifies, number {one.scope.sequence}, {signed}"

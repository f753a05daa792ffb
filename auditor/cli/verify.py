"""`auditor verify`: whether evidence is what was sealed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, epilog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditor.contents import Contents
    from auditor.keys import KeyRing
    from auditor.verify import Verified

HEAD = re.compile(r"[1-9][0-9]*:[0-9a-f]{64}")


@click.command(name="verify", epilog=epilog(EVIDENCE, done="everything is what was sealed"))
@click.argument("path", type=options.AnyPath, shell_complete=completing.runs)
@options.keys
@options.allow_unsigned
@click.option("--since", type=click.IntRange(1), metavar="N", help="Runs before number N were moved away.")
@click.option(
    "--require-timestamp", is_flag=True, help="Refuse runs that no time-stamp authority of the key file says when of."
)
@click.option("--head", metavar="HEAD", help="A chain head sent away earlier: it must still be there.")
def command(
    path: Path,
    keys_file: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
    since: int | None,
    require_timestamp: bool,  # noqa: FBT001 - as above
    head: str | None,
) -> int:
    """Verify a run, a folder of runs with their chain, or a package.

    Every byte is compared with what was sealed, and the seal with the public keys. What does not verify is told with
    file, line and reason. A run that was taken out of a chain is missed by the next one; at the end only by --head.
    """
    from auditor import seal
    from auditor.cli import seals
    from auditor.packaging.opening import IS_A_RUN, opened
    from auditor.packaging.statement import is_package
    from auditor.verify import require_timestamps

    if head is not None and not HEAD.fullmatch(head):
        raise click.BadParameter("is no chain head, as auditor keys head prints it", param_hint="--head")
    if not path.exists():
        raise click.BadParameter(f"{path} does not exist; {IS_A_RUN}", param_hint="PATH")
    with opened(path) as files, seals.known(keys_file, path, files) as keys:
        packed = path.is_file() or is_package(files)
        chained = not packed and not seals.is_run(path)
        if since is not None and not chained:
            raise click.BadParameter(f"is for a folder of runs, which {path} is not", param_hint="--since")
        if packed:
            found = _package(files, keys.ring, head or "", allow_unsigned=allow_unsigned)
        elif chained:
            found = _chain(path, keys.ring, head or "", since or 1, allow_unsigned=allow_unsigned)
        else:
            with seal.at_rest(path.resolve().parent):
                found = _run(files, keys.ring, head or "", allow_unsigned=allow_unsigned)
        if require_timestamp:
            require_timestamps(found)
    for one in found:
        click.echo(seals.in_words(one))
    if chained:
        click.echo("\n".join([*seals.unsealed(path), _whole(found, head)]))
    for line in keys.source:
        click.echo(line)
    return 0


def _run(files: Contents, ring: KeyRing | None, head: str, *, allow_unsigned: bool) -> Sequence[Verified]:
    from auditor import verify
    from auditor.model import EvidenceError

    run = verify.verify_run(files, ring, allow_unsigned=allow_unsigned)
    if head not in ("", run.head):
        raise EvidenceError(f"the chain head {head} is of another run, or this one was changed: its own is {run.head}")
    return [run]


def _chain(path: Path, ring: KeyRing | None, head: str, since: int, *, allow_unsigned: bool) -> Sequence[Verified]:
    from auditor import verify
    from auditor.cli import seals
    from auditor.cli.complaint import complain
    from auditor.packaging.opening import IS_A_RUN

    found = verify.verify_chain(path, ring, allow_unsigned=allow_unsigned, since=since, head=head)
    if not found:
        complain(*seals.unsealed(path))
        raise click.BadParameter(f"there is no run in {path}; {IS_A_RUN}", param_hint="PATH")
    return found


def _package(files: Contents, ring: KeyRing | None, head: str, *, allow_unsigned: bool) -> Sequence[Verified]:
    from auditor.model import EvidenceError
    from auditor.packaging.statement import verify_package
    from auditor.wording import harmless

    package = verify_package(files, ring, allow_unsigned=allow_unsigned)
    if head and head not in {one.head for one in package.runs}:
        raise EvidenceError(f"the run of the chain head {head} is not in the package, or was changed")
    signed = f"signed by key {package.key.id}" if package.key else "UNSIGNED: anybody could have changed its pages"
    click.echo(f"{harmless(files.name)}: verifies, {package.files:,} files, {signed}")
    for sentence in package.left_out:
        click.echo(sentence)
    if not package.left_out:
        click.echo(_whole(package.runs, head))
    return package.runs


def _whole(runs: Sequence[Verified], head: str | None) -> str:
    """Say what is known of a chain of which no run is missing between those that are there.

    What came after its own run, a chain head cannot tell.
    """
    numbers = sorted(one.scope.sequence for one in runs)
    untold = "only --head tells if later runs are gone"
    if head:
        number = head.partition(":")[0]
        untold = f"by the head given nothing is missing up to number {number}; later runs may be gone"
    return f"the chain is whole, from number {numbers[0]} to {numbers[-1]}; {untold}"

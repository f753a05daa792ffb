"""`auditor keys`: the keys that runs are sealed with, and the head of their chain."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, epilog

_private = click.option(
    "--key",
    type=options.AnyPath,
    metavar="FILE",
    default=Path("auditor.key"),
    show_default=True,
    help="The private key: readable by its owner only.",
)
_public = click.option(
    "--keys",
    "keys_file",
    type=options.AnyPath,
    metavar="FILE",
    default=Path("auditor.keys.json"),
    show_default=True,
    help="The public keys, each with the time it was in use.",
)
_runs = click.option(
    "--runs",
    type=options.AnyPath,
    metavar="FOLDER",
    default=Path("reports"),
    show_default=True,
    help="The runs that were sealed: no key ends before the last of them did.",
)


@click.group(name="keys", epilog=epilog(done="done"))
def group() -> None:
    """Make and show the keys that runs are sealed with.

    The private key signs: keep it where only the audit can read it (a file, or a variable of the CI). The key file
    holds public keys only: give it, or their fingerprints, to whoever is to verify.
    """


@group.command(epilog=epilog(done="the key is made"))
@_private
@_public
def generate(key: Path, keys_file: Path) -> int:
    """Make a private key, and add its public half to the key file."""
    from auditor import keys
    from auditor.sources.clock import utcnow

    made = keys.generate(key, keys_file, utcnow())
    click.echo(f"{key}: the private key; seal runs with it: seal: {{key: {{file: {key.name}}}}} in auditor.yaml")
    click.echo(f"{keys_file}: the public keys; their fingerprints are for whoever verifies")
    click.echo(f"fingerprint: {made.id}")
    return 0


@group.command(epilog=epilog(done="the keys are shown"))
@_public
@click.option("--pem", is_flag=True, help="Print the keys as PEM, as openssl reads them.")
def show(keys_file: Path, pem: bool) -> int:  # noqa: FBT001 - click passes flags so
    """Show the public keys of the key file: fingerprint, and since when until when each was in use.

    The authorities whose time stamps count follow, where there are any.
    """
    from auditor import keys

    ring = keys.load(keys_file)
    for key in ring.keys:
        until = f"until {key.valid_until:%Y-%m-%d %H:%M:%S} UTC" if key.valid_until else "in use"
        line = f"{key.id}  {key.algorithm}  from {key.valid_from:%Y-%m-%d %H:%M:%S} UTC, {until}"
        click.echo(f"# {line}\n{key.public.rstrip()}" if pem else line)
    for certificate in ring.timestamp_authorities:
        line = f"time-stamp authority: {keys.describe_authority(certificate)}"
        click.echo(f"# {line}\n{certificate.rstrip()}" if pem else line)
    return 0


@group.command(epilog=epilog(done="the new key is in its place"))
@_private
@_public
@_runs
def rotate(key: Path, keys_file: Path, runs: Path) -> int:
    """Put a new private key in the place of the old one, which is valid no longer.

    What the old key sealed stays valid. The old private key is removed, for nothing is to be sealed with it any more.

    Never while a run is under way: it began with the old key and would end after that was valid, so it would not
    verify.
    """
    from auditor import keys, seal
    from auditor.sources.clock import utcnow

    now = utcnow()
    seal.refuse_before_last_end(runs, now)
    old, new = keys.rotate(key, keys_file, now)
    click.echo(f"valid no longer: {old.id}")
    click.echo(f"fingerprint: {new.id}")
    return 0


@group.command(epilog=epilog(done="the key counts no longer"))
@click.argument("fingerprint")
@_public
@_runs
def end(fingerprint: str, keys_file: Path, runs: Path) -> int:
    """Have a key count no longer, whose private half was lost or stolen.

    FINGERPRINT is what `auditor keys show` prints, or its beginning. What the key sealed until now stays valid. A new
    one is made by `auditor keys generate`.
    """
    from auditor import keys, seal
    from auditor.sources.clock import utcnow

    now = utcnow()
    seal.refuse_before_last_end(runs, now)
    ended = keys.end(fingerprint, keys_file, now)
    click.echo(
        f"valid no longer: {ended.id}" if ended.valid_from < now else f"taken out, it never was valid: {ended.id}"
    )
    return 0


@group.command(epilog=epilog(done="the authority counts"))
@click.argument("certificates", type=options.AnyPath, metavar="FILE")
@_public
def authority(certificates: Path, keys_file: Path) -> int:
    """Add the certificate of a time-stamp authority to the key file: time stamps issued under it count from then on.

    FILE holds the authority's root certificate (PEM), which it publishes.
    """
    from auditor import keys

    for pem in keys.add_authorities(certificates, keys_file):
        click.echo(f"{keys_file}: time stamps count that are issued under {keys.describe_authority(pem)}")
    return 0


@group.command(epilog=epilog(EVIDENCE, done="the head is printed"))
@click.argument("folder", type=options.AnyPath, default=Path("reports"), shell_complete=completing.runs)
@options.keys
@options.allow_unsigned
@click.option("--since", type=click.IntRange(1), default=1, metavar="N", help="Runs before number N were moved away.")
def head(folder: Path, keys_file: Path | None, allow_unsigned: bool, since: int) -> int:  # noqa: FBT001
    """Verify the runs of a folder, and print the head of their chain to send to the auditor.

    Whoever has it can tell later whether a run up to this one was taken away or replaced: auditor verify --head.
    """
    from auditor import verify
    from auditor.cli import seals
    from auditor.cli.complaint import complain

    if not folder.is_dir():
        raise click.BadParameter(f"there is no run in {folder}", param_hint="FOLDER")
    with seals.known(keys_file, folder) as keys:
        found = verify.verify_chain(folder, keys.ring, allow_unsigned=allow_unsigned, since=since)
    complain(*seals.unsealed(folder))
    if not found:
        raise click.BadParameter(f"there is no run in {folder}", param_hint="FOLDER")
    click.echo(found[-1].head)
    return 0

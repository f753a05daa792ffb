"""`auditor sample`: members of a population, drawn with the auditor's seed."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import completing, options
from auditor.cli.exit_codes import EVIDENCE, SUPPORTED, UNPROVEN, epilog

if TYPE_CHECKING:
    from auditor.packaging.sample import Drawn, Sample

FORMATS = ("text", "csv", "json")
COLUMNS = (
    "place", "digest", "id", "target", "resource_type", "resource_id", "resource_name", "region", "outcome", "message",
    "evidence", "listed", "page", "run", "test", "seed", "population", "listing_sha256", "incomplete",
)  # fmt: skip


@click.command(
    name="sample",
    epilog=epilog(
        EVIDENCE, done="the sample is drawn", unproven="the sample is drawn, of a population that is not complete"
    ),
)
@click.argument("path", type=options.AnyPath, shell_complete=completing.runs)
@click.argument("test")
@click.option("--size", type=click.IntRange(1), default=25, show_default=True, metavar="N", help="How many members.")
@click.option("--seed", required=True, metavar="TEXT", help="Your seed: choose it yourself, and tell nobody before.")
@click.option(
    "--run", "run", default="", metavar="ID", help="Which run of the package; the newest where none is named."
)
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@options.keys
@options.allow_unsigned
def command(
    path: Path,
    test: str,
    size: int,
    seed: str,
    run: str,
    form: str,
    keys_file: Path | None,
    allow_unsigned: bool,  # noqa: FBT001 - click passes flags so
) -> int:
    """Draw members of a test's population from a package (or a run), offline.

    The package is verified first. Drawn is from the listing that was sealed before anything was judged: members are put
    in the order of the SHA-256 of seed, newline and id (in UTF-8), and the first N are taken; of fewer, all. Anybody
    can do that again: ids are in population.csv, and VERIFY.md shows how with sha256sum.
    """
    from auditor.cli import seals
    from auditor.cli.complaint import complain
    from auditor.packaging.opening import chosen, opened, verified_runs
    from auditor.packaging.sample import draw
    from auditor.packaging.statement import is_package

    if not seed:
        raise click.BadParameter("an empty seed is nobody's; choose one yourself", param_hint="--seed")
    if not _is_utf8(seed):
        raise click.BadParameter("the seed is not UTF-8, in which it is digested; choose another", param_hint="--seed")
    if not path.exists():
        raise click.BadParameter(f"{path} does not exist", param_hint="PATH")
    with opened(path) as files:
        if path.is_dir() and not is_package(files):
            seals.refuse_no_run(path, "PATH")
        with seals.known(keys_file, path, files) as keys:
            runs = verified_runs(files, keys.ring, allow_unsigned=allow_unsigned)
        drawn_from = chosen(runs, run)
        drawn = draw(drawn_from, test, size, seed, in_package=is_package(files))
    complain(seals.in_words(drawn_from.verified), *keys.source)
    {"text": _show, "csv": _write_csv, "json": _write_json}[form](drawn)
    return UNPROVEN if drawn.incomplete else SUPPORTED


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the command line that are none
        return False
    return True


def _show(sample: Sample) -> None:
    from auditor.wording import counted, harmless, quoted

    click.echo(f"test {sample.test} of run {sample.run}")
    click.echo(
        f"population: {counted(sample.population.size, 'different member')} in the frozen listing, "
        f"SHA-256 {sample.population.sha256}"
    )
    click.echo(f"sample: {len(sample.drawn):,} of {sample.asked:,} asked for, with seed {quoted(sample.seed)}")
    for reason in sample.incomplete:
        click.echo(f"NOT COMPLETE: {harmless(reason)}")
    for one in sample.drawn:
        resource = one.member.resource
        name = f" ({harmless(resource.name)})" if resource.name else ""
        click.echo(f"\n{one.place}. {harmless(resource.id)}{name}")
        click.echo(f"   {one.id}, {harmless(f'{resource.type} of {one.member.target}, listed in {_listed(one)}')}")
        for finding in one.findings:
            click.echo(f"   {finding.outcome.value}: {harmless(finding.message)}")
            for cite in finding.evidence:
                click.echo(f"     {harmless(f'{cite.file}:{cite.lines[0]} {cite.pointer}'.rstrip())}")
        if not one.findings:
            click.echo("   was not judged")
        elif one.page:
            click.echo(f"   {one.page}")


def _listed(one: Drawn) -> str:
    return f"{one.member.file}:{one.member.line}"


def _write_csv(sample: Sample) -> None:
    from auditor.reports.csv import cell

    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sample.drawn:
        writer.writerow([cell(str(value)) for value in _row(sample, one)])


def _row(sample: Sample, one: Drawn) -> Iterator[object]:
    resource = one.member.resource
    cites = (cite for finding in one.findings for cite in finding.evidence)
    yield from (one.place, one.digest, one.id, one.member.target)
    yield from (resource.type, resource.id, resource.name, resource.region)
    yield "; ".join(finding.outcome.value for finding in one.findings)
    yield "; ".join(finding.message for finding in one.findings)
    yield "; ".join(f"{cite.file}:{cite.lines[0]}-{cite.lines[1]} {cite.pointer}".rstrip() for cite in cites)
    yield from (_listed(one), one.page, sample.run, sample.test, sample.seed)
    yield from (sample.population.size, sample.population.sha256, "; ".join(sample.incomplete))


def _write_json(sample: Sample) -> None:
    import json

    import msgspec

    document = {"schema": "auditor/sample/1", **msgspec.to_builtins(sample)}
    click.echo(json.dumps(document, indent=2))  # ASCII, so that no name can act on a terminal

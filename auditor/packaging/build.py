"""Makes a package: verifies its runs, writes the pages about them, seals all, and puts it into one archive.

Everything in a package follows from its runs, the keys, the signing key, and this version with what it rests on: no
clock is read, and nothing is left to chance, so the same make the same bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import msgspec

from auditor import __version__, envelope, seal, verify
from auditor import keys as key_file
from auditor.contents import Directory
from auditor.keys import KeyRing, SigningKey
from auditor.model import Problem, UsageError
from auditor.notices import SEAL_LIMITS
from auditor.packaging import answers, archive, listing, request_list, sbom, texts
from auditor.packaging.answers import Places
from auditor.packaging.chain import left_out
from auditor.packaging.population import total
from auditor.packaging.run import RunFiles
from auditor.packaging.site import Site
from auditor.packaging.statement import (
    KEYS,
    STATEMENT,
    Packaged,
    PackageStatement,
    given_up,
    not_following,
    packaged_run,
)
from auditor.packaging.view import View, answers_of, page_of
from auditor.provenance import Origin, is_answer
from auditor.questions import SourceType
from auditor.reports import evidence
from auditor.results import Tool
from auditor.verify import DoesNotVerify, Flaw, Verified
from auditor.wording import quoted

TOOL = Tool("auditor", __version__)


class Built(msgspec.Struct, frozen=True):
    """What was made: where it is, its SHA-256, how many files it holds, and of which runs."""

    path: Path
    sha256: str
    files: int
    runs: tuple[Verified, ...]


def build(
    runs: Sequence[Path],
    output: Path,
    ring: KeyRing | None,
    key: SigningKey | None,
    sources: Mapping[str, SourceType],
    *,
    allow_unsigned: bool = False,
) -> Built:
    """Verify the runs and write the package; `DoesNotVerify` where one is not what was sealed, and nothing is written.

    `ring` holds the public keys that the runs are verified with, and goes into the package; `key` signs it. By
    `sources` it is known who answered.
    """
    _refuse_inside(runs, output)
    with ExitStack() as waiting_for:
        for folder in sorted({run.resolve().parent for run in runs}):
            waiting_for.enter_context(seal.at_rest(folder))
        verified = list(_verified(runs, ring, allow_unsigned=allow_unsigned))
    verified.sort(key=lambda pair: (pair[1].scope.as_of, pair[1].run))
    packaged = _packaged([one for _, one in verified], ring, key)
    if not any(one.key for _, one in verified) and key is None:
        ring = None  # nothing here is signed by any of them
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as waiting:
        site = Site(Path(waiting) / "pages")
        files = [RunFiles(Directory(path), one) for path, one in verified]
        _write_pages(site, files, ring, sources, signed=key is not None)
        pages = Directory(site.folder)
        parts = [
            *archive.parts_of(pages),
            *(part for path, one in verified for part in archive.parts_of_run(path, one)),
        ]
        parts.sort(key=lambda part: part.subject.name)
        statement = PackageStatement(
            subject=tuple(part.subject for part in parts),
            predicate=packaged,
        )
        site.data(seal.SUMS, seal.sums(statement.subject))
        site.data(STATEMENT, envelope.close(msgspec.json.encode(statement), key))
        parts += archive.parts_of(pages, (seal.SUMS, STATEMENT))
        made = Path(waiting) / "archive"
        archive.write(made, parts)
        digest = seal.sha256_file(made)
        made.replace(output)
    return Built(output, digest, len(parts), tuple(one for _, one in verified))


def _refuse_inside(runs: Iterable[Path], output: Path) -> None:
    """Refuse to write into a run, which stays as it is."""
    for run in runs:
        if output.resolve().is_relative_to(run.resolve()):
            raise UsageError(Problem(f"{output} is inside the run {run}, which stays as it is; choose another -o"))


def _verified(runs: Iterable[Path], ring: KeyRing | None, *, allow_unsigned: bool) -> Iterator[tuple[Path, Verified]]:
    flaws: list[Flaw] = []
    for path in runs:
        try:
            yield path, verify.verify_run(Directory(path), ring, allow_unsigned=allow_unsigned)
        except DoesNotVerify as error:
            flaws += (Flaw(f"{path}/{flaw.file}", flaw.line, flaw.reason) for flaw in error.flaws)
    if flaws:
        raise DoesNotVerify(flaws)


def _packaged(runs: Sequence[Verified], ring: KeyRing | None, key: SigningKey | None) -> Packaged:
    """Return what the statement says; `UsageError` where it would say two things, or would not verify."""
    if not runs:
        raise UsageError(Problem("no run was named"))
    names = [run.run for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(Problem(f"run {twice[0]} is named twice"))
    if len(organizations := sorted({run.scope.organization for run in runs})) > 1:
        raise UsageError(Problem(f"the runs are of different organizations: {', '.join(map(quoted, organizations))}"))
    if flaws := list(not_following(runs)):
        raise DoesNotVerify(flaws)
    packaged = Packaged(organization=organizations[0], tool=TOOL, runs=tuple(map(packaged_run, runs)))
    if key is not None:
        public = ring.find(key.id) if ring is not None else None
        if public is None:
            raise UsageError(Problem(f"the key that would sign the package ({key.id}) is not among the public keys"))
        if reason := given_up(packaged, public):
            raise UsageError(Problem(f"the key that would sign the package {reason}"))
    return packaged


def _write_pages(
    site: Site, runs: Sequence[RunFiles], ring: KeyRing | None, sources: Mapping[str, SourceType], *, signed: bool
) -> None:
    """Write everything but the runs themselves; `runs` are in the order of their ends."""
    views = []
    there = {run.id for run in runs}
    missing = tuple(left_out([run.verified for run in runs]))
    for run in runs:
        places = _write_answers(site, run, sources)
        page = page_of(run.id, newest=run is runs[-1])
        listed = listing.write(site, run, places, page)
        views.append(View.of(run, listed, page, there))
    views.reverse()
    for view in views:
        tasks = {Path(name).stem for name in view.run.segments}
        site.page(
            view.page,
            "run.html.j2",
            view.head.run,
            head=view.head,
            listed=view.listed,
            total=total(one.figures for one in view.listed.values()),
            not_asked=view.run.not_asked,
            runs=views,
            left_out=missing,
            tasks=tasks,
            limits=SEAL_LIMITS,
            has_keys=ring is not None,
        )
    request_list.write(site, views)
    texts.write(site, views, missing, signed=signed)
    site.data("sbom.cdx.json", sbom.render())
    if ring is not None:
        site.data(KEYS, key_file.to_json(ring))
        for key in ring.keys:
            site.data(f"keys/{key.id}.pem", key.public.encode())
        if ring.timestamp_authorities:
            site.data("keys/timestamp-authorities.pem", "".join(ring.timestamp_authorities).encode())


def _cited(run: RunFiles) -> dict[str, dict[int, set[str]]]:
    """Return the pointers that findings and counts cite, by line, of every segment."""
    cited: dict[str, dict[int, set[str]]] = {name: {} for name in run.segments}
    reconciled = (row.evidence for _, test in run.tests.values() for row in test.reconciled)
    for cites in chain(reconciled, (finding.evidence for finding in run.findings())):
        for cite in cites:
            if cite.file in cited:
                cited[cite.file].setdefault(cite.lines[0], set()).add(cite.pointer)
    return cited


def _write_answers(site: Site, run: RunFiles, sources: Mapping[str, SourceType]) -> dict[str, Places]:
    """Write the answers of a run as pages, and as a table; return where everything stands on the pages, by segment."""
    origins = {name: Origin(name, partial(run.files.open, name), run.head.run.scope, sources) for name in run.segments}
    items = (origin.item(raw) for name, origin in origins.items() for raw in run.lines(name) if is_answer(raw))
    site.table(answers_of(run.id), evidence.COLUMNS, (evidence.values(item, run.head.run) for item in items))
    cited = _cited(run)
    return {name: _write_segment(site, run, name, cited[name], origin) for name, origin in origins.items()}


def _write_segment(site: Site, run: RunFiles, name: str, cited: Mapping[int, set[str]], origin: Origin) -> Places:
    """Write the pages of one segment; return where everything stands on them."""
    folder = f"answers/{run.id}/{PurePosixPath(name).stem}"
    places = Places(folder)

    def facts(raw: bytes) -> Mapping[str, str]:
        return origin.item(raw + b"\n").facts if is_answer(raw) else {}

    for page in answers.paginate(run.lines(name), cited):
        site.page(f"{folder}/{page.number}.html", "answers.html.j2", run.head.run, segment=name, page=page, facts=facts)
        places.add(page)
    return places

"""Files and whole runs are added, removed, renamed and exchanged; keys are not those, or not any more."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from random import Random

import msgspec

from auditor import seal
from auditor.keys import PublicKey
from tests.sealing import finished_of, follow, scope_of
from tests.tampering.chain import (
    HOUR,
    STAMPED,
    STATEMENTS,
    Chain,
    Tampering,
    Told,
    files,
    told,
    with_dates,
)
from tests.tampering.forging import seal_without_the_key
from tests.tsa_server import Issuer

DAY = dt.timedelta(days=1)
OTHER_AUTHORITY = Issuer("Stamps of Nowhere")
NO_TEXT = "not-utf8-\udce9"  # which stands in no statement
NAMES = (
    "more.txt",
    ".hidden",
    "evidence/.hidden",
    "evidence/s.more.jsonl",
    "evidence/s.main.jsonl.partial",
    "evidence/deep/er/s.main.jsonl",
    "policy/more.yaml",
    "policy/deep/more.yaml",
    "findings/s.more.jsonl",
    "plan.json.orig",
    "report.html",
    "evidence.statement.tsr",
    "sha256sums",
    "new\nline",
    "back\\slash",
    "\u202eright-to-left",
    NO_TEXT,
    " blank ",
)


def add_file(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    name = rng.choice([name for name in NAMES if not (run / name).exists()])
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_bytes(rng.choice([b"", rng.randbytes(20), (run / rng.choice(files(run))).read_bytes()]))
    if rng.random() < 0.3 and name != NO_TEXT:
        seal_without_the_key(run, chain, rng)
        return told(run, *STATEMENTS, name)
    return told(run, name)


def add_link(chain: Chain, rng: Random) -> Told:
    """Add a link to a file, to a folder, to nothing, to itself."""
    run = chain.run(rng)
    name = rng.choice([name for name in NAMES if not (run / name).exists()])
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    target = rng.choice([str(run / "plan.json"), str(chain.spare), "plan.json", "..", ".", "nothing", str(run / name)])
    (run / name).symlink_to(target)
    return told(run, name)


def link_instead(chain: Chain, rng: Random) -> Told:
    """Put a link to the very same bytes in the place of a file."""
    run = chain.run(rng)
    name = rng.choice(files(run))
    away = chain.folder.parent / "away"
    (run / name).rename(away)
    (run / name).symlink_to(away)
    return told(run, name)


def folder_instead(chain: Chain, rng: Random) -> Told:
    """Put a folder, a pipe or nothing in the place of a file."""
    run = chain.run(rng)
    name = rng.choice(files(run))
    (run / name).unlink()
    kind = rng.choice(["folder", "full folder", "pipe"])
    if kind == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).mkdir()
        if kind == "full folder":
            (run / name / "more").touch()
    return told(run, name, f"{name}/more")


def link_to_folder(chain: Chain, rng: Random) -> Told:
    """Put a link to the very same folder in the place of one."""
    run = chain.run(rng)
    name = rng.choice(["evidence", "policy", "findings"])
    (run / name).rename(chain.folder.parent / "away")
    (run / name).symlink_to(chain.folder.parent / "away")
    return told(run, name)


def remove_file(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    name = rng.choice(files(run))
    (run / name).unlink()
    if name not in (*STATEMENTS, seal.SUMS) and rng.random() < 0.5:
        seal_without_the_key(run, chain, rng)
    return told(run, *STATEMENTS, name)


def remove_folder(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    name = rng.choice(["evidence", "policy", "findings"])
    gone = [one for one in files(run) if one.startswith(f"{name}/")]
    shutil.rmtree(run / name)
    return told(run, *gone)


def rename_file(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    name = rng.choice(files(run))
    place = run / name
    others = [f"{place.name}.bak", place.name.swapcase(), f"{place.name} ", f".{place.name}"]
    place.rename(rng.choice([*(place.with_name(other) for other in others), run / "policy" / f"{place.name}x"]))
    return told(run, name)


def exchange_files(chain: Chain, rng: Random) -> Told:
    """Exchange two files of a run."""
    run = chain.run(rng)
    first, second = rng.sample(files(run), 2)
    one, two = (run / first).read_bytes(), (run / second).read_bytes()
    (run / first).write_bytes(two)
    (run / second).write_bytes(one)
    if one == two:
        (run / second).unlink()
    return told(run, first, second, *STATEMENTS)


def file_of_another_run(chain: Chain, rng: Random) -> Told:
    """Take a file, or all of a folder, from another run of the same key."""
    run = chain.run(rng)
    lender = chain.other(rng, run)
    differing = [
        name
        for name in files(run)
        if (lender / name).is_file() and (lender / name).read_bytes() != (run / name).read_bytes()
    ]
    taken = rng.choice([[name] for name in differing] + [differing[:5], differing[-4:], list(STATEMENTS)])
    for name in taken:
        shutil.copyfile(lender / name, run / name)
    return told(run, *taken, *STATEMENTS)


def evidence_of_another_run(chain: Chain, rng: Random) -> Told:
    """Take everything of another run but the manifest and its list."""
    run = chain.run(rng)
    lender = chain.other(rng, run)
    kept = {name: (run / name).read_bytes() for name in rng.choice([(seal.MANIFEST,), (seal.MANIFEST, seal.SUMS)])}
    shutil.rmtree(run)
    shutil.copytree(lender, run)
    for name, data in kept.items():
        (run / name).write_bytes(data)
    return told(run, *STATEMENTS, *files(run))


def take_out(chain: Chain, rng: Random) -> Told:
    """Take one or two runs out of the chain; at its end that is noticed by whoever has its head."""
    runs = chain.runs
    gone = rng.sample(runs, rng.choice([1, 1, 2]))
    chain.heads_known = runs[-1] in gone
    for run in gone:
        if rng.random() < 0.7:
            shutil.rmtree(run)
        else:
            run.rename(run.with_name(f"{run.name}.old"))
    return Told()


def take_out_and_renumber(chain: Chain, rng: Random) -> Told:
    """Take a run out, and let the one after it follow the one before."""
    runs = chain.runs
    index = rng.choice([0, 1])
    gone, after = runs[index], runs[index + 1]
    scope = scope_of(gone)
    said = msgspec.structs.replace(scope_of(after), sequence=scope.sequence, previous_run=scope.previous_run)
    shutil.rmtree(gone)
    seal.seal_evidence(after, said, chain.foreign)
    seal.seal_run(after, msgspec.structs.replace(finished_of(after), sequence=scope.sequence), chain.foreign)
    seal_without_the_key(after, chain, rng)
    return told(after, *STATEMENTS)


def exchange_runs(chain: Chain, rng: Random) -> Told:
    first, second = rng.sample(chain.runs, 2)
    spare = first.rename(first.with_name("spare"))
    second.rename(first)
    spare.rename(second)
    return told(rng.choice([first, second]), seal.EVIDENCE)


def rename_run(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    other = run.with_name(rng.choice([f"{run.name[:-8]}{rng.randbytes(4).hex()}", f"20200101T000000Z{run.name[16:]}"]))
    run.rename(other)
    return told(other, seal.EVIDENCE)


def copy_run(chain: Chain, rng: Random) -> Told:
    run = chain.run(rng)
    other = run.with_name(f"{run.name[:-8]}{rng.randbytes(4).hex()}")
    shutil.copytree(run, other)
    return told(other, seal.EVIDENCE)


def older_run(chain: Chain, rng: Random) -> Told:
    """Put another run of the same key in the place of one, under its name or its own."""
    run = chain.run(rng)
    lender = chain.other(rng, run)
    own_name = rng.random() < 0.5
    chain.heads_known = run == chain.runs[-1]
    shutil.rmtree(run)
    if own_name and (run.with_name(lender.name)).exists():
        return Told()
    shutil.copytree(lender, run.with_name(lender.name) if own_name else run)
    return Told() if own_name else told(run, seal.EVIDENCE)


def fork(chain: Chain, rng: Random) -> Told:
    """Add a run of the same key that followed another one: two have the same number then."""
    lender = rng.choice(chain.spares)
    shutil.copytree(lender, chain.folder / lender.name)
    return Told()


def dated_back(chain: Chain, rng: Random) -> Told:
    """Add a run by a key that was given up long ago, dated back to when it was in use."""
    last = chain.runs[-1]
    begin = scope_of(chain.runs[0]).started_at - 90 * DAY
    old = PublicKey(
        id=chain.foreign.id,
        public=chain.foreign.public,
        valid_from=begin,
        valid_until=begin + rng.randrange(2, 90) * DAY,
    )
    chain.ring = msgspec.structs.replace(chain.ring, keys=(old, *chain.ring.keys))
    at = begin + dt.timedelta(hours=rng.randrange(24))
    return told(follow(last, at, at + HOUR, chain.foreign), seal.MANIFEST)


def other_chain(chain: Chain, rng: Random) -> Told:
    """Put a whole chain of the same key in the place of this one, from its beginning."""
    keep = rng.randrange(1, 4)
    for run in chain.runs:
        shutil.rmtree(run)
    for run in chain.spares[:keep]:
        shutil.copytree(run, chain.folder / run.name)
    chain.heads_known = True
    return Told()


def no_statements(chain: Chain, rng: Random) -> Told:
    """Let a run look like one that was interrupted."""
    run = chain.run(rng)
    chain.heads_known = run == chain.runs[-1]
    for name in (*STATEMENTS, seal.SUMS):
        (run / name).unlink()
    return Told()


def keys(chain: Chain, rng: Random) -> Told:
    """Verify by keys that are not those, or were not in use then."""
    runs = [(run, scope_of(run), finished_of(run)) for run in chain.runs]
    run, scope, finished = rng.choice(runs)
    begin = runs[0][1].started_at - HOUR
    ring = chain.ring
    other = tuple(msgspec.structs.replace(key, public=chain.foreign.public) for key in ring.keys)
    chain.ring = rng.choice(
        [
            msgspec.structs.replace(ring, keys=()),
            with_dates(ring, begin, scope.as_of - dt.timedelta(seconds=rng.randrange(1))),
            with_dates(ring, begin, finished.finished_at),
            with_dates(ring, finished.finished_at + dt.timedelta(microseconds=rng.randrange(1, 9)), None),
            with_dates(ring, scope.as_of + dt.timedelta(microseconds=rng.randrange(1, 9)), None),
            with_dates(ring, begin, begin + dt.timedelta(seconds=rng.randrange(1, 99))),
            msgspec.structs.replace(ring, keys=other),
            msgspec.structs.replace(
                ring, keys=tuple(msgspec.structs.replace(key, id=chain.foreign.id) for key in other)
            ),
        ]
    )
    return told(run, *STATEMENTS)


def authority(chain: Chain, rng: Random) -> Told:
    """Hold the time stamps against another authority than the one that gave them."""
    run = rng.choice([run for run in chain.runs if (run / seal.STAMP).exists()])
    chain.ring = msgspec.structs.replace(chain.ring, timestamp_authorities=(OTHER_AUTHORITY.pem,))
    return told(run, seal.STAMP)


def stamp(chain: Chain, rng: Random) -> Told:
    """Let a run bear the time stamp of another, or one where it told of none."""
    run, lender = rng.sample(chain.runs[:STAMPED], 2)
    run = rng.choice([run, chain.runs[STAMPED]])
    shutil.copyfile(lender / seal.STAMP, run / seal.STAMP)
    return told(run, seal.STAMP)


TAMPERINGS = (
    add_file,
    add_link,
    link_instead,
    folder_instead,
    link_to_folder,
    remove_file,
    remove_folder,
    rename_file,
    exchange_files,
    file_of_another_run,
    evidence_of_another_run,
    take_out,
    take_out_and_renumber,
    exchange_runs,
    rename_run,
    copy_run,
    older_run,
    fork,
    dated_back,
    other_chain,
    no_statements,
    keys,
    authority,
    stamp,
)
KINDS: dict[str, Tampering] = {f"places: {tamper.__name__}": tamper for tamper in TAMPERINGS}

"""Lines are dropped, added, re-ordered, re-dated and rewritten, and more or less of what belongs to them made anew."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from auditor import seal
from tests.sealing import marked
from tests.tampering.chain import STATEMENTS, Chain, Tampering, Told, files, segments, told
from tests.tampering.forging import seal_without_the_key
from tests.tampering.octets import lines_told

Change = Callable[[list[bytes], Random], list[bytes]]
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
SUMS_LINE = re.compile(rb"[0-9a-f]{64}  .+\n")


def drop(rows: list[bytes], rng: Random) -> list[bytes]:
    index = rng.randrange(len(rows))
    return rows[:index] + rows[index + 1 :]


def drop_several(rows: list[bytes], rng: Random) -> list[bytes]:
    index = rng.randrange(len(rows))
    return rows[:index] + rows[index + rng.randrange(2, 5) :]


def repeat(rows: list[bytes], rng: Random) -> list[bytes]:
    index = rng.randrange(len(rows))
    return rows[: index + 1] + rows[index:]


def swap(rows: list[bytes], rng: Random) -> list[bytes]:
    first, second = rng.sample(range(len(rows)), 2)
    result = list(rows)
    result[first], result[second] = rows[second], rows[first]
    return result


def move(rows: list[bytes], rng: Random) -> list[bytes]:
    result = list(rows)
    index = rng.randrange(len(rows))
    row = result.pop(index)
    result.insert(rng.choice([place for place in range(len(rows)) if place != index]), row)
    return result


def turn_round(rows: list[bytes], rng: Random) -> list[bytes]:
    begin, end = sorted(rng.sample(range(len(rows) + 1), 2))
    return rows[:begin] + rows[begin:end][::-1] + rows[end:] if end - begin > 1 else swap(rows, rng)


def add(rows: list[bytes], rng: Random) -> list[bytes]:
    """Write a line that looks like one of the others."""
    index = rng.randrange(1, len(rows))
    return [*rows[:index], reworded(rng.choice(rows[1:]), rng), *rows[index:]]


def reword(rows: list[bytes], rng: Random) -> list[bytes]:
    index = rng.randrange(len(rows))
    return [*rows[:index], reworded(rows[index], rng), *rows[index + 1 :]]


def redate(rows: list[bytes], rng: Random) -> list[bytes]:
    """Move the dates of one line by up to a day."""
    dated = [index for index, row in enumerate(rows) if DATE.search(row.decode())]
    index = rng.choice(dated)
    return [*rows[:index], later(rows[index], rng.choice([-1, 1]) * rng.randrange(1, 86_400)), *rows[index + 1 :]]


def reworded(row: bytes, rng: Random) -> bytes:
    """Let a line of JSON say something else: one of its values becomes another of its kind."""
    data = json.loads(row)
    places = list(_places(data))
    holder, key, value = rng.choice(places)
    holder[key] = _other(value)
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _places(value: object) -> list[tuple[dict[str, object], str, object]]:
    """Every value of the line that is no object or list, apart from those that hold its place."""
    found: list[tuple[dict[str, object], str, object]] = []
    for holder in _objects(value):
        plain = ((key, one) for key, one in holder.items() if not isinstance(one, dict | list))
        found += [(holder, key, one) for key, one in plain if key not in ("n", "prev", "kind")]
    return found


def _objects(value: object) -> list[dict[str, object]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    below = [one for part in inner for one in _objects(part)]
    return [value, *below] if isinstance(value, dict) else below


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x" if isinstance(value, str) else "x"


def later(data: bytes, by: int) -> bytes:
    """Move every date in a text by so many seconds."""

    def moved(match: re.Match[str]) -> str:
        return f"{dt.datetime.fromisoformat(match.group()) + dt.timedelta(seconds=by):%Y-%m-%dT%H:%M:%S}"

    return DATE.sub(moved, data.decode()).encode()


def renumbered(rows: list[bytes]) -> list[bytes]:
    """Number the lines of a segment anew."""
    return [re.sub(rb'"n":\d+', b'"n":%d' % number, row, count=1) for number, row in enumerate(rows, 1)]


def counted(rows: list[bytes]) -> list[bytes]:
    """Let the last line say how many answers and subjects there are."""
    kinds = {name: sum(b'"kind":"%s"' % name in row for row in rows) for name in (b"answer", b"subject")}
    last = rows[-1]
    for name, count in kinds.items():
        last = re.sub(rb'"%ss":\d+' % name, b'"%ss":%d' % (name, count), last)
    return [*rows[:-1], last]


def in_a_segment(change: Change) -> Tampering:
    """Make a tampering with lines of a segment; what is not made anew is told to the line."""

    def tamper(chain: Chain, rng: Random) -> Told:
        run = chain.run(rng)
        name = rng.choice(segments(run))
        before = (run / name).read_bytes()
        rows = _changed(before.splitlines(keepends=True), change, rng)
        trouble = rng.randrange(4)
        if trouble > 0:
            rows = renumbered(rows)
        if trouble > 1:
            rows = marked(counted(rows))
        after = _unlike(b"".join(rows), before)
        (run / name).write_bytes(after)
        if trouble > 2:
            seal_without_the_key(run, chain, rng)
            return told(run, *STATEMENTS, name)
        if trouble > 1:
            return told(run, name, lines=range(1, len(rows) + 2))
        return told(run, name, lines=lines_told(before, after))

    return tamper


def in_another_file(change: Change) -> Tampering:
    """Make a tampering with lines of any file that is no segment."""

    def tamper(chain: Chain, rng: Random) -> Told:
        run = chain.run(rng)
        names = [name for name in files(run) if name.endswith(".jsonl") and name not in segments(run)]
        name = rng.choice([*names, seal.SUMS])
        before = (run / name).read_bytes()
        rows = before.splitlines(keepends=True)
        after = _unlike(b"".join(_changed(rows, change, rng)), before)
        (run / name).write_bytes(after)
        if name != seal.SUMS and rng.random() < 0.5:
            seal_without_the_key(run, chain, rng)
        return told(run, *STATEMENTS, name)

    return tamper


def _changed(rows: list[bytes], change: Change, rng: Random) -> list[bytes]:
    plain = bool(rows) and SUMS_LINE.fullmatch(rows[0]) is not None
    if len(rows) < 2 or (plain and change in (add, reword, redate)):
        return [*rows, *rows[:1], b"{}\n"]
    if change is redate and not any(DATE.search(row.decode()) for row in rows):
        return reword(rows, rng)
    return change(rows, rng)


def _unlike(after: bytes, before: bytes) -> bytes:
    return after if after != before else after + b"\n"


def all_dates(chain: Chain, rng: Random) -> Told:
    """Move every date of a run, its id and its folder, and make all marks, digests and statements anew."""
    run = chain.run(rng)
    by = rng.choice([-1, 1]) * rng.choice([1, 60, 3_600, 86_400 * 30])
    begin = dt.datetime.strptime(run.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    other = f"{begin + dt.timedelta(seconds=by):%Y%m%dT%H%M%SZ}{run.name[16:]}"
    for name in files(run):
        path = run / name
        if name not in STATEMENTS:
            moved = later(path.read_bytes(), by).replace(run.name.encode(), other.encode())
            path.write_bytes(b"".join(marked(moved.splitlines(keepends=True))) if name in segments(run) else moved)
    seal_without_the_key(run, chain, rng)
    if rng.random() < 0.5:
        return told(_renamed(run, other), *STATEMENTS, *files(run.with_name(other)))
    return told(run, *STATEMENTS, *files(run))


def _renamed(run: Path, name: str) -> Path:
    return run.rename(run.with_name(name))


def outcomes(chain: Chain, rng: Random) -> Told:
    """Turn every failure into a pass, in findings and reports, and seal as far as that goes."""
    run = chain.run(rng)
    changed = [seal.SUMS, *STATEMENTS]
    for name in files(run):
        data = (run / name).read_bytes()
        better = data.replace(b'"fail"', b'"pass"').replace(b'"refuted"', b'"supported"')
        if better != data and name not in STATEMENTS:
            (run / name).write_bytes(better)
            changed.append(name)
    if rng.random() < 0.7 or len(changed) == 3:
        seal_without_the_key(run, chain, rng)
    return told(run, *changed)


CHANGES: tuple[Change, ...] = (drop, drop_several, repeat, swap, move, turn_round, add, reword, redate)
KINDS: dict[str, Tampering] = {
    **{f"lines of a segment: {change.__name__}": in_a_segment(change) for change in CHANGES},
    **{f"lines of another file: {change.__name__}": in_another_file(change) for change in CHANGES},
    "dates: all of a run": all_dates,
    "findings: every failure a pass": outcomes,
}

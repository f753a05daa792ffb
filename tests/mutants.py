"""Whether each guard of seal, evidence and redaction is needed by some test: `python -m tests.mutants [FUNCTION…]`.

mutmut changes one place of the code at a time and runs the tests that reach it. Its own changes are completed by those
that take a guard out. What survives is either a test that is missing, or stands in mutants_survivors.toml, with the
reason why it is harmless. Functions are named as `auditor.verify.*`; without any, all are changed, from the beginning.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import libcst as cst
import msgspec
from mutmut.__main__ import _run as run_mutmut
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

ROOT = Path(__file__).resolve().parent.parent
WORK = "mutants"
LISTED = Path(__file__).with_name("mutants_survivors.toml")
DETECTED = {"killed", "timeout", "segfault"}
"""What never ends is noticed by whoever runs the tests."""
PATIENCE = 5.0
"""Seconds beyond those that were measured; ten times both (`timeout_multiplier`) is what is said to never end."""


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that no test notices: in which function, the lines before (-) and after (+), and why it is harmless."""

    function: str
    change: tuple[str, ...]
    why: str = ""

    @property
    def identity(self) -> tuple[str, tuple[str, ...]]:
        """What it is known by, wherever its lines stand."""
        return self.function, self.change

    def __str__(self) -> str:
        lines = "".join(f"    {_quoted(line)},\n" for line in self.change)
        return f"[[survivor]]\nfunction = {_quoted(self.function)}\nchange = [\n{lines}]\nwhy = {_quoted(self.why)}\n"


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of harmless survivors."""

    survivor: tuple[Survivor, ...] = ()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


# Changes that mutmut does not make: a guard, or a part of one, is taken out.


def _never(node: cst.If) -> Iterator[cst.If]:
    """`if a:` becomes `if (a) and False:`, unless all it does is one statement, which is taken out by itself."""
    body = node.body.body
    alone = len(body) == 1 and node.orelse is None and isinstance(body[0], cst.SimpleStatementLine)
    if not (alone and isinstance(body[0].body[0], cst.Expr | cst.Raise)):  # type: ignore[union-attr]
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.BooleanOperation(test, cst.And(), cst.Name("False")))


def _one_side(node: cst.BooleanOperation) -> Iterator[cst.BaseExpression]:
    """`a or b` becomes `a`, and `b`."""
    for side in (node.left, node.right):
        yield side.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _shorter(node: cst.Comparison) -> Iterator[cst.Comparison]:
    """`a <= b <= c` becomes `a <= b`, and `b <= c`."""
    if len(node.comparisons) > 1:
        yield node.with_changes(comparisons=node.comparisons[:-1])
        yield node.with_changes(left=node.comparisons[0].comparator, comparisons=node.comparisons[1:])


def _unfiltered(node: cst.CompFor) -> Iterator[cst.CompFor]:
    """`for a in b if c` becomes `for a in b`."""
    for index in range(len(node.ifs)):
        yield node.with_changes(ifs=[*node.ifs[:index], *node.ifs[index + 1 :]])


def _nothing_caught(node: cst.ExceptHandler) -> Iterator[cst.ExceptHandler]:
    """`except E:` becomes `except ():`, and each of several kinds of exception is left out."""
    if isinstance(node.type, cst.Tuple):
        kinds = node.type.elements
        for index in range(len(kinds)):
            yield node.with_changes(type=node.type.with_changes(elements=[*kinds[:index], *kinds[index + 1 :]]))
    elif node.type is not None:
        yield node.with_changes(type=cst.Tuple([]), whitespace_after_except=cst.SimpleWhitespace(" "))


def _not_done(node: cst.Expr) -> Iterator[cst.Expr]:
    """A statement that is a call or a yield is taken out; a generator stays one."""
    if isinstance(node.value, cst.Call):
        yield node.with_changes(value=cst.Name("None"))
    elif isinstance(node.value, cst.Yield):
        yield node.with_changes(value=cst.Yield(cst.From(cst.Tuple([]))))


def _not_raised(_: cst.Raise) -> Iterator[cst.Pass]:
    yield cst.Pass()


def _string(node: cst.BaseString) -> Iterable[cst.BaseString]:
    """Change a text once, and not its capitals apart; text for people, known by its blanks, guards nothing."""
    if not (isinstance(node, cst.SimpleString) and " " in node.value):
        yield from itertools.islice(mutators.operator_string(node), 1)


OPERATORS: list[tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *((kind, change) for kind, change in mutators.mutation_operators if change is not mutators.operator_string),
    (cst.BaseString, _string),
    (cst.If, _never),
    (cst.BooleanOperation, _one_side),
    (cst.Comparison, _shorter),
    (cst.CompFor, _unfiltered),
    (cst.ExceptHandler, _nothing_caught),
    (cst.Expr, _not_done),
    (cst.Raise, _not_raised),
]


def listed() -> list[Survivor]:
    """The survivors that are known to be harmless; each says why."""
    found = msgspec.convert(tomllib.loads(LISTED.read_text(encoding="utf-8")), Listed).survivor
    for one in found:
        if not one.why.strip():
            raise ValueError(f"{LISTED.name} does not say why this is harmless:\n{one}")
    return list(found)


def statuses(functions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The name of every change that was made, and mutmut's word for what became of it."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if not functions or any(fnmatch(name, pattern) for pattern in functions):
                yield name, status_by_exit_code[code]


def survivor(name: str) -> Survivor:
    """Return a change by what it changes."""
    path = find_mutant(name).path
    mangled = name.rpartition("__mutmut_")[0]
    function = re.sub(r"\.x(ǁ|_)", ".", mangled, count=1).replace("ǁ", ".")
    lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
    return Survivor(function, tuple(line[0] + " " + line[1:].strip() for line in lines if line[:1] in ("+", "-")))


def main(functions: list[str]) -> int:
    """Run mutmut, print what is not as it is listed, and return 1 if anything is."""
    os.chdir(ROOT)
    mutators.mutation_operators[:] = OPERATORS  # type: ignore[index]
    if not functions:
        shutil.rmtree(WORK, ignore_errors=True)
    run_mutmut(functions, None)
    if slow := [name for name, status in statuses(functions) if status == "timeout"]:
        config().timeout_constant = PATIENCE  # on a busy machine a test takes longer than it was measured to take
        run_mutmut(slow, None)
    found = list(statuses(functions))
    known = {one.identity: one for one in listed()}
    alive = {one.identity: one for one in (survivor(name) for name, status in found if status not in DETECTED)}
    tally = Counter(status for _, status in found)
    print(f"{len(found)} changes:", ", ".join(f"{count} {status}" for status, count in tally.items()))
    print(f"{len(alive)} that no test notices; {len(alive.keys() & known.keys())} of them are known to be harmless")
    wrong = 0
    for identity in alive.keys() - known.keys():
        wrong += 1
        print(f"\nNo test notices this change:\n{alive[identity]}")
    for identity in known.keys() - alive.keys() if not functions else ():
        wrong += 1
        print(f"\nListed in {LISTED.name}, but noticed by a test, or not there any more:\n{known[identity]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

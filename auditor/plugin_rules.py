"""What can be wrong with a plug-in: what it is, what its parts are, and what it says of other plug-ins.

Python looks at no type when a stranger's module is imported. Whatever is wrong there would be met in the middle of an
audit, as an internal error; so it is looked for at the start, and told in one line each.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from auditor.checking import Check, Shard
from auditor.model import Basis, Problem
from auditor.questions import Effect, Operation, SourceType
from auditor.results import RUN_FILES, ReportFormat
from auditor.wording import one_of, or_known, quoted

Kind = Literal["checks", "sources", "reports"]
TYPES: Mapping[Kind, type[msgspec.Struct]] = {"checks": Check, "sources": SourceType, "reports": ReportFormat}
NAME = re.compile(r"[a-z][a-z0-9-]{0,79}")
FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
OF_EVERY_TARGET = ("id", "type", "tags")


class Origin(NamedTuple):
    """Where a plug-in comes from: its distribution, and the module or entry point in it."""

    distribution: str
    version: str
    place: str

    @property
    def release(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}".rstrip()

    def __str__(self) -> str:
        return f"{self.release} ({self.place})"


class Candidate(NamedTuple):
    """What was found where a plug-in should be."""

    kind: Kind
    value: object
    origin: Origin


def name_of(plugin: object) -> str:
    """Return the name by which a plug-in is called."""
    return str(plugin.id if isinstance(plugin, Check) else getattr(plugin, "name", ""))


def problems(candidates: Sequence[Candidate]) -> Iterator[Problem]:
    """Yield every mistake of every plug-in."""
    sound: list[Candidate] = []
    for one in candidates:
        faults = list(_faults(one))
        yield from (_problem(one, fault) for fault in faults)
        sound += [] if faults else [one]
    for one, fault in (*_same_names(sound), *_same_files(sound), *_unknown_questions(sound)):
        yield _problem(one, fault)


def _problem(one: Candidate, fault: str) -> Problem:
    return Problem(f"plug-in {one.origin}: {fault}")


def _faults(one: Candidate) -> Iterator[str]:
    """Yield what is wrong with a plug-in by itself. The types of its parts are a promise nobody has looked at yet."""
    expected = TYPES[one.kind]
    if not isinstance(one.value, expected):
        yield f"must be a {expected.__name__}, not a value of type {type(one.value).__name__}"
    elif isinstance(one.value, Check):
        yield from _of_check(one.value)
    elif isinstance(one.value, SourceType):
        yield from _of_source(one.value)
    elif isinstance(one.value, ReportFormat):
        yield from _of_report(one.value)


def _of_check(check: Any) -> Iterator[str]:
    yield from _name("id", check.id)
    yield from _texts(check, "title", "population", "proves")
    yield from _callables(check, "collect", "evaluate")
    yield from _shape("params", check.params)
    yield from _choice("shard", check.shard, get_args(Shard))
    if not isinstance(check.basis, Basis):
        yield f"basis: must be a Basis, not {check.basis!r}"
    yield from _second_source(check)
    if not _are_texts(check.cannot_prove):
        yield "cannot_prove: must be a tuple of texts"
    if not isinstance(check.sources, Mapping) or not check.sources:
        yield "sources: must map at least one type of source to its operations"
        return
    for source, operations in check.sources.items():
        rows = operations.items() if isinstance(operations, Mapping) else ()
        if not rows or not all(isinstance(name, str) and isinstance(least, int) and least >= 0 for name, least in rows):
            yield f"sources: {source}: must map operations to the least number of questions (0 or more)"


def _second_source(check: Any) -> Iterator[str]:
    if not _are_texts((check.second_source, check.no_second_source)):
        yield "second_source, no_second_source: must be texts"
    elif not check.second_source.strip() and not check.no_second_source.strip():
        yield "second_source: says nothing; where the population is held against nothing, no_second_source says why"


def _of_source(source: Any) -> Iterator[str]:
    yield from _name("name", source.name)
    yield from _callables(source, "declare", "open")
    further = ("identified", "contradiction", "shards")
    yield from _callables(source, *(name for name in further if getattr(source, name) is not None))
    yield from _shape("settings", source.settings, reserved=OF_EVERY_TARGET)
    yield from _operations(source)
    if source.fan_out and source.shards is None:
        yield "shards: must be a function, for fan_out is set"
    if not isinstance(source.parallel_questions, int) or source.parallel_questions < 1:
        yield "parallel_questions: must be a whole number, at least 1"
    for name in ("where", "denied"):
        if not _are_texts(getattr(source, name)):
            yield f"{name}: must be a tuple of texts"
    if not isinstance(source.grants, Mapping) or not all(map(callable, source.grants.values())):
        yield "grants: must map names of formats to functions"


def _operations(source: Any) -> Iterator[str]:
    rows = source.operations
    if not isinstance(rows, Mapping) or not rows:
        yield "operations: must map at least one name to its Operation"
        return
    for name, row in rows.items():
        if not isinstance(row, Operation):
            yield f"operations: {name}: must be an Operation, not a value of type {type(row).__name__}"
        elif row.name != name:
            yield f"operations: {name}: its name is {quoted(row.name)}"
        else:
            yield from _choice(f"operations: {name}: effect", row.effect, get_args(Effect))
    if source.identity and source.identified is None:
        yield "identified: is missing; where there is an identity, it says who answered whom"
    for part in ("identity", "fan_out"):
        operation = getattr(source, part)
        if operation and str(operation) not in rows:
            yield f"{part}: names the operation {quoted(str(operation))}, which it does not have"


def _of_report(report: Any) -> Iterator[str]:
    yield from _name("name", report.name)
    yield from _texts(report, "summary")
    yield from _callables(report, "render")
    name = report.filename
    if not isinstance(name, str) or not FILENAME.fullmatch(name):
        yield f"filename: {quoted(str(name))} is no plain file name (letters, digits, '.', '_' and '-')"
    elif name.casefold() in {taken.casefold() for taken in RUN_FILES}:
        yield f"filename: {quoted(name)} is a name that every run uses itself"


def _name(what: str, value: object) -> Iterator[str]:
    if not value:
        yield f"has no {what}"
    elif not isinstance(value, str) or not NAME.fullmatch(value):
        yield f"{what}: {quoted(str(value))} must be a small letter, then small letters, digits and -"


def _texts(plugin: msgspec.Struct, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(plugin, name)
        if not isinstance(value, str) or not value.strip():
            yield f"{name}: must be text that says something"


def _callables(plugin: msgspec.Struct, *names: str) -> Iterator[str]:
    for name in names:
        if not callable(getattr(plugin, name)):
            yield f"{name}: must be a function, not a value of type {type(getattr(plugin, name)).__name__}"


def _shape(what: str, shape: object, reserved: Collection[str] = ()) -> Iterator[str]:
    """Check a msgspec type that people fill in: every part of it must have a JSON Schema."""
    if not inspect.isclass(shape) or not issubclass(shape, msgspec.Struct):
        yield f"{what}: must be a subclass of msgspec.Struct"
        return
    try:
        msgspec.json.schema(shape)
    except Exception as error:  # noqa: BLE001 - boundary: a stranger's annotations, which msgspec looks up by name
        yield f"{what}: cannot be written as a JSON Schema: {' '.join(str(error).split())}"
        return
    for field in msgspec.structs.fields(shape):
        if field.encode_name in reserved:
            yield f"{what}: {field.encode_name} is a key that every target has"


def _choice(what: str, value: object, choices: Sequence[str]) -> Iterator[str]:
    if value not in choices:
        yield f"{what}: must be {one_of(choices)}, not {quoted(str(value))}"


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)


Fault = tuple[Candidate, str]


def _same_names(sound: Sequence[Candidate]) -> Iterator[Fault]:
    what = {"checks": "id", "sources": "name", "reports": "name"}
    yield from _taken(sound, lambda one: f"{one.kind}/{name_of(one.value)}", lambda one: what[one.kind], name_of)


def _same_files(sound: Sequence[Candidate]) -> Iterator[Fault]:
    """Some file systems do not tell `A` from `a`."""
    formats = [one for one in sound if isinstance(one.value, ReportFormat)]
    yield from _taken(formats, lambda one: _filename(one.value).casefold(), lambda _: "filename", _filename)


def _filename(report: object) -> str:
    return str(getattr(report, "filename", ""))


def _taken(
    sound: Sequence[Candidate],
    key: Callable[[Candidate], str],
    what: Callable[[Candidate], str],
    shown: Callable[[object], str],
) -> Iterator[Fault]:
    first: dict[str, Candidate] = {}
    for one in sound:
        holder = first.setdefault(key(one), one)
        if holder is not one:
            yield one, f"has the {what(one)} {quoted(shown(one.value))}, which {holder.origin} already has"


def _unknown_questions(sound: Sequence[Candidate]) -> Iterator[Fault]:
    """Yield the sources and operations that checks name and nobody has."""
    sources = {one.value.name: one.value for one in sound if isinstance(one.value, SourceType)}
    for one in sound:
        if not isinstance(one.value, Check):
            continue
        for name, operations in one.value.sources.items():
            if name not in sources:
                yield one, f"reads the source {quoted(str(name))}, which is not installed{or_known(str(name), sources)}"
                continue
            known = sources[name].operations
            for operation in (operation for operation in operations if operation not in known):
                asks = f"asks {quoted(operation)}, which the source {name} does not know"
                yield one, f"{asks}{or_known(operation, known)}"
        first = sources.get(one.value.target_type)
        if one.value.shard == "region" and first is not None and not first.fan_out:
            yield one, f"shard: the source {first.name} has no regions"

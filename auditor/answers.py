"""Reading what was kept: answers and listings that can be cited, and never read as something they are not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, overload

import msgspec

from auditor.conversion import convert
from auditor.model import JSON, Citation, Unreadable

T = TypeVar("T")
Status = Literal["ok", "absent", "error"]


class Record(msgspec.Struct, frozen=True):
    """One answer as it is kept: the sealed, redacted body and where it stands."""

    file: str
    line: int
    question: str
    status: Status
    body: JSON = None
    reason: str = ""
    redacted: tuple[str, ...] = ()
    dated: dt.datetime | None = None
    server_time: dt.datetime | None = None


def pointer_tokens(pointer: str) -> list[str]:
    """Split a JSON Pointer (RFC 6901) into its unescaped tokens."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def pointer_join(base: str, *tokens: str | int) -> str:
    """Append tokens to a JSON Pointer (RFC 6901), escaping them."""
    return base + "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


class _Missing:
    """The member is not there, which is something else than null."""


_MISSING = _Missing()


def resolve_pointer(body: JSON, pointer: str) -> JSON | _Missing:
    """Return what `pointer` names in `body`, or a marker where it is missing; TypeError on the way through a scalar."""
    value = body
    for token in pointer_tokens(pointer):
        if isinstance(value, Mapping):
            if token not in value:
                return _MISSING
            value = value[token]
        elif isinstance(value, list) and token.isdecimal():
            if int(token) >= len(value):
                return _MISSING
            value = value[int(token)]
        else:
            raise TypeError(f"leads through {type(value).__name__}, not an object")
    return value


class Answer:
    """One raw response to one question, or one item of it: read-only, and every read is remembered as a citation.

    Reading an `error` answer, a missing, null, mistyped or redacted value raises `Unreadable`, so that a check needs no
    error handling of its own and cannot get it wrong.
    """

    __slots__ = ("_base", "_record", "_trail")

    def __init__(self, record: Record, base: str = "", trail: list[Citation] | None = None) -> None:
        self._record = record
        self._base = base
        self._trail = trail

    @classmethod
    def literal(
        cls, body: JSON = None, *, status: Status = "ok", reason: str = "", redacted: tuple[str, ...] = ()
    ) -> Answer:
        """Build an answer from a literal, for the tests of a check."""
        return cls(Record("literal", 1, "literal", status, body, reason, redacted))

    @property
    def record(self) -> Record:
        """The kept line this is a view of."""
        return self._record

    @property
    def readable(self) -> bool:
        """Whether there is an answer at all: where not, a subject that holds it becomes `error` when it is judged."""
        return self._record.status != "error"

    @property
    def absent(self) -> bool:
        """Whether the system said plainly that there is none; raises where it could not say."""
        self.complete()
        self._note("")
        return self._record.status == "absent"

    @overload
    def get(self, pointer: str, kind: type[T]) -> T: ...
    @overload
    def get(self, pointer: str, kind: Any) -> Any: ...
    def get(self, pointer: str, kind: Any) -> Any:
        """Return the value at `pointer` as the strict msgspec type `kind`; missing, null and other types raise."""
        return self._read(pointer, kind, optional=False)

    @overload
    def find(self, pointer: str, kind: type[T]) -> T | None: ...
    @overload
    def find(self, pointer: str, kind: Any) -> Any: ...
    def find(self, pointer: str, kind: Any) -> Any:
        """Return the value as `kind`, None only where the member is missing; null and other types raise."""
        return self._read(pointer, kind, optional=True)

    def complete(self) -> None:
        """Raise `Unreadable` unless there is an answer at all (`absent` is one)."""
        if self._record.status == "error":
            raise Unreadable(f"{self._record.question}: {self._record.reason}", [self])

    def has(self, pointer: str) -> bool:
        """Whether the member is there (even as null)."""
        return not isinstance(self._resolve(pointer), _Missing)

    def items(self, pointer: str) -> list[Answer]:
        """Return the members of the list at `pointer`, each as an answer of its own that can be read and cited.

        One in which something was redacted is among them; only reading that raises.
        """
        count = len(self._read(pointer, list, optional=False, around=True))
        return [Answer(self._record, f"{self._base}{pointer}/{index}", self._trail) for index in range(count)]

    def at(self, pointer: str, kind: type[T]) -> Reference:
        """Return a parameter that is read when a question is asked: unreadable, only that answer is an error."""
        return Reference(self, pointer, kind)

    def cite(self, pointer: str = "") -> Citation:
        """Return where this stands in the run."""
        return Citation(self._record.file, (self._record.line, self._record.line), self._base + pointer)

    def records(self) -> Iterator[Record]:
        """The kept line this is a view of, as a listing has several."""
        yield self._record

    def read_into(self, trail: list[Citation]) -> Answer:
        """Return the same view, its reads noted in `trail`."""
        return Answer(self._record, self._base, trail)

    def _note(self, pointer: str) -> None:
        if self._trail is not None:
            self._trail.append(self.cite(pointer))

    def _resolve(self, pointer: str, *, around: bool = False) -> JSON | _Missing:
        """Return what is there; `around`: what was redacted further inside is not read."""
        self.complete()
        where = self._base + pointer
        for masked in self._record.redacted:
            inside = masked.startswith(where + "/") and not around
            if where == masked or where.startswith(masked + "/") or inside:
                raise Unreadable(f"{self._record.question}: {where or '/'} was redacted", [self.cite(pointer)])
        try:
            value = resolve_pointer(self._record.body, where)
        except TypeError as error:
            raise Unreadable(f"{self._record.question}: {where} {error}", [self]) from None
        self._note("" if isinstance(value, _Missing) else pointer)
        return value

    def _read(self, pointer: str, kind: Any, *, optional: bool, around: bool = False) -> Any:
        value = self._resolve(pointer, around=around)
        where = self._base + pointer
        if isinstance(value, _Missing):
            if optional and self._record.status == "ok":
                return None
            raise Unreadable(f"{self._record.question}: {where} is missing", [self])
        try:
            converted = convert(value, kind)
        except msgspec.ValidationError as error:
            raise Unreadable(f"{self._record.question}: {where}: {error}", [self.cite(pointer)]) from None
        if converted is None:
            raise Unreadable(f"{self._record.question}: {where} is null", [self.cite(pointer)])
        return converted


class Reference(msgspec.Struct, frozen=True):
    """A parameter of a question that still has to be read out of an earlier answer."""

    answer: Answer
    pointer: str
    kind: Any

    def value(self) -> Any:
        """Read it; raises `Unreadable`."""
        return self.answer.get(self.pointer, self.kind)

    def cite(self) -> Citation:
        """Return where it stands in the run."""
        return self.answer.cite(self.pointer)


class Listing:
    """All pages of one question: iterable as items, citable as one thing, so that absence from it can be cited.

    Iteration yields the items of the pages that were read, then raises `Unreadable` at a page that was not.
    """

    __slots__ = ("_file", "_lines", "_pages", "_pointer", "_trail")

    def __init__(
        self,
        pages: Callable[[], Iterator[Record]],
        pointer: str,
        file: str,
        lines: tuple[int, int],
        trail: list[Citation] | None = None,
    ) -> None:
        self._pages = pages
        self._pointer = pointer
        self._file = file
        self._lines = lines
        self._trail = trail

    @classmethod
    def literal(cls, *items: JSON, status: Status = "ok", reason: str = "") -> Listing:
        """Build a listing of one page from literals, for the tests of a check."""
        record = Record("literal", 1, "literal", status, {"Items": list(items)}, reason)
        return cls(lambda: iter([record]), "/Items", "literal", (1, 1))

    def __iter__(self) -> Iterator[Answer]:
        for record in self._pages():
            yield from Answer(record, trail=self._trail).items(self._pointer)

    def records(self) -> Iterator[Record]:
        """The kept lines, in page order."""
        return self._pages()

    def complete(self) -> None:
        """Raise `Unreadable` unless every page was read; then cite the whole."""
        for record in self._pages():
            Answer(record).items(self._pointer)
        if self._trail is not None:
            self._trail.append(self.cite())

    def cite(self) -> Citation:
        """Return where all its pages stand in the run."""
        return Citation(self._file, self._lines)

    def read_into(self, trail: list[Citation]) -> Listing:
        """Return the same listing, its reads noted in `trail`."""
        return Listing(self._pages, self._pointer, self._file, self._lines, trail)

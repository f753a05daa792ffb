"""What a check is, and what it sees: subjects, and the sources it may ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from auditor.answers import Answer, Listing, Record, Reference
from auditor.model import JSON, Basis, Citation, Resource, Unproven, Verdict

T = TypeVar("T")
Shard = Literal["target", "account", "region"]


class Subject:
    """One member of a population: its resource, and the answers (or plain values) that say something about it."""

    def __init__(self, resource: Resource, *, as_of: dt.datetime | None = None, **parts: Any) -> None:
        self.resource = resource
        self._as_of = as_of
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_parts"][name]
        except KeyError:
            raise AttributeError(f"the subject has no part {name!r}") from None

    @property
    def as_of(self) -> dt.datetime:
        """The end of collection (UTC): the only "now" a check may know."""
        if self._as_of is None:
            raise RuntimeError("as_of is known only when judging")
        return self._as_of

    def plus(self, **parts: Any) -> Subject:
        """Return the same subject with more parts."""
        return Subject(self.resource, as_of=self._as_of, **self._parts, **parts)

    def judged(self, as_of: dt.datetime, trail: list[Citation]) -> Subject:
        """Return the subject as `evaluate` sees it: dated, and noting what it reads in `trail`."""
        parts = {
            name: part.read_into(trail) if isinstance(part, Answer | Listing) else part
            for name, part in self._parts.items()
        }
        return Subject(self.resource, as_of=as_of, **parts)

    def records(self) -> Iterator[Record]:
        """Every kept answer that this subject rests on."""
        for part in self._parts.values():
            if isinstance(part, Answer | Listing):
                yield from part.records()


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items so many at a time; where no more can be read (`Unproven`), those read so far come first."""
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Unproven:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """A population that was listed, held against the count of a second source. `collect` yields it after its subjects.

    `what` names the population (`members of the organization`) and `listed` is how many *distinct* members the list
    has, for pages without a stable order list some twice. `counted` is what `source` (in words: `IAM's account
    summary`) counts: a number, or where it stands (`answer.at("/Users", int)`), so that a count that cannot be read is
    an error of this population and the others go on; None where no second source is there, and `note` says why. The
    two may differ by `allowed`, and `note` then says what the difference is. `parts` are the answers that both rest on.
    Where the second source is another list, which counts nothing, `compared` says what the `counted` members of the
    first are by it (`of them are in it`), and they should be all.

    A difference beyond `allowed`, or a part that cannot be read, makes the test an error, whatever its subjects are.
    """

    what: str
    listed: int
    counted: int | Reference | None
    source: str = ""
    allowed: int = 0
    note: str = ""
    compared: str = ""
    parts: tuple[Answer | Listing, ...] = ()

    def __post_init__(self) -> None:
        if not self.what or ((self.counted is None or self.allowed) and not self.note):
            raise ValueError("a population has a name, and what is not counted exactly a note that says why")
        if self.counted is not None and not self.source:
            raise ValueError("a second count has a source")

    def count(self) -> int | None:
        """Return what the second source counts, once everything it rests on can be read; raises `Unreadable`."""
        for part in self.parts:
            part.complete()
        return self.counted.value() if isinstance(self.counted, Reference) else self.counted

    def cites(self) -> tuple[Citation, ...]:
        """Return where both counts stand in the run."""
        further = (self.counted,) if isinstance(self.counted, Reference) else ()
        return tuple(part.cite() for part in (*self.parts, *further))

    def records(self) -> Iterator[Record]:
        """Every kept answer that it rests on."""
        for part in self.parts:
            yield from part.records()
        if isinstance(self.counted, Reference):
            yield self.counted.answer.record


class Source(Protocol):
    """What a check may ask. `ask` never raises: an answer that could not be had raises when it is read."""

    @property
    def target(self) -> Answer:
        """The target as declared, without secrets: readable and citable like an answer."""
        ...

    @property
    def shard(self) -> str:
        """The shard this task looks at: a region, `account` or `main`."""
        ...

    def ask(self, operation: str, /, **params: Any) -> Answer:
        """Ask one question."""
        ...

    def listing(self, operation: str, /, **params: Any) -> Listing:
        """Ask one question and read all its pages."""
        ...

    def ask_each(self, operation: str, questions: Iterable[Mapping[str, Any]], /) -> Iterator[Answer]:
        """Ask many questions at once; answers come in the order of the questions."""
        ...


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """How to collect a population and how to judge one member of it. Two plain functions: it pickles by name.

    `sources` names the types of source that `collect` is given, the task's own first; for each, the operations it may
    ask with the least number of questions a complete population takes (0: as many as there are subjects). Nothing else
    can be asked, so that what an audit needs to be allowed, and costs at least, is known beforehand.
    `population` says in words what the population is and where it comes from, `proves` what a pass shows, and
    `cannot_prove` the limits of the method: all three are printed beside every result. A `time_based` check compares
    dates, so it is an error where the target's clock and ours differ. `criteria` and `example` are what a new policy
    begins with: the Trust Services Criteria that its claims usually bear on, and params beside those that are required.

    `second_source` says in words what its populations are held against (`IAM's account summary counts the users`); its
    `collect` then yields at least one `Reconciled`. `no_second_source` says why there is none, or none for a part. One
    of the two there must be: a list that is short and well-formed looks like the truth.
    """

    id: str
    title: str
    sources: Mapping[str, Mapping[str, int]]
    shard: Shard
    basis: Basis
    params: type[msgspec.Struct]
    collect: Callable[..., Iterator[Subject | Reconciled]]
    evaluate: Callable[[Subject, Any], Verdict]
    population: str
    proves: str
    cannot_prove: tuple[str, ...]
    second_source: str = ""
    no_second_source: str = ""
    time_based: bool = False
    criteria: tuple[str, ...] = ("CC6.1",)
    example: Mapping[str, JSON] = {}

    @property
    def target_type(self) -> str:
        """The type of the targets that tests bind this check to: its first source."""
        return next(iter(self.sources))

    @property
    def further_sources(self) -> tuple[str, ...]:
        """The other types of source it reads, which a test binds under `with`."""
        return tuple(self.sources)[1:]

"""What is in the way of an audit: every operation of every target is tried once, before a run is.

Each check's own `collect` runs over connections that put the first question of each operation, read its first page, and
answer any other one "not asked by doctor". So no check knows of this, parameters come of real answers, and what a run
would ask is what is tried. Nothing is judged, and nothing touches a disk.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from auditor import __version__
from auditor.checking import Check
from auditor.conversion import convert
from auditor.evidence import OpenLine, Segment, question_key
from auditor.judge import MOST_SKEW, bind
from auditor.model import Unproven
from auditor.notebook import Cancelled, Questions, Recorder
from auditor.plan import Task, region_tasks
from auditor.policy import Test
from auditor.questions import Allowance, Connection, Failure, Operation, RegionShards, Reply, SourceType, Trouble
from auditor.scope import read_regions
from auditor.tasks import Context, connected, declarations, identify, targets_of

LOG = logging.getLogger(__name__)
NOT_ASKED = Failure("not_asked", "not asked by doctor")
SHARED: Mapping[Trouble, tuple[str, ...]] = {
    Trouble.UNREACHABLE: ("timeout", "unreachable", "unresolved", "refused", "closed", "proxy"),
    Trouble.CERTIFICATE: ("tls", "handshake", "no_tls"),
    Trouble.CREDENTIALS: ("secret", "credentials", "local", "401"),
    Trouble.RATE_LIMIT: ("rate_limit", "429"),
}
"""How the codes of failures begin that mean the same in every source."""


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the way of a check: at which operation ("": the check as a whole), and what it needs."""

    trouble: Trouble
    reason: str
    operation: str = ""
    permission: str = ""


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    """A check on one target: what is in its way, and which of its operations nothing asked for."""

    check: str
    symptoms: tuple[Symptom, ...]
    tried: tuple[str, ...]
    untried: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing that was tried is in its way."""
        return not self.symptoms


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """A target: its checks, and what it said of itself.

    `region` is the one that was looked at, where checks look at each; `skew` how far its clock is ahead of ours, where
    it tells the time; `remedy` the format in which `auditor permissions` writes what it takes.
    """

    target: str
    type: str
    checkups: tuple[Checkup, ...]
    region: str = ""
    skew: dt.timedelta | None = None
    allowance: Allowance | None = None
    remedy: str = ""

    @property
    def ready(self) -> bool:
        """Whether every check is."""
        return all(checkup.ready for checkup in self.checkups)


def trouble_of(kind: SourceType, code: str) -> Trouble:
    """Return what the code of a failure means to whoever runs the audit."""
    if code.startswith(kind.denied):
        return Trouble.DENIED
    for troubles in (kind.troubles, SHARED):
        for trouble, beginnings in troubles.items():
            if code.startswith(beginnings):
                return trouble
    return Trouble.ERROR


@dataclass(frozen=True)
class _Put:
    """A question that was put, and the first page of its answer; `cut` where further pages were left unread."""

    operation: Operation
    params: Mapping[str, Any]
    reply: Reply
    cut: bool = False


class Asked:
    """What one target was asked so far, each operation once. Safe to share between threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.puts: dict[str, _Put] = {}


class _Once:
    """A connection that puts the first question of each operation to its target, and answers no other."""

    def __init__(self, connection: Connection, asked: Asked, context: Context) -> None:
        self._connection = connection
        self._asked = asked
        self._context = context

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Yield the first page of the answer."""
        with self._asked.lock:
            put = self._asked.puts.get(operation.name)
            if put is None:
                put = self._asked.puts[operation.name] = self._put(operation, params)
        yield put.reply if put.params == params else self._failed(NOT_ASKED)

    def _put(self, operation: Operation, params: Mapping[str, Any]) -> _Put:
        try:
            with ExitStack() as stack:
                pages = self._connection.ask(operation, params)
                if isinstance(pages, Generator):
                    stack.callback(pages.close)
                reply = next(pages)
        except Exception as error:  # boundary: a mistake in a source is an answer nobody can read
            LOG.exception("source failed at %s", operation.name)
            return _Put(operation, params, self._failed(Failure("internal", type(error).__name__)))
        return _Put(operation, params, msgspec.structs.replace(reply, last=True), cut=not reply.last)

    def _failed(self, failure: Failure) -> Reply:
        now = self._context.clock()
        return Reply(status="error", started_at=now, ended_at=now, error=failure)


def examine_all(context: Context, pool: Executor) -> Iterator[Examination]:
    """Examine every target that the plan asks something, several at once; in the order of the plan."""
    asked = {target.id: Asked() for target in context.plan.targets}
    targets = dict.fromkeys(task.target for task in context.plan.tasks)
    return pool.map(lambda target: _Patient(target, context, asked).examine(), targets)


class _Patient:
    """One target under examination."""

    def __init__(self, target: str, context: Context, asked: Mapping[str, Asked]) -> None:
        self._target = target
        self._context = context
        self._asked = asked
        self._kind = context.sources[context.plan.target(target).type]
        self._whole: Symptom | None = None
        """What is in the way of everything."""
        self._unproved: dict[str, Symptom] = {}
        """Why nobody knows who asks, by target."""
        self._stopped: dict[str, Symptom] = {}
        """Why a test cannot list its population, by test."""
        self._regions: list[Symptom] = []
        """What is in the way of looking at each region."""
        self._region = ""

    def examine(self) -> Examination:
        """Try everything, and say what came of it."""
        try:
            for task in self._context.plan.tasks:
                if task.target == self._target:
                    shards = self._look(task)
                    for region in region_tasks(task, shards)[:1]:
                        self._region = region.shard
                        self._look(region)
        except Cancelled:
            raise
        except Exception as error:  # boundary: a mistake in one source must not hide what ails the other targets
            LOG.exception("%s cannot be examined", self._target)
            self._whole = Symptom(trouble=Trouble.ERROR, reason=f"internal: {type(error).__name__}")
        allowances = [put.reply.allowance for put in self._asked[self._target].puts.values()]
        return Examination(
            target=self._target,
            type=self._kind.name,
            checkups=tuple(self._checkups()),
            region=self._region,
            skew=self._skew(),
            allowance=next((allowance for allowance in reversed(allowances) if allowance is not None), None),
            remedy=next(iter(self._kind.grants), ""),
        )

    # Trying

    def _look(self, task: Task) -> RegionShards:
        """Carry out one task, sparingly; return the regions that follow from it."""
        context = self._context
        names = targets_of(task, context)
        opened = OpenLine(
            n=1,
            task=task.id,
            shard=task.shard,
            targets=declarations(names, context),
            tool=f"auditor/{__version__}",
            started_at=context.clock(),
        )
        with ExitStack() as stack:
            segment = Segment.in_memory(opened)
            stack.callback(segment.release)
            recorders = {name: self._recorder(name, task, segment, stack) for name in names}
            wrong = identify(task, segment, context, recorders)
            if wrong:
                self._whole = self._symptom(Trouble.WRONG_TARGET, wrong.removeprefix("wrong target: "))
                return RegionShards(())
            for name, recorder in recorders.items():
                if recorder.identity_unproved:
                    self._unproved[name] = self._why_unproved(name, recorder)
            shards = self._fan_out(segment, recorders[self._target]) if task.fan_out else RegionShards(())
            for name in task.tests:
                self._collect(task, name, segment, recorders)
            for name in task.tests:
                if name not in self._stopped:
                    self._try_alike(name, recorders)
            return shards

    def _recorder(self, name: str, task: Task, segment: Segment, stack: ExitStack) -> Recorder:
        context = self._context
        connection = _Once(stack.enter_context(connected(name, task, context)), self._asked[name], context)
        clock, cancelled = context.clock, context.cancelled
        return Recorder(segment, connection, context.redactor, clock=clock, cancelled=cancelled, parallel=1)

    def _why_unproved(self, name: str, recorder: Recorder) -> Symptom:
        kind = self._kind_of(name)
        put = self._asked[name].puts.get(kind.identity)
        if put is not None and put.reply.error is not None:
            return self._failed(kind, put)
        return self._symptom(Trouble.WRONG_TARGET, f"{name}: {recorder.identity_unproved}")

    def _fan_out(self, segment: Segment, recorder: Recorder) -> RegionShards:
        try:
            shards = read_regions(Questions(segment, self._target, self._kind, recorder), self._kind)[0]
        except Unproven as error:
            put = self._asked[self._target].puts.get(self._kind.fan_out)
            if put is not None and put.reply.error is not None:
                self._regions.append(self._failed(self._kind, put))
            elif self._target not in self._unproved:
                self._regions.append(self._symptom(Trouble.ERROR, error.reason, self._kind.fan_out))
            return RegionShards(())
        for name in shards.missing:
            reason = f"{name} is not a region that is enabled in this account"
            self._regions.append(self._symptom(Trouble.ERROR, reason))
        return shards

    def _collect(self, task: Task, name: str, segment: Segment, recorders: Mapping[str, Recorder]) -> None:
        """List the population of one test as far as first answers lead."""
        context = self._context
        test = context.tests[name]
        check = context.checks[test.check]
        sources = bind(check, test, task.target, segment, context.plan, context.sources, recorders)
        try:
            for _ in check.collect(convert(test.params, check.params), *sources):
                pass
        except Cancelled:
            raise
        except Unproven as error:
            if not self._is_of_doctor(error, segment):
                self._stopped[name] = self._symptom(Trouble.ERROR, error.reason)
        except Exception as error:  # boundary: a run makes a finding of it
            LOG.exception("check %s failed to collect", check.id)
            self._stopped[name] = self._symptom(Trouble.ERROR, f"internal: {type(error).__name__}")

    def _is_of_doctor(self, error: Unproven, segment: Segment) -> bool:
        """Whether a check stopped at what was cut or not asked here, or at a failure that is a symptom by itself."""
        lines = {line for cite in error.cites for line in range(cite.lines[0], cite.lines[1] + 1)}
        cut = {
            segment.record(offset).line
            for target, asked in self._asked.items()
            for put in asked.puts.values()
            if put.cut
            for offset in segment.asked(question_key(target, put.operation.name, self._kept(put.params))) or ()
        }
        failed = {record.line for record in segment.records() if record.status == "error"}
        return not lines.isdisjoint(cut | failed)

    def _kept(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters of a question as the check gave them: what was put may name somebody."""
        kept: Mapping[str, Any] = self._context.redactor.scrub(params)[0]
        return kept

    def _try_alike(self, name: str, recorders: Mapping[str, Recorder]) -> None:
        """Try what nothing asked for by the question of an operation that takes the same parameters."""
        for target, row in self._declared(self._context.tests[name]):
            puts = self._asked[target].puts
            alike = puts.get(row.like)
            if alike is not None and alike.reply.error is None and row.name not in puts:
                recorders[target].record(target, row, alike.params)

    # Saying

    def _checkups(self) -> Iterator[Checkup]:
        tests: dict[str, list[Test]] = {}
        for planned in self._context.plan.tests:
            if self._target in planned.targets:
                tests.setdefault(planned.check, []).append(self._context.tests[planned.id])
        for name, of_check in tests.items():
            yield self._checkup(self._context.checks[name], of_check)

    def _checkup(self, check: Check, tests: Iterable[Test]) -> Checkup:
        declared = {(target, row.name): row for test in tests for target, row in self._declared(test)}
        tried = {row.name: row.name in self._asked[target].puts for (target, _), row in declared.items()}
        ways = ((target, row) for (target, _), row in declared.items())
        symptoms = [self._whole] if self._whole else self._in_the_way(check, tests, ways)
        return Checkup(
            check=check.id,
            symptoms=tuple(dict.fromkeys(symptoms)),
            tried=tuple(name for name, was in tried.items() if was),
            untried=tuple(name for name, was in tried.items() if not was),
        )

    def _in_the_way(
        self, check: Check, tests: Iterable[Test], declared: Iterable[tuple[str, Operation]]
    ) -> Iterator[Symptom]:
        if check.shard == "region":
            yield from self._regions
        for target, row in declared:
            put = self._asked[target].puts.get(row.name)
            if put is not None and put.reply.error is not None:
                yield self._failed(self._kind_of(target), put)
            elif put is None and target in self._unproved and row.needs_identity:
                yield self._unproved[target]
        yield from (self._stopped[test.id] for test in tests if test.id in self._stopped)
        skew = self._skew()
        if check.time_based and skew is not None and abs(skew) > MOST_SKEW:
            yield self._symptom(Trouble.CLOCK_SKEW, differ(skew), self._kind.identity)

    def _skew(self) -> dt.timedelta | None:
        put = self._asked[self._target].puts.get(self._kind.identity)
        return put.reply.server_time - put.reply.ended_at if put and put.reply.server_time else None

    def _declared(self, test: Test) -> Iterator[tuple[str, Operation]]:
        """Yield what a test may ask of whom."""
        for kind, operations in self._context.checks[test.check].sources.items():
            target = test.with_.get(kind, self._target)
            rows = self._context.sources[kind].operations
            yield from ((target, rows[operation]) for operation in operations)

    def _kind_of(self, target: str) -> SourceType:
        return self._context.sources[self._context.plan.target(target).type]

    def _failed(self, kind: SourceType, put: _Put) -> Symptom:
        """Return the symptom that an error is."""
        failure = put.reply.error or NOT_ASKED
        trouble = trouble_of(kind, failure.code)
        permission = _lacking(put.operation, failure) if failure.code.startswith(kind.denied) else ""
        return self._symptom(trouble, f"{failure.code}: {failure.message}", put.operation.name, permission)

    def _symptom(self, trouble: Trouble, reason: str, operation: str = "", permission: str = "") -> Symptom:
        text = self._context.redactor.text(reason)
        return Symptom(trouble=trouble, reason=text, operation=operation, permission=permission)


def differ(skew: dt.timedelta) -> str:
    """Say how far two clocks differ."""
    return f"the target's clock and ours differ by {skew.total_seconds():+,.0f} seconds"


def _lacking(operation: Operation, failure: Failure) -> str:
    """Return the permission that the failure names, or where it names none all that the question needs."""
    named = [permission for permission in operation.permissions if permission in failure.message]
    return ", ".join(named or operation.permissions)

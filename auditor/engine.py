"""The order of work: collect, seal, judge, roll up, report, seal again. Nothing flows back."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from auditor import __version__, judge, keys, plan, policy, predecessor, seal, timestamps, verdicts, verify
from auditor.checking import Check
from auditor.contents import Directory
from auditor.evidence import FOLDER
from auditor.keys import KeyRing, SigningKey
from auditor.model import EvidenceError, Problem, UsageError
from auditor.plan import Plan, Task
from auditor.policy import Policy
from auditor.predecessor import Predecessor
from auditor.questions import SourceType
from auditor.redact import Redactor
from auditor.results import Head, ReportFormat, RunInfo, TimeStamp, Tool
from auditor.scope import Reached, reach
from auditor.settings import Settings
from auditor.sources import timestamp_authority
from auditor.sources.clock import utcnow
from auditor.sources.secrets import Keeper
from auditor.sources.timestamp_authority import Authority
from auditor.stored import FINDINGS, StoredRun
from auditor.tasks import Context, Done, find_secrets, run_task
from auditor.wording import harmless

LOG = logging.getLogger(__name__)
TOOL = Tool("auditor", __version__)
PLAN, POLICY = seal.PLAN, "policy"
MOST_IN_FLIGHT = 64


@dataclass(frozen=True)
class Plugins:
    """What this installation can do."""

    checks: Mapping[str, Check]
    sources: Mapping[str, SourceType]
    reports: Mapping[str, ReportFormat]


class Progress:
    """What may be shown while a run goes on; this one shows nothing."""

    def planned(self, tasks: int) -> None:
        """So many more tasks are known."""

    def done(self, task: str) -> None:
        """A task was carried out."""

    def judging(self) -> None:
        """Collection is over."""


@dataclass
class Audit:
    """One run: everything it needs to know before it starts."""

    settings: Settings
    policy: Policy
    plan: Plan
    plugins: Plugins
    output: Path
    formats: tuple[str, ...]
    redactor: Redactor
    key: SigningKey | None = None
    key_file: Path | None = None
    """What has to know the key still when the run is sealed."""
    authority: Authority | None = None
    progress: Progress = field(default_factory=Progress)
    clock: Callable[[], dt.datetime] = utcnow
    transports: Mapping[str, Any] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, executor: Executor) -> tuple[Path, Head]:
        """Carry the audit out; return the run's folder and what it came to."""
        keeper = find_secrets(self.settings, self.plugins.sources, self.redactor)
        started = self.clock()
        self.output.mkdir(parents=True, exist_ok=True)
        with seal.place_in_chain(self.output):
            if reason := self._objection(self._predecessor(), started):
                raise UsageError(Problem(reason))
        run = self.output / f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._prepare(run)
        done = self._collect(executor, run, keeper)
        as_of = max((one.closed_at for one in done), default=self.clock())
        self._write_plan(run, done)
        for left in (run / FOLDER).glob("*.partial"):
            left.unlink()  # of a task that died: not evidence, and nothing in a run stays outside its seal
        with seal.place_in_chain(self.output):
            try:
                return run, self._conclude(run, started, as_of)
            except BaseException:
                seal.give_up(run)
                raise

    def _conclude(self, run: Path, started: dt.datetime, as_of: dt.datetime) -> Head:
        """Seal the evidence, judge it, and seal what came of it."""
        previous = self._predecessor()
        reached = reach(run / FOLDER, self.plan, self.plugins.sources)
        scope = seal.Scope(
            run=run.name,
            sequence=previous.sequence + 1 if previous else 1,
            tool=TOOL,
            organization=self.settings.organization,
            started_at=started,
            as_of=as_of,
            previous_run=previous.run if previous else None,
            scope=tuple(one.item for one in reached),
        )
        evidence_sha256 = seal.seal_evidence(run, scope, self.key)
        timestamp = self._stamp(run, as_of)
        finished = seal.Finished(
            run=run.name,
            sequence=scope.sequence,
            evidence_sha256=evidence_sha256,
            timestamp=timestamp,
            finished_at=self.clock(),
        )
        self._refuse(scope, finished, previous)
        self.progress.judging()
        head = conclude(run, run, self.policy, self.plan, reached, scope, finished, self.plugins, self.formats)
        seal.seal_run(run, finished, self.key)
        return head

    def _refuse(self, scope: seal.Scope, finished: seal.Finished, previous: Predecessor | None) -> None:
        """Refuse to seal what would not verify: since the start the clock was set back, or the key given up."""
        known, reasons = None, []
        ring = self._ring()
        if self.key is not None and ring is not None:
            known = ring.find(self.key.id)
            if known is None:
                reasons.append(f"its key {self.key.id} is not in {self.key_file} any more")
        reasons += verify.dates(known, scope, finished)
        reasons += filter(None, [self._objection(previous, finished.finished_at)])
        if reasons:
            raise EvidenceError(f"the run was not sealed, for it would not verify: {'; '.join(reasons)}")

    def _predecessor(self) -> Predecessor | None:
        return predecessor.find(self.output, self._ring())

    def _objection(self, previous: Predecessor | None, now: dt.datetime) -> str:
        """Say why a run that ends now cannot follow that one; "" where it can."""
        return predecessor.objection(previous, self.settings.organization, now, signs=self.key is not None)

    def _ring(self) -> KeyRing | None:
        """Return the keys that count now; None where nobody says which."""
        return keys.load(self.key_file) if self.key_file is not None else None

    def _stamp(self, run: Path, as_of: dt.datetime) -> TimeStamp | None:
        """Have the evidence statement stamped; where that cannot be done the run goes on without, and says so."""
        if self.authority is None:
            return None
        try:
            tsr, stamped = timestamp_authority.stamp(self.authority, (run / seal.EVIDENCE).read_bytes())
            timestamps.check_time(stamped.at, as_of, self.clock())
        except EvidenceError as error:
            reason = self.redactor.message(str(error))
            LOG.warning("no time stamp: %s", reason)
            return TimeStamp(error=reason)
        (run / seal.STAMP).write_bytes(tsr)
        return TimeStamp(at=stamped.at, authority=stamped.authority)

    def _write_plan(self, run: Path, done: list[Done]) -> None:
        reached = sorted(one.task.id for one in done)
        (run / PLAN).write_bytes(plan.to_json(self.redactor.scrub(msgspec.to_builtins(self.plan))[0], reached=reached))

    def _prepare(self, run: Path) -> None:
        for folder in (POLICY, FOLDER):
            (run / folder).mkdir(parents=True)
        for name, text in self.policy.files.items():
            (run / POLICY / name).write_text(text, encoding="utf-8", newline="")

    def _collect(self, executor: Executor, run: Path, keeper: Keeper) -> list[Done]:
        """Run the tasks, and those that follow from their answers; a bounded number is in flight."""
        context = Context(
            run=run,
            plan=self.plan,
            settings=self.settings,
            tests={test.id: test for _, test in self.policy.tests()},
            checks=self.plugins.checks,
            sources=self.plugins.sources,
            redactor=self.redactor,
            secret=keeper.get,
            clock=self.clock,
            cancelled=self.cancelled,
            transports=self.transports,
        )
        waiting = list(self.plan.tasks)
        self.progress.planned(len(waiting))
        flying: dict[Future[Done], Task] = {}
        done: list[Done] = []
        try:
            while waiting or flying:
                while waiting and len(flying) < MOST_IN_FLIGHT:
                    task = waiting.pop(0)
                    flying[executor.submit(run_task, task, context)] = task
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    task = flying.pop(future)
                    one = _result(future, task)
                    self.progress.done(task.id)
                    if one is not None:
                        done.append(one)
                        follow = plan.region_tasks(task, one.regions)
                        self.progress.planned(len(follow))
                        waiting.extend(follow)
        except BaseException:
            self.cancelled.set()
            raise
        return done


def _result(future: Future[Done], task: Task) -> Done | None:
    """Return what a task left behind; one that died has no closed segment, and so counts as not reached."""
    try:
        return future.result()
    except OSError:
        raise  # the evidence cannot be written: nothing else will be either
    except Exception:  # boundary: a mistake in one task must not take the others with it
        LOG.exception("task %s failed", task.id)
        return None


def conclude(
    run: Path,
    output: Path,
    pack: Policy,
    planned: Plan,
    reached: Iterable[Reached],
    scope: seal.Scope,
    finished: seal.Finished,
    plugins: Plugins,
    formats: Iterable[str],
    what_if: str = "",
) -> Head:
    """Judge sealed evidence, and write findings and reports into `output`."""
    tallies = judge.judge(run, output / FINDINGS, pack, planned, reached, scope.as_of, plugins.checks, plugins.sources)
    claims = verdicts.claims(pack, planned, tallies, plugins.checks)
    head = Head(
        run=RunInfo(
            id=scope.run,
            sequence=scope.sequence,
            started_at=scope.started_at,
            as_of=scope.as_of,
            finished_at=finished.finished_at,
            tool=scope.tool,
            organization=scope.organization,
            policy_sha256=seal.policy_sha256(pack.files),
            evidence_sha256=finished.evidence_sha256,
            previous_run=scope.previous_run,
            scope=scope.scope,
            timestamp=finished.timestamp,
            privacy=planned.privacy,
            what_if=what_if,
        ),
        summary=verdicts.summary(claims),
        claims=claims,
        registers=verdicts.registers(pack),
    )
    render(StoredRun(head, run / FOLDER, output / FINDINGS, plugins.sources), output, plugins, formats)
    return head


def render(stored: StoredRun, output: Path, plugins: Plugins, formats: Iterable[str]) -> None:
    """Write the reports of a run into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    for name in formats:
        report = plugins.reports[name]
        with (output / report.filename).open("wb") as handle:
            report.render(stored, handle)


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise than it was when the run was judged: the policies, or what counts as now."""

    policies: Path | None = None
    as_of: dt.datetime | None = None


def evaluate(
    run: Path,
    output: Path,
    plugins: Plugins,
    formats: Iterable[str],
    keys: KeyRing | None,
    *,
    allow_unsigned: bool = False,
    what_if: WhatIf | None = None,
) -> Head:
    """Verify a stored run and judge it again, offline; writes into `output`, never into the run.

    Under its own policy the results are the run's own, to the byte. Otherwise they are marked as a what-if.
    """
    verified = verify.verify_run(Directory(run), keys, allow_unsigned=allow_unsigned)
    other = what_if or WhatIf()
    if other.as_of is not None and other.as_of < verified.scope.as_of:
        collected = f"{verified.scope.as_of:%Y-%m-%d %H:%M:%S} UTC"
        raise UsageError(Problem(f"the evidence was collected until {collected}: it does not show what was before"))
    stored = read_plan(run)
    if other.policies is None:
        pack, selection = policy.load(run / POLICY, plugins.checks), stored.selection
    else:
        pack = policy.load(other.policies, plugins.checks, plan.selectors(stored.targets, plugins.sources))
        selection = plan.Selection()
    planned = plan.make(pack, stored.targets, stored.organization, plugins.checks, selection, stored.privacy)
    scope = verified.scope if other.as_of is None else msgspec.structs.replace(verified.scope, as_of=other.as_of)
    reached = reach(run / FOLDER, planned, plugins.sources)
    differs = _differs(verified.scope, other)
    return conclude(run, output, pack, planned, reached, scope, verified.finished, plugins, formats, differs)


def _differs(scope: seal.Scope, other: WhatIf) -> str:
    """Say how a judging differs from the run's own; "" where it is the same."""
    parts = []
    if other.policies is not None:
        parts.append(f"under other policies ({harmless(other.policies.name)})")
    if other.as_of is not None:
        parts.append(f"as of {other.as_of:%Y-%m-%d %H:%M:%S} UTC instead of {scope.as_of:%Y-%m-%d %H:%M:%S} UTC")
    if scope.tool != TOOL:
        parts.append(f"by {TOOL.name} {TOOL.version} instead of {scope.tool.version}")
    return f"judged again {', '.join(parts)}" if parts else ""


def read_plan(run: Path) -> Plan:
    """Return the plan of a stored run."""
    try:
        return msgspec.json.decode((run / PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        raise EvidenceError(f"{run / PLAN}: cannot be read: {error}") from None


def open_run(run: Path, sources: Mapping[str, SourceType] = MappingProxyType({})) -> StoredRun:
    """Return a stored run, which somebody has verified, as reports read it."""
    try:
        head = msgspec.json.decode((run / "report.json").read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError) as error:
        raise EvidenceError(f"{run / 'report.json'}: cannot be read: {error}") from None
    return StoredRun(head, run / FOLDER, run / FINDINGS, sources)

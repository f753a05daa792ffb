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
from typing import Any

import msgspec

from auditor import __version__, judge, plan, policy, seal, verdicts
from auditor.checking import Check
from auditor.evidence import FOLDER
from auditor.model import EvidenceError
from auditor.plan import Plan, Task
from auditor.policy import Policy
from auditor.questions import SourceType
from auditor.redact import Redactor
from auditor.results import Head, ReportFormat, RunInfo, Tool
from auditor.scope import Reached, reach
from auditor.settings import Settings, secret_refs
from auditor.sources.clock import utcnow
from auditor.sources.secrets import Keeper
from auditor.stored import FINDINGS, StoredRun
from auditor.tasks import Context, Done, run_task

LOG = logging.getLogger(__name__)
TOOL = Tool("auditor", __version__)
PLAN, POLICY = "plan.json", "policy"
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
    progress: Progress = field(default_factory=Progress)
    clock: Callable[[], dt.datetime] = utcnow
    transports: Mapping[str, Any] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, executor: Executor) -> tuple[Path, Head]:
        """Carry the audit out; return the run's folder and what it came to."""
        started = self.clock()
        previous = seal.latest_run(self.output) if self.output.is_dir() else None
        run = self.output / f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._prepare(run)
        keeper = Keeper(self.settings.folder, self.redactor.conceal)
        for target in self.settings.targets:
            keeper.conceal(target.id, secret_refs(target.settings))
        done = self._collect(executor, run, keeper)
        as_of = max((one.closed_at for one in done), default=self.clock())
        self._write_plan(run, done)
        for left in (run / FOLDER).glob("*.partial"):
            left.unlink()  # of a task that died: not evidence, and nothing in a run stays outside its seal
        reached = reach(run / FOLDER, self.plan, self.plugins.sources)
        scope = seal.Scope(
            run=run.name,
            sequence=previous[1] + 1 if previous else 1,
            tool=TOOL,
            organization=self.settings.organization,
            started_at=started,
            as_of=as_of,
            previous_run=previous[0] if previous else None,
            scope=tuple(one.item for one in reached),
        )
        evidence_sha256 = seal.seal_evidence(run, scope)
        self.progress.judging()
        head = conclude(run, run, self.policy, self.plan, reached, scope, self.plugins, self.formats, self.clock)
        seal.seal_run(run, scope, evidence_sha256)
        return run, head

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
    plugins: Plugins,
    formats: Iterable[str],
    clock: Callable[[], dt.datetime],
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
            finished_at=clock(),
            tool=TOOL,
            organization=scope.organization,
            policy_sha256=seal.policy_sha256(run),
            evidence_sha256=seal.sha256_file(run / seal.EVIDENCE),
            previous_run=scope.previous_run,
            scope=scope.scope,
        ),
        summary=verdicts.summary(claims),
        claims=claims,
        registers=verdicts.registers(pack),
    )
    render(StoredRun(head, run / FOLDER, output / FINDINGS), output, plugins, formats)
    return head


def render(stored: StoredRun, output: Path, plugins: Plugins, formats: Iterable[str]) -> None:
    """Write the reports of a run into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    for name in formats:
        report = plugins.reports[name]
        with (output / report.filename).open("wb") as handle:
            report.render(stored, handle)


def evaluate(
    run: Path, output: Path, plugins: Plugins, formats: Iterable[str], clock: Callable[[], dt.datetime]
) -> Head:
    """Judge a stored run again, offline, under its own policy; writes into `output`, never into the run."""
    scope = seal.read_evidence(run).predicate
    stored_plan = read_plan(run)
    pack = policy.load(run / POLICY, plugins.checks)
    planned = plan.make(pack, stored_plan.targets, stored_plan.organization, plugins.checks, stored_plan.selection)
    reached = reach(run / FOLDER, planned, plugins.sources)
    return conclude(run, output, pack, planned, reached, scope, plugins, formats, clock)


def read_plan(run: Path) -> Plan:
    """Return the plan of a stored run."""
    try:
        return msgspec.json.decode((run / PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        raise EvidenceError(f"{run / PLAN}: cannot be read: {error}") from None


def open_run(run: Path) -> StoredRun:
    """Return a stored run as reports read it, its evidence compared with its digests."""
    seal.read_evidence(run)
    try:
        head = msgspec.json.decode((run / "report.json").read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError) as error:
        raise EvidenceError(f"{run / 'report.json'}: cannot be read: {error}") from None
    return StoredRun(head, run / FOLDER, run / FINDINGS)

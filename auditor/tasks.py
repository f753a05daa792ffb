"""One task: open its target, ask what its tests want to know, and close the segment. The only part that does I/O."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.checking import Check, Reconciled
from auditor.conversion import convert
from auditor.evidence import FOLDER, Segment
from auditor.judge import bind
from auditor.model import JSON, Problem, Resource, Unproven, UsageError
from auditor.notebook import Cancelled, Questions, Recorder
from auditor.plan import Plan, Task
from auditor.policy import Test
from auditor.pseudonyms import Pseudonyms
from auditor.questions import Connection, Opening, RegionShards, SecretRef, SourceFailure, SourceType
from auditor.redact import Redactor
from auditor.scope import read_regions, wrong_target
from auditor.settings import Settings, secret_refs
from auditor.sources.secrets import Keeper

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What all tasks of a run have in common.

    `transports` replaces what carries the bytes, by target (tests do); `patient` says whether to wait where a rate
    limit asks for it.
    """

    run: Path
    plan: Plan
    settings: Settings
    tests: Mapping[str, Test]
    checks: Mapping[str, Check]
    sources: Mapping[str, SourceType]
    redactor: Redactor
    secret: Callable[[SecretRef], str]
    clock: Callable[[], datetime]
    cancelled: threading.Event = field(default_factory=threading.Event)
    transports: Mapping[str, Any] = field(default_factory=dict)
    patient: bool = True


def find_secrets(settings: Settings, sources: Mapping[str, SourceType], redactor: Redactor) -> Keeper:
    """Return who finds the secrets of auditor.yaml. All are concealed from now on, and addresses where so it says.

    `UsageError` where the key of pseudonyms cannot be had, or is too short to be one.
    """
    keeper = Keeper(settings.folder, redactor.conceal)
    keeper.conceal("auditor.yaml", secret_refs((settings.seal, settings.pseudonym_key)))
    for target in settings.targets:
        keeper.conceal(target.id, secret_refs(target.settings))
        keeper.conceal_variables(sources[target.type].ambient)
    if settings.pseudonym_key is not None:
        try:
            key = keeper.get(settings.pseudonym_key).encode("utf-8", "surrogateescape")
            redactor.pseudonymise(Pseudonyms(key, settings.organization))
        except SourceFailure as failure:
            raise UsageError(Problem(f"pseudonym_key: {failure.message}")) from None
        except ValueError as error:
            raise UsageError(Problem(f"pseudonym_key: {error}")) from None
    return keeper


@dataclass(frozen=True)
class Done:
    """What a task leaves behind besides its segment: nothing but counts, and where to look next."""

    task: Task
    closed_at: datetime
    answers: int
    subjects: int
    regions: RegionShards


def run_task(task: Task, context: Context) -> Done:
    """Carry out one task, and close its segment."""
    names = targets_of(task, context)
    path = context.run / FOLDER / f"{task.id}.jsonl"
    segment = Segment.create(
        path,
        task=task.id,
        shard=task.shard,
        targets=declarations(names, context),
        tool=f"auditor/{__version__}",
        started_at=context.clock(),
    )
    with ExitStack() as stack:
        stack.callback(segment.release)
        recorders = {name: _recorder(name, task, segment, context, stack) for name in names}
        wrong = identify(task, segment, context, recorders)
        problems = [wrong]
        regions = RegionShards(())
        if not wrong:
            regions = _regions(task, segment, context, recorders)
            problems = [_collect(task, name, segment, context, recorders) for name in task.tests]
        problem = "; ".join(filter(None, problems))
        closed_at = context.clock()
        segment.close(complete=not problem, error=context.redactor.text(problem), at=closed_at)
        return Done(task, closed_at, segment.answers, segment.subjects, regions)


def _masked(resource: Resource, redactor: Redactor) -> Resource:
    return Resource(*(redactor.text(getattr(resource, part)) for part in resource.__struct_fields__))


def targets_of(task: Task, context: Context) -> tuple[str, ...]:
    """Return the targets that a task asks: its own, then those that its tests bind under `with`."""
    further = (target for name in task.tests for target in context.tests[name].with_.values())
    return tuple(dict.fromkeys([task.target, *further]))


def declarations(names: Iterable[str], context: Context) -> dict[str, dict[str, JSON]]:
    """Return targets as they may be kept, by their ids."""
    return {name: context.redactor.scrub(context.plan.target(name).declared)[0] for name in names}


def connected(name: str, task: Task, context: Context) -> AbstractContextManager[Connection]:
    """Open a target for one task."""
    target = next(target for target in context.settings.targets if target.id == name)
    opening = Opening(
        shard=task.shard if name == task.target else "main",
        secret=context.secret,
        conceal=context.redactor.conceal,
        folder=context.settings.folder,
        transport=context.transports.get(name),
        patient=context.patient,
    )
    return context.sources[target.type].open(target.settings, opening)


def _recorder(name: str, task: Task, segment: Segment, context: Context, stack: ExitStack) -> Recorder:
    return Recorder(
        segment,
        stack.enter_context(connected(name, task, context)),
        context.redactor,
        clock=context.clock,
        cancelled=context.cancelled,
        parallel=context.sources[context.plan.target(name).type].parallel_questions,
    )


def identify(task: Task, segment: Segment, context: Context, recorders: Mapping[str, Recorder]) -> str:
    """Ask every target who is asking; return how the task's own contradicts its declaration."""
    wrong = ""
    for name, recorder in recorders.items():
        kind = context.sources[context.plan.target(name).type]
        if not kind.identity:
            continue
        questions = Questions(segment, name, kind, recorder)
        identity = questions.ask(kind.identity)
        if not identity.readable:
            recorder.identity_unproved = identity.record.reason
        elif difference := wrong_target(questions, kind):
            if name == task.target:
                wrong = difference
            else:
                recorder.identity_unproved = difference
    return wrong


def _regions(task: Task, segment: Segment, context: Context, recorders: Mapping[str, Recorder]) -> RegionShards:
    if not task.fan_out:
        return RegionShards(())
    kind = context.sources[context.plan.target(task.target).type]
    try:
        return read_regions(Questions(segment, task.target, kind, recorders[task.target]), kind)[0]
    except Unproven as error:
        LOG.warning("%s: the regions could not be listed: %s", task.id, error.reason)
        return RegionShards(())


def _collect(task: Task, name: str, segment: Segment, context: Context, recorders: Mapping[str, Recorder]) -> str:
    """Ask everything one test wants to know, and list its population; return why that could not be done to its end."""
    test = context.tests[name]
    check = context.checks[test.check]
    sources = bind(check, test, task.target, segment, context.plan, context.sources, recorders)
    params = convert(test.params, check.params)
    try:
        for found in check.collect(params, *sources):
            if not isinstance(found, Reconciled):  # judging holds the counts against each other
                segment.add_subject(name, _masked(found.resource, context.redactor))
    except Cancelled:
        raise
    except Unproven as error:
        return f"{name}: population incomplete: {error.reason}"
    except Exception as error:  # boundary: judging meets the same mistake, and makes a finding of it
        LOG.exception("%s: check %s failed to collect", task.id, check.id)
        return f"{name}: internal: {type(error).__name__}"
    return ""

"""Doctor within this process: what it says of targets, and what it asked them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from auditor import plan, plugins, policy, settings
from auditor.checking import Check
from auditor.doctor import Checkup, Examination, examine_all
from auditor.plan import Selection
from auditor.questions import SourceType
from auditor.redact import Redactor
from auditor.sources.clock import utcnow
from auditor.tasks import Context, find_secrets


def examine(
    config: Path,
    policies: Path,
    *,
    checks: Mapping[str, Check] | None = None,
    sources: Mapping[str, SourceType] | None = None,
    transports: Mapping[str, Any] | None = None,
    clock: Callable[[], Any] = utcnow,
    selection: Selection | None = None,
) -> dict[str, Examination]:
    """Examine the targets of an auditor.yaml, as the command does; by their ids."""
    checks = checks or plugins.checks()
    sources = sources or plugins.sources()
    loaded = settings.load(config, sources)
    targets = plan.declare(loaded, sources)
    pack = policy.load(policies, checks, plan.selectors(targets, sources))
    redactor = Redactor()
    keeper = find_secrets(loaded, sources, redactor)
    context = Context(
        run=Path("nowhere"),
        plan=plan.make(pack, targets, loaded.organization, checks, selection, loaded.privacy),
        settings=loaded,
        tests={test.id: test for _, test in pack.tests()},
        checks=checks,
        sources=sources,
        redactor=redactor,
        secret=keeper.get,
        clock=clock,
        cancelled=threading.Event(),
        transports=transports or {},
        patient=False,
    )
    with ThreadPoolExecutor(8) as pool:
        return {one.target: one for one in examine_all(context, pool)}


def states(examination: Examination) -> dict[str, str]:
    """What kind of thing is in the way of each check; "ready" where nothing is."""
    return {one.check: one.symptoms[0].trouble.value if one.symptoms else "ready" for one in examination.checkups}


def of(examination: Examination, check: str) -> Checkup:
    return next(one for one in examination.checkups if one.check == check)


def reasons(examination: Examination) -> str:
    return "\n".join(f"{s.operation}: {s.reason}" for one in examination.checkups for s in one.symptoms)

"""A demo world, audited once per session by the real engine: what many tests look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditor import keys, plan, plugins, policy, settings
from auditor.cli.demo import COMPARING
from auditor.engine import Audit, Plugins
from auditor.plan import Plan, Selection
from auditor.policy import Policy
from auditor.redact import Redactor
from auditor.results import Finding, Head
from auditor.sandbox.world import World, running
from auditor.settings import Settings
from auditor.sources.clock import utcnow
from auditor.stored import StoredRun

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "policies" / "explo"


@dataclass(frozen=True)
class Audited:
    """A running world and the run that audited it; in its folder there is an earlier one as well."""

    world: World
    settings: Settings
    policy: Policy
    plan: Plan
    plugins: Plugins
    redactor: Redactor
    run: Path
    head: Head

    def findings(self) -> list[Finding]:
        return list(StoredRun(self.head, self.run / "evidence", self.run / "findings").findings())


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def audited(name: str, output: Path) -> Iterator[Audited]:
    """Start a world and audit it as the demo does, after an earlier run; it stays up as long as the context."""
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    with running(name, output) as world, environment(world.environment):
        loaded = settings.load(world.config, found.sources)
        targets = plan.declare(loaded, found.sources)
        pack = policy.load(PACK, found.checks, plan.selectors(targets, found.sources))
        planned = plan.make(pack, targets, loaded.organization, found.checks)
        of_comparing = plan.make(pack, targets, loaded.organization, found.checks, Selection(checks=COMPARING))
        redactor = Redactor()
        key = keys.generate(world.config.parent / keys.PRIVATE, output / keys.PUBLIC, utcnow())

        def audit(planned: Plan) -> tuple[Path, Head]:
            one = Audit(
                settings=loaded,
                policy=pack,
                plan=planned,
                plugins=found,
                output=output,
                formats=("json", "html"),
                redactor=redactor,
                key=key,
            )
            with ThreadPoolExecutor(8) as pool:
                return one.run(pool)

        with world.as_it_was():
            audit(of_comparing)
        run, head = audit(planned)
        yield Audited(world, loaded, pack, planned, found, redactor, run, head)

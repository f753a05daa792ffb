"""`auditor policy`: validate policy packs, print their JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group(name="policy")
def group() -> None:
    """Validate policies, print their schema."""


@group.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("policies/explo"))
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="Settings too: then targets named by tests must exist."
)
def validate(path: Path, config: Path | None) -> int:
    """Check a policy pack; every mistake is named with file, line and column."""
    from auditor import plan, plugins, policy, settings
    from auditor.model import Problem, UsageError

    selectors = None
    problems: list[Problem] = []
    if config is not None:
        sources = plugins.sources()
        try:
            selectors = plan.selectors(plan.declare(settings.load(config, sources), sources), sources)
        except UsageError as error:
            problems += error.problems
    try:
        pack = policy.load(path, plugins.checks(), selectors)
    except UsageError as error:
        raise UsageError(*problems, *error.problems) from None
    if problems:
        raise UsageError(*problems)
    claims, tests = len(list(pack.claims())), len(list(pack.tests()))
    click.echo(f"{path}: {len(pack.files)} files, {claims} claims, {tests} tests: valid")
    return 0


@group.command()
@click.option("--settings", "of_settings", is_flag=True, help="The schema of auditor.yaml instead.")
def schema(of_settings: bool) -> int:  # noqa: FBT001 - click passes flags so
    """Print the JSON Schema of a policy file, for editors and other tools."""
    from auditor import plugins, policy, settings

    if of_settings:
        found = settings.json_schema(plugins.sources())
    else:
        found = policy.json_schema(list(plugins.checks().values()))
    click.echo(json.dumps(found, indent=2))
    return 0

"""`auditor policy`: lay out, validate and compare policy packs, print their JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auditor.cli import options, policy_coverage, policy_new
from auditor.cli.complaint import say
from auditor.cli.exit_codes import epilog


@click.group(name="policy")
def group() -> None:
    """Lay out, validate and compare policies, print their schema."""


group.add_command(policy_new.command)
group.add_command(policy_coverage.command)


@group.command(epilog=epilog(done="the pack is valid"))
@click.argument("path", type=options.AnyPath, default=Path("policies/explo"))
@click.option(
    "-c",
    "--config",
    type=options.AnyPath,
    metavar="FILE",
    help="The settings too: then the targets of tests must exist.",
)
def validate(path: Path, config: Path | None) -> int:
    """Check a policy pack, without asking anybody.

    Every mistake is named with file, line and column. PATH is a folder of YAML files, or one file.
    """
    from auditor import plugins, policy
    from auditor.cli import inputs
    from auditor.wording import counted

    checks = plugins.checks()
    pack = inputs.read(config, path, checks, plugins.sources())[1] if config else policy.load(path, checks)
    claims, tests = len(list(pack.claims())), len(list(pack.tests()))
    counts = ", ".join((counted(len(pack.files), "file"), counted(claims, "claim"), counted(tests, "test")))
    say(f"{path}: {counts}: valid" + ("" if config else "; targets not compared (name the settings with -c)"))
    return 0


@group.command()
@click.option("--settings", "of_settings", is_flag=True, help="The schema of auditor.yaml instead.")
def schema(of_settings: bool) -> int:  # noqa: FBT001 - click passes flags so
    """Print the JSON Schema of policy files.

    For editors and other tools; policies/policy.schema.json is this.
    """
    from auditor import plugins, policy, settings

    if of_settings:
        found = settings.json_schema(plugins.sources())
    else:
        found = policy.json_schema(list(plugins.checks().values()))
    click.echo(json.dumps(found, indent=2))
    return 0

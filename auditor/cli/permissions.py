"""`auditor permissions`: what the checks need to be allowed, and how to grant it. Nobody is asked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from auditor.cli import options
from auditor.cli.exit_codes import epilog

if TYPE_CHECKING:
    from auditor.checking import Check
    from auditor.privileges import Use
    from auditor.questions import Operation, SourceType

CONFIG, POLICIES = Path("auditor.yaml"), Path("policies/explo")
TEXT = "text"


class Place(NamedTuple):
    """Where permissions are granted: a target, or where there are no settings any target of a kind."""

    target: str
    kind: SourceType
    settings: Any
    uses: Sequence[Use]

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.target} ({self.kind.name})" if self.target else self.kind.name


@click.command(name="permissions", epilog=epilog(done="the permissions are printed"))
@click.option(
    "-f",
    "--format",
    "form",
    metavar="NAME",
    default=TEXT,
    show_default=True,
    help="text, of all systems; or what one kind of them takes, such as aws, terraform, github or postgres.",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The systems to ask.  [default: {CONFIG}, where there is one]",
)
@click.option(
    "--policies",
    type=click.Path(path_type=Path),
    help=f"A policy pack.  [default: {POLICIES}, where there is one; else every check counts]",
)
@options.selection
def command(form: str, config: Path | None, policies: Path | None, **selected: tuple[str, ...]) -> int:
    """Print the least privilege that the checks need. Nobody is asked.

    It follows from the questions that the checks of the policy pack declare, and grants nothing else. With settings it
    is made for each target; without, names that only they know are left open.
    """
    from auditor import plugins
    from auditor.wording import or_known, quoted

    checks, sources = plugins.checks(), plugins.sources()
    known = [TEXT, *(name for kind in sources.values() for name in kind.grants)]
    if form not in known:
        raise click.BadParameter(f"unknown format {quoted(form)}{or_known(form, known)}", param_hint="--format")
    config = config or (CONFIG if CONFIG.exists() else None)
    policies = policies or (POLICIES if POLICIES.exists() else None)
    places = _places(config, policies, selected, checks, sources)
    _say_whose(config, policies, places)
    if form == TEXT:
        for place in places:
            _show(place, config, policies)
    else:
        click.echo(_granted(form, places), nl=False)
    return 0


def _places(
    config: Path | None,
    policies: Path | None,
    selected: dict[str, tuple[str, ...]],
    checks: Mapping[str, Check],
    sources: Mapping[str, SourceType],
) -> list[Place]:
    """Return where something is granted for the checks that policy, settings and selection leave."""
    from auditor import policy, privileges, settings
    from auditor.cli import inputs

    if config is not None and policies is not None:
        loaded, pack, planned = inputs.plan_of(config, policies, selected, checks, sources)
        by_target = privileges.of_targets(planned, pack, checks)
        found = [(target, by_target.get(target.id, [])) for target in loaded.targets]
        return [Place(one.id, sources[one.type], one.settings, uses) for one, uses in found if uses]
    claims = dict.fromkeys(selected["claims"])
    tests = [] if policies is None else list(policy.load(policies, checks).tests())
    targets = () if config is None else settings.load(config, sources).targets
    known = {
        "claims": [claim.id for claim, _ in tests],
        "tests": [test.id for _, test in tests],
        "checks": checks.keys(),
        "targets": [target.id for target in targets],
    }
    inputs.refuse_unknown(selected, known)
    uses = privileges.of_tests(
        (
            test
            for claim, test in tests
            if (not claims or claim.id in claims) and (not selected["tests"] or test.id in selected["tests"])
        ),
        checks,
    )
    if policies is None:
        uses = [privileges.Use(check=check) for check in checks.values()]
    uses = [use for use in uses if not selected["checks"] or use.check.id in selected["checks"]]
    by_type = privileges.of_types(uses, sources)
    if config is None:
        return [Place("", sources[name], None, concerned) for name, concerned in by_type.items()]
    return [
        Place(target.id, sources[target.type], target.settings, by_type[target.type])
        for target in targets
        if target.type in by_type and (not selected["targets"] or target.id in selected["targets"])
    ]


def _say_whose(config: Path | None, policies: Path | None, places: Sequence[Place]) -> None:
    """Say on stderr what the permissions are for, so that stdout is theirs alone."""
    from auditor.cli.complaint import complain
    from auditor.wording import counted

    checks = {use.check.id for place in places for use in place.uses}
    whose = f"of {policies}" if policies is not None else "of this installation"
    where = f", on the targets of {config}" if config is not None else ""
    complain(f"for {counted(len(checks), 'check')} {whose}{where}")


def _granted(form: str, places: Sequence[Place]) -> str:
    """Return what grants it, in one format; `UsageError` where that is not one text."""
    from auditor import privileges
    from auditor.model import Problem, UsageError
    from auditor.wording import harmless

    concerned = [place for place in places if form in place.kind.grants]
    if not concerned:
        raise UsageError(Problem(f"--format {form}: none of the checks asks a system of that kind"))
    texts: dict[str, list[str]] = {}
    for place in concerned:
        try:
            text = place.kind.grants[form](place.settings, privileges.needs(place.kind, place.uses))
        except ValueError as error:
            raise UsageError(Problem(f"{place.name}: {error}")) from None
        if any(line != harmless(line) for line in text.split("\n")):
            raise UsageError(Problem(f"{place.name}: a name in it holds a character that nobody can see"))
        texts.setdefault(text, []).append(place.target)
    if len(texts) > 1:
        names = ", ".join(place.target for place in concerned)
        raise UsageError(Problem(f"--format {form}: {names} need different ones; choose one with --target"))
    return next(iter(texts))


def spelled(form: str, target: str, config: Path | None, policies: Path | None) -> str:
    """Return this command as it is typed; "" for no target in particular."""
    words = ["auditor", "permissions", "--format", form]
    for option, value, default in (
        ("--target", target, ""),
        ("-c", config, CONFIG),
        ("--policies", policies, POLICIES),
    ):
        words += [option, str(value)] if value and value != default else []
    return shlex.join(words)


def _show(place: Place, config: Path | None, policies: Path | None) -> None:
    from auditor.cli import page

    page.line(place.name)
    engine = {place.kind.identity: 1} if place.kind.identity else {}
    if any(use.check.shard == "region" and use.check.target_type == place.kind.name for use in place.uses):
        engine[place.kind.fan_out] = 1
    groups: dict[str, Mapping[str, int]] = {"whatever is asked": engine} if engine else {}
    groups |= {use.check.id: use.check.sources[place.kind.name] for use in place.uses}
    for name, operations in groups.items():
        page.line(name, indent=2)
        for operation, least in operations.items():
            _show_operation(place.kind.operations[operation], least)
    for form in place.kind.grants:
        page.line(f"to grant: {spelled(form, place.target, config, policies)}", indent=2, hanging=4)
    page.line()


def _show_operation(row: Operation, least: int) -> None:
    from auditor.cli import page

    notes = [*([row.effect] if row.effect != "read" else []), *([] if least else ["where needed"])]
    noted = f" ({', '.join(notes)})" if notes else ""
    page.line(f"{row.name}{noted}: {', '.join(row.permissions) or 'no permission'}", indent=4, hanging=4)
    page.line(row.summary, indent=8)

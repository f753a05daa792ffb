"""`auditor plan`: what a run would ask of whom. Nobody is asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import options
from auditor.cli.exit_codes import epilog

if TYPE_CHECKING:
    from auditor.cost import Cost, Question, TaskCost

EFFECTS = {
    "probe": "tries something as any client could: a handshake, an expired token",
    "create": "makes something new, such as a token; only where the target allows it",
}


@click.command(name="plan", epilog=epilog(done="the plan is printed"))
@options.config
@options.policies
@options.selection
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text; or json, for programs.",
)
def command(config: Path, policies: Path, form: str, **selected: tuple[str, ...]) -> int:
    """Show what a run would ask of whom, and how many calls that takes at least. Nobody is asked.

    Each task lists its questions with the least number of times they are asked. A question is asked once, however many
    tests want its answer.
    """
    import msgspec

    from auditor import cost, plugins
    from auditor.cli import inputs, page

    checks, sources = plugins.checks(), plugins.sources()
    _, pack, planned = inputs.plan_of(config, policies, selected, checks, sources)
    found = cost.estimate(planned, {test.id: test for _, test in pack.tests()}, checks, sources)
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _show(found)
        if planned.privacy == "pseudonymous":
            page.line("e-mail addresses in answers would be kept as pseudonyms", hanging=4)
    return 0


def _show(found: Cost) -> None:
    from auditor.cli import page
    from auditor.wording import counted

    for task in found.tasks:
        _show_task(task)
    questions = [question for task in found.tasks for question in task.questions]
    if any(question.least == 0 for question in questions):
        page.line("*  as many as there are subjects: one for each bucket, key, database …", hanging=3)
    if any(question.least for question in questions):
        page.line("at least: where all can be asked and answered, and the parameters that ask least", hanging=4)
    for effect, meaning in EFFECTS.items():
        if any(question.effect == effect for question in questions):
            page.line(f"{effect}: {meaning}", hanging=4)
    more = [f"{calls:,} more in each enabled region of {target}" for target, calls in found.calls_each_region.items()]
    total = (
        [f"at least {counted(found.calls, 'call')} in all", *more]
        if found.tasks
        else ["nobody would be asked anything"]
    )
    page.line(" and ".join(total), hanging=4)
    if found.excluded:
        page.line()
        page.line("not carried out, or not everywhere:")
        for excluded in found.excluded:
            page.line(f"{excluded.test}: {excluded.reason}", indent=4, hanging=4)


def _show_task(task: TaskCost) -> None:
    from auditor.cli import page
    from auditor.cost import EACH_REGION
    from auditor.plan import SHARDS
    from auditor.wording import counted

    shard = {SHARDS["target"]: "", EACH_REGION: ", in each enabled region"}.get(task.shard, f", {task.shard}")
    page.line(f"{task.target} ({task.type}){shard}: at least {counted(task.calls, 'call')}")
    if task.tests:
        page.line(f"for {', '.join(task.tests)}", indent=4, hanging=4)
    for question in task.questions:
        page.line(_in_words(task, question), indent=4, hanging=5)
    page.line()


def _in_words(task: TaskCost, question: Question) -> str:
    number = f"{question.least:>3}" if question.least else "  *"
    effect = f"{question.effect}: " if question.effect in EFFECTS else ""
    whom = f" of {question.target}" if question.target != task.target else ""
    return f"{number}  {effect}{question.summary} ({question.operation}{whom})"

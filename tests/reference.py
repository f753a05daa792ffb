"""Writes `docs/reference/` from the code (`make docs`); a test compares what is there with what this would write.

Only what is ours is described; plug-ins of others that happen to be installed are not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec

from auditor import plugins, settings
from auditor.checking import Check
from auditor.cli import COMMANDS, auditor, exit_codes, options
from auditor.cli.checks import questions
from auditor.entries import policy_entry
from auditor.model import JSON
from auditor.plugin_rules import Kind
from auditor.questions import SourceType
from auditor.shapes import every_key, in_yaml, prose

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
HEAD = "<!-- Written by `make docs` from the code: change it there. -->\n\n"
EFFECTS = {
    "read": "asks, and changes nothing",
    "probe": "tries something out, such as a handshake: it may be seen in the target's log, and changes nothing",
    "create": "makes something, such as a token: only where the target allows it",
}


def pages() -> dict[str, str]:
    """Return the text of every page, by its file name."""
    checks = [check for name, check in sorted(plugins.checks().items()) if _is_ours("checks", name)]
    sources = [source for name, source in sorted(plugins.sources().items()) if _is_ours("sources", name)]
    written: Mapping[str, Iterable[str]] = {
        "checks.md": checks_page(checks),
        "commands.md": commands_page(),
        "exit-codes.md": exit_codes_page(),
        "settings.md": settings_page(sources),
        "permissions.md": permissions_page(checks, sources),
    }
    return {name: HEAD + "\n".join(lines).rstrip() + "\n" for name, lines in written.items()}


def main() -> None:
    """Write every page, and remove what is none."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    for path in FOLDER.iterdir():
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _is_ours(kind: Kind, name: str) -> bool:
    return plugins.origin(kind, name).distribution == plugins.OURS


def checks_page(checks: Sequence[Check]) -> Iterator[str]:
    """What each check shows, asks and takes."""
    yield from (
        "# Checks",
        "",
        "A check collects a population and judges each member of it. `auditor checks` lists those that are installed,",
        "plug-ins included; `auditor checks show ID` prints what stands here about one.",
        "",
    )
    rows = ([f"[{one.id}](#{one.id})", one.title, ", ".join(one.sources), one.basis.value] for one in checks)
    yield from table(("check", "what it is about", "reads", "basis"), rows)
    for check in checks:
        yield from _check(check)


def _check(check: Check) -> Iterator[str]:
    dated = (
        " It compares dates, so it is an error where the target's clock and ours differ." if check.time_based else ""
    )
    yield from (
        f"## {check.id}",
        "",
        f"**{check.title}.** Asked once per {check.shard}; on the basis of {check.basis.value}.{dated}",
        "",
        f"- **Population**: {check.population}.",
        f"- **Proves**: {check.proves}.",
        "- **Cannot prove**:",
        *(f"  - {limit}" for limit in check.cannot_prove),
        *([f"- **Second source**: {check.second_source}."] if check.second_source else []),
        *([f"- **No second source**: {check.no_second_source}."] if check.no_second_source else []),
        "",
    )
    asked = (
        [f"`{one.operation.name}`", one.source, one.times, one.operation.summary]
        for one in questions(check, plugins.sources())
    )
    yield from table(("asks", "of", "how often", "what"), asked)
    yield from _keys(check.params, "parameter")
    yield from ("In a policy pack, below `tests:`", "", "```yaml", *policy_entry(check, ""), "```", "")


def commands_page() -> Iterator[str]:
    """Every command with its arguments, options and exit codes."""
    yield from ("# Commands", "", "Every command knows `-h` and `--help`. `auditor --version` prints the version.", "")
    context = click.Context(auditor, info_name="auditor")
    for name in COMMANDS:
        command = auditor.get_command(context, name)
        if command is None:
            raise LookupError(f"there is no command {name}")
        yield from _command(command, click.Context(command, info_name=name, parent=context))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"## {context.command_path}", "", f"    {context.command_path} {usage}", "")
    yield from _paragraphs(command.help or "")
    rows = [_option(option, context) for option in command.params]
    yield from table(("option", "meaning", "default"), filter(None, rows))
    yield from _paragraphs(command.epilog or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _option(option: click.Parameter, context: click.Context) -> list[str] | None:
    record = option.get_help_record(context)
    if record is None or not isinstance(option, click.Option):
        return None
    if option.required:
        default = "required"
    elif option.is_flag or option.count or option.multiple or not isinstance(option.default, str | int | float | Path):
        default = ""
    else:
        default = f"`{option.default}`"
    return [f"`{record[0]}`", option.help or "", default]


def _paragraphs(text: str) -> Iterator[str]:
    r"""Yield the paragraphs of a help text; click sets what follows a `\b` as it stands."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b\n"):
            title, *lines = paragraph.removeprefix("\b\n").splitlines()
            yield from (title, "", *(f"    {line.strip()}" for line in _joined(lines)), "")
        elif paragraph.strip():
            yield from (" ".join(paragraph.split()), "")


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines, those that were wrapped in one piece again: they are indented further than the first."""
    whole: list[str] = []
    for line in lines:
        if whole and len(line) - len(line.lstrip()) > len(whole[0]) - len(whole[0].lstrip()):
            whole.append(line.strip())
        else:
            yield from [" ".join(whole)] if whole else []
            whole = [line]
    yield from [" ".join(whole)] if whole else []


def exit_codes_page() -> Iterator[str]:
    """What each exit code says."""
    choices = ", ".join(f"`{choice}`" for choice in options.FAIL_ON)
    yield from (
        "# Exit codes",
        "",
        exit_codes.markdown(),
        "",
        f"`--fail-on` ({choices}) says what exits non-zero: with `refuted`, {exit_codes.UNPROVEN} becomes 0, and so",
        f"blindness passes; with `never`, {exit_codes.REFUTED} and {exit_codes.UNPROVEN} become 0. Where a command has",
        "nothing to say about claims, 0 is what its help says.",
    )


def settings_page(sources: Sequence[SourceType]) -> Iterator[str]:
    """Every key of auditor.yaml."""
    yield from (
        "# Settings",
        "",
        "`auditor.yaml` names the systems to look at. Relative paths start in its folder.",
        "",
    )
    yield from _keys(settings.File, "key")
    yield from (
        "A secret never stands in the file, only where it is found: an environment variable or a file.",
        "`auditor policy schema --settings` prints the JSON Schema.",
        "",
        "## Every target",
        "",
    )
    yield from _keys(settings.Entry, "key")
    for source in sources:
        yield from (f"## {source.name}", "")
        yield from _paragraphs(prose(source.settings))
        yield from _keys(source.settings, "key")


def permissions_page(checks: Sequence[Check], sources: Sequence[SourceType]) -> Iterator[str]:
    """Every operation: what it asks, what it needs, and who asks it."""
    yield from (
        "# Permissions",
        "",
        "Everything that may be asked of a target, and what the asking identity needs for it. A check asks nothing",
        "that is not listed here with it.",
        "",
    )
    yield from table(("effect", "meaning"), ([f"`{name}`", meaning] for name, meaning in EFFECTS.items()))
    for source in sources:
        yield from (f"## {source.name}", "")
        rows = (
            [
                f"`{row.name}`",
                row.summary,
                row.effect,
                ", ".join(row.permissions) or "none",
                _asked_by(source, row.name, checks),
            ]
            for row in source.operations.values()
        )
        yield from table(("operation", "what it asks", "effect", "needs", "asked by"), rows)


def _asked_by(source: SourceType, operation: str, checks: Sequence[Check]) -> str:
    names = [f"[{one.id}](checks.md#{one.id})" for one in checks if operation in one.sources.get(source.name, ())]
    if operation == source.identity:
        names.insert(0, "every audit: who is asking")
    if operation == source.fan_out:
        names.insert(0, "every check that is asked once per region")
    return ", ".join(names) or "nobody yet"


def _keys(struct: type[msgspec.Struct], what: str) -> Iterator[str]:
    rows = (
        [f"`{key.name}`", key.description, key.kind, "required" if key.required else _default(key.default)]
        for key in every_key(struct)
    )
    yield from table((what, "meaning", "kind", "default"), rows)


def _default(value: JSON) -> str:
    return "none" if value is None else f"`{in_yaml(value)}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table, and nothing where it has no rows."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    if lines:
        yield from (f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, "")


def cell(text: str) -> str:
    """Return text that stays in its cell, and is shown as it stands outside of backquotes."""
    escaped: Callable[[re.Match[str]], str] = lambda match: match[0] if match[0].startswith("`") else f"\\{match[0]}"  # noqa: E731
    return re.sub(r"`[^`]*`|[*<_]", escaped, text).replace("|", r"\|")


if __name__ == "__main__":
    main()

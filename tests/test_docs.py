"""The documentation says what is there: commands, exit codes, permissions, settings, published texts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
from click.testing import CliRunner

from auditor import plugins, settings
from auditor.cli import COMMANDS, auditor, exit_codes
from auditor.sources.aws.operations import OPERATIONS
from auditor.sources.postgres.password_kdf import function_definition
from tests import reference
from tests.cli_process import auditor as run_auditor
from tests.world_runs import PACK, ROOT

CHECKS = plugins.checks()
README = (ROOT / "README.md").read_text(encoding="utf-8")


def policy_of_the_pack(folder: Path) -> str:
    """What the command prints for the pack, without any settings."""
    shown = run_auditor("permissions", "--format", "aws", "--policies", PACK, cwd=folder)
    assert (shown.code, shown.err) == (0, f"for {len(CHECKS)} checks of {PACK}\n")
    return shown.out


def test_the_readme_shows_the_policy_that_the_command_prints(tmp_path: Path) -> None:
    blocks = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert policy_of_the_pack(tmp_path) in blocks


def test_the_pack_needs_every_permission_of_aws_and_so_do_the_demo_worlds(tmp_path: Path) -> None:
    (statement,) = json.loads(policy_of_the_pack(tmp_path))["Statement"]
    needed = sorted({permission for row in OPERATIONS.values() for permission in row.permissions})
    assert statement["Action"] == needed
    for name in ("healthy", "broken"):
        world = msgspec.yaml.decode((ROOT / f"auditor/sandbox/worlds/{name}/aws.yaml").read_bytes())
        assert sorted(world["auditor_may"]) == needed


def test_the_reference_is_fresh() -> None:
    """Checks, commands, exit codes, settings and permissions, as the code has them now."""
    written = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.iterdir()}
    stale = [name for name, text in reference.pages().items() if written.get(name) != text]
    assert not stale, "docs/reference is stale: write it again with `make docs`"
    assert written.keys() == reference.pages().keys(), "docs/reference is stale: write it again with `make docs`"


def test_the_reference_leaves_nothing_out() -> None:
    """The generator walks what is installed; here the same is looked up in another way."""
    pages = reference.pages()
    for name, check in plugins.checks().items():
        assert f"\n## {name}\n" in pages["checks.md"]
        assert pages["permissions.md"].count(f"(checks.md#{name})") == sum(map(len, check.sources.values()))
    for source in plugins.sources().values():
        section = pages["settings.md"].partition(f"\n## {source.name}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {
            field.encode_name for field in msgspec.structs.fields(source.settings)
        }
        for row in source.operations.values():
            assert f"\n| `{row.name}` | {reference.cell(row.summary)} | {row.effect} |" in pages["permissions.md"]
    for command in COMMANDS:
        section = pages["commands.md"].partition(f"\n## auditor {command}\n")[2]
        for option in set(re.findall(r"--[a-z][a-z-]+", _help(command))) - {"--help"}:
            assert option in section, (command, option)


def _help(command: str) -> str:
    return CliRunner().invoke(auditor, [command, "--help"]).output.partition("Options:")[2]


def test_a_cell_stays_in_its_cell() -> None:
    assert reference.cell("a|b `c|d_e` <f> *g*_") == r"a\|b `c\|d_e` \<f> \*g\*\_"


def test_every_exit_code_is_in_the_one_table() -> None:
    """Whatever is returned or compared is named there; README, help and reference print that table."""
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert codes == exit_codes.MEANINGS.keys()
    assert exit_codes.markdown() in README
    assert exit_codes.markdown() in reference.pages()["exit-codes.md"]
    for path in (ROOT / "auditor/cli").glob("*.py"):
        returned = re.findall(r"return (\d+)\b", path.read_text(encoding="utf-8"))
        assert set(returned) <= {"0"}, path


def test_the_page_about_ci_tells_every_exit_code() -> None:
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9, ]+) \|", page.partition("| exit code |")[2].partition("\n\n")[0], re.MULTILINE)
    assert {int(code) for row in rows for code in row.split(", ")} == exit_codes.MEANINGS.keys()


def test_the_help_of_a_command_prints_that_table() -> None:
    shown = " ".join(CliRunner().invoke(auditor, ["run", "--help"]).output.split())
    for code in exit_codes.MEANINGS:
        assert f"{code} {exit_codes.MEANINGS[code]}" in shown


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"`(?:\.venv/bin/)?auditor ([a-z]+)", README))
    assert {"run", "demo", "evaluate", "report", "checks", "policy"} <= named <= set(COMMANDS)


def test_the_report_prints_a_command_that_works() -> None:
    template = (ROOT / "auditor/reports/templates/report.html.j2").read_text(encoding="utf-8")
    (command,) = re.findall(r"<code>auditor (evaluate [^<]*)</code>", template)
    name, *arguments = command.split()
    context = auditor.make_context("auditor", [name, *arguments], resilient_parsing=True)
    parsed = auditor.get_command(context, name)
    assert parsed is not None
    parsed.make_context(name, [str(ROOT), *arguments[1:]])  # click raises where an option is missing or unknown


def test_the_readme_shows_settings_that_are_valid(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "auditor.yaml"
    path.write_text(shown, encoding="utf-8")
    assert {target.type for target in settings.load(path, plugins.sources()).targets} >= {"aws", "github", "postgres"}


def test_the_published_function_is_the_one_that_is_recognised() -> None:
    published = (ROOT / "docs/postgres-password-kdf.sql").read_text(encoding="utf-8")
    assert published.endswith(function_definition("public", "auth_user", "password"))


def test_the_published_schema_of_the_settings_is_fresh() -> None:
    published = json.loads((ROOT / "policies/auditor.schema.json").read_text(encoding="utf-8"))
    fresh = json.loads(json.dumps(settings.json_schema(plugins.sources())))
    assert published == fresh, "stale: write it again with `make schemas`"


def test_every_check_says_what_it_proves_and_what_it_cannot() -> None:
    for check in plugins.checks().values():
        assert check.id == check.collect.__module__.rpartition(".")[2].replace("_", "-")
        assert check.title
        assert check.population
        assert check.proves
        assert check.cannot_prove
        assert check.second_source or check.no_second_source
        assert check.basis.value in (__import__(check.collect.__module__, fromlist=["x"]).__doc__ or "")


def test_the_readmes_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_dependencies_are_those_that_are_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    imported = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "auditor").rglob("*.py"))
    modules = {
        "beautifulsoup4": "bs4",
        "cyclonedx-python-lib": "cyclonedx",
        "markdown-it-py": "markdown_it",
        "packageurl-python": "packageurl",
        "pyjwt": "jwt",
        "pyyaml": "yaml",
    }
    for requirement in project["dependencies"]:
        name = re.split(r"[\[><=]", requirement)[0]
        assert re.search(rf"(import|from) {modules.get(name, name.replace('-', '_'))}\b", imported), name

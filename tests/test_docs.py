"""The documentation says what is there: commands, exit codes, permissions, settings, published texts."""

from __future__ import annotations

import json
import re
import tomllib

import msgspec

from auditor import plugins, settings
from auditor.cli import COMMANDS, auditor
from auditor.sources.aws.operations import OPERATIONS
from auditor.sources.postgres.password_kdf import function_definition
from tests.world_runs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_permission_aws_needs_and_no_other() -> None:
    block = next(text for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if "Statement" in text)
    (statement,) = json.loads(block)["Statement"]
    assert sorted(statement["Action"]) == sorted({row.permission for row in OPERATIONS.values() if row.permission})


def test_the_demo_worlds_auditor_has_exactly_these_permissions() -> None:
    needed = sorted({row.permission for row in OPERATIONS.values() if row.permission})
    for name in ("healthy", "broken"):
        world = msgspec.yaml.decode((ROOT / f"auditor/sandbox/worlds/{name}/aws.yaml").read_bytes())
        assert sorted(world["auditor_may"]) == needed


def test_the_readme_names_every_command_and_exit_code() -> None:
    for command in COMMANDS:
        assert re.search(rf"auditor {command}\b", README), command
    for code in ("0", "1", "2", "3", "4", "70", "130, 143"):
        assert f"| {code} |" in README


def test_the_report_prints_a_command_that_works() -> None:
    template = (ROOT / "auditor/reports/templates/report.html.j2").read_text(encoding="utf-8")
    (command,) = re.findall(r"<code>auditor (evaluate [^<]*)</code>", template)
    name, *arguments = command.split()
    context = auditor.make_context("auditor", [name, *arguments], resilient_parsing=True)
    parsed = auditor.get_command(context, name)
    assert parsed is not None
    parsed.make_context(name, [str(ROOT), *arguments[1:]])  # click raises where an option is missing or unknown


def test_the_readme_shows_every_setting_of_a_target() -> None:
    shown = "\n".join(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
    for source in plugins.sources().values():
        for field in msgspec.structs.fields(source.settings):
            assert re.search(rf"\b{field.name}: ", shown), f"{source.name}: {field.name}"


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
        assert check.basis.value in (__import__(check.collect.__module__, fromlist=["x"]).__doc__ or "")


def test_the_readmes_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_dependencies_are_those_that_are_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    imported = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "auditor").rglob("*.py"))
    modules = {"pyjwt": "jwt", "pyyaml": "yaml", "psycopg": "psycopg"}
    for requirement in project["dependencies"]:
        name = re.split(r"[\[><=]", requirement)[0]
        assert re.search(rf"(import|from) {modules.get(name, name)}\b", imported), name

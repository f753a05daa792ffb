"""Plug-ins: ours are found by looking, others' by entry points, and what cannot be used is said at the start."""

from __future__ import annotations

import importlib
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor import __version__, engine, evidence, plugins, seal, settings, stored
from auditor.model import UsageError
from auditor.results import RUN_FILES
from tests.cli_process import PACK, ROOT, auditor

MODULE = """\
from auditor.checks.github_mfa import CHECK as OURS
from auditor.reports.csv import REPORT as OUR_REPORT
from auditor.sources.github import SOURCE as OUR_SOURCE
from msgspec.structs import replace
CHECK = replace(OURS, id="stranger-check")
SOURCE = replace(OUR_SOURCE, name="stranger")
REPORT = replace(OUR_REPORT, name="stranger", filename="stranger.csv")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path into which distributions can be written."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.installed.cache_clear()
    yield tmp_path
    plugins.installed.cache_clear()
    sys.modules.pop("stranger", None)


def install(folder: Path, code: str = "", /, **entries: str) -> None:
    """Write a distribution whose module `stranger` has `code` in it; `entries` are its entry points, by kind."""
    (folder / "stranger.py").write_text(MODULE + textwrap.dedent(code))
    info = folder / "stranger-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
    groups = (
        f"[auditor.{kind}]\n" + "".join(f"{name} = stranger:{name}\n" for name in names.split())
        for kind, names in entries.items()
    )
    (info / "entry_points.txt").write_text("".join(groups))
    importlib.invalidate_caches()


def problems() -> list[str]:
    with pytest.raises(UsageError) as caught:
        plugins.installed()
    said = [str(problem) for problem in caught.value.problems]
    assert all("\n" not in line for line in said)
    return said


def test_ours_are_found_by_their_files() -> None:
    assert {"aws-ebs-volume-encryption", "aws-s3-encryption", "aws-s3-object-expiry"} <= plugins.checks().keys()
    assert {"aws", "postgres"} <= plugins.sources().keys()
    assert {"json", "html"} <= plugins.reports().keys()
    for name, check in plugins.checks().items():
        place = f"auditor.checks.{name.replace('-', '_')}"
        assert check.collect.__module__ == place, "a check's file is named as its id"
        assert plugins.origin("checks", name) == ("auditor", __version__, place)


def test_others_are_found_by_their_entry_points(package: Path) -> None:
    ours = plugins.installed()
    plugins.installed.cache_clear()
    install(package, checks="CHECK", sources="SOURCE", reports="REPORT")
    assert plugins.checks().keys() == ours.checks.keys() | {"stranger-check"}
    assert plugins.sources().keys() == ours.sources.keys() | {"stranger"}
    assert plugins.reports().keys() == ours.reports.keys() | {"stranger"}
    assert plugins.origin("checks", "stranger-check") == ("stranger", "1.2", "stranger:CHECK")
    assert plugins.origin("checks", "github-mfa").release == f"auditor {__version__}"


def test_a_source_may_share_its_settings_with_another(package: Path) -> None:
    install(package, sources="SOURCE")
    schema = settings.json_schema(plugins.sources())
    kinds = [entry["properties"]["type"]["const"] for entry in schema["properties"]["targets"]["items"]["oneOf"]]
    assert kinds == sorted(plugins.sources())


WHERE = "plug-in stranger 1.2 (stranger:X)"
CHECKS = {
    "X = replace(OURS)": (
        f"has the id 'github-mfa', which auditor {__version__} (auditor.checks.github_mfa) already has"
    ),
    "X = 3": "must be a Check, not a value of type int",
    "X = SOURCE": "must be a Check, not a value of type SourceType",
    "X = OURS.evaluate": "must be a Check, not a value of type function",
    "X = replace(CHECK, id='')": "has no id",
    "X = replace(CHECK, id=None)": "has no id",
    "X = replace(CHECK, id='My Check')": "id: 'My Check' must be a small letter, then small letters, digits and -",
    "X = replace(CHECK, id=7)": "id: '7' must be a small letter, then small letters, digits and -",
    "X = replace(CHECK, proves='  ')": "proves: must be text that says something",
    "X = replace(CHECK, title=None)": "title: must be text that says something",
    "X = replace(CHECK, cannot_prove='none')": "cannot_prove: must be a tuple of texts",
    "X = replace(CHECK, second_source='', no_second_source=' ')": (
        "second_source: says nothing; where the population is held against nothing, no_second_source says why"
    ),
    "X = replace(CHECK, second_source=None)": "second_source, no_second_source: must be texts",
    "X = replace(CHECK, collect=None)": "collect: must be a function, not a value of type NoneType",
    "X = replace(CHECK, params=OURS.params())": "params: must be a subclass of msgspec.Struct",
    "X = replace(CHECK, params=dict)": "params: must be a subclass of msgspec.Struct",
    "X = replace(CHECK, shard='galaxy')": "shard: must be target, account or region, not 'galaxy'",
    "X = replace(CHECK, basis='hearsay')": "basis: must be a Basis, not 'hearsay'",
    "X = replace(CHECK, sources={})": "sources: must map at least one type of source to its operations",
    "X = replace(CHECK, sources=('github',))": "sources: must map at least one type of source to its operations",
    "X = replace(CHECK, sources={'github': ('members',)})": (
        "sources: github: must map operations to the least number of questions (0 or more)"
    ),
    "X = replace(CHECK, sources={'github': {'members': -1}})": (
        "sources: github: must map operations to the least number of questions (0 or more)"
    ),
    "X = replace(CHECK, sources={'githbu': {'members': 1}})": (
        "reads the source 'githbu', which is not installed (did you mean 'github'?)"
    ),
    "X = replace(CHECK, sources={'github': {'membres': 1}})": (
        "asks 'membres', which the source github does not know (did you mean 'members'?)"
    ),
    "X = replace(CHECK, sources=OURS.sources | {'aws': {'iam.nothing': 0}})": (
        "asks 'iam.nothing', which the source aws does not know"
    ),
    "X = replace(CHECK, shard='region')": "shard: the source github has no regions",
}
SOURCES = {
    "X = replace(SOURCE, name='github')": (
        f"has the name 'github', which auditor {__version__} (auditor.sources.github) already has"
    ),
    "X = CHECK": "must be a SourceType, not a value of type Check",
    "X = replace(SOURCE, name='')": "has no name",
    "X = replace(SOURCE, open=None)": "open: must be a function, not a value of type NoneType",
    "X = replace(SOURCE, contradiction='no')": "contradiction: must be a function, not a value of type str",
    "X = replace(SOURCE, settings=dict)": "settings: must be a subclass of msgspec.Struct",
    "X = replace(SOURCE, operations={})": "operations: must map at least one name to its Operation",
    "X = replace(SOURCE, operations=['members'])": "operations: must map at least one name to its Operation",
    "X = replace(SOURCE, operations={'membership': 1})": (
        "operations: membership: must be an Operation, not a value of type int"
    ),
    "X = replace(SOURCE, operations=dict(SOURCE.operations) | {'x': SOURCE.operations['members']})": (
        "operations: x: its name is 'members'"
    ),
    "X = replace(SOURCE, operations={'membership': replace(SOURCE.operations['membership'], effect='delete')})": (
        "operations: membership: effect: must be read, probe or create, not 'delete'"
    ),
    "X = replace(SOURCE, where='/base_url')": "where: must be a tuple of texts",
    "X = replace(SOURCE, identified='no')": "identified: must be a function, not a value of type str",
    "X = replace(SOURCE, identified=None)": (
        "identified: is missing; where there is an identity, it says who answered whom"
    ),
    "X = replace(SOURCE, identity='who')": "identity: names the operation 'who', which it does not have",
    "X = replace(SOURCE, fan_out='members')": "shards: must be a function, for fan_out is set",
    "X = replace(SOURCE, parallel_questions=0)": "parallel_questions: must be a whole number, at least 1",
    "X = replace(SOURCE, denied='403')": "denied: must be a tuple of texts",
    "X = replace(SOURCE, grants={'text': 'please'})": "grants: must map names of formats to functions",
    """
    import msgspec
    class Target(msgspec.Struct):
        id: int
    X = replace(SOURCE, settings=Target)
    """: "settings: id is a key that every target has",
    """
    import msgspec
    class Target(msgspec.Struct):
        when: complex
    X = replace(SOURCE, settings=Target)
    """: "settings: cannot be written as a JSON Schema: ",
    """
    import msgspec
    class Target(msgspec.Struct):
        when: "NoSuchType"
    X = replace(SOURCE, settings=Target)
    """: "settings: cannot be written as a JSON Schema: name 'NoSuchType' is not defined",
}
REPORTS = {
    "X = replace(REPORT, name='csv')": (
        f"has the name 'csv', which auditor {__version__} (auditor.reports.csv) already has"
    ),
    "X = replace(REPORT, filename='Report.JSON')": (
        f"has the filename 'Report.JSON', which auditor {__version__} (auditor.reports.json) already has"
    ),
    "X = replace(REPORT, filename='../x')": "filename: '../x' is no plain file name",
    "X = replace(REPORT, filename='a/b.txt')": "filename: 'a/b.txt' is no plain file name",
    "X = replace(REPORT, filename='')": "filename: '' is no plain file name",
    "X = replace(REPORT, filename='..')": "filename: '..' is no plain file name",
    "X = replace(REPORT, filename='.hidden')": "filename: '.hidden' is no plain file name",
    "X = replace(REPORT, filename=None)": "filename: 'None' is no plain file name",
    "X = replace(REPORT, filename='sha256sums')": "filename: 'sha256sums' is a name that every run uses itself",
    "X = replace(REPORT, filename='evidence')": "filename: 'evidence' is a name that every run uses itself",
    "X = replace(REPORT, render=None)": "render: must be a function, not a value of type NoneType",
    "X = 'html'": "must be a ReportFormat, not a value of type str",
}
BROKEN = [(kind, *item) for kind, table in (("checks", CHECKS), ("sources", SOURCES), ("reports", REPORTS))
          for item in table.items()]  # fmt: skip


@pytest.mark.parametrize(("kind", "code", "said"), BROKEN)
def test_what_cannot_be_used_is_refused_in_one_line(kind: str, code: str, said: str, package: Path) -> None:
    install(package, code, **{kind: "X"})
    (problem,) = problems()
    assert problem.startswith(f"{WHERE}: {said}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('as it\\n imports')", "RuntimeError: as it imports"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("X: int = (", "SyntaxError: '(' was never closed (stranger.py, line 8)"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("", "AttributeError: module 'stranger' has no attribute 'X'"),
    ],
)
def test_what_cannot_be_loaded_is_named_with_the_reason(code: str, said: str, package: Path) -> None:
    install(package, code, checks="X")
    assert problems() == [f"{WHERE} cannot be loaded: {said}"]


MISTAKES = """
A = replace(CHECK, sources={'githbu': {'members': 1}})
B = 3
C = replace(SOURCE, name='')
D = replace(REPORT, filename='../x')
E = replace(OURS)
F = replace(CHECK, id='no', title='', collect=None)
"""


def test_everything_that_is_wrong_is_said_at_once(package: Path) -> None:
    install(package, MISTAKES, checks="A B E F no_such", sources="C", reports="D")
    said = problems()
    assert len(said) == 8
    for name in ("A", "B", "C", "D", "E", "no_such"):
        assert len([line for line in said if line.startswith(f"plug-in stranger 1.2 (stranger:{name})")]) == 1
    assert len([line for line in said if line.startswith("plug-in stranger 1.2 (stranger:F)")]) == 2


COMMANDS = (
    ["checks"],
    ["checks", "show", "github-mfa"],
    ["policy", "validate", str(PACK)],
    ["policy", "schema"],
    ["run"],
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_broken_plug_in_ends_every_command_at_its_start(arguments: list[str], package: Path) -> None:
    install(package, MISTAKES, checks="A B E F no_such", sources="C", reports="D")
    there = f"{package}{os.pathsep}{ROOT}"
    shown = auditor(*arguments, cwd=package, PYTHONPATH=there)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.count("\n") == 9
    assert shown.err.endswith("\n8 problems; nothing was run\n")
    assert shown.err.splitlines()[:-1] == problems()


def test_help_imports_no_plug_in(package: Path) -> None:
    """The positive control: a command that needs the checks does."""
    install(package, "print('IMPORTED')", checks="CHECK")
    there = f"{package}{os.pathsep}{ROOT}"
    for arguments in (["--help"], ["--version"], ["run", "--help"], ["checks", "--help"], ["checks", "show", "--help"]):
        assert "IMPORTED" not in auditor(*arguments, cwd=package, PYTHONPATH=there).out
    assert "IMPORTED" in auditor("checks", cwd=package, PYTHONPATH=there).out


def test_the_names_no_report_may_take_are_those_that_a_run_uses() -> None:
    used = {engine.PLAN, engine.POLICY, evidence.FOLDER, stored.FINDINGS}
    used |= {seal.EVIDENCE, seal.STAMP, seal.MANIFEST, seal.SUMS}
    assert set(RUN_FILES) == used | {"auditor.log"}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "auditor").rglob("*.py"))
    written = set(re.findall(r'output / "([^"]+)"', code))
    assert written
    assert written <= set(RUN_FILES)

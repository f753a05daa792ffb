"""Plug-ins: ours are found by looking, others' by entry points, and what cannot be used is said."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor import plugins
from auditor.model import UsageError

MODULE = """\
from auditor.checks.aws_ebs_volume_encryption import CHECK as OURS
import msgspec
CHECK = msgspec.structs.replace(OURS, id="stranger-check")
SAME = OURS
NUMBER = 3
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path into which distributions can be written."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins._found.cache_clear()
    (tmp_path / "stranger.py").write_text(MODULE)
    importlib.invalidate_caches()
    yield tmp_path
    plugins._found.cache_clear()
    sys.modules.pop("stranger", None)


def install(folder: Path, name: str, group: str, *entries: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[auditor.{group}]\n" + "".join(f"{entry}\n" for entry in entries))


def test_ours_are_found_by_their_files() -> None:
    assert {"aws-ebs-volume-encryption", "aws-s3-encryption", "aws-s3-object-expiry"} <= plugins.checks().keys()
    assert {"aws", "postgres"} <= plugins.sources().keys()
    assert {"json", "html"} <= plugins.reports().keys()
    for name, check in plugins.checks().items():
        assert check.collect.__module__ == f"auditor.checks.{name.replace('-', '_')}", (
            "a check's file is named as its id"
        )


def test_others_are_found_by_their_entry_points(package: Path) -> None:
    ours = set(plugins.checks())
    plugins._found.cache_clear()
    install(package, "stranger", "checks", "any = stranger:CHECK")
    assert set(plugins.checks()) == ours | {"stranger-check"}


def problems(folder: Path, *entries: str, group: str = "checks") -> list[str]:
    install(folder, "stranger", group, *entries)
    with pytest.raises(UsageError) as caught:
        getattr(plugins, group)()
    return [str(problem) for problem in caught.value.problems]


def test_a_name_that_is_taken_is_refused(package: Path) -> None:
    (problem,) = problems(package, "any = stranger:SAME")
    assert problem.startswith("plug-in stranger: stranger:SAME has the name 'aws-ebs-volume-encryption', which ")
    assert problem.endswith("auditor.checks.aws_ebs_volume_encryption already has")


def test_something_else_is_refused(package: Path) -> None:
    assert problems(package, "any = stranger:NUMBER") == [
        "plug-in stranger: stranger:NUMBER must be a Check, not a value of type int"
    ]
    plugins._found.cache_clear()
    (package / "stranger-1.0.dist-info" / "entry_points.txt").write_text("[auditor.sources]\nx = stranger:CHECK\n")
    with pytest.raises(UsageError, match="must be a SourceType, not a value of type Check"):
        plugins.sources()


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("this is no Python", "SyntaxError: invalid syntax (stranger.py, line 1)"),
        ("", "AttributeError: module 'stranger' has no attribute 'CHECK'"),
    ],
)
def test_what_cannot_be_imported_is_one_line(package: Path, module: str, problem: str) -> None:
    (package / "stranger.py").write_text(module)
    assert problems(package, "any = stranger:CHECK") == [
        f"plug-in stranger: stranger:CHECK cannot be loaded: {problem}"
    ]


def test_all_that_is_wrong_is_said_at_once(package: Path) -> None:
    assert len(problems(package, "a = stranger:NUMBER", "b = nothing:X", "c = stranger:SAME")) == 3

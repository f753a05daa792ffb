"""Whoever reads evidence is told who signed it, by whose key file, and when what was named is no evidence at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from auditor import seal
from tests.cli_process import auditor, runs
from tests.test_cli_seal import in_words, key_id, make

COMPARE = "compare their fingerprints with those that the company gave you"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("signed"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "work")
    return tmp_path / "work"


COMMANDS = {
    "evaluate": (["evaluate", "RUN", "-o", "out", "--fail-on", "never"], 0),
    "report": (["report", "RUN", "-o", "out"], 0),
    "sample": (["sample", "RUN", "tls", "--seed", "x"], 0),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_whoever_judges_is_told_who_signed(folder: Path, name: str) -> None:
    """Above all where both run and keys came from the same hand."""
    arguments, code = COMMANDS[name]
    run, _ = runs(folder / "reports")
    command = [one.replace("RUN", str(run)) for one in arguments]
    signed = f"{run.name}: verifies, number 1, signed by key {key_id(folder)}"
    found = auditor(*command, cwd=folder)
    assert (found.code, found.err.splitlines()) == (code, [signed, f"keys: auditor.keys.json; {COMPARE}"])
    shutil.rmtree(folder / "out", ignore_errors=True)
    named = auditor(*command, "--keys", "auditor.keys.json", cwd=folder)
    assert (named.code, named.err.splitlines(), named.out) == (code, [signed], found.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_whoever_judges_what_nobody_signed_is_told(folder: Path, name: str) -> None:
    text = (folder / "auditor.yaml").read_text().replace('"seal": {"key": {"file": "auditor.key"}}, ', "")
    (folder / "auditor.yaml").write_text(text)
    (folder / "auditor.keys.json").unlink()
    auditor("run", "--policies", "pack", "-f", "json", "-o", "bare", cwd=folder)
    (run,) = runs(folder / "bare")
    arguments, code = COMMANDS[name]
    ended = auditor(*(one.replace("RUN", str(run)) for one in arguments), "--allow-unsigned", cwd=folder)
    said = f"{run.name}: verifies, number 1, UNSIGNED: anybody could have made or changed it"
    assert (ended.code, ended.err.splitlines()) == (code, [said])


def test_whoever_packs_is_told_who_signed_the_runs(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    found = auditor("package", run, cwd=folder).out.splitlines()
    assert f"{run.name}: number 1, signed by key {key_id(folder)}" in found
    assert f"keys: auditor.keys.json; {COMPARE}" in found
    named = auditor("package", run, "--keys", "auditor.keys.json", cwd=folder).out.splitlines()
    assert "keys: auditor.keys.json" in named


@pytest.mark.parametrize("name", ["verify", "evaluate", "report", "sample", "package", "keys head"])
def test_where_keys_were_looked_for_is_said_where_none_of_them_signed(folder: Path, name: str) -> None:
    run, _ = runs(folder / "reports")
    (folder / "auditor.keys.json").unlink()
    auditor("keys", "generate", "--key", "other.key", cwd=folder)
    known = {**{one: arguments for one, (arguments, _) in COMMANDS.items()}, "keys head": ["keys", "head", "reports"]}
    command = [one.replace("RUN", str(run)) for one in known.get(name, [name, "RUN"])]
    found = auditor(*command, cwd=folder)
    assert (found.code, found.out) == (4, "")
    assert "is signed by a key that is not known" in found.err
    assert found.err.splitlines()[-1] == "keys: auditor.keys.json (another: --keys FILE)"
    named = auditor(*command, "--keys", "auditor.keys.json", cwd=folder)
    assert (named.code, named.err.splitlines()) == (4, found.err.splitlines()[:-1])


def test_keys_beside_a_run_are_found_from_within_it(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    beside = (folder / "auditor.keys.json").rename(folder / "reports" / "auditor.keys.json")
    signed = f"{run.name}: verifies, number 1, signed by key {key_id(beside.parent)}"
    for place, path in ((run, "."), (run / "evidence", "..")):
        assert in_words(auditor("verify", path, cwd=place)) == (0, [signed, f"keys: {beside.resolve()}; {COMPARE}"])
    assert in_words(auditor("verify", f"reports/{run.name}", cwd=folder)) == (
        0,
        [signed, f"keys: reports/auditor.keys.json; {COMPARE}"],
    )


def test_a_folder_of_runs_is_no_run(folder: Path) -> None:
    _, newest = runs(folder / "reports")
    name = max(path.name for path in runs(folder / "reports"))
    commands = (["evaluate", "-o", "out"], ["report", "-o", "out"], ["package"], ["sample", "tls", "--seed", "x"])
    for command, *options in commands:
        several = auditor(command, "reports", *options, cwd=folder)
        assert (several.code, several.out) == (2, ""), command
        assert f"reports is a folder of runs; name one of them, such as reports/{name}" in several.err
        none = auditor(command, "pack", *options, cwd=folder)
        assert (none.code, none.out) == (2, ""), command
        assert "pack is no run; a run is a folder such as reports/<run id>" in none.err
    assert not (folder / "out").exists()
    assert newest.is_dir()


def test_a_run_that_lost_its_statements_is_still_a_run_that_does_not_verify(folder: Path) -> None:
    """Told by its name, or by what is left in it."""
    run, _ = runs(folder / "reports")
    (run / seal.MANIFEST).unlink()
    (run / seal.EVIDENCE).unlink()
    renamed = shutil.copytree(run, folder / "renamed")
    planless = shutil.copytree(renamed, folder / "planless")
    (planless / seal.PLAN).unlink()
    hollow = folder / run.name
    hollow.mkdir()
    for place in (run, renamed, planless, hollow):
        for command, *options in (["verify"], ["evaluate", "-o", "out"], ["report", "-o", "out"]):
            ended = auditor(command, place, *options, cwd=folder)
            assert (ended.code, ended.out) == (4, ""), (command, place)
            assert f"{seal.EVIDENCE}: is missing, as is {seal.MANIFEST}: the run is not sealed (" in ended.err


def test_runs_beside_a_plan_and_other_evidence_are_a_folder_of_runs(folder: Path) -> None:
    (folder / "reports" / seal.PLAN).touch()
    (folder / "reports" / "evidence").mkdir()
    assert auditor("verify", "reports", cwd=folder).code == 0


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "soon"])
def test_a_time_that_is_none_is_a_mistake_in_the_command(folder: Path, moment: str) -> None:
    run, _ = runs(folder / "reports")
    ended = auditor("evaluate", run, "--as-of", moment, "-o", "out", cwd=folder)
    assert ended.code == 2, ended
    assert f"'{moment}' is no date or time such as 2026-11-25" in ended.err


def test_the_policies_of_this_folder_have_its_name(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    command = ["evaluate", run, "--keys", "../auditor.keys.json", "--policies"]
    for number, policies in enumerate((".", "../pack", "../pack/")):
        ended = auditor(*command, policies, "-o", folder / f"out{number}", cwd=folder / "pack")
        assert ended.code == 3
        assert "what-if: judged again under other policies (pack); no result of the run" in ended.out


def test_a_pipe_is_no_key_file(folder: Path) -> None:
    """It would be waited for, and what it gives can be had only once."""
    os.mkfifo(folder / "pipe")
    for command in (["keys", "show", "--keys"], ["verify", "reports", "--keys"], ["keys", "authority"]):
        ended = auditor(*command, "pipe", cwd=folder)
        assert (ended.code, ended.out) == (2, "")
        assert "pipe: is no file" in ended.err


def test_a_private_key_is_not_written_over_by_the_public_ones(folder: Path) -> None:
    for command in ("generate", "rotate"):
        ended = auditor("keys", command, "--key", "k", "--keys", "pack/../k", cwd=folder)
        assert (ended.code, ended.out, (folder / "k").exists()) == (2, "", False)
        assert "would be in one file" in ended.err

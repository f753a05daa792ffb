"""Keys, sealed runs, verifying and judging again, as somebody at a terminal does it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from auditor import plugins, seal
from auditor.cli import auditor as commands
from tests.cli_process import Ended, auditor, closed_port, database, on_a_terminal, policy, report, runs
from tests.sealing import finished_of, seal_anew

UNTOLD = "only --head tells if later runs are gone"


def told_up_to(number: int) -> str:
    """What a chain head tells: nothing of the runs after its own."""
    return f"by the head given nothing is missing up to number {number}; later runs may be gone"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sealed"))


def make(folder: Path) -> Path:
    """A working folder with a key and two signed runs of a database that nobody can reach."""
    assert auditor("keys", "generate", cwd=folder).code == 0
    policy(folder / "pack", ("tls", "postgres-tls"))
    with closed_port() as port:
        settings = {
            "version": 1,
            "organization": "Explo",
            "seal": {"key": {"file": "auditor.key"}},
            "targets": [database("db", port)],
        }
        (folder / "auditor.yaml").write_text(json.dumps(settings))
        for _ in range(2):
            ended = auditor("run", "--policies", "pack", "-f", "json", cwd=folder)
            assert (ended.code, ended.err) == (3, "")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "work")
    return tmp_path / "work"


def in_words(ended: Ended) -> tuple[int, list[str]]:
    return ended.code, (ended.out + ended.err).splitlines()


def key_id(folder: Path) -> str:
    found: str = json.loads((folder / "auditor.keys.json").read_bytes())["keys"][0]["id"]
    return found


def test_a_run_says_how_it_was_sealed(folder: Path) -> None:
    ended = auditor("run", "--policies", "pack", "-f", "json", cwd=folder)
    assert f"sealed as number 3 of the chain, signed by key {key_id(folder)[:16]}…" in ended.out
    settings = json.loads((folder / "auditor.yaml").read_bytes())
    del settings["seal"]
    (folder / "auditor.yaml").write_text(json.dumps(settings))
    ended = auditor("run", "--policies", "pack", "-f", "json", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert "are signed, and this one would not be: name their key in the settings (seal)" in ended.err
    ended = auditor("run", "--policies", "pack", "-f", "json", "-o", "elsewhere", cwd=folder)
    assert "sealed as number 1 of the chain, not signed (auditor keys generate makes a key)" in ended.out


def test_what_was_sealed_verifies(folder: Path) -> None:
    first, second = runs(folder / "reports")
    assert in_words(auditor("verify", "reports", cwd=folder)) == (
        0,
        [
            f"{first.name}: verifies, number 1, signed by key {key_id(folder)}",
            f"{second.name}: verifies, number 2, signed by key {key_id(folder)}",
            f"the chain is whole, from number 1 to 2; {UNTOLD}",
            "keys: auditor.keys.json; compare their fingerprints with those that the company gave you",
        ],
    )
    (folder / "auditor.keys.json").rename(folder / "elsewhere.json")
    code, lines = in_words(auditor("verify", second, "--keys", "elsewhere.json", cwd=folder))
    assert (code, len(lines)) == (0, 1)


def test_what_does_not_verify_ends_with_4_and_says_where(folder: Path) -> None:
    first, second = runs(folder / "reports")
    segment = second / "evidence" / "db.main.jsonl"
    rows = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*rows[:2], rows[2].replace(b"refused", b"allowed"), *rows[3:]]))
    (first / "plan.json").unlink()
    ended = auditor("verify", "reports", cwd=folder)
    assert (ended.code, ended.out) == (4, "")
    was = "is not what was sealed: its SHA-256 differs; was changed: the line after it bears the mark of another"
    assert ended.err.startswith("evidence does not verify: ")
    assert set(ended.err.removeprefix("evidence does not verify: ").splitlines()) == {
        f"{first.name}/plan.json: is missing",
        f"{second.name}/evidence/db.main.jsonl:3: {was}",
        "keys: auditor.keys.json (another: --keys FILE)",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "none does not exist"),
        (["auditor.yaml"], "auditor.yaml is a file"),
        (["pack"], "there is no run in pack"),
        (["reports", "--keys", "none.json"], "none.json: cannot be read"),
        (["reports", "--since", "0"], "'--since'"),
    ],
)
def test_a_mistake_in_the_command_is_no_verdict_on_evidence(folder: Path, arguments: list[str], said: str) -> None:
    ended = auditor("verify", *arguments, cwd=folder)
    assert ended.code == 2
    assert said in ended.err


def test_without_keys_or_by_other_keys_nothing_verifies(folder: Path) -> None:
    (folder / "auditor.keys.json").unlink()
    ended = auditor("verify", "reports", "--allow-unsigned", cwd=folder)
    assert ended.code == 4
    assert "no key file was given" in ended.err
    auditor("keys", "generate", "--key", "other.key", cwd=folder)
    ended = auditor("verify", "reports", cwd=folder)
    assert ended.code == 4
    assert "signed by a key that is not known" in ended.err


def test_an_unsigned_run_is_taken_only_where_that_is_said(folder: Path) -> None:
    settings = json.loads((folder / "auditor.yaml").read_bytes())
    del settings["seal"]
    (folder / "auditor.yaml").write_text(json.dumps(settings))
    auditor("run", "--policies", "pack", "-f", "json", "-o", "bare", cwd=folder)
    (run,) = runs(folder / "bare")
    for command in (["verify", run], ["evaluate", run, "-o", "again"], ["report", run, "-o", "again"]):
        ended = auditor(*command, cwd=folder)
        assert ended.code == 4
        assert "is not signed" in ended.err
        allowed = auditor(*command, "--allow-unsigned", cwd=folder)
        assert allowed.code in (0, 3), allowed.err
        shutil.rmtree(folder / "again", ignore_errors=True)
    ended = auditor("verify", run, "--allow-unsigned", cwd=folder)
    assert "UNSIGNED: anybody could have made or changed it" in ended.out


def test_what_stands_beside_the_runs_is_no_part_of_them(folder: Path) -> None:
    """Somebody's link to the latest run, say; within a run it would be refused."""
    first, _ = runs(folder / "reports")
    (folder / "reports" / "latest").symlink_to(first.name)
    assert auditor("verify", "reports", cwd=folder).code == 0
    assert auditor("verify", "reports/latest", cwd=folder).code == 0
    (first / "latest").symlink_to("plan.json")
    ended = auditor("verify", "reports", cwd=folder)
    assert ended.code == 4
    assert f"{first.name}/latest: is no ordinary file" in ended.err


def test_the_head_of_the_chain_shows_later_what_was_taken_away(folder: Path) -> None:
    head = auditor("keys", "head", cwd=folder).out.strip()
    assert head.startswith("2:")
    assert auditor("verify", "reports", "--head", head, cwd=folder).code == 0
    first, second = runs(folder / "reports")
    shutil.rmtree(second)
    assert auditor("verify", "reports", cwd=folder).code == 0
    ended = auditor("verify", "reports", "--head", head, cwd=folder)
    assert ended.code == 4
    assert "is not there any more" in ended.err
    shutil.rmtree(first)
    for place in ("reports", "none", "auditor.yaml"):
        ended = auditor("keys", "head", place, cwd=folder)
        assert ended.code == 2
        assert f"there is no run in {place}" in ended.err


def test_a_chain_is_said_to_be_whole_where_it_was_looked_at(folder: Path) -> None:
    """And never for more of it than can be told from what is there."""
    first, second = runs(folder / "reports")
    head = auditor("keys", "head", cwd=folder).out.strip()
    lines = auditor("verify", "reports", "--head", head, cwd=folder).out.splitlines()
    assert lines[2] == f"the chain is whole, from number 1 to 2; {told_up_to(2)}"
    assert "the chain" not in auditor("verify", second, cwd=folder).out
    assert auditor("package", first, second, "-o", "evidence.zip", "--key", "auditor.key", cwd=folder).code == 0
    with zipfile.ZipFile(folder / "evidence.zip") as archive:
        archive.extractall(folder / "unpacked")
    for path in ("evidence.zip", "unpacked"):
        ended = auditor("verify", path, cwd=folder)
        assert (ended.code, f"the chain is whole, from number 1 to 2; {UNTOLD}\n" in ended.out) == (0, True)
        ended = auditor("verify", path, "--head", head, cwd=folder)
        assert (ended.code, f"from number 1 to 2; {told_up_to(2)}\n" in ended.out) == (0, True)
    early = f"1:{seal.sha256_file(first / seal.MANIFEST)}"
    ended = auditor("verify", "reports", "--head", early, cwd=folder)
    assert f"the chain is whole, from number 1 to 2; {told_up_to(1)}\n" in ended.out
    shutil.rmtree(second)
    ended = auditor("verify", "reports", "--head", early, cwd=folder)
    assert f"the chain is whole, from number 1 to 1; {told_up_to(1)}\n" in ended.out
    alone = auditor("verify", "reports", cwd=folder).out.splitlines()
    assert alone[1] == f"the chain is whole, from number 1 to 1; {UNTOLD}"
    assert "none was taken" not in " ".join(auditor("verify", "--help", cwd=folder).out.split())


def take_the_seal_away(run: Path) -> None:
    for name in (seal.EVIDENCE, seal.MANIFEST, seal.SUMS):
        (run / name).unlink()


def test_a_run_whose_seal_was_taken_away_is_told(folder: Path) -> None:
    """The last one of all, which no other run misses."""
    _, second = runs(folder / "reports")
    take_the_seal_away(second)
    (second / "report.json").write_text("{}")
    for command in (["verify", "reports"], ["keys", "head"]):
        ended = auditor(*command, cwd=folder)
        assert (ended.code, ended.out) == (4, "")
        assert f"{second.name}: is not sealed, and holds findings, report.json: " in ended.err
        assert "remove the folder" in ended.err
    made_up = folder / "reports" / "20300101T000000Z-00000000"
    shutil.rmtree(second)
    made_up.mkdir()
    (made_up / "report.html").write_text("all is well")
    assert f"{made_up.name}: is not sealed, and holds report.html: " in auditor("verify", "reports", cwd=folder).err


def test_a_run_that_is_under_way_or_was_interrupted_is_named(folder: Path) -> None:
    first, second = runs(folder / "reports")
    take_the_seal_away(second)
    (second / "report.json").unlink()
    shutil.rmtree(second / "findings")
    told = f"{second.name}: not sealed: under way or interrupted; not verified"
    ended = auditor("verify", "reports", cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1:3] == [told, f"the chain is whole, from number 1 to 1; {UNTOLD}"]
    ended = auditor("keys", "head", cwd=folder)
    assert (ended.code, ended.out[:2], ended.err) == (0, "1:", f"{told}\n")
    ended = auditor("verify", second, cwd=folder)
    assert (ended.code, "is not sealed (it is under way, was interrupted, or its seal" in ended.err) == (4, True)
    shutil.rmtree(first)
    for command in (["verify", "reports"], ["keys", "head"]):
        ended = auditor(*command, cwd=folder)
        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err


def test_a_single_run_that_is_being_sealed_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = runs(folder / "reports")
    half = (run / seal.MANIFEST).rename(folder / "half")
    waited: list[Path] = []

    @contextmanager
    def at_rest(place: Path) -> Iterator[None]:
        waited.append(place)
        half.rename(run / seal.MANIFEST)
        yield

    monkeypatch.setattr(seal, "at_rest", at_rest)
    (folder / "latest").symlink_to(run)
    arguments = ["verify", str(folder / "latest"), "--keys", str(folder / "auditor.keys.json")]
    assert commands.main(arguments, standalone_mode=False) == 0
    assert waited == [folder / "reports"]


def test_no_name_of_a_file_commands_the_terminal(folder: Path) -> None:
    first, second = runs(folder / "reports")
    odd = folder / "odd\x1b[2J\nverifies"
    auditor("package", first, second, "-o", odd / "evidence.zip", "--key", "auditor.key", cwd=folder)
    with zipfile.ZipFile(odd / "evidence.zip") as archive:
        archive.extractall(folder / "un\x1b[2Jpacked")
    (folder / "auditor.keys.json").rename(odd / "auditor.keys.json")
    for path in (odd / "evidence.zip", folder / "un\x1b[2Jpacked"):
        ended = auditor("verify", path, cwd=folder)
        assert ended.code == 0, ended.err
        assert "\x1b" not in ended.out + ended.err
        assert "\\u001b[2J" in ended.out
        assert "\nverifies" not in ended.out
    shutil.copytree(folder / "reports", odd / "reports")
    ended = auditor("evaluate", odd / "reports" / first.name, "-o", "again", cwd=folder)
    assert "\x1b" not in ended.out + ended.err


def test_since_is_for_a_folder_of_runs(folder: Path) -> None:
    first, second = runs(folder / "reports")
    auditor("package", first, second, "-o", "evidence.zip", "--key", "auditor.key", cwd=folder)
    for path in (second, "evidence.zip"):
        for since in ("1", "2"):
            ended = auditor("verify", path, "--since", since, cwd=folder)
            assert (ended.code, ended.out) == (2, "")
            assert "--since: is for a folder of runs" in ended.err
    shutil.rmtree(first)
    assert auditor("verify", "reports", cwd=folder).code == 4
    assert auditor("verify", "reports", "--since", "2", cwd=folder).code == 0


def test_a_chain_head_is_never_left_unlooked_at(folder: Path) -> None:
    head = auditor("keys", "head", cwd=folder).out.strip()
    first, second = runs(folder / "reports")
    assert auditor("verify", second, "--head", head, cwd=folder).code == 0
    ended = auditor("verify", first, "--head", head, cwd=folder)
    assert ended.code == 4
    assert f"the chain head {head} is of another run" in ended.err
    for odd in ("", "2", f"2:{head[2:].upper()}"):  # an unset variable of a script, above all
        ended = auditor("verify", "reports", "--head", odd, cwd=folder)
        assert ended.code == 2
        assert "is no chain head" in ended.err


def test_what_lies_beside_runs_and_what_is_no_file_is_no_matter(folder: Path) -> None:
    _, second = runs(folder / "reports")
    (folder / "reports" / "latest").symlink_to(second.name)
    assert auditor("verify", "reports", cwd=folder).code == 0
    moved = second.rename(folder / second.name)
    second.symlink_to(moved)
    ended = auditor("verify", "reports", cwd=folder)
    assert (ended.code, f"{second.name}: is a link" in ended.err) == (4, True)
    os.mkfifo(folder / "pipe")
    ended = auditor("verify", "pipe", cwd=folder)
    assert (ended.code, "is a file, and no package" in ended.err) == (2, True)


def test_where_older_runs_were_moved_away_the_head_is_still_printed(folder: Path) -> None:
    first, _ = runs(folder / "reports")
    shutil.rmtree(first)
    assert auditor("keys", "head", cwd=folder).code == 4
    ended = auditor("keys", "head", "--since", "2", cwd=folder)
    assert (ended.code, ended.out[:2]) == (0, "2:")


def test_rotated_keys_verify_what_they_sealed(folder: Path) -> None:
    before = key_id(folder)
    ended = auditor("keys", "rotate", cwd=folder)
    assert ended.code == 0
    assert f"valid no longer: {before}" in ended.out
    auditor("run", "--policies", "pack", "-f", "json", cwd=folder)
    lines = auditor("verify", "reports", cwd=folder).out.splitlines()
    assert [before in line for line in lines[:3]] == [True, True, False]
    assert "Never while a run is under way" in auditor("keys", "rotate", "--help", cwd=folder).out
    shown = auditor("keys", "show", cwd=folder).out.splitlines()
    assert [line.rpartition(", ")[2][:5] for line in shown] == ["until", "in us"]
    pem = auditor("keys", "show", "--pem", cwd=folder).out
    assert pem.count("-----BEGIN PUBLIC KEY-----") == 2


def test_a_lost_key_is_ended_and_another_takes_its_place(folder: Path) -> None:
    lost = key_id(folder)
    (folder / "auditor.key").unlink()
    ended = auditor("keys", "end", lost[:12], cwd=folder)
    assert (ended.code, ended.out, ended.err) == (0, f"valid no longer: {lost}\n", "")
    assert auditor("keys", "generate", cwd=folder).code == 0
    assert auditor("run", "--policies", "pack", "-f", "json", cwd=folder).code == 3
    assert auditor("verify", "reports", cwd=folder).code == 0


def test_no_key_ends_before_what_it_sealed(folder: Path) -> None:
    """A clock that is behind would leave a run whose key was not valid any more when it ended."""
    last = runs(folder / "reports")[1]
    before = (folder / "auditor.keys.json").read_bytes()
    later = finished_of(last).finished_at + dt.timedelta(days=1)
    seal.seal_run(last, msgspec.structs.replace(finished_of(last), finished_at=later))
    for command in (["rotate"], ["end", key_id(folder)]):
        ended = auditor("keys", *command, cwd=folder)
        assert (ended.code, ended.out) == (2, "")
        assert f"reports: {last.name} ended {later:%Y-%m-%d %H:%M:%S} UTC, and now it is " in ended.err
        assert (folder / "auditor.keys.json").read_bytes() == before
    assert auditor("keys", "rotate", "--runs", "elsewhere", cwd=folder).code == 0  # the positive control


def test_a_key_that_cannot_be_trusted_seals_nothing(folder: Path) -> None:
    key = folder / "auditor.key"
    key.chmod(0o644)
    ended = auditor("run", "--policies", "pack", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert "others can read this private key (mode 0644); chmod 600 auditor.key" in ended.err
    key.chmod(0o600)
    auditor("keys", "generate", "--key", "other.key", "--keys", "other.json", cwd=folder)
    (folder / "other.key").rename(key)
    ended = auditor("run", "--policies", "pack", cwd=folder)
    assert ended.code == 2
    assert "is not among these keys" in ended.err
    key.unlink()
    assert auditor("run", "--policies", "pack", cwd=folder).code == 2
    assert len(runs(folder / "reports")) == 2


def test_the_key_may_come_from_the_environment_and_stays_there(folder: Path) -> None:
    pem = (folder / "auditor.key").read_text()
    (folder / "auditor.key").unlink()
    settings = json.loads((folder / "auditor.yaml").read_bytes())
    settings["seal"] = {"key": {"env": "SEALING_KEY"}, "keys": "auditor.keys.json"}
    (folder / "auditor.yaml").write_text(json.dumps(settings))
    ended = auditor("run", "--policies", "pack", "-vv", cwd=folder, SEALING_KEY=pem)
    assert ended.code == 3
    assert "signed by key" in ended.out
    secret = pem.splitlines()[1]
    kept = [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
    assert not [text for text in (ended.out, ended.err, *kept) if secret in text]
    for variables in ({}, {"SEALING_KEY": ""}, {"SEALING_KEY": "canary"}):
        ended = auditor("run", "--policies", "pack", cwd=folder, **variables)
        assert ended.code == 2
        assert "SEALING_KEY" in ended.err
        assert "canary" not in ended.err


def test_judging_again_is_the_same_to_the_byte(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    ended = auditor("evaluate", run, "-o", "again", "-f", "json", cwd=folder)
    assert ended.code == 3
    assert (folder / "again/report.json").read_bytes() == (run / "report.json").read_bytes()
    assert (folder / "again/findings/db.main.jsonl").read_bytes() == (run / "findings/db.main.jsonl").read_bytes()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


ELSEWHERE = ["/dev/null", "pipe", "plan.json", "evidence/none.jsonl", "evidence/../plan.json", "evidence", "x\0", ""]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_a_finding_cites_outside_of_the_evidence_is_not_opened(folder: Path, name: str) -> None:
    """Whoever seals anew can let a finding cite anything: a device without an end, a pipe nobody writes into."""
    run, _ = runs(folder / "reports")
    os.mkfifo(folder / "pipe")
    cited = json.dumps(str(folder / name) if name == "pipe" else name)
    findings = run / "findings" / "db.main.jsonl"
    before = findings.read_text()
    findings.write_text(before.replace('"file":"evidence/db.main.jsonl"', f'"file":{cited}', 1))
    assert findings.read_text() != before
    seal_anew(run)
    ended = auditor("report", run, "-o", "again", "-f", "html", "--allow-unsigned", cwd=folder)
    assert ended.code == 4, ended.err
    assert "which is no segment of the run" in ended.err
    findings.write_text(before)
    seal_anew(run)
    shutil.rmtree(folder / "again")
    assert auditor("report", run, "-o", "again", "-f", "html", "--allow-unsigned", cwd=folder).code == 0


def test_a_cited_line_that_is_none_of_evidence_is_told(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    segment = run / "evidence" / "db.main.jsonl"
    findings = run / "findings" / "db.main.jsonl"
    rows = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*rows[:2], b"{}\n", *rows[3:]]))
    findings.write_text(re.sub(r'"lines":\[[0-9]+,[0-9]+\]', '"lines":[3,3]', findings.read_text(), count=1))
    seal_anew(run)
    ended = auditor("report", run, "-o", "again", "-f", "html", "--allow-unsigned", cwd=folder)
    assert ended.code == 4, ended.err
    assert "evidence/db.main.jsonl: not a line of evidence" in ended.err


def test_other_policies_may_be_called_anything(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    for number, name in enumerate((b"pol\xff", b"pol\x1b[2J")):
        pack = folder / os.fsdecode(name)
        shutil.copytree(folder / "pack", pack)
        ended = auditor("evaluate", run, "--policies", pack, "-o", f"again{number}", cwd=folder)
        assert ended.code == 3, ended.err
        said = (r"pol\udcff", r"pol\u001b[2J")[number]
        assert report(folder / f"again{number}")["run"]["what_if"] == f"judged again under other policies ({said})"
        assert f"under other policies ({said})" in ended.out


def test_another_policy_or_time_is_a_what_if_in_every_report(folder: Path) -> None:
    run, _ = runs(folder / "reports")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    policy(folder / "other", ("certificate", "postgres-client-certificate"), statement="we speak mTLS")
    formats = ",".join(plugins.reports())
    ended = auditor("evaluate", run, "--policies", "other", "-o", "again", "-f", formats, cwd=folder)
    assert ended.code == 3
    assert "“we speak mTLS”" in ended.out
    assert "what-if: judged again under other policies (other); no result of the run" in ended.out
    for name, kind in plugins.reports().items():
        assert "judged again under other policies" in (folder / "again" / kind.filename).read_text(), name
    assert report(folder / "again")["run"]["what_if"] == "judged again under other policies (other)"
    ended = auditor("evaluate", run, "--as-of", "2030-01-02", "-o", "later", cwd=folder)
    assert "what-if: judged again as of 2030-01-02 00:00:00 UTC instead of 2" in ended.out
    assert report(folder / "later")["run"]["as_of"] == "2030-01-02T00:00:00Z"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    ended = auditor("evaluate", run, "--as-of", "soon", "-o", "never", cwd=folder)
    assert ended.code == 2
    assert "is no date or time" in ended.err
    ended = auditor("evaluate", run, "--policies", "none", "-o", "never", cwd=folder)
    assert ended.code == 2


def test_it_fits_a_terminal(folder: Path) -> None:
    for command in (["verify", "reports"], ["keys", "show"], ["keys", "--help"], ["verify", "--help"]):
        shown = on_a_terminal(*command, cwd=folder, columns=80)
        assert shown.code == 0
        if "--help" in command:
            assert max(map(len, shown.out.splitlines())) <= 80

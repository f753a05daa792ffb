"""`auditor package`, `verify` and `sample` on the command line, as the company and then the auditor use them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import seal
from tests import toy
from tests.cli_process import Ended, auditor
from tests.sealing import seal_anew
from tests.test_package import unpack
from tests.test_verify import LOCKED, Sealed, make


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    """Where runs are made: reports/, auditor.key, auditor.keys.json."""
    folder = tmp_path_factory.mktemp("company")
    return folder, make(folder)


@pytest.fixture
def office(company: tuple[Path, Sealed], tmp_path: Path) -> Path:
    """Where the auditor works: a package, and the key file that the company gave."""
    folder, sealed = company
    path = tmp_path / "evidence.zip"
    done = auditor("package", *sealed.runs, "-o", path, "--key", "auditor.key", cwd=folder)
    assert (done.code, done.err) == (0, "")
    shutil.copy(folder / "auditor.keys.json", tmp_path / "given.json")
    return tmp_path


def test_a_package_is_made_and_said_to_be(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    folder, sealed = company
    path = tmp_path / "new" / "evidence.zip"
    done = auditor("package", *sealed.runs, "-o", path, "--key", "auditor.key", cwd=folder)
    assert (done.code, done.err) == (0, "")
    for run in sealed.runs:
        assert f"{run.name}: number" in done.out
    assert f"signed by key {sealed.key.id}" in done.out
    assert f"sha256: {seal.sha256_file(path)}" in done.out
    again = auditor("package", *reversed(sealed.runs), "-o", path, cwd=folder, AUDITOR_KEY=pem(folder))
    assert again.out == done.out, "from a variable as from a file, and into the place of the old one"
    unsigned = auditor("package", *sealed.runs, "-o", tmp_path / "u.zip", cwd=folder)
    assert "UNSIGNED: anybody could change its pages" in unsigned.out


def pem(folder: Path) -> str:
    return (folder / "auditor.key").read_text()


def test_the_private_key_is_never_shown(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    folder, sealed = company
    secret = pem(folder).splitlines()[1]
    path = tmp_path / "evidence.zip"
    done = auditor("package", *sealed.runs, "-o", path, cwd=folder, AUDITOR_KEY=pem(folder))
    assert done.code == 0
    assert secret not in done.out + done.err
    assert secret.encode() not in path.read_bytes()
    broken = auditor("package", *sealed.runs, "-o", path, cwd=folder, AUDITOR_KEY=pem(folder).replace("BEGIN", "BGIN"))
    assert broken.code == 2
    assert "environment variable AUDITOR_KEY" in broken.err
    assert secret not in broken.out + broken.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "x.zip"], 2, "Missing argument"),
        (["nowhere", "-o", "x.zip"], 2, "nowhere does not exist; a run is a folder"),
        (["RUN", "-o", "reports"], 2, "reports is a folder; name a file"),
        (["RUN", "-o", "RUN/evidence.zip"], 2, "is inside the run"),
        (["RUN", "RUN", "-o", "x.zip"], 2, "is named twice"),
        (["RUN", "-o", "x.zip", "--key", "foreign.key"], 2, "is not among the public keys"),
        (["RUN", "-o", "x.zip", "--key", "nokey"], 2, "cannot be read"),
        (["RUN", "-o", "x.zip", "--keys", "foreign.json"], 4, "signed by a key that is not known"),
        (["reports", "-o", "x.zip"], 2, "reports is a folder of runs; name one of them"),
    ],
)
def test_what_cannot_be_packed_is_refused(
    company: tuple[Path, Sealed], arguments: list[str], code: int, said: str
) -> None:
    folder, sealed = company
    run = f"reports/{sealed.run.name}"
    done = auditor("package", *(one.replace("RUN", run) for one in arguments), cwd=folder)
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split())
    assert not (folder / "x.zip").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".x.zip")]


def a_private_key(folder: Path) -> Path:
    return Path(shutil.copy(folder.parent / "auditor.key", folder / "x"))


def a_key_file(folder: Path) -> Path:
    return Path(shutil.copy(folder.parent / "auditor.keys.json", folder / "x"))


def an_empty_file(folder: Path) -> Path:
    (folder / "x").touch()
    return folder / "x"


def a_link_to_a_key(folder: Path) -> Path:
    (folder / "x").symlink_to(a_private_key(folder).rename(folder / "y"))
    return folder / "x"


def a_link_to_itself(folder: Path) -> Path:
    (folder / "x").symlink_to("x")
    return folder / "x"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x")
    return folder / "x"


def a_socket(folder: Path) -> Path:
    """In place of a device, which no test may put at risk."""
    os.mknod(folder / "x", stat.S_IFSOCK | 0o600)
    return folder / "x"


@pytest.mark.parametrize(
    "make", [a_private_key, a_key_file, an_empty_file, a_link_to_a_key, a_link_to_itself, a_pipe, a_socket]
)
def test_nothing_but_an_archive_is_replaced(company: tuple[Path, Sealed], make: Callable[[Path], Path]) -> None:
    folder, sealed = company
    (folder / "there").mkdir()
    try:
        path = make(folder / "there")
        before = path.lstat()
        done = auditor("package", sealed.run, "-o", path, "--key", "auditor.key", cwd=folder)
        assert (done.code, done.out) == (2, "")
        said = " ".join(done.err.split())
        assert f"Invalid value for --output: {path}" in said
        assert "choose another file" in said
        assert (path.lstat().st_ino, path.lstat().st_size) == (before.st_ino, before.st_size)
    finally:
        shutil.rmtree(folder / "there")


def test_what_a_link_leads_to_is_replaced(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    folder, sealed = company
    path, link = tmp_path / "shared" / "evidence.zip", tmp_path / "evidence.zip"
    path.parent.mkdir()
    link.symlink_to(path)
    for _ in range(2):  # into nothing, and into the place of the old one
        done = auditor("package", sealed.run, "-o", link, cwd=folder)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{link}: ")
        assert link.is_symlink()
        assert f"sha256: {seal.sha256_file(path)}" in done.out
        assert [one.name for one in path.parent.iterdir()] == ["evidence.zip"]
        path.write_bytes(b"PK\3\4 of somebody's")


def test_keys_are_named_where_something_is_signed(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    folder, sealed = company
    bare = toy.audit(toy.World([{"id": "a", "closed": True}]), tmp_path, toy.claim("c", LOCKED)).run
    named = []
    for runs, key in (([bare], ()), ([bare], ("--key", "auditor.key")), ([bare, sealed.run], ())):
        done = auditor("package", *runs, "-o", tmp_path / "x.zip", "--allow-unsigned", *key, cwd=folder)
        assert (done.code, done.err) == (0, "")
        named.append("keys: auditor.keys.json; compare their fingerprints" in done.out)
    assert named == [False, True, True]


def test_names_do_not_act_on_a_terminal(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    folder, sealed = company
    shutil.copy(folder / "auditor.keys.json", tmp_path / "k\x1b[2J.json")
    keys = ("--keys", tmp_path / "k\x1b[2J.json")
    done = auditor("package", sealed.run, "-o", tmp_path / "e\x1b[2J.zip", *keys, cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert f"{tmp_path}/e\\u001b[2J.zip: " in done.out
    assert f"keys: {tmp_path}/k\\u001b[2J.json\n" in done.out
    run = toy.audit(toy.World([{"id": "a", "closed": True}]), tmp_path, toy.claim("c", LOCKED)).run
    segment = next((run / "evidence").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b'"task":"s.main"', b'"task":"s\\u001b[2J.main"', 1))
    segment.rename(segment.with_name("s\x1b[2J.jsonl"))
    seal_anew(run)
    drawn = auditor("sample", run, "t", "--seed", "x", "--allow-unsigned", cwd=tmp_path)
    assert drawn.code == 0
    assert "of s\\u001b[2J, listed in evidence/s\\u001b[2J.jsonl:" in drawn.out
    assert "\x1b" not in done.out + drawn.out + drawn.err


def verify(office: Path, path: str = "evidence.zip", *arguments: str) -> Ended:
    return auditor("verify", path, *arguments, cwd=office)


def test_the_auditor_verifies_it_as_a_file_and_unpacked(office: Path, company: tuple[Path, Sealed]) -> None:
    _, sealed = company
    unpack(office / "evidence.zip", office / "unpacked")
    for path in ("evidence.zip", "unpacked"):
        done = verify(office, path, "--keys", "given.json")
        assert (done.code, done.err) == (0, "")
        assert f"{path}: verifies" in done.out
        assert done.out.count(f"signed by key {sealed.key.id}") == 4
        assert "compare their fingerprints" not in done.out
        own = verify(office, path)
        assert own.code == 0
        assert f"keys: {path}: keys.json; compare their fingerprints with those that the company gave you" in own.out
    head = f"3:{seal.sha256_file(sealed.runs[-1] / seal.MANIFEST)}"
    assert verify(office, "evidence.zip", "--head", head).code == 0
    gone = verify(office, "evidence.zip", "--head", f"3:{64 * '0'}")
    assert (gone.code, "is not in the package" in gone.err) == (4, True)


def test_what_was_changed_is_named(office: Path, company: tuple[Path, Sealed]) -> None:
    folder = unpack(office / "evidence.zip", office / "unpacked")
    segment = f"runs/{company[1].run.name}/evidence/s.main.jsonl"
    (folder / segment).write_text((folder / segment).read_text().replace('"closed":false', '"closed":true'))
    (folder / "index.html").unlink()
    done = verify(office, "unpacked")
    assert done.code == 4
    said = " ".join(done.err.split())
    assert f"{segment}:3: is not what was sealed" in said
    assert "index.html: is missing" in said
    (office / "evidence.zip").write_bytes((office / "evidence.zip").read_bytes()[:-1])
    cut = verify(office)
    assert cut.code == 4
    assert "evidence.zip: is no archive, is cut short" in " ".join(cut.err.split())
    (folder / "keys.json").write_text("{}")
    assert (verify(office, "unpacked").code, verify(office, "nowhere").code) == (4, 2)


def sample(office: Path, *arguments: str) -> Ended:
    return auditor("sample", "evidence.zip", "t", "--seed", "2026-Q4", *arguments, cwd=office)


def test_the_auditor_draws_a_sample(office: Path, company: tuple[Path, Sealed]) -> None:
    done = sample(office, "--size", "2", "--keys", "given.json")
    run = company[1].runs[-1].name
    assert (done.code, done.err) == (0, f"{run}: verifies, number 3, signed by key {company[1].key.id}\n")
    assert f"test t of run {run}" in done.out
    assert "population: 3 different members in the frozen listing, SHA-256 " in done.out
    assert "sample: 2 of 2 asked for, with seed '2026-Q4'" in done.out
    assert f"tests/{run}/t/population-1.html#m" in done.out
    found = json.loads(sample(office, "-f", "json").out)
    assert (found["schema"], found["population"]["size"], len(found["drawn"])) == ("auditor/sample/1", 3, 3)
    table = list(csv.DictReader(io.StringIO(sample(office, "-f", "csv").out)))
    assert [row["id"] for row in table] == [one["id"] for one in found["drawn"]]
    assert {row["outcome"] for row in table} == {"pass", "fail"}
    assert all(row["evidence"].startswith("evidence/s.main.jsonl:") for row in table)
    earlier = company[1].runs[0].name
    assert f"of run {earlier}" in sample(office, "--run", earlier).out
    alone = auditor("sample", f"reports/{earlier}", "t", "--seed", "2026-Q4", "-f", "json", cwd=company[0])
    packed = json.loads(sample(office, "--run", earlier, "-f", "json").out)
    pages = [one.pop("page") for one in packed["drawn"]]
    assert all(page.startswith(f"tests/{earlier}/t/population-1.html#m") for page in pages)
    bare = json.loads(alone.out)
    assert {one.pop("page") for one in bare["drawn"]} == {""}, "a run has no such page"
    assert bare == packed


@pytest.mark.parametrize("form", ["text", "csv"])
def test_a_run_has_no_page_to_lead_to(company: tuple[Path, Sealed], form: str) -> None:
    folder, sealed = company
    done = auditor("sample", sealed.run, "t", "--seed", "2026-Q4", "-f", form, cwd=folder)
    assert done.code == 0
    assert "population-1.html" not in done.out
    assert not [line for line in done.out.splitlines() if line.endswith(" ")]
    assert len(done.out.splitlines()) == {"text": 18, "csv": 4}[form]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["evidence.zip", "t"], 2, "Missing option '--seed'"),
        (["evidence.zip", "tt", "--seed", "x"], 2, "has no test 'tt' (did you mean 't'?)"),
        (["evidence.zip", "t", "--seed", ""], 2, "an empty seed is nobody's; choose one yourself"),
        (["evidence.zip", "t", "--seed", "x", "--size", "0"], 2, "0 is not in the range"),
        (["evidence.zip", "t", "--seed", "x", "--run", "y"], 2, "there is no run 'y' here"),
        (["nowhere", "t", "--seed", "x"], 2, "nowhere does not exist"),
        (["evidence.zip", "t", "--seed", b"\xff"], 2, "the seed is not UTF-8, in which it is digested"),
        (["evidence.zip", b"\xff", "--seed", "x"], 2, "has no test '\\udcff'"),
        (["evidence.zip", "t", "--seed", "x", "--run", b"\xff"], 2, "there is no run '\\udcff' here"),
        (["given.json", "t", "--seed", "x"], 2, "given.json is a file, and no package; a run is a folder"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused(
    office: Path, arguments: list[str | bytes], code: int, said: str
) -> None:
    done = auditor("sample", *map(os.fsdecode, arguments), cwd=office)
    assert (done.code, done.out) == (code, "")
    assert said in " ".join(done.err.split())


def test_nothing_is_drawn_from_what_does_not_verify(office: Path) -> None:
    path = office / "evidence.zip"
    path.write_bytes(path.read_bytes().replace(b"Explo", b"Explq").replace(b'"closed":false', b'"closed":trueX'))
    done = sample(office)
    assert (done.code, done.out) == (4, "")


@pytest.mark.parametrize("options", ["-r", "-rD", "-r0XD"])
def test_a_package_that_was_packed_again_is_verified_as_a_folder(office: Path, options: str) -> None:
    folder = unpack(office / "evidence.zip", office / "unpacked")
    subprocess.run(["zip", "-q", options, office / "again.zip", "."], cwd=folder, check=True)
    done = verify(office, "again.zip", "--keys", "given.json")
    assert (done.code, done.out) == (4, "")
    said = " ".join(done.err.split())
    assert "only the very file that was made verifies; one that was packed again is to be unpacked, and the" in said
    assert ("is the entry of a folder" in said) is (options == "-r")
    again = unpack(office / "again.zip", office / "again")
    assert verify(office, str(again), "--keys", "given.json").code == 0

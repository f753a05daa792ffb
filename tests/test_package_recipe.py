"""VERIFY.md: its commands are run as they stand there, on a package and on changed ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from auditor import envelope, seal
from auditor.contents import Directory
from auditor.keys import SigningKey
from auditor.packaging.build import build
from auditor.packaging.opening import chosen, verified_runs
from auditor.packaging.sample import draw
from auditor.packaging.statement import STATEMENT, PackageStatement
from auditor.results import PreviousRun
from tests import large_run, toy
from tests.cli_process import Ended, auditor, environment
from tests.sealing import scope_of, seal_anew
from tests.test_package import SOURCES, Packed, flaws, once, packed, unpack
from tests.test_package_guards import relisted, sign
from tests.test_verify import LOCKED

__all__ = ["once", "packed"]  # fixtures


def blocks(folder: Path, language: str) -> list[str]:
    """The commands of VERIFY.md in one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (folder / "VERIFY.md").read_text(), re.DOTALL | re.MULTILINE)


def sh(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run commands as a plain POSIX shell does, up to the first that fails."""
    return subprocess.run(
        ["sh", "-euc", script], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def outcome(folder: Path) -> tuple[bool, bool]:
    """Whether the digests agree, and the signatures."""
    digests, names, *signatures, sample = blocks(folder, "sh")
    assert "sort | head -n" in sample
    return sh(folder, digests + names).returncode == 0, sh(folder, "\n".join(signatures)).returncode == 0


def verifies(folder: Path) -> bool:
    """Whether all commands but those of the sample end well, carried out one after the other."""
    return sh(folder, "\n".join(blocks(folder, "sh")[:-1])).returncode == 0


def python(folder: Path) -> subprocess.CompletedProcess[str]:
    (script,) = blocks(folder, "python")
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_recipe_verifies_a_package(packed: Packed) -> None:
    assert outcome(packed.folder) == (True, True)
    digests, names, fingerprints, statements, _ = blocks(packed.folder, "sh")
    for silent in digests, names:
        done = sh(packed.folder, silent)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = sh(packed.folder, fingerprints)
    assert (done.returncode, done.stdout) == (0, f"{packed.sealed.key.id}\n")
    done = sh(packed.folder, statements)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Signature Verified Successfully") == done.stdout.count("\n") == 7


def test_an_independent_library_verifies_a_package(packed: Packed) -> None:
    done = python(packed.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(f" is signed by {packed.sealed.key.id}\n") == done.stdout.count("\n") == 7


def change_page(folder: Path) -> None:
    (folder / "index.html").write_text((folder / "index.html").read_text().replace("Refuted", "Supported"))


def change_evidence(folder: Path) -> None:
    path = next((folder / "runs").iterdir()) / "evidence" / "s.main.jsonl"
    path.write_text(path.read_text().replace('"closed":false', '"closed":true'))


@pytest.mark.parametrize("change", [change_page, change_evidence])
def test_changed_files_fail_the_digests(packed: Packed, change: Callable[[Path], None]) -> None:
    change(packed.folder)
    assert outcome(packed.folder) == (False, True)
    assert python(packed.folder).returncode != 0


def test_whoever_makes_the_digests_anew_fails_the_signatures(packed: Packed) -> None:
    change_page(packed.folder)
    sums = sh(
        packed.folder, f"find . -type f ! -name {STATEMENT} ! -path ./SHA256SUMS | cut -c 3- | xargs sha256sum"
    ).stdout
    (packed.folder / "SHA256SUMS").write_text(
        "".join(sorted(sums.splitlines(keepends=True), key=lambda line: line[66:]))
    )
    assert outcome(packed.folder) == (True, False)


def first_run(folder: Path) -> Path:
    return min((folder / "runs").iterdir())


def add_page(folder: Path) -> None:
    (folder / "extra.html").write_text("<p>Supported</p>")


def add_evidence(folder: Path) -> None:
    (first_run(folder) / "evidence" / "zzz.jsonl").write_text("{}\n")


def add_link(folder: Path) -> None:
    (folder / "extra.html").symlink_to("index.html")


def add_link_to_nothing(folder: Path) -> None:
    (first_run(folder) / "extra").symlink_to("nowhere")


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "answers" / "extra")


def exchange_for_a_link(folder: Path) -> None:
    (folder / "LIMITS.md").rename(folder.parent / "elsewhere.md")
    (folder / "LIMITS.md").symlink_to("../elsewhere.md")


def add_names_that_are_there(folder: Path) -> None:
    """One name that is printed as two, both of which are listed."""
    (folder / "index.csv\n--LIMITS.md").write_text("")


def add_run(folder: Path) -> None:
    """A run of nobody's, whole in itself."""
    other = folder / "runs" / "20261124T120001Z-00000000"
    shutil.copytree(first_run(folder), other)
    seal_anew(other)


def add_empty_run(folder: Path) -> None:
    (folder / "runs" / "20261124T120001Z-00000000").mkdir()


def add_hidden_run(folder: Path) -> None:
    shutil.copytree(first_run(folder), folder / "runs" / ".hidden")


def remove_run(folder: Path) -> None:
    shutil.rmtree(first_run(folder))


def remove_run_and_lines(folder: Path) -> None:
    run = first_run(folder)
    shutil.rmtree(run)
    listed = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(line for line in listed if f"  runs/{run.name}/" not in line))


def change_evidence_and_digests(folder: Path) -> None:
    """As whoever has no key can, in all lists of digests."""
    run = first_run(folder)
    segment = run / "evidence" / "s.main.jsonl"
    segment.write_text(segment.read_text().replace('"closed":false', '"closed":true'))
    listed = seal.subjects(Directory(run), [name for name in Directory(run).names() if name not in OF_RUN])
    (run / seal.SUMS).write_bytes(seal.sums(listed))
    list_anew(folder)


def add_evidence_and_digests(folder: Path) -> None:
    """Into the list of the package alone, which nobody signed where the package is not signed."""
    add_evidence(folder)
    list_anew(folder)


def list_anew(folder: Path) -> None:
    there = Directory(folder)
    listed = seal.subjects(there, [name for name in there.names() if name not in (STATEMENT, seal.SUMS)])
    (folder / seal.SUMS).write_bytes(seal.sums(listed))
    path = folder / STATEMENT
    said = msgspec.json.decode(envelope.payload_unverified(path.read_bytes()), type=PackageStatement)
    if path.read_bytes().startswith(b'{"_type"'):
        runs = (
            msgspec.structs.replace(one, manifest_sha256=manifest_of(folder, one.run)) for one in said.predicate.runs
        )
        predicate = msgspec.structs.replace(said.predicate, runs=tuple(runs))
        said = msgspec.structs.replace(said, subject=listed, predicate=predicate)
        path.write_bytes(envelope.close(msgspec.json.encode(said), None))


def manifest_of(folder: Path, run: str) -> str:
    return seal.sha256_file(folder / "runs" / run / seal.MANIFEST)


OF_RUN = (seal.MANIFEST, seal.SUMS)
CHANGES = [
    add_page, add_evidence, add_link, add_link_to_nothing, add_pipe, exchange_for_a_link, add_names_that_are_there,
    add_run, add_empty_run, add_hidden_run, remove_run, remove_run_and_lines, change_evidence_and_digests,
    add_evidence_and_digests,
]  # fmt: skip


@pytest.fixture
def unsigned(once: Packed, tmp_path: Path) -> Path:
    """The same runs, which are signed, in a package that is not."""
    build(once.sealed.runs, tmp_path / "unsigned.zip", once.ring, None, SOURCES)
    return unpack(tmp_path / "unsigned.zip", tmp_path / "bare")


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_added_or_removed_fails_the_recipe(packed: Packed, change: Callable[[Path], None]) -> None:
    assert verifies(packed.folder)
    change(packed.folder)
    assert not verifies(packed.folder)
    assert python(packed.folder).returncode != 0


@pytest.mark.parametrize("change", CHANGES)
def test_so_it_does_where_only_the_runs_are_signed(unsigned: Path, change: Callable[[Path], None]) -> None:
    assert verifies(unsigned)
    change(unsigned)
    assert not verifies(unsigned)
    assert python(unsigned).returncode != 0


def test_a_run_that_all_lists_of_an_unsigned_package_name_fails_the_recipe(unsigned: Path) -> None:
    add_run(unsigned)
    list_anew(unsigned)
    assert not verifies(unsigned)
    assert python(unsigned).returncode != 0


# What can be made of a statement without a key


def forged(folder: Path, statement: str) -> str:
    """What a statement would say of the files as they now are, which SHA256SUMS lists."""
    path = folder / statement
    said = json.loads(envelope.payload_unverified(path.read_bytes()))
    there = Directory(folder)
    listed = seal.subjects(there, [name for name in there.names() if name not in (statement, seal.SUMS)])
    (folder / seal.SUMS).write_bytes(seal.sums(listed))
    return json.dumps({**said, "subject": msgspec.to_builtins(listed)}, separators=(",", ":"))


def beside_a_list(said: str, signed: str) -> str:
    return f' {{"x":{json.dumps(json.loads(said)["subject"], separators=(",", ":"))},{signed[1:]}'


def on_the_line_before(said: str, signed: str) -> str:
    return f"{said}\n{signed}"


def on_the_line_after(said: str, signed: str) -> str:
    return f"{signed}{said}\n"


def before_a_payload(said: str, signed: str) -> str:
    return f'{{"payload":"{_base64(said.encode()).decode()}",{signed[1:]}'


def after_the_envelope(said: str, signed: str) -> str:
    return f'{signed.removesuffix("}" + chr(10))},"payload":"{_base64(said.encode()).decode()}"}}\n'


def bare(said: str, _: str) -> str:
    return f"{said}\n"


def other_than_what_was_signed(said: str, signed: str) -> str:
    return re.sub('"payload":"[^"]*"', f'"payload":"{_base64(said.encode()).decode()}"', signed)


FORGERIES = [
    beside_a_list, on_the_line_before, on_the_line_after, before_a_payload, after_the_envelope, bare,
    other_than_what_was_signed,
]  # fmt: skip


def forge(folder: Path, run: Path, write: Callable[[str, str], str]) -> None:
    """Let a run and the page say that a claim is supported, and write all lists and statements anew without a key."""
    report = run / "report.json"
    report.write_bytes(report.read_bytes().replace(b"refuted", b"supported"))
    change_page(folder)
    for where, statement in ((run, seal.MANIFEST), (folder, STATEMENT)):
        path = where / statement
        said, signed = forged(where, statement), path.read_text()
        path.write_text(write(said, signed) if signed.startswith('{"payload"') else f"{said}\n")


@pytest.mark.parametrize("write", FORGERIES)
def test_a_package_that_was_forged_without_a_key_fails_each_recipe(
    packed: Packed, write: Callable[[str, str], str]
) -> None:
    forge(packed.folder, packed.folder / "runs" / packed.sealed.run.name, write)
    assert outcome(packed.folder) == (True, False)
    assert python(packed.folder).returncode != 0


@pytest.mark.parametrize("write", FORGERIES)
def test_so_does_a_run_in_an_unsigned_package(unsigned: Path, once: Packed, write: Callable[[str, str], str]) -> None:
    forge(unsigned, unsigned / "runs" / once.sealed.run.name, write)
    assert outcome(unsigned) == (True, False)
    assert python(unsigned).returncode != 0


def unused_bits(signed: str) -> str:
    """The signature in base64 ends with four bits that mean nothing."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return re.sub('(.)=="}', lambda last: f'{digits[digits.index(last[1]) + 1]}=="}}', signed)


def another_signature(signed: str) -> str:
    first = re.search('{"keyid":"[^}]*}', signed)
    assert first is not None
    return signed.replace("]}", f",{first[0]}]}}")


SPELLINGS: list[Callable[[str], str]] = [
    unused_bits,
    another_signature,
    lambda signed: f"{signed}\n",
    lambda signed: f" {signed}",
    lambda signed: signed.removesuffix("\n"),
    lambda signed: signed.replace('","payloadType"', '", "payloadType"'),
    lambda signed: signed.replace("application/vnd", "application\\/vnd"),
    lambda signed: signed.replace('"sig":"', '"sig":"\\u00' + f"{ord(signed.partition('sig')[2][3]):02x}", 1),
    lambda signed: signed.replace('{"payload"', '{"more":1,"payload"'),
    lambda signed: signed.replace('"keyid":"', '"keyid":"0'),
    lambda signed: signed.replace("=", ""),
    lambda signed: signed.replace("in-toto+json", "in-toto json"),
]


@pytest.mark.parametrize("statement", [STATEMENT, f"runs/RUN/{seal.EVIDENCE}", f"runs/RUN/{seal.MANIFEST}"])
@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_statement_is_written_in_one_way(packed: Packed, spell: Callable[[str], str], statement: str) -> None:
    """As `auditor verify` wants it, which names the very file."""
    path = packed.folder / statement.replace("RUN", packed.sealed.run.name)
    signed = path.read_text()
    assert spell(signed) != signed
    path.write_text(spell(signed))
    assert path.name in flaws(packed.folder, packed.ring)
    assert not outcome(packed.folder)[1]
    assert python(packed.folder).returncode != 0


def test_a_bare_statement_is_one_line(unsigned: Path) -> None:
    for more in ("\n", "{}\n", " "):
        path = unsigned / STATEMENT
        said = path.read_text()
        path.write_text(said + more)
        assert not verifies(unsigned)
        assert python(unsigned).returncode != 0
        path.write_text(said)
    path.write_text(said.removesuffix("\n"))
    assert not verifies(unsigned)
    assert python(unsigned).returncode != 0
    path.write_text(said)
    assert verifies(unsigned)


def sign_all(packed: Packed, key: SigningKey, key_id: str) -> None:
    """Seal a package anew by another key, under a name of choice."""
    for run in (packed.folder / "runs").iterdir():
        seal_anew(run, key)
    sign(packed, lambda said: relisted(packed, said))
    for path in packed.folder.rglob("*.statement.json"):
        payload = envelope.payload_unverified(path.read_bytes())
        path.write_bytes(envelope.close(payload, key).replace(key.id.encode(), key_id.encode()))


@pytest.mark.parametrize("named", ["", "KEY", "0" * 64])
def test_a_foreign_key_is_not_taken_for_one_of_the_company(packed: Packed, named: str) -> None:
    """It lies there in a hidden file, in place of the company's, or under the name of none."""
    foreign, key_id = packed.sealed.foreign, named.replace("KEY", packed.sealed.key.id)
    (packed.folder / "keys" / f"{key_id}.pem").write_text(foreign.public)
    sign_all(packed, foreign, key_id)
    assert not outcome(packed.folder)[1]
    assert python(packed.folder).returncode != 0


def test_a_folder_of_one_run_holds_no_other(packed: Packed) -> None:
    """Both are whole, and signed by the company; the package is signed anew as well."""
    first, second = (packed.folder / "runs" / run.name for run in packed.sealed.runs[:2])
    shutil.rmtree(first)
    shutil.copytree(second, first)
    sign(packed, lambda said: relisted(packed, said))
    assert f"is of the run {second.name}, and stands in {first.name}" in flaws(packed.folder, packed.ring)
    assert outcome(packed.folder) == (True, False)
    assert python(packed.folder).returncode != 0


@pytest.mark.parametrize("kind", [STATEMENT, seal.MANIFEST])
def test_a_list_says_nothing_else(packed: Packed, kind: str) -> None:
    """What sha256sum passes over, or is no line."""
    path = (packed.folder if kind == STATEMENT else first_run(packed.folder)) / seal.SUMS
    listed = path.read_text()
    for changed in (f"{listed}\n", listed.removesuffix("\n"), f"# x\n{listed}", listed.replace("  ", " *", 1)):
        path.write_text(changed)
        assert not verifies(packed.folder)
        assert python(packed.folder).returncode != 0
    path.write_text(listed)
    assert verifies(packed.folder)


@pytest.mark.parametrize("signed", ["package and runs", "package", "runs", "some runs", "package and some runs", ""])
def test_each_recipe_verifies_what_is_signed_and_what_is_not(once: Packed, tmp_path: Path, signed: str) -> None:
    run = toy.audit(toy.World([{"id": "a", "closed": True}]), tmp_path, toy.claim("c", LOCKED)).run
    runs = once.sealed.runs if "runs" in signed else []
    runs = runs[:1] if "some" in signed else runs
    bare = [] if signed in ("package and runs", "runs") else [run]
    key = once.sealed.key if "package" in signed else None
    build([*runs, *bare], tmp_path / "evidence.zip", once.ring, key, SOURCES, allow_unsigned=True)
    folder = unpack(tmp_path / "evidence.zip", tmp_path / "unpacked")
    assert verifies(folder)
    if not signed:
        assert blocks(folder, "python") == []
        return
    done = python(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" is signed by ") == 2 * len(runs) + (key is not None)
    assert done.stdout.count(" is not signed\n") == 2 * len(bare) + (key is None)


def test_names_that_json_writes_otherwise_are_names(once: Packed, tmp_path: Path) -> None:
    """A policy may be called so, and its run is sealed and cannot be renamed."""
    run = shutil.copytree(once.sealed.run, tmp_path / once.sealed.run.name)
    (run / "policy" / "a\"b é & 'c'.yaml").write_text("x")
    seal_anew(run, once.sealed.key)
    build([run], tmp_path / "evidence.zip", once.ring, once.sealed.key, SOURCES)
    folder = unpack(tmp_path / "evidence.zip", tmp_path / "unpacked")
    assert verifies(folder)
    done = python(folder)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "runs" / run.name / "policy" / "a\"b é & 'c'.yaml").write_text("y")
    assert not verifies(folder)
    assert python(folder).returncode != 0


def test_names_with_blanks_are_names(tmp_path: Path) -> None:
    run = large_run.write(tmp_path, large_run.volumes(1))
    (run / "evidence" / "a  name with  blanks, \u00fc.jsonl").write_bytes(
        next((run / "evidence").iterdir()).read_bytes()
    )
    seal_anew(run)
    build([run], tmp_path / "evidence.zip", None, None, SOURCES, allow_unsigned=True)
    folder = unpack(tmp_path / "evidence.zip", tmp_path / "unpacked")
    assert verifies(folder)
    add_page(folder)
    assert not verifies(folder)


def test_a_run_that_was_sealed_anew_without_the_key_fails(packed: Packed) -> None:
    run = next((packed.folder / "runs").iterdir())
    seal_anew(run, packed.sealed.foreign)
    assert not outcome(packed.folder)[1]
    assert python(packed.folder).returncode != 0


def test_a_changed_statement_fails(packed: Packed) -> None:
    path = packed.folder / STATEMENT
    payload = envelope.payload_unverified(path.read_bytes()).replace(b'"Toys"', b'"Boys"')
    assert python(packed.folder).returncode == 0
    signed = path.read_bytes()
    path.write_bytes(re.sub(rb'"payload":"[^"]*"', b'"payload":"%s"' % _base64(payload), signed))
    assert not outcome(packed.folder)[1]
    assert python(packed.folder).returncode != 0


def _base64(data: bytes) -> bytes:
    import base64  # noqa: PLC0415 - only here

    return base64.b64encode(data)


def test_the_sample_can_be_drawn_with_coreutils(packed: Packed) -> None:
    script = blocks(packed.folder, "sh")[-1]
    runs = verified_runs(Directory(packed.folder), packed.ring, allow_unsigned=False)
    wanted = draw(chosen(runs, ""), "t", 25, "2026-Q4").drawn
    assert len(wanted) == 3
    done = sh(packed.folder, script)
    assert done.stdout == "".join(f"{one.digest}  {one.id}\n" for one in wanted)
    shutil.rmtree(packed.folder / "tests")
    assert sh(packed.folder, script).stdout == ""


def test_what_the_recipe_says_it_does_not_look_at_is_told_by_the_tool(packed: Packed) -> None:
    recipe = " ".join((packed.folder / "VERIFY.md").read_text().split())
    assert "It also looks at what the commands above do not: whether each run follows the one before it" in recipe
    assert "whether a key was valid when it signed" in recipe
    ended = (msgspec.structs.replace(key, valid_until=toy.NOW) for key in packed.ring.keys)
    assert verifies(packed.folder)
    assert "was valid from" in flaws(packed.folder, msgspec.structs.replace(packed.ring, keys=tuple(ended)))
    second, third = (packed.folder / "runs" / run.name for run in packed.sealed.runs[1:])
    before = PreviousRun(second.name, "0" * 64)
    seal_anew(third, packed.sealed.key, msgspec.structs.replace(scope_of(third), previous_run=before))
    sign(packed, lambda said: relisted(packed, said))
    assert verifies(packed.folder)
    assert "follows another" in flaws(packed.folder, packed.ring)


def tool(folder: Path, keys_file: Path) -> dict[str, Ended]:
    """Carry out every `auditor verify` of VERIFY.md."""
    lines = "".join(blocks(folder, "console")).splitlines()
    commands = [line.removeprefix("auditor ") for line in lines if line.startswith("auditor verify ")]
    given = [line.replace("evidence.zip", ".").replace("KEYS", str(keys_file)) for line in commands]
    ended = (auditor(*line.split(), cwd=folder) for line in given)
    return dict(zip(commands, ended, strict=True))


def test_a_signature_that_was_taken_away_is_missed_in_an_unsigned_package(unsigned: Path, once: Packed) -> None:
    """Whoever takes it away and writes all that nobody signed anew gets by `--allow-unsigned`, and by it alone."""
    keys_file = once.path.parent / "auditor.keys.json"
    newest = once.sealed.runs[-1].name
    whole, each = "verify evidence.zip --keys KEYS --allow-unsigned", f"verify runs/{newest} --keys KEYS"
    done = tool(unsigned, keys_file)
    assert len(done) == 4
    assert {one.code for one in done.values()} == {0}
    assert done[whole].out.count(f"signed by key {once.sealed.key.id}") == 3
    seal_anew(unsigned / "runs" / newest)
    done = tool(unsigned, keys_file)
    assert (done[whole].code, done[each].code) == (4, 4)
    assert f"runs/{newest}: is another run than the one that the package statement names" in " ".join(
        done[whole].err.split()
    )
    list_anew(unsigned)
    done = tool(unsigned, keys_file)
    assert (done[whole].code, f"{newest}: verifies, number 3, UNSIGNED" in done[whole].out) == (0, True)
    assert (done[each].code, "is not signed" in done[each].err) == (4, True)
    assert [one.code for one in done.values()].count(4) == 1
    assert not verifies(unsigned)


def test_only_what_is_not_signed_is_let_through_unsigned(packed: Packed, tmp_path: Path) -> None:
    assert list(tool(packed.folder, packed.path.parent / "none")) == ["verify evidence.zip --keys KEYS"]
    run = toy.audit(toy.World([{"id": "a", "closed": True}]), tmp_path, toy.claim("c", LOCKED)).run
    path = tmp_path / "both.zip"
    build([*packed.sealed.runs[:1], run], path, packed.ring, packed.sealed.key, SOURCES, allow_unsigned=True)
    folder = unpack(path, tmp_path / "both")
    assert verifies(folder)
    text = (folder / "VERIFY.md").read_text()
    assert "; the first, of the package itself, has to say\n`signed by key`." in text
    assert f"auditor verify runs/{packed.sealed.runs[0].name} --keys KEYS\n" in text
    assert f"auditor verify runs/{run.name}" not in text
    build([run], path, None, None, SOURCES, allow_unsigned=True)
    folder = unpack(path, tmp_path / "none")
    assert verifies(folder)
    text = (folder / "VERIFY.md").read_text()
    assert "auditor verify evidence.zip --allow-unsigned\n" in text
    assert "was taken away" not in text
    assert "auditor evaluate runs/RUN -o again --allow-unsigned\n" in text
    package = blocks(folder, "console")[-1].replace("runs/*", f"runs/{run.name}")
    done = auditor(*package.removeprefix("auditor ").split(), cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert (folder / "again.zip").read_bytes() == path.read_bytes()

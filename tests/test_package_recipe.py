"""VERIFY.md: its commands are run as they stand there, on a package and on changed ones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import envelope
from auditor.contents import Directory
from auditor.packaging.opening import chosen, verified_runs
from auditor.packaging.sample import draw
from auditor.packaging.statement import STATEMENT
from tests.cli_process import environment
from tests.sealing import seal_anew
from tests.test_package import Packed, once, packed

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
    digests, *signatures, sample = blocks(folder, "sh")
    assert "sort" in sample
    return sh(folder, digests).returncode == 0, sh(folder, "\n".join(signatures)).returncode == 0


def python(folder: Path) -> subprocess.CompletedProcess[str]:
    (script,) = blocks(folder, "python")
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_recipe_verifies_a_package(packed: Packed) -> None:
    assert outcome(packed.folder) == (True, True)
    _, fingerprints, statements, _, _ = blocks(packed.folder, "sh")
    assert sh(packed.folder, fingerprints).stdout == f"{packed.sealed.key.id}\n"
    assert sh(packed.folder, statements).stdout.count("Signature Verified Successfully") == 7
    for line in fingerprints, statements:
        assert line


def test_an_independent_library_verifies_a_package(packed: Packed) -> None:
    done = python(packed.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(f"signed by {packed.sealed.key.id}") == 7


def change_page(folder: Path) -> None:
    (folder / "index.html").write_text((folder / "index.html").read_text().replace("Refuted", "Supported"))


def change_evidence(folder: Path) -> None:
    path = next((folder / "runs").iterdir()) / "evidence" / "s.main.jsonl"
    path.write_text(path.read_text().replace('"closed":false', '"closed":true'))


@pytest.mark.parametrize("change", [change_page, change_evidence])
def test_changed_files_fail_the_digests(packed: Packed, change: Callable[[Path], None]) -> None:
    change(packed.folder)
    assert outcome(packed.folder) == (False, True)


def test_whoever_makes_the_digests_anew_fails_the_signatures(packed: Packed) -> None:
    change_page(packed.folder)
    sums = sh(
        packed.folder, f"find . -type f ! -name {STATEMENT} ! -path ./SHA256SUMS | cut -c 3- | xargs sha256sum"
    ).stdout
    (packed.folder / "SHA256SUMS").write_text(
        "".join(sorted(sums.splitlines(keepends=True), key=lambda line: line[66:]))
    )
    assert outcome(packed.folder) == (True, False)


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

"""What somebody puts in the place of evidence so that verifying it stops, crashes or takes everything there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor import seal, verify
from auditor.contents import Directory
from auditor.verify import DoesNotVerify
from tests.test_verify import Sealed, make


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return make(tmp_path)


def told(sealed: Sealed, *, allow_unsigned: bool = False) -> str:
    with pytest.raises(DoesNotVerify) as caught:
        verify.verify_run(Directory(sealed.run), sealed.ring, allow_unsigned=allow_unsigned)
    return str(caught.value)


@pytest.mark.parametrize("name", [seal.EVIDENCE, seal.MANIFEST])
def test_a_pipe_in_place_of_a_statement_is_not_waited_for(sealed: Sealed, name: str) -> None:
    (sealed.run / name).unlink()
    os.mkfifo(sealed.run / name)
    assert told(sealed).startswith(f"{name}: cannot be read: is no ordinary file")
    assert seal.latest_run(sealed.run.parent) is not None


def test_folders_may_be_nested_deeper_than_functions(sealed: Sealed) -> None:
    here = os.open(sealed.run, os.O_RDONLY)
    try:
        for _ in range(1_200):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(os.open("file", os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)
    assert told(sealed) == f"{'d/' * 1_200}file: was not there when the run was sealed"


def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path).open("a\0b")

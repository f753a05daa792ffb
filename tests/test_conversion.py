"""Types that several threads use for the first time at the same moment."""

from __future__ import annotations

import re
import subprocess
import sys

import msgspec
import pytest

from auditor.conversion import convert
from tests.world_runs import ROOT

MANY_THREADS = """\
import sys, threading
from typing import Annotated, Any
import msgspec
from auditor.conversion import convert

sys.setswitchinterval(1e-6)
kind = Annotated[int | str | None, msgspec.Meta(title="x")]
value = {f"f{n}": n for n in range(40)}
for _ in range(1500):
    struct = msgspec.defstruct("S", [(name, kind) for name in value])
    together = threading.Barrier(8)
    def use():
        together.wait()
        assert convert([value], list[struct])[0].f7 == 7
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_no_two_threads_work_out_a_type() -> None:
    """With `msgspec.convert` in its place this process ends by signal 11, in a second or so."""
    done = subprocess.run([sys.executable, "-c", MANY_THREADS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_everything_that_runs_in_a_task_converts_here() -> None:
    """`msgspec.convert`, and decoding into a type, are for what the main thread reads (sql.py: no Struct)."""
    main_thread = {"conversion.py", "engine.py", "entries.py", "seal.py", "sql.py", "stored.py", "yamlfile.py"}
    found = {
        path.name
        for path in (ROOT / "auditor").rglob("*.py")
        if not {"sandbox", "packaging"} & {*path.parts}
        and re.search(r"msgspec\.convert\(|decode\([^\n]*type=", path.read_text(encoding="utf-8"))
    }
    assert found <= main_thread


@pytest.mark.parametrize(("value", "kind"), [(1, int), (None, int | None), ([{"a": 1}], list[dict[str, int]])])
def test_what_it_returns_is_what_msgspec_does(value: object, kind: object) -> None:
    for _ in range(2):
        assert convert(value, kind) == value
    with pytest.raises(msgspec.ValidationError):
        convert("x", kind)

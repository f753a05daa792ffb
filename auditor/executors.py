"""Where tasks run: `threads:N` on this machine."""

from __future__ import annotations

import re
from concurrent.futures import Executor, ThreadPoolExecutor

from auditor.model import Problem, UsageError

MOST_THREADS = 256


def make(workers: str) -> Executor:
    """Return the executor that `workers` names."""
    match = re.fullmatch(r"threads:([0-9]{1,3})", workers)
    if match is None or not 1 <= int(match[1]) <= MOST_THREADS:
        raise UsageError(Problem(f"--workers {workers!r}: expected threads:N with N from 1 to {MOST_THREADS}"))
    return ThreadPoolExecutor(int(match[1]), thread_name_prefix="auditor")

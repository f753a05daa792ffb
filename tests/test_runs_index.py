"""The index over earlier runs: on disk however many resources there are, and asked once for a page of them."""

from __future__ import annotations

import subprocess
import sys

from auditor.sources.runs.index import Index

MEASURED = """
import sys
from auditor.sources.runs.index import Index
index = Index()
with index:
    for number in range(int(sys.argv[1])):
        index.add(f"vol-{number:017x}", b'"arn:aws:kms:us-east-1:123456789012:key/%036d"' % number, 0, ("f", 1, "/x"))
names = [f"vol-{number:017x}" for number in range(1000)]
assert len(list(index.find(names))) == min(1000, int(sys.argv[1]))
index.close()
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(peak.split()[1])  # KiB, of this program: ru_maxrss begins with what forked it
"""


def test_a_large_population_is_kept_on_disk() -> None:
    """200,000 volumes are 26 MB of index, and take no more memory than 2,000 but for SQLite's cache of 2 MB."""
    small, large = (
        int(subprocess.run([sys.executable, "-c", MEASURED, size], capture_output=True, check=True).stdout)
        for size in ("2000", "200000")
    )
    assert large - small < 8_000


def test_one_query_finds_a_whole_page() -> None:
    index = Index()
    asked: list[str] = []
    index._database.set_trace_callback(asked.append)
    with index:
        for number in range(3000):
            index.add(f"vol-{number}", b'"k"', 0, ("f", 1, "/x"))
    asked.clear()
    assert len(list(index.find([f"vol-{number}" for number in range(0, 3000, 3)]))) == 1000
    assert len(asked) == 1
    index.close()

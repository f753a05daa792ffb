"""`make bench`: time, memory and API calls. Figures to compare within one run, on a machine that is never quiet."""

from __future__ import annotations

import datetime as dt
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor import keys, seal, verify
from auditor.contents import Directory
from auditor.engine import evaluate
from tests import toy
from tests.paging_aws import PagingAws, State, Volume
from tests.sealing import seal_anew
from tests.toy import World, claim
from tests.world_runs import ROOT

AUDITOR = [sys.executable, "-m", "auditor"]
SMALL, LARGE = 2_000, 20_000
SMALL_RUN, LARGE_RUN = 64, 1_024
LOCKED = {"id": "t", "check": "boxes-locked"}

MEASURED = """\
import resource, sys, time
from pathlib import Path
from tests import bench
print(*bench.{name}({size}, Path(sys.argv[1])))
"""


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(command: list[str], **more: Any) -> None:
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def show(what: str, figure: str) -> None:
    print(f"{what:<58} {figure}", flush=True)


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def engine(size: int, folder: Path) -> tuple[float, float, float]:
    """Audit so many boxes; return seconds of the audit, of judging it again, and the peak of memory in MiB."""
    world = World([{"id": f"box-{index}", "closed": index % 50 != 0} for index in range(size)], pages=size // 500)
    test: dict[str, Any] = {"id": "t", "check": "boxes-locked"}
    start = time.perf_counter()
    result = toy.audit(world, folder, claim("c", test))
    audited = time.perf_counter() - start
    found = toy.plugins(world)
    again = seconds(lambda: evaluate(result.run, folder / "again", found, ["json"], None, allow_unsigned=True))
    return audited, again, peak_mebibytes()


def volumes(size: int, folder: Path) -> tuple[float, int, float]:
    """Audit so many EBS volumes in four regions through boto3; return seconds, API calls, and the peak in MiB."""
    regions = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
    listed = {
        region: [Volume(f"vol-{region}-{index:06}", encrypted=False) for index in range(size // len(regions))]
        for region in regions
    }
    with PagingAws(State(volumes=listed), page_size=500) as server:
        config = folder / "auditor.yaml"
        config.write_text(
            "version: 1\norganization: Bench\ntargets:\n"
            f'  - {{id: prod, type: aws, account_id: "{server.state.account_id}", endpoint_url: "{server.url}"}}\n'
            "  - {id: past, type: runs, path: reports, allow_unsigned: true}\n"
        )
        command = ["run", "-c", str(config), "-o", str(folder / "reports"), "--fail-on", "never", "-f", "json"]
        only = ["--test", "rest-ebs-volumes-encrypted"]
        script = "import resource,sys;from auditor.cli import guarded,auditor;"
        script += "code = guarded(lambda: auditor.main(sys.argv[1:], 'auditor', standalone_mode=False));"
        script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024, file=sys.stderr); sys.exit(code)"
        start = time.perf_counter()
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIABENCH", "AWS_SECRET_ACCESS_KEY": "bench-secret-key"}
        done = subprocess.run(
            [sys.executable, "-c", script, *command, *only], capture_output=True, check=True, cwd=ROOT, env=environment
        )
        elapsed = time.perf_counter() - start
        return elapsed, sum(server.calls.values()), float(done.stderr.split()[-1])


def verifying(size: int, folder: Path) -> tuple[float, float, float, float]:
    """Verify a signed run of so many MiB, and hash the same files; seconds of each, and the peak of memory in MiB.

    Half of it is one segment, a quarter one other file, and the rest a thousand files; the seconds are those of
    verifying, of hashlib over one file after another, and of `sha256sum -c` over the run's own list.
    """
    at = toy.NOW - dt.timedelta(days=1)
    key = keys.generate(folder / "auditor.key", folder / "auditor.keys.json", at)
    path = toy.audit(World([{"id": "box", "closed": True}]), folder, claim("c", LOCKED), key=key).run
    names = [f"findings/part-{number:04}.jsonl" for number in range(1_000)]
    for name, part in (
        ("evidence/s.large.jsonl", size / 2),
        ("report.html", size / 4),
        *((n, size / 4e3) for n in names),
    ):
        with (path / name).open("wb") as handle:
            for _ in range(int(part * 16)):
                handle.write(os.urandom(1 << 16))
    seal_anew(path, key)
    ring = keys.load(folder / "auditor.keys.json")
    files = [file for file in path.rglob("*") if file.is_file()]
    sha256sum = ["sha256sum", "--check", "--quiet", seal.SUMS]
    verified, hashed, summed = (
        min(seconds(call) for _ in range(3))  # the first reads from the disk, the others measure the work
        for call in (
            lambda: verify.verify_run(Directory(path), ring),
            lambda: [seal.sha256_file(file) for file in files],
            lambda: subprocess.run(sha256sum, cwd=path, check=True),
        )
    )
    return verified, hashed, summed, peak_mebibytes()


def in_child(name: str, size: int) -> list[float]:
    """Measure in a process of its own, so that peaks of memory do not mix."""
    with tempfile.TemporaryDirectory() as folder:
        script = MEASURED.format(name=name, size=size)
        done = subprocess.run(
            [sys.executable, "-c", script, folder], check=True, cwd=ROOT, capture_output=True, text=True
        )
        return [float(figure) for figure in done.stdout.split()]


def main() -> None:
    """Print all figures; the two long ones last."""
    times = [seconds(lambda: run([*AUDITOR, "--help"])) for _ in range(9)]
    bare = [seconds(lambda: run([sys.executable, "-c", "pass"])) for _ in range(9)]
    show(
        "auditor --help (median; of it the bare interpreter)",
        f"{statistics.median(times) * 1000:.0f} ms ({statistics.median(bare) * 1000:.0f} ms)",
    )
    small, large = in_child("engine", SMALL), in_child("engine", LARGE)
    show(f"engine: audit of {SMALL:,} / {LARGE:,} subjects", f"{small[0]:.2f} s / {large[0]:.2f} s")
    show("engine: judging them again", f"{small[1]:.2f} s / {large[1]:.2f} s")
    show("engine: peak of memory, and its ratio", f"{small[2]:.0f} / {large[2]:.0f} MiB, x{large[2] / small[2]:.2f}")
    small, large = in_child("volumes", SMALL), in_child("volumes", LARGE)
    show(f"EBS: `auditor run` over {SMALL:,} / {LARGE:,} volumes", f"{small[0]:.2f} s / {large[0]:.2f} s")
    show("EBS: API calls", f"{small[1]:.0f} / {large[1]:.0f}")
    show("EBS: peak of memory, and its ratio", f"{small[2]:.0f} / {large[2]:.0f} MiB, x{large[2] / small[2]:.2f}")
    small, large = in_child("verifying", SMALL_RUN), in_child("verifying", LARGE_RUN)
    show(f"verify: a run of {LARGE_RUN:,} MiB in 1,007 files", f"{large[0]:.2f} s, {LARGE_RUN / large[0]:,.0f} MiB/s")
    show("verify: hashlib / sha256sum over the same files", f"{large[1]:.2f} s / {large[2]:.2f} s")
    show("verify: its time by theirs", f"x{large[0] / large[1]:.2f} / x{large[0] / large[2]:.2f}")
    show(f"verify: peak of memory for {SMALL_RUN:,} / {LARGE_RUN:,} MiB", f"{small[3]:.0f} / {large[3]:.0f} MiB")
    show("make demo, installed", f"{seconds(lambda: run(['make', 'demo'])):.1f} s")
    show("make test, installed", f"{seconds(lambda: run(['make', 'test'])):.1f} s")


if __name__ == "__main__":
    main()

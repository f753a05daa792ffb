"""What changed between two runs: in the comparison itself, and at the end of what `auditor run` prints."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from auditor import seal
from auditor.changes import Changes, VerdictChange, compare, in_words
from auditor.model import ClaimVerdict, EvidenceError, Outcome
from auditor.results import Finding
from tests.cli_process import Ended, auditor, closed_port, database, policy, runs, settings
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_test
from tests.sealing import scope_of, seal_anew

REFUTED, SUPPORTED, UNPROVEN = ClaimVerdict.REFUTED, ClaimVerdict.SUPPORTED, ClaimVerdict.UNPROVEN


def a_run(
    *outcomes: Outcome | None, verdict: ClaimVerdict = REFUTED, name: str = "earlier", target: str = "prod"
) -> Stored:
    """A run of one test whose subjects are judged so; None leaves the subject out."""
    findings = [a_finding(n, outcome, target=target) for n, outcome in enumerate(outcomes) if outcome is not None]
    counted = {kind: sum(one.outcome.value == kind for one in findings) for kind in ("fail", "error", "manual")}
    passed = sum(one.outcome is Outcome.PASS for one in findings)
    result = Outcome.FAIL if counted["fail"] else Outcome.ERROR if counted["error"] else Outcome.PASS
    test = msgspec.structs.replace(a_test("volumes", result, passed=passed, **counted), targets=(target,))
    return Stored(a_head(a_claim("at-rest", verdict, test), id=name), findings)


PASS, FAIL, ERROR, MANUAL, APART = (
    Outcome.PASS,
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.MANUAL,
    Outcome.NOT_APPLICABLE,
)


@pytest.mark.parametrize(
    ("before", "after", "opened", "closed", "unseen"),
    [
        ([PASS], [FAIL], 1, 0, 0),
        ([FAIL], [FAIL], 0, 0, 0),
        ([FAIL], [PASS], 0, 1, 0),
        ([FAIL], [APART], 0, 1, 0),
        ([FAIL, PASS], [None, PASS], 0, 1, 0),  # deleted
        ([None, PASS], [FAIL, PASS], 1, 0, 0),  # created
        ([FAIL], [ERROR], 0, 0, 1),
        ([FAIL], [MANUAL], 0, 0, 1),
        ([FAIL, PASS], [None, ERROR], 0, 0, 1),  # perhaps deleted, perhaps not listed
        ([FAIL, FAIL, PASS], [PASS, None, ERROR], 0, 1, 1),
        ([ERROR], [FAIL], 1, 0, 0),
        ([FAIL, FAIL, FAIL, PASS, PASS], [PASS, PASS, FAIL, FAIL, FAIL], 2, 2, 0),
    ],
)
def test_exceptions_open_and_close(
    before: list[Outcome | None], after: list[Outcome | None], opened: int, closed: int, unseen: int
) -> None:
    changes = compare(a_run(*before), a_run(*after, name="later"))
    assert (changes.opened, changes.closed, changes.unseen) == (opened, closed, unseen)
    assert changes.since == "earlier"


def test_what_is_no_longer_looked_at_is_not_closed() -> None:
    """Deselected, moved to another target, or taken out of the policy: blindness is no repair."""
    before = a_run(FAIL, FAIL)
    assert compare(before, a_run(FAIL, target="other")).closed == 0
    assert compare(before, Stored(a_head())).unseen == 2
    excluded = a_claim("at-rest", UNPROVEN, a_test("volumes", Outcome.ERROR))
    assert compare(before, Stored(a_head(excluded))).unseen == 2


def test_verdicts_are_compared_by_claim() -> None:
    before = Stored(a_head(a_claim("a", SUPPORTED), a_claim("b", REFUTED), a_claim("gone", UNPROVEN), id="earlier"))
    after = Stored(a_head(a_claim("b", REFUTED), a_claim("a", UNPROVEN), a_claim("new", SUPPORTED)))
    changes = compare(before, after)
    assert changes.verdicts == (
        VerdictChange("a", SUPPORTED, UNPROVEN),
        VerdictChange("new", None, SUPPORTED),
        VerdictChange("gone", UNPROVEN, None),
    )
    assert in_words(changes) == (
        "since earlier: 1 claim unproven that was supported; 1 claim new and supported; 1 claim no longer in the policy"
    )


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 0, 0), "no verdict changed, no exception opened or closed"),
        ((3, 2, 0), "3 exceptions opened, 2 closed"),
        ((0, 1, 0), "1 exception closed"),
        ((0, 0, 2), "2 exceptions could not be judged again"),
        ((1, 0, 1), "1 exception opened, 1 could not be judged again"),
    ],
)
def test_words(counts: tuple[int, int, int], words: str) -> None:
    opened, closed, unseen = counts
    assert in_words(Changes(since="X", opened=opened, closed=closed, unseen=unseen)) == f"since X: {words}"


def test_words_of_verdicts() -> None:
    refuted = [VerdictChange(name, SUPPORTED, REFUTED) for name in "ab"]
    accepted = VerdictChange("c", REFUTED, ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS)
    assert in_words(Changes(since="X", verdicts=(*refuted, accepted), opened=3, closed=2)) == (
        "since X: 2 claims refuted that were supported; 1 claim supported with exceptions that was refuted; "
        "3 exceptions opened, 2 closed"
    )


def test_an_earlier_run_that_lost_findings_is_not_compared() -> None:
    whole = a_run(FAIL, FAIL)
    with pytest.raises(EvidenceError, match="1 failing finding found, but its report counts 2"):
        compare(Stored(whole.head, list(whole.findings())[:1]), whole)


def test_memory_is_that_of_the_failing_ids() -> None:
    def findings(count: int, outcome: Outcome) -> Iterator[Finding]:
        return (a_finding(n, outcome, message="m" * 1000) for n in range(count))

    def peak(count: int) -> int:
        claim = a_claim("at-rest", SUPPORTED, a_test("volumes", passed=count))
        run = Stored(a_head(claim), lambda: findings(count, PASS))
        tracemalloc.start()
        try:
            compare(run, run)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(5_000) < 1.3 * peak(500)


def last_lines(ended: Ended) -> list[str]:
    assert ended.code == 3, ended
    return ended.out.splitlines()[-2:]


def run_again(folder: Path, *arguments: str) -> Ended:
    return auditor("run", "--policies", "pack", "-f", "json", *arguments, cwd=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterable[Path]:
    policy(tmp_path / "pack", ("tls", "postgres-tls"))
    with closed_port() as port:
        settings(tmp_path, database("db", port))
        yield tmp_path


def test_a_run_ends_with_what_changed(folder: Path) -> None:
    first = run_again(folder)
    assert "since" not in first.out
    (run,) = runs(folder / "reports")
    same = run_again(folder)
    assert last_lines(same)[1] == f"since {run.name}: no verdict changed, no exception opened or closed"
    assert last_lines(same)[0].endswith("report.json")
    assert run_again(folder, "-o", "elsewhere").out.splitlines()[-1].endswith("report.json")


def forge(run: Path) -> None:
    """Make an unreachable database look like one that was judged: supported, with one failing finding."""
    report = json.loads((run / "report.json").read_bytes())
    report["claims"][0]["verdict"] = "supported"
    report["summary"]["findings"] |= {"fail": 1, "error": 0}
    (run / "report.json").write_text(json.dumps(report))
    (path,) = (run / "findings").iterdir()
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps({**first, "outcome": "fail"}) + "\n")
    seal_anew(run)


def test_losing_sight_is_said_as_such(folder: Path) -> None:
    run_again(folder)
    (run,) = runs(folder / "reports")
    forge(run)
    assert last_lines(run_again(folder))[1] == (
        f"since {run.name}: 1 claim unproven that was supported; 1 exception could not be judged again"
    )


def test_an_earlier_run_that_cannot_be_read_is_said_in_one_line(folder: Path) -> None:
    run_again(folder)
    (run,) = runs(folder / "reports")
    (run / "report.json").write_bytes(b"{")
    ended = run_again(folder)
    assert last_lines(ended)[1].startswith(f"what changed since {run.name} is unknown: ")
    assert (ended.code, ended.err) == (3, "")
    (latest,) = (one for one in runs(folder / "reports") if one != run)
    shutil.rmtree(latest / "findings")
    (latest / "findings").mkdir()
    report = json.loads((latest / "report.json").read_bytes())
    report["summary"]["findings"]["fail"] = 1
    (latest / "report.json").write_text(json.dumps(report))
    (latest / "findings" / "db.main.jsonl").touch()
    seal_anew(latest)
    assert "0 failing findings found, but its report counts 1" in last_lines(run_again(folder))[1]


def test_the_run_with_the_highest_number_is_the_last(folder: Path) -> None:
    run_again(folder)
    (run,) = runs(folder / "reports")
    newest = run.with_name(f"{run.name[:17]}00000000")
    shutil.copytree(run, newest)
    seal_anew(newest, scope=msgspec.structs.replace(scope_of(run), run=newest.name, sequence=2))
    latest = seal.latest_run(folder / "reports")
    assert latest is not None
    assert (latest[0].id, latest[1]) == (newest.name, 2)
    assert seal.latest_run(folder / "reports", organization="Other") is None


def test_a_run_of_another_organization_is_passed_over(folder: Path) -> None:
    run_again(folder)
    (run,) = runs(folder / "reports")
    text = (folder / "auditor.yaml").read_text()
    (folder / "auditor.yaml").write_text(text.replace("Explo", "Other"))
    assert "since" not in run_again(folder).out
    (folder / "auditor.yaml").write_text(text)
    assert f"since {run.name}: " in last_lines(run_again(folder))[1]


def test_an_older_run_whose_statement_is_broken_is_said_in_one_line(folder: Path) -> None:
    run_again(folder)
    (run,) = runs(folder / "reports")
    text = (folder / "auditor.yaml").read_text()
    (folder / "auditor.yaml").write_text(text.replace("Explo", "Other"))
    run_again(folder)
    (folder / "auditor.yaml").write_text(text)
    moved = run.rename(run.with_name(f"20200101T000000Z-{run.name[17:]}"))
    (moved / seal.EVIDENCE).write_bytes(b"{")
    last = last_lines(run_again(folder))[1]
    assert last.startswith("what changed since the last run is unknown: ")
    assert "evidence.statement.json: is no DSSE envelope" in last


def test_every_format_is_written_named_and_sealed(folder: Path) -> None:
    ended = auditor("run", "--policies", "pack", "-f", "html,junit,markdown,csv", cwd=folder)
    (run,) = runs(folder / "reports")
    names = ["report.json", "report.html", "report.junit.xml", "report.md", "report.csv"]
    assert ended.out.splitlines()[-5:] == [f"reports/{run.name}/{name}" for name in names]
    sealed = {line.split("  ")[1] for line in (run / seal.SUMS).read_text().splitlines()}
    assert set(names) <= sealed
    again = auditor("report", run, "--allow-unsigned", "-o", "again", "-f", "html,junit,markdown,csv", cwd=folder)
    assert again.code == 0
    assert [(folder / "again" / name).read_bytes() for name in names] == [(run / name).read_bytes() for name in names]

"""A sealed run of any size, written down rather than collected: for the tests of what is made from finished runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from auditor import plan, seal
from auditor.evidence import mark_of
from auditor.judge import finding_id
from auditor.keys import SigningKey
from auditor.model import Citation, ClaimVerdict, Outcome, Resource
from auditor.plan import Plan, PlannedTarget, PlannedTest, Selection, Task
from auditor.reports import json as json_report
from auditor.results import Finding, Head, Tool
from auditor.stored import FINDINGS
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_test

RUN = "20261123T141502Z-9f3a1c07"
AT = dt.datetime(2026, 11, 23, 14, 15, 2, tzinfo=dt.UTC)
SEGMENT = "evidence/prod.us-east-1.jsonl"
PAGE = 500
PLANNED = Plan(
    organization="Explo",
    targets=(PlannedTarget(id="prod", type="aws", tags=(), declared={}),),
    tests=(PlannedTest(id="volumes", claim="at-rest", check="aws-ebs-volume-encryption", targets=("prod",)),),
    tasks=(Task(target="prod", shard="account", tests=(), fan_out=True, region_tests=("volumes",)),),
    selection=Selection(),
)


def volumes(count: int) -> list[Resource]:
    return [Resource("aws.ec2.volume", f"vol-{number:017x}", region="us-east-1") for number in range(count)]


def findings(resources: Iterable[Resource]) -> Iterator[Finding]:
    """One finding for each, every hundredth a fail; each cites its item on the page that lists it."""
    for number, resource in enumerate(resources):
        outcome = Outcome.FAIL if number % 100 == 99 else Outcome.PASS
        line, item = 2 + number // PAGE, number % PAGE
        cites = (
            Citation(SEGMENT, (line, line), f"/Volumes/{item}/Encrypted"),
            Citation(SEGMENT, (line, line), f"/Volumes/{item}"),
        )
        yield a_finding(
            0, outcome, id=finding_id("at-rest", "volumes", "prod", resource), resource=resource, evidence=cites
        )


def lines(resources: list[Resource]) -> Iterator[dict[str, object]]:
    """The lines of the segment: pages of what was listed, then the frozen listing."""
    moment = "2026-11-23T14:15:02Z"
    yield {"kind": "open", "task": "prod.us-east-1", "shard": "us-east-1", "targets": {"prod": {"type": "aws"}},
           "tool": "auditor/0.1", "started_at": moment}  # fmt: skip
    pages = [resources[start : start + PAGE] for start in range(0, len(resources), PAGE)]
    for number, page in enumerate(pages, 1):
        items = [{"VolumeId": one.id, "Name": one.name, "Encrypted": True, "Size": 8} for one in page]
        yield {"kind": "answer", "target": "prod", "operation": "ec2.describe_volumes", "params": {}, "effect": "read",
               "status": "ok", "started_at": moment, "ended_at": moment,
               "page": {"i": number, "last": number == len(pages)}, "items": len(page),
               "body": {"Volumes": items}}  # fmt: skip
    for one in resources:
        yield {"kind": "subject", "test": "volumes", "resource": msgspec.to_builtins(one)}
    yield {"kind": "close", "complete": True, "error": "", "answers": len(pages), "subjects": len(resources),
           "closed_at": moment}  # fmt: skip


def write(
    folder: Path, resources: list[Resource], key: SigningKey | None = None, head: Head | None = None, run: str = RUN
) -> Path:
    """Write the run into a folder of its name, and seal it."""
    path = folder / run
    for name in ("policy", "evidence", FINDINGS):
        (path / name).mkdir(parents=True)
    (path / "policy" / "p.yaml").write_text("version: 1\n")
    (path / "plan.json").write_bytes(plan.to_json(msgspec.to_builtins(PLANNED)))
    _write_segment(path / SEGMENT, resources)
    found = list(findings(resources))
    encoder = msgspec.json.Encoder()
    with (path / FINDINGS / "prod.us-east-1.jsonl").open("wb") as out:
        out.writelines(encoder.encode(finding) + b"\n" for finding in found)
    fails = sum(finding.outcome is Outcome.FAIL for finding in found)
    test = a_test("volumes", Outcome.FAIL if fails else Outcome.PASS, passed=len(found) - fails, fail=fails)
    verdict = ClaimVerdict.REFUTED if fails else ClaimVerdict.SUPPORTED
    head = head or a_head(a_claim("at-rest", verdict, test))
    head = msgspec.structs.replace(head, run=msgspec.structs.replace(head.run, id=run, sequence=1))
    with (path / "report.json").open("wb") as out:
        json_report.render(Stored(head, found), out)
    scope = seal.Scope(
        run=run,
        sequence=1,
        tool=Tool("auditor", "0.1"),
        organization=head.run.organization,
        started_at=AT,
        as_of=AT,
        previous_run=None,
        scope=head.run.scope,
    )
    digest = seal.seal_evidence(path, scope, key)
    finished = seal.Finished(run=run, sequence=1, evidence_sha256=digest, finished_at=AT, timestamp=None)
    seal.seal_run(path, finished, key)
    return path


def _write_segment(path: Path, resources: list[Resource]) -> None:
    mark = ""
    with path.open("wb") as out:
        for number, line in enumerate(lines(resources), 1):
            kind = {"kind": line["kind"], "n": number, "prev": mark}
            data = msgspec.json.encode({**kind, **line}) + b"\n"
            mark = mark_of(data)
            out.write(data)

"""A source and checks small enough to see through, for the tests of the engine: a shelf of boxes, some locked."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import yaml

from auditor import plan, policy, seal, settings
from auditor.answers import Answer
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.engine import Audit, Plugins
from auditor.keys import SigningKey
from auditor.model import Basis, Resource, Verdict, failed, not_applicable, passed
from auditor.questions import (
    Attempt,
    Failure,
    Identified,
    Opening,
    Operation,
    RegionShards,
    Reply,
    SecretRef,
    SourceType,
)
from auditor.redact import Redactor
from auditor.reports import json as json_report
from auditor.results import Finding, Head
from auditor.sources.timestamp_authority import Authority
from auditor.stored import StoredRun

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


class Shelf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    owner: str
    secret: SecretRef | None = None
    only: list[str] = []


@dataclass
class World:
    """What the toy system answers; tests change it, and look at what was asked."""

    boxes: list[dict[str, Any]] = field(default_factory=list)
    pages: int = 1
    owner: str = "me"
    regions: list[str] = field(default_factory=lambda: ["north", "south"])
    errors: dict[str, Failure] = field(default_factory=dict)
    explode: set[str] = field(default_factory=set)
    census: Any = None
    before: Callable[[str], None] = lambda _: None
    asked: Counter[str] = field(default_factory=Counter)
    clock: dt.datetime = NOW
    skew: dt.timedelta = dt.timedelta(0)

    @cached_property
    def locks(self) -> dict[Any, Any]:
        return {box.get("id"): box.get("closed") for box in self.boxes}

    def tick(self) -> dt.datetime:
        self.clock += dt.timedelta(seconds=1)
        return self.clock


class ShelfConnection:
    def __init__(self, world: World, shard: str) -> None:
        self._world = world
        self._shard = shard

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        world = self._world
        question = operation.name + (json.dumps(dict(params), sort_keys=True) if params else "")
        world.asked[f"{self._shard}:{question}"] += 1
        world.before(question)
        if operation.name in world.explode:
            raise RuntimeError("the source has a mistake")
        if operation.name == "boxes":
            step = max(1, -(-len(world.boxes) // world.pages))
            chunks = [world.boxes[i : i + step] for i in range(0, len(world.boxes), step)] or [[]]
            for number, chunk in enumerate(chunks, 1):
                failure = world.errors.get(f"boxes page {number}")
                yield self._reply({"Boxes": chunk}, failure, last=number == len(chunks) or failure is not None)
                if failure:
                    return
            return
        body: Any = {
            "who": {"Owner": world.owner},
            "regions": {"Regions": world.regions},
            "lock": {"Closed": world.locks.get(str(params.get("id")))},
            "census": {"GeneratedTime": "2026-11-20T00:00:00Z", "Boxes": world.census},
            "report": {"GeneratedTime": "2026-11-20T00:00:00Z", "Fine": True},
        }[operation.name]
        yield self._reply(body, world.errors.get(question) or world.errors.get(operation.name))

    def _reply(self, body: Any, failure: Failure | None, *, last: bool = True) -> Reply:
        start = self._world.tick()
        return Reply(
            status="error" if failure else "ok",
            started_at=start,
            ended_at=self._world.tick(),
            body=None if failure else body,
            attempts=(Attempt(start, 200),),
            error=failure,
            server_time=self._world.clock + self._world.skew,
            last=last,
        )


def source(world: World) -> SourceType:
    @contextmanager
    def connect(target: Any, opening: Opening) -> Iterator[ShelfConnection]:
        if target.secret is not None:
            opening.secret(target.secret)
        yield ShelfConnection(world, opening.shard)

    def contradiction(declared: Answer, identity: Answer) -> str | None:
        expected, actual = declared.get("/owner", str), identity.get("/Owner", str)
        return None if expected == actual else f"declared owner {expected}, but {actual} answered"

    def shards(declared: Answer, answer: Answer) -> RegionShards:
        found = answer.get("/Regions", list[str])
        only = declared.get("/only", list[str]) or found
        return RegionShards(
            tuple(r for r in found if r in only),
            tuple(r for r in found if r not in only),
            tuple(r for r in only if r not in found),
            "on purpose",
        )

    rows = (
        Operation(name="who", summary="", needs_identity=False),
        Operation(name="regions", summary=""),
        Operation(name="boxes", summary="", items="/Boxes"),
        Operation(name="lock", summary=""),
        Operation(name="report", summary="", dated="/GeneratedTime"),
        Operation(name="census", summary="", dated="/GeneratedTime"),
    )
    return SourceType(
        name="shelf",
        settings=Shelf,
        operations={row.name: row for row in rows},
        declare=lambda target: {"owner": target.owner, "only": target.only},
        open=connect,
        identity="who",
        identified=lambda _, who: Identified(
            system="the shelf in the cellar", account=f"owner {who.get('/Owner', str)}", asker="whoever comes in"
        ),
        contradiction=contradiction,
        fan_out="regions",
        shards=shards,
    )


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ignore: list[str] = []
    crash: str = ""
    new: int = 0


def collect_boxes(params: Params, shelf: Source) -> Iterator[Subject]:
    if params.crash == "collect":
        raise RuntimeError("the check has a mistake")
    for box in shelf.listing("boxes"):
        name = box.get("/id", str)
        yield Subject(
            Resource("shelf.box", name, region=shelf.shard), box=box, lock=shelf.ask("lock", id=box.at("/id", str))
        )


def collect_counted(params: Params, shelf: Source) -> Iterator[Subject | Reconciled]:
    """The boxes, held against a census, then the report: another population of the same check."""
    yield from collect_boxes(params, shelf)
    boxes, census = shelf.listing("boxes"), shelf.ask("census")
    yield Reconciled(
        what="boxes",
        listed=len({box.get("/id", str) for box in boxes}),
        counted=census.at("/Boxes", int),
        source="the census",
        allowed=params.new,
        note="the newest are not counted yet" if params.new else "",
        parts=(boxes,),
    )
    yield Subject(Resource("shelf.report", "report"), box=shelf.ask("report"), lock=Answer.literal({"Closed": True}))


def collect_uncounted(params: Params, shelf: Source) -> Iterator[Subject | Reconciled]:
    yield from collect_boxes(params, shelf)
    yield Reconciled(what="boxes", listed=len(list(shelf.listing("boxes"))), counted=None, note="no census here")


def collect_counted_in_some(params: Params, shelf: Source) -> Iterator[Subject | Reconciled]:
    """The boxes, held against a census in the regions that have one."""
    yield from collect_boxes(params, shelf)
    boxes, census = shelf.listing("boxes"), shelf.ask("census")
    has_none = census.get("", dict).get("Boxes") is None
    yield Reconciled(
        what="boxes",
        listed=len(list(boxes)),
        counted=None if has_none else census.at("/Boxes", int),
        source="the census",
        note=f"no census in {shelf.shard}" if has_none else "",
    )


def evaluate_box(subject: Subject, params: Params) -> Verdict:
    if params.crash == "evaluate":
        raise RuntimeError("the check has a mistake")
    if subject.resource.id in params.ignore:
        return not_applicable("is ignored")
    return passed("is locked") if subject.lock.get("/Closed", bool) else failed("is open")


def collect_report(params: Params, shelf: Source) -> Iterator[Subject]:  # noqa: ARG001
    yield Subject(Resource("shelf.report", "report"), report=shelf.ask("report"))


def evaluate_report(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001
    return passed("is fine") if subject.report.get("/Fine", bool) else failed("is not fine")


def check(name: str, shard: Any, *, report: bool = False, time_based: bool = False) -> Check:
    return Check(
        id=name,
        title=name,
        sources={"shelf": {"report": 1} if report else {"boxes": 1, "lock": 0}},
        shard=shard,
        basis=Basis.CONFIGURATION,
        params=Params,
        collect=collect_report if report else collect_boxes,
        evaluate=evaluate_report if report else evaluate_box,
        population="every box",
        proves="that it is locked",
        cannot_prove=("what is in it",),
        no_second_source="nobody else counts the boxes",
        time_based=time_based,
    )


def counted(name: str, shard: Any, collect: Any) -> Check:
    return msgspec.structs.replace(
        check(name, shard),
        sources={"shelf": {"boxes": 1, "lock": 0, "census": 0, "report": 0}},
        collect=collect,
        second_source="the census counts the boxes",
        no_second_source="nobody counts the reports",
    )


CHECKS = {
    c.id: c
    for c in (
        check("boxes-locked", "target"),
        check("boxes-locked-everywhere", "region"),
        check("report-fine", "account", report=True),
        check("boxes-dated", "target", time_based=True),
        counted("boxes-counted", "target", collect_counted),
        counted("boxes-counted-everywhere", "region", collect_counted),
        counted("boxes-uncounted-everywhere", "region", collect_uncounted),
        counted("boxes-counted-in-some", "region", collect_counted_in_some),
        counted("boxes-never-counted", "target", collect_boxes),
    )
}


def claim(name: str, *tests: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "statement": "All boxes are locked",
        "interpretation": "Every box on the shelf has a closed lock.",
        "criteria": [{"id": "CC6.1"}],
        "owner": "me@example.com",
        "tests": [{"targets": ["shelf"], **test} for test in tests],
        **more,
    }


@dataclass(frozen=True)
class Result:
    run: Path
    head: Head
    audit: Audit

    def findings(self) -> list[Finding]:
        return list(StoredRun(self.head, self.run / "evidence", self.run / "findings").findings())

    def outcomes(self) -> dict[str, str]:
        return {f"{f.test}/{f.resource.region or '-'}/{f.resource.id}": f.outcome.value for f in self.findings()}

    def claim(self, name: str = "c") -> Any:
        return next(one for one in self.head.claims if one.id == name)


def plugins(world: World) -> Plugins:
    return Plugins(CHECKS, {"shelf": source(world)}, {"json": json_report.REPORT})


def audit(
    world: World,
    folder: Path,
    *claims: dict[str, Any],
    selection: Any = None,
    waivers: Any = (),
    key: SigningKey | None = None,
    key_file: Path | None = None,
    authority: Authority | None = None,
    organization: str = "Toys",
    more: Mapping[str, Any] = MappingProxyType({}),
    **target: Any,
) -> Result:
    """Audit the toy world with these claims by the real engine; sealed with a key, where there is one.

    Whoever audits again in the same folder does so later. `more` are further keys of auditor.yaml.
    """
    ended = (seal.ended_at(run) for run in (folder / "reports").glob("2*"))
    world.clock = max([world.clock, *filter(None, ended)])
    folder.mkdir(parents=True, exist_ok=True)
    found = plugins(world)
    entry = {"id": "s", "type": "shelf", "owner": "me", **target}
    config = folder / "auditor.yaml"
    config.write_text(yaml.safe_dump({"version": 1, "organization": organization, "targets": [entry], **more}))
    loaded = settings.load(config, found.sources)
    file = {"version": 1, "id": "toys", "title": "Toys?", "source": {"title": "T", "url": "https://example.com"}}
    (folder / "pack").mkdir(exist_ok=True)
    (folder / "pack" / "toys.yaml").write_text(
        yaml.safe_dump({**file, "claims": list(claims), "waivers": list(waivers)})
    )
    targets = plan.declare(loaded, found.sources)
    pack = policy.load(folder / "pack", found.checks, plan.selectors(targets, found.sources))
    job = Audit(
        settings=loaded,
        policy=pack,
        plan=plan.make(pack, targets, organization, found.checks, selection, loaded.privacy),
        plugins=found,
        output=folder / "reports",
        formats=("json",),
        redactor=Redactor(),
        key=key,
        key_file=key_file,
        authority=authority,
        clock=world.tick,
    )
    with ThreadPoolExecutor(1) as pool:
        run, head = job.run(pool)
    return Result(run, head, job)

"""`privacy: pseudonymous`: no address of anybody in any file of a run, and the same verdicts as with them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from auditor import plugins, policy, settings, yamlcore
from auditor.checking import Source, Subject
from auditor.cli import inputs
from auditor.cli.logs import RedactingFormatter
from auditor.engine import Audit, Plugins, evaluate
from auditor.model import Resource, Unproven, UsageError
from auditor.pseudonyms import Pseudonyms
from auditor.questions import Failure
from auditor.redact import Redactor
from auditor.sandbox.github import start_github
from auditor.sandbox.heroku import start_heroku
from auditor.sandbox.part import Part
from auditor.sandbox.world import WORLDS
from tests import toy
from tests.cli_process import environment as bare_environment
from tests.toy import World, claim
from tests.world_runs import PACK, Audited, environment

VARIABLE = "PSEUDONYM_KEY"
KEY = "canary-of-the-key-of-pseudonyms"
PRIVATE = {"privacy": "pseudonymous", "pseudonym_key": {"env": VARIABLE}}
ADDRESS = re.compile(rb"[\w.+'-]+(?:@|%40|\\u0040|&#64;)[\w-]+(?:\.[\w-]+)+")
"""Anything that looks like an address, by another rule than the one under test."""
OF_THE_POLICY = b"security@explo.co"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Part]]:
    """The accounts of the broken world: GitHub and Heroku."""
    folder = tmp_path_factory.mktemp("parts")
    started: list[Part] = [start(WORLDS / "broken", folder) for start in (start_github, start_heroku)]
    yield started
    for part in started:
        part.stop()


def written(folder: Path, targets: Iterable[Any], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "auditor.yaml"
    config.write_text(yaml.safe_dump({"version": 1, "organization": "Explo", "targets": list(targets), **more}))
    return config


def audit(config: Path, output: Path) -> Path:
    """Audit by the real engine, every report written; return the run."""
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    loaded, pack, planned = inputs.plan_of(
        config, PACK, {"claims": (), "tests": (), "checks": (), "targets": ()}, found.checks, found.sources
    )
    job = Audit(
        settings=loaded,
        policy=pack,
        plan=planned,
        plugins=found,
        output=output,
        formats=tuple(found.reports),
        redactor=Redactor(),
    )
    with ThreadPoolExecutor(8) as pool:
        return job.run(pool)[0]


def of_parts(parts: list[Part], folder: Path, **more: Any) -> Path:
    config = written(folder, (target for part in parts for target in part.targets), **more)
    with environment({**{key: value for part in parts for key, value in part.environment.items()}, VARIABLE: KEY}):
        return audit(config, folder / "reports")


def people(*files: str) -> set[str]:
    """The addresses of a world."""
    found: set[str] = set()
    for file in files:
        found |= set(re.findall(r"[\w.+-]+@[\w-]+(?:\.\w+)+", (WORLDS / "broken" / file).read_text()))
    assert len(found) >= 10
    return found


def addresses_in(folder: Path) -> set[bytes]:
    """Whatever looks like an address in any file, pseudonyms and what the policies say apart."""
    found: set[bytes] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            found |= set(ADDRESS.findall(path.read_bytes()))
    return {one for one in found if one != OF_THE_POLICY and b"pseudonym.invalid" not in one}


def text_of(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def bodies(run: Path, operation: str) -> list[Any]:
    lines = [json.loads(line) for path in (run / "evidence").iterdir() for line in path.read_text().splitlines()]
    return [line["body"] for line in lines if line.get("operation") == operation and line["status"] == "ok"]


def test_no_address_of_the_world_is_in_any_file_and_pseudonyms_join(parts: list[Part], tmp_path: Path) -> None:
    run = of_parts(parts, tmp_path, **PRIVATE)
    text = text_of(tmp_path / "reports")
    everybody = people("heroku.yaml", "github.yaml")
    assert not [one for one in everybody for form in (one, urllib.parse.quote(one)) if form in text]
    assert addresses_in(tmp_path / "reports") == set()
    assert KEY not in text

    names = Pseudonyms(KEY.encode(), "Explo")
    hugo, ada = names.of("founder.hugo@explo.co"), names.of("ada.lind@explo.co")
    members = [item["email"] for body in bodies(run, "members") for item in body["items"] if "federated" in item]
    above = [item["user"]["email"] for body in bodies(run, "enterprise_members") for item in body["items"]]
    invitations = [item for body in bodies(run, "invitations") for item in body["items"]]
    invited_by = [item["invited_by"]["email"] for item in invitations if "invited_by" in item]
    assert {hugo, ada} <= set(members)
    assert ada in above
    assert hugo in invited_by
    for report in ("report.json", "report.html", "report.md", "report.csv", "report.junit.xml"):
        assert hugo.partition("@")[0] in (run / report).read_text(), report


def test_it_is_the_same_in_every_run_and_another_with_another_key(
    parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def findings(run: Path) -> set[tuple[str, str, str]]:
        loaded = json.loads((run / "report.json").read_text())["findings"]
        return {(one["id"], one["resource"]["id"], one["resource"].get("name", "")) for one in loaded}

    first, second = (of_parts(parts, tmp_path / name, **PRIVATE) for name in "ab")
    assert findings(first) == findings(second)
    monkeypatch.setattr("tests.test_privacy.KEY", KEY[::-1])
    other = findings(of_parts(parts, tmp_path / "c", **PRIVATE))
    assert len({one for one in other if "pseudonym.invalid" in one[1]} & findings(first)) == 0


def test_reports_and_plan_say_so_and_plain_ones_do_not(parts: list[Part], tmp_path: Path) -> None:
    private = of_parts(parts, tmp_path / "private", **PRIVATE)
    plain = of_parts(parts, tmp_path / "plain")
    for run, privacy in ((private, "pseudonymous"), (plain, "plain")):
        assert json.loads((run / "report.json").read_text())["run"]["privacy"] == privacy
        assert json.loads((run / "plan.json").read_text())["privacy"] == privacy
        for report in ("report.html", "report.md", "report.junit.xml"):
            assert ("are pseudonyms" in (run / report).read_text()) == (privacy == "pseudonymous"), report
    assert people("heroku.yaml") - {"freelance.duarte@example.com", "agency@example.com"} & set(
        re.findall(r"[\w.+-]+@[\w.-]+\w", text_of(plain))
    ), "the control: without it they are there"


def outcomes(findings: Iterable[Any]) -> Counter[Any]:
    return Counter((one.test, one.target, one.resource.type, one.outcome) for one in findings)


def test_a_whole_world_is_judged_as_it_is_with_addresses(broken: Audited, tmp_path: Path) -> None:
    """Users of AWS, whose names are addresses, included: nothing is judged otherwise, and nothing is lost."""
    entries = yaml.safe_load(broken.world.config.read_text())
    config = broken.world.config.with_name("private.yaml")
    config.write_text(yamlcore.dump({**entries, **PRIVATE}))
    with environment(broken.world.environment):  # and not of the other world, where that was started later
        run = audit(config, tmp_path)
    found = json.loads((run / "report.json").read_text())["findings"]
    shown = Counter((one["test"], one["target"], one["resource"]["type"], one["outcome"]) for one in found)
    assert shown == outcomes(broken.findings())
    text = text_of(run)
    everybody = people("heroku.yaml", "github.yaml", "aws.yaml", "postgres.yaml", "tokens.yaml")
    assert not [one for one in everybody - {OF_THE_POLICY.decode()} if one in text]
    assert addresses_in(run) == set()


def test_the_log_of_everything_names_nobody(parts: list[Part], tmp_path: Path) -> None:
    config = written(tmp_path, (target for part in parts for target in part.targets), **PRIVATE)
    variables = {key: value for part in parts for key, value in part.environment.items()}
    command = [sys.executable, "-m", "auditor", "run", "-vv", "-c", str(config), "--policies", str(PACK)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "reports")],
        env=bare_environment(**variables, **{VARIABLE: KEY}),
        capture_output=True,
        check=False,
    )
    assert done.returncode in (1, 3), done.stderr
    shown = done.stdout + done.stderr
    assert b"pseudonym.invalid" in shown
    found = {one for one in ADDRESS.findall(shown) if b"pseudonym.invalid" not in one and b"://" not in one}
    assert found <= {OF_THE_POLICY}
    assert not [one for one in people("heroku.yaml", "github.yaml") if one.encode() in shown]


def test_a_traceback_names_nobody() -> None:
    redactor = Redactor()
    redactor.pseudonymise(Pseudonyms(KEY.encode(), "Explo"))
    try:
        raise RuntimeError("no ada@explo.co here")  # noqa: TRY301 - it is about this very line
    except RuntimeError as error:
        about = (RuntimeError, error, error.__traceback__)
        record = logging.LogRecord("x", 40, "f", 1, "of %s", ("ada@explo.co",), about)
    text = RedactingFormatter(redactor).format(record)
    assert text.count("pseudonym.invalid") == 3  # the line of code is shown as well
    assert "ada@" not in text


def boxes(*names: str) -> World:
    return World([{"id": name, "closed": True} for name in names])


TEST: dict[str, Any] = {"id": "t", "check": "boxes-locked"}


def test_a_question_about_somebody_names_the_address_and_is_kept_with_the_pseudonym(tmp_path: Path) -> None:
    world = boxes("Ada@explo.co", "crate")
    found = toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE)
    assert found.claim().verdict == "supported"
    assert 'main:lock{"id": "Ada@explo.co"}' in world.asked
    pseudonym = Pseudonyms(KEY.encode(), "Toys").of("ada@explo.co")
    assert found.outcomes() == {f"t/main/{pseudonym}": "pass", "t/main/crate": "pass"}
    text = text_of(found.run)
    assert "ada@" not in text.lower()
    lines = [json.loads(line) for line in (found.run / "evidence" / "s.main.jsonl").read_text().splitlines()]
    asked = {line["params"].get("id"): line for line in lines if line.get("operation") == "lock"}
    assert asked.keys() == {pseudonym, "crate"}
    listed = next(line for line in lines if line.get("operation") == "boxes")
    assert listed["pseudonymised"] == ["/Boxes/0/id"]
    assert "redacted" not in listed
    assert [line["resource"]["id"] for line in lines if line["kind"] == "subject"] == [pseudonym, "crate"]


def test_earlier_evidence_is_asked_by_the_names_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = toy.source

    def of_evidence(world: World) -> Any:
        kind = plain(world)
        lock = msgspec.structs.replace(kind.operations["lock"], asks_evidence=True)
        return msgspec.structs.replace(kind, operations={**kind.operations, "lock": lock})

    monkeypatch.setattr(toy, "source", of_evidence)
    world = boxes("ada@explo.co")
    toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE)
    pseudonym = Pseudonyms(KEY.encode(), "Toys").of("ada@explo.co")
    assert [question for question in world.asked if "lock" in question] == [f'main:lock{{"id": "{pseudonym}"}}']
    assert plugins.sources()["runs"].operations["distinct"].asks_evidence


def test_judged_again_offline_and_without_the_key_it_is_the_same_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = boxes("ada@explo.co", "bao@explo.co")
    found = toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE)
    monkeypatch.delenv(VARIABLE)
    evaluate(found.run, tmp_path / "again", toy.plugins(world), ["json"], None, allow_unsigned=True)
    assert (tmp_path / "again" / "report.json").read_bytes() == (found.run / "report.json").read_bytes()


def test_somebody_who_is_spelled_in_two_ways_is_not_asked_about_by_one_of_them(tmp_path: Path) -> None:
    """The system would know one of the two only, and say of the other that there is none."""
    world = boxes("ada@explo.co", "Ada@explo.co")
    found = toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE)
    assert found.claim().verdict == "unproven"
    assert "several ways" in text_of(found.run / "findings")
    assert not [question for question in world.asked if "lock" in question]


def test_what_a_system_says_and_declares_names_nobody(tmp_path: Path) -> None:
    world = boxes("crate")
    world.owner = "owner@explo.co"
    world.errors["lock"] = Failure("of bao@explo.co", "ada%40explo.co may not look, says &lt;eve&#64;explo.co&gt;")
    found = toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE, owner="owner@explo.co")
    text = text_of(found.run)
    assert addresses_in(found.run) <= {b"me@example.com"}  # whose claim it is, by the policy
    for name in ("owner", "bao", "ada", "eve"):
        assert Pseudonyms(KEY.encode(), "Toys").of(f"{name}@explo.co").partition("@")[0] in text
    line = next(line for line in (found.run / "evidence" / "s.main.jsonl").read_text().splitlines() if '"lock"' in line)
    assert "raw_sha256" not in json.loads(line)


def test_what_a_check_puts_together_is_no_address_in_the_evidence_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(params: Any, shelf: Source) -> Iterator[Subject]:
        del params
        box = next(iter(shelf.listing("boxes")))
        yield Subject(Resource("shelf.box", f"{box.get('/id', str)}@explo.co", f"{box.get('/id', str)}@explo.co"))
        raise Unproven(f"nobody knows {box.get('/id', str)}@explo.co", [box])

    monkeypatch.setitem(
        toy.CHECKS, "boxes-locked", msgspec.structs.replace(toy.CHECKS["boxes-locked"], collect=collect)
    )
    found = toy.audit(boxes("ada"), tmp_path, claim("c", TEST), more=PRIVATE)
    text = text_of(found.run / "evidence")
    assert "ada@" not in text
    assert text.count(Pseudonyms(KEY.encode(), "Toys").of("ada@explo.co")) == 3


def test_a_parameter_that_no_answer_can_be_equal_to_is_refused(tmp_path: Path) -> None:
    """A check would find nobody of that name: what it expects would be judged as missing."""
    exempt = {**TEST, "params": {"ignore": ["ada@explo.co"]}}
    with pytest.raises(UsageError, match="test t: params name an e-mail address"):
        toy.audit(boxes("ada@explo.co"), tmp_path / "private", claim("c", exempt), more=PRIVATE)
    assert not (tmp_path / "private" / "reports").exists()
    pseudonym = Pseudonyms(KEY.encode(), "Toys").of("ada@explo.co")
    written_so = {**TEST, "params": {"ignore": [pseudonym]}}
    found = toy.audit(boxes("ada@explo.co", "crate"), tmp_path / "written", claim("c", written_so), more=PRIVATE)
    assert found.outcomes() == {f"t/main/{pseudonym}": "not_applicable", "t/main/crate": "pass"}
    plain = toy.audit(boxes("ada@explo.co", "crate"), tmp_path / "plain", claim("c", exempt))
    assert plain.outcomes() == {"t/main/ada@explo.co": "not_applicable", "t/main/crate": "pass"}


HEAD = "version: 1\norganization: Explo\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("privacy: pseudonymous\ntargets: []\n", "3:10: privacy: pseudonymous needs a pseudonym_key"),
        ("targets: []\npseudonym_key: {env: X}\n", "4:16: pseudonym_key: makes no pseudonyms without privacy"),
        ("privacy: private\ntargets: []\n", "3:10: privacy: must be plain or pseudonymous; not 'private'"),
        ("privacy: pseudonymous\npseudonym_key: hunter2hunter2hunter2\ntargets: []\n", "4:16: pseudonym_key: a secret"),
    ],
)
def test_settings_that_cannot_be_meant_are_told_with_their_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text(HEAD + text)
    told = [str(one) for one in settings.read(path, {}).problems]
    assert told[-1].startswith(f"{path}:{problem}"), told
    assert "hunter2" not in "".join(told)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("0123456789abcde", "pseudonym_key: has fewer than 16 bytes; make one: openssl rand -hex 32"),
        ("", "pseudonym_key: PSEUDONYM_KEY is empty"),
        (None, "pseudonym_key: environment variable PSEUDONYM_KEY is not set"),
    ],
)
def test_without_a_key_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, problem: str
) -> None:
    monkeypatch.delenv(VARIABLE) if key is None else monkeypatch.setenv(VARIABLE, key)
    world = boxes("ada@explo.co")
    with pytest.raises(UsageError) as refused:
        toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE)
    assert str(refused.value) == problem
    assert not world.asked
    assert not (tmp_path / "reports").exists()


def test_policies_are_kept_as_they_are(tmp_path: Path) -> None:
    """They are the company's own documents: who owns a claim and who approved a waiver is no finding about anybody."""
    found = toy.audit(boxes("crate"), tmp_path, claim("c", TEST), more=PRIVATE)
    assert b"me@example.com" in (found.run / "policy" / "toys.yaml").read_bytes()
    assert found.claim().owner == "me@example.com"
    assert policy.load(found.run / "policy", toy.CHECKS).files.keys() == {"toys.yaml"}


def test_the_plan_holds_no_address_of_the_declaration(tmp_path: Path) -> None:
    world = boxes("crate")
    world.owner = "owner@explo.co"
    found = toy.audit(world, tmp_path, claim("c", TEST), more=PRIVATE, owner="Owner@explo.co")
    stored = json.loads((found.run / "plan.json").read_text())
    assert stored["targets"][0]["declared"]["owner"] == Pseudonyms(KEY.encode(), "Toys").of("owner@explo.co")

"""Whole audits that compare with earlier ones: real runs in a row, signed, chained, and damaged."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rich.console

from auditor import engine, keys, plugins, seal
from auditor.cli import screen
from auditor.contents import Directory
from auditor.engine import Plugins
from auditor.keys import SigningKey
from auditor.model import Outcome
from auditor.sources.clock import utcnow
from tests.audit_fixture import KEY, REGION, Audited, audit, sign_in
from tests.cli_process import auditor
from tests.examined import examine, of
from tests.paging_aws import PagingAws, State, Volume
from tests.sealing import seal_anew

OTHER = KEY.replace("0001", "0002")
SIGNED = {"path": "./runs", "keys": "auditor.keys.json"}
FIRST = "first sight: no earlier run saw it"


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)


class Account(NamedTuple):
    """An account that is audited again and again, and the folder where the runs go."""

    aws: PagingAws
    folder: Path
    key: SigningKey

    def run(self, **more: Any) -> Audited:
        (self.folder / "runs").mkdir(exist_ok=True)
        return audit(self.aws, self.folder, "keys", **{"past": SIGNED, "key": self.key, **more})

    def holds(self, **volumes: str | None) -> None:
        """Let the account hold these volumes under these keys; None: not encrypted."""
        self.aws.state.volumes[REGION] = [
            Volume(name.replace("_", "-"), encrypted=key is not None, kms_key_id=key) for name, key in volumes.items()
        ]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    key = keys.generate(tmp_path / "auditor.key", tmp_path / "auditor.keys.json", utcnow())
    with PagingAws(State()) as aws:
        one = Account(aws, tmp_path, key)
        one.holds(vol_1=KEY, vol_2=OTHER)
        yield one


def verdicts(audited: Audited) -> tuple[str, dict[str, str]]:
    """The claim's verdict, and of each volume what was found."""
    found = {f.resource.id: f.outcome.value for f in audited.findings() if f.resource.type == "aws.ec2.volume"}
    return audited.claims["keys"], found


def reason(audited: Audited, resource: str = "vol-1") -> str:
    return audited.message(resource)


def test_three_runs_in_a_row(account: Account) -> None:
    first = account.run()
    assert verdicts(first) == ("unproven", {"vol-1": "not_applicable", "vol-2": "not_applicable"})
    assert reason(first) == FIRST
    assert "a population of 0 is below the minimum of 1" in {finding.message for finding in first.findings()}
    second = account.run()
    assert verdicts(second) == ("supported", {"vol-1": "pass", "vol-2": "pass"})
    assert reason(second) == f"is under {KEY}, as in the earlier run that saw it, since {first.run.name}"
    account.holds(vol_1=KEY, vol_2=OTHER, vol_3=KEY, vol_4=None)
    third = account.run()
    assert verdicts(third) == (
        "supported", {"vol-1": "pass", "vol-2": "pass", "vol-3": "not_applicable", "vol-4": "not_applicable"}
    )  # fmt: skip
    assert reason(third) == f"is under {KEY}, as in each of the 2 earlier runs that saw it, since {first.run.name}"
    assert reason(third, "vol-3") == FIRST
    fourth = account.run()
    assert reason(fourth, "vol-3") == f"is under {KEY}, as in the earlier run that saw it, since {third.run.name}"
    assert reason(fourth, "vol-4") == "is not encrypted: it has no key that could change"


def test_a_key_that_changes_refutes_now_and_ever_after(account: Account) -> None:
    first = account.run()
    account.holds(vol_1=OTHER, vol_2=OTHER)
    second = account.run()
    assert verdicts(second) == ("refuted", {"vol-1": "fail", "vol-2": "pass"})
    said = f"was under {KEY} in the run {first.run.name}, and is under {OTHER} now (evidence/prod.{REGION}.jsonl:"
    assert reason(second).startswith(said)
    (found,) = (finding for finding in second.findings() if finding.resource.id == "vol-1")
    assert {cite.pointer for cite in found.evidence} >= {"/Volumes/0/KmsKeyId", "/resources/vol-1/0/value"}
    account.holds(vol_1=KEY, vol_2=OTHER)
    back = account.run()
    assert verdicts(back)[1]["vol-1"] == "fail"
    assert f"was under {OTHER} in the run {second.run.name}" in reason(back)


def test_an_earlier_answer_that_lost_the_key_makes_no_fail(account: Account) -> None:
    account.holds(vol_1=None, vol_2=OTHER)
    account.aws.state.volumes[REGION][0] = Volume("vol-1", encrypted=True, kms_key_id=None)
    assert reason(account.run()) == "is encrypted, but names no key"
    account.holds(vol_1=KEY, vol_2=OTHER)
    second = account.run()
    assert verdicts(second)[1] == {"vol-1": "not_applicable", "vol-2": "pass"}
    assert reason(second) == f"{FIRST}; 1 of their volumes could not be read"


def test_what_is_cited_of_an_earlier_run_stands_there(account: Account) -> None:
    """Its digest is that of the manifest, and its file, line and pointer lead to the volume."""
    first = account.run()
    second = account.run()
    (answer,) = second.answers("distinct", REGION)
    assert answer["body"]["runs"] == [
        {
            "run": first.run.name,
            "sequence": 1,
            "manifest_sha256": seal.sha256_file(first.run / seal.MANIFEST),
            "signed_by": account.key.id,
        }
    ]
    for name, number in (("vol-1", 0), ("vol-2", 1)):
        (seen,) = answer["body"]["resources"][name]
        assert (seen["run"], seen["manifest_sha256"]) == (first.run.name, seal.sha256_file(first.run / seal.MANIFEST))
        assert seen["pointer"] == f"/Volumes/{number}"
        line = json.loads((first.run / seen["file"]).read_bytes().splitlines()[seen["line"] - 1])
        assert line["body"]["Volumes"][number]["VolumeId"] == name
        assert line["body"]["Volumes"][number]["KmsKeyId"] == seen["value"]


def unproven(audited: Audited) -> str:
    """The reason of an audit that can say of no volume whether it passes or fails."""
    claim, found = verdicts(audited)
    assert claim == "unproven"
    assert set(found.values()) == {"error"}
    return reason(audited)


def turn_a_bit(run: Path) -> None:
    segment = run / f"evidence/prod.{REGION}.jsonl"
    data = segment.read_bytes().replace(KEY.encode(), OTHER.encode(), 1)
    assert data != segment.read_bytes()
    segment.write_bytes(data)


def sealed_by_nobody(run: Path) -> None:
    turn_a_bit(run)
    seal_anew(run)


def sealed_by_another(run: Path) -> None:
    turn_a_bit(run)
    seal_anew(run, keys.generate(run.parent.parent / "theirs.key", run.parent.parent / "theirs.json", utcnow()))


def without_a_seal(run: Path) -> None:
    for name in (seal.EVIDENCE, seal.MANIFEST):
        (run / name).unlink()


DAMAGE: dict[str, tuple[Callable[[Path], Any], int, str]] = {
    "changed": (turn_a_bit, 0, "is not what was sealed"),
    "changed and sealed without a key": (sealed_by_nobody, 1, "is not signed"),
    "changed and sealed by somebody else": (sealed_by_another, 1, "is signed by a key that is not known"),
    "taken out in the middle": (shutil.rmtree, 1, "is number 3 of the chain, after number 1"),
    "taken out at the beginning": (shutil.rmtree, 0, "is number 2 of the chain, after number 0"),
    "without its last statement": (lambda run: (run / seal.MANIFEST).unlink(), 2, "was interrupted while it was"),
    "without any statement": (without_a_seal, 2, "is not sealed, and holds SHA256SUMS, findings, report.json"),
    "a report changed": (lambda run: (run / "report.json").write_text("{}"), 2, "is not what was sealed"),
    "a file more": (lambda run: (run / "note.txt").write_text("x"), 1, "was not there when the run was sealed"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_earlier_run_that_does_not_verify_proves_nothing(account: Account, damage: str) -> None:
    runs = [account.run().run for _ in range(3)]
    harm, number, said = DAMAGE[damage]
    harm(runs[number])
    assert said in unproven(account.run())
    if damage == "a file more":  # the positive control
        (runs[number] / "note.txt").unlink()
        assert verdicts(account.run())[0] == "supported"


def test_runs_that_were_moved_away_on_purpose_are_said_in_the_settings(account: Account) -> None:
    runs = [account.run().run for _ in range(2)]
    shutil.rmtree(runs[0])
    assert "of the chain, after number 0" in unproven(account.run())
    later = account.run(past={**SIGNED, "since": 2})
    assert verdicts(later)[0] == "supported"
    assert reason(later).endswith(f"since {runs[1].name}")


def test_unsigned_runs_count_only_where_the_settings_say_so(account: Account) -> None:
    account.run(key=None)
    assert "is not signed" in unproven(account.run(key=None))
    assert verdicts(account.run(key=None, past={"path": "./runs", "allow_unsigned": True}))[0] == "supported"


def test_signed_runs_need_the_key_file(account: Account) -> None:
    account.run()
    (account.folder / "auditor.keys.json").rename(account.folder / "keys.json")
    assert "no key file to hold that against (keys of this" in unproven(account.run(past={"path": "./runs"}))
    (account.folder / "keys.json").rename(account.folder / "auditor.keys.json")
    assert verdicts(account.run(past={"path": "./runs"}))[0] == "supported"
    assert "nowhere.json: cannot be read" in unproven(account.run(past={**SIGNED, "keys": "nowhere.json"}))
    (account.folder / "bad.json").write_text("{")
    assert "is no key file" in unproven(account.run(past={**SIGNED, "keys": "bad.json"}))


def test_a_folder_that_cannot_be_read_is_no_empty_one(account: Account) -> None:
    account.run()
    assert "nowhere is not there" in unproven(account.run(past={"path": "./nowhere"}))
    (account.folder / "file").write_text("x")
    assert "file cannot be read: Not a directory" in unproven(account.run(past={"path": "./file"}))
    (account.folder / "empty").mkdir()
    assert verdicts(account.run(past={"path": "./empty"})) == (
        "unproven", {"vol-1": "not_applicable", "vol-2": "not_applicable"}
    )  # fmt: skip


def test_another_name_of_the_organization_hides_no_change(account: Account) -> None:
    account.holds(vol_1=OTHER, vol_2=OTHER)
    before = account.run(organization="Explo Inc.").run
    account.holds(vol_1=KEY, vol_2=OTHER)
    for _ in range(2):
        renamed = account.run(organization="Explo")
        assert verdicts(renamed) == ("refuted", {"vol-1": "fail", "vol-2": "pass"})
        assert reason(renamed).startswith(f"was under {OTHER} in the run {before.name}, and is under {KEY} now")
    turn = before / "plan.json"
    turn.write_bytes(turn.read_bytes() + b" ")
    assert "is not what was sealed" in unproven(account.run())


def test_runs_of_another_account_are_not_looked_at(account: Account) -> None:
    account.aws.state.account_id = "210987654321"
    account.holds(vol_1=OTHER, vol_2=OTHER)
    account.run(account_id="210987654321")
    account.aws.state.account_id = "123456789012"
    account.holds(vol_1=KEY, vol_2=OTHER)
    assert reason(account.run()) == FIRST


def test_a_run_that_was_denied_saw_nothing_and_that_is_said(account: Account) -> None:
    first = account.run()
    account.aws.respond("DescribeVolumes", 503, body="", times=1)
    blind = account.run()
    assert blind.claims["keys"] == "unproven"
    third = account.run()
    said = f"as in the earlier run that saw it, since {first.run.name}; 1 of their answers could not be read"
    assert reason(third) == f"is under {KEY}, {said}"
    assert verdicts(third)[0] == "supported"


def test_judged_again_without_the_earlier_runs_it_says_the_same(account: Account, tmp_path: Path) -> None:
    account.run()
    account.holds(vol_1=OTHER, vol_2=OTHER)
    second = account.run()
    kept = tmp_path / "kept" / second.run.name
    shutil.copytree(second.run, kept)
    shutil.rmtree(account.folder / "runs")
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    engine.evaluate(kept, tmp_path / "again", found, ("json",), keys.load(tmp_path / "auditor.keys.json"))
    for path in (kept / "findings").iterdir():
        assert path.read_bytes() == (tmp_path / "again/findings" / path.name).read_bytes()
    assert (kept / "report.json").read_bytes() == (tmp_path / "again/report.json").read_bytes()


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count how often each file of a run is opened."""
    counts: Counter[str] = Counter()
    real = Directory.open

    def counting(self: Directory, name: str) -> Any:
        counts[f"{self.name}/{name}"] += 1
        return real(self, name)

    with monkeypatch.context() as patched:
        patched.setattr(Directory, "open", counting)
        yield counts


@pytest.mark.parametrize("volumes", [1, 1201])
def test_the_cost_grows_with_pages_and_not_with_volumes(
    account: Account, volumes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question for each 500 volumes; each file of an earlier run is opened once to verify it, evidence once more."""
    account.holds(**{f"vol_{number}": KEY for number in range(volumes)})
    runs = [account.run().run.name for _ in range(2)]
    with opened(monkeypatch) as counts:
        third = account.run()
    assert len(third.answers("distinct", REGION)) == -(-volumes // 500)
    assert Counter(verdicts(third)[1].values()) == {"pass": volumes}
    of_earlier = {name: count for name, count in counts.items() if name.partition("/")[0] in runs}
    last = {name.partition("/")[2]: count for name, count in of_earlier.items() if name.startswith(runs[1])}
    assert (last["evidence.statement.json"], last["manifest.statement.json"]) == (6, 4)  # verified at start and end
    first = {name.partition("/")[2]: count for name, count in of_earlier.items() if name.startswith(runs[0])}
    assert first == {
        "evidence.statement.json": 4,  # what it says, its digest, and by the run that follows, at its start and end
        "manifest.statement.json": 2,  # again with the evidence, which must be what it names
        "SHA256SUMS": 1,
        "evidence/prod.account.jsonl": 2,
        f"evidence/prod.{REGION}.jsonl": 2,
        f"findings/prod.{REGION}.jsonl": 1,
        "findings/prod.account.jsonl": 1,
        "plan.json": 1,
        "policy/pack.yaml": 1,
        "report.json": 1,
    }
    assert len(set(of_earlier)) == 2 * 10


def test_messages_are_short_however_many_volumes_a_question_is_about(account: Account) -> None:
    account.run()
    account.holds(**{f"vol_{number}": KEY for number in range(400)})
    blind = account.run(past={"path": "./nowhere"})
    (long,) = {len(finding.message) for finding in blind.findings() if finding.outcome is Outcome.ERROR}
    assert long < 600
    assert "ids=[vol-0, vol-1, vol-2, … 400 in all]" in reason(blind)


def test_a_terminal_shows_what_came_back(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """And not the whole question, which stands before it."""
    account.run()
    (account.folder / "auditor.keys.json").unlink()
    blind = account.run(past={"path": "./runs"})
    shown = rich.console.Console(width=80, color_system=None)
    screen.show_claims(shown, blind.head)
    out = " ".join(capsys.readouterr().out.split())
    assert "vol-1: distinct(flag=/Encrypted, id=/Volu…): unverified: earlier runs in" in out
    assert "is signed, and there is no key file to hold that against (keys of this target)" in out


def test_several_regions_ask_side_by_side(account: Account) -> None:
    for region in ("eu-west-1", "eu-central-1", "us-west-2"):
        account.aws.state.volumes[region] = [Volume(f"vol-{region}", kms_key_id=KEY)]
    account.run()
    second = account.run()
    assert verdicts(second)[0] == "supported"
    assert len(verdicts(second)[1]) == 5


def test_doctor_says_what_is_in_the_way_before_a_run(account: Account) -> None:
    account.run()
    pack, config = account.folder / "pack.yaml", account.folder / "auditor.yaml"
    assert examine(config, pack)["prod"].ready
    account.run(past={"path": "./nowhere"})
    (symptom,) = of(examine(config, pack)["prod"], "aws-ebs-key-stability").symptoms
    assert (symptom.operation, symptom.trouble.value) == ("distinct", "error")
    assert symptom.reason.startswith("folder: ")
    assert "nowhere is not there" in symptom.reason


def test_permissions_and_plan_know_the_folder(account: Account) -> None:
    account.run()
    arguments = ("-c", "auditor.yaml", "--policies", "pack.yaml")
    shown = auditor("permissions", *arguments, cwd=account.folder)
    assert shown.code == 0, shown.err
    assert "read access to the folder of earlier runs" in shown.out
    granted = auditor("permissions", "--format", "runs", *arguments, cwd=account.folder)
    assert granted.out.startswith("Let the audit read ./runs and everything below it")
    planned = auditor("plan", *arguments, cwd=account.folder)
    assert planned.code == 0, planned.err
    assert "distinct" in planned.out

"""Doctor on both demo worlds: what it says, how often it asks, and that it leaves nothing behind."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from requests.adapters import HTTPAdapter

from auditor import plugins
from auditor.questions import Connection, Opening, Operation, Reply, SourceType
from auditor.settings import Target
from auditor.sources.aws.operations import AwsOperation
from tests.cli_process import PACK, Ended, auditor, on_a_terminal
from tests.examined import examine, states
from tests.test_secrets import CANARIES, forms
from tests.world_runs import Audited, environment

BOTH = pytest.mark.parametrize("name", ["healthy", "broken"])
TROUBLES = {
    ("code-labs", "github-mfa"): "error",  # the token is not an owner's
    ("code-enterprise", "github-mfa"): "denied",  # single sign-on
    ("hosting-marketing", "heroku-mfa"): "error",  # the token is a collaborator's
    ("hosting-staging", "heroku-mfa"): "credentials",  # the token was rotated
    ("embed-crashing", "jwt-expiry-enforced"): "error",  # the door answers with 500
    ("embed-not-allowed", "jwt-expiry-enforced"): "denied",  # the settings do not allow minting
    ("embed-not-allowed", "jwt-lifetime"): "denied",
    ("embed-retired", "jwt-expiry-enforced"): "error",  # the secret is not the one tokens are encrypted with
    ("embed-retired", "jwt-lifetime"): "error",
    ("crm-db", "postgres-password-kdf"): "error",  # the function was altered
    ("reports-db", "postgres-password-kdf"): "certificate",  # it expired
}
"""What is in the way of an audit of the broken world. Its other faults are for the audit to find."""


@pytest.fixture
def world(name: str, request: pytest.FixtureRequest) -> Audited:
    found: Audited = request.getfixturevalue(name)
    return found


def doctor(world: Audited, folder: Path, *arguments: object, **variables: str) -> Ended:
    """Run the command on a world; whatever it wrote would be in `folder`."""
    (folder / "tmp").mkdir()
    everything = {**world.world.environment, "TMPDIR": str(folder / "tmp"), **variables}
    return auditor("doctor", "-c", world.world.config, "--policies", PACK, *arguments, cwd=folder, **everything)


def examined(world: Audited) -> set[str]:
    """The targets that have tests of their own: the others are asked for theirs, and show there."""
    return {task.target for task in world.plan.tasks}


def left_behind(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path != folder / "tmp"]


def test_the_healthy_world_is_ready(healthy: Audited, tmp_path: Path) -> None:
    shown = doctor(healthy, tmp_path)
    assert (shown.code, shown.err) == (0, "")
    targets = len(examined(healthy))
    assert shown.out.endswith(f"\n{targets} targets: {targets} ready\n")
    assert not re.search("not ready|denied|unreachable|error|wrong|skew|certificate:|credentials|rate limit", shown.out)
    assert re.search(r"code \(github\): ready; 4,\d{3} of 5,000 requests left until \d\d:\d\d UTC\n", shown.out)
    assert "prod (aws): ready; of its regions, eu-central-1 was looked at\n" in shown.out
    assert left_behind(tmp_path) == []


def test_the_broken_worlds_troubles_are_named_and_no_others(broken: Audited, tmp_path: Path) -> None:
    shown = doctor(broken, tmp_path)
    assert (shown.code, shown.err) == (3, "")
    target = ""
    found: dict[tuple[str, str], str] = {}
    for line in shown.out.splitlines():
        if match := re.match(r"(\S+) \(\w+\): (?:not )?ready", line):
            target = match[1]
        elif (match := re.match(r"  (\S.{11})  (\S+)$", line)) and match[1].strip() != "ready":
            found[target, match[2]] = match[1].strip()
    assert found == TROUBLES
    assert "auditor permissions --format postgres --target crm-db -c" in re.sub(r"\s+", " ", shown.out)
    assert left_behind(tmp_path) == []


@BOTH
def test_within_this_process_it_says_the_same(name: str, world: Audited) -> None:
    with environment(world.world.environment):
        found = examine(world.world.config, PACK)
    wrong = {
        (target, check): state
        for target, one in found.items()
        for check, state in states(one).items()
        if state != "ready"
    }
    assert wrong == (TROUBLES if name == "broken" else {})
    assert set(found) == examined(world)


class Counting:
    """Notes each question that reaches a source, and each request that goes over HTTP; by target."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = list(targets)
        self._lock = threading.Lock()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[str] = Counter()

    def sources(self) -> Mapping[str, SourceType]:
        """The sources, watched."""
        return {name: msgspec.structs.replace(kind, open=self._open(kind)) for name, kind in plugins.sources().items()}

    def transports(self) -> dict[str, Any]:
        """What carries the bytes of each target that is asked over HTTP; it passes them on."""
        found: dict[str, Any] = {}
        for target in self._targets:
            note = functools.partial(self._request, target.id)
            if target.type == "aws":
                found[target.id] = note
            elif target.type in ("github", "heroku"):
                found[target.id] = functools.partial(_send, note)
        return found

    def note(self, target: str, operation: str) -> None:
        with self._lock:
            self.asked[target, operation] += 1

    def _request(self, target: str, *_: Any) -> None:
        with self._lock:
            self.requests[target] += 1

    def _open(self, kind: SourceType) -> Any:
        @contextmanager
        def connect(settings: Any, opening: Opening) -> Iterator[Any]:
            (target,) = (one.id for one in self._targets if one.settings == settings)
            with kind.open(settings, opening) as connection:
                yield _Counted(connection, self, target)

        return connect


def _send(note: Callable[[], None], *arguments: Any, **named: Any) -> Any:
    note()
    return HTTPAdapter(max_retries=0).send(*arguments, **named)


class _Counted:
    def __init__(self, connection: Connection, counting: Counting, target: str) -> None:
        self._connection = connection
        self._counting = counting
        self._target = target

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        self._counting.note(self._target, operation.name)
        return self._connection.ask(operation, params)


@BOTH
def test_each_operation_is_asked_once_of_each_target(world: Audited) -> None:
    """And costs one request, where it goes over HTTP; one a call where it takes several, as the credential report."""
    counting = Counting(world.settings.targets)
    transports = counting.transports()
    with environment(world.world.environment):
        found = examine(world.world.config, PACK, sources=counting.sources(), transports=transports)
    assert set(counting.asked.values()) == {1}
    for target, one in found.items():
        asked = {operation for name, operation in counting.asked if name == target}
        further = {operation for name, operation in counting.asked if name not in found}
        tried = {operation for checkup in one.checkups for operation in checkup.tried}
        assert asked >= tried - further > set(), target
        if target in transports:
            assert counting.requests[target] == sum(map(calls, asked)), target


def calls(operation: str) -> int:
    """How many requests a question takes that is answered at once."""
    row = plugins.sources()["aws"].operations.get(operation)
    return 1 + len(row.steps) if isinstance(row, AwsOperation) else 1


@BOTH
def test_the_worlds_secrets_stay_secret(world: Audited, tmp_path: Path) -> None:
    secrets = {key: value for key, value in world.world.environment.items() if re.search("SECRET|PASSWORD|TOKEN", key)}
    assert len(secrets) >= 3
    shown = doctor(world, tmp_path, "-vv")
    said = (shown.out + shown.err).encode()
    assert len(said) > 1000
    for secret in secrets.values():
        assert [form for form in forms(secret) if form in said] == []
    assert left_behind(tmp_path) == []


def test_canaries_stay_secret_where_everything_fails(broken: Audited, tmp_path: Path) -> None:
    """With wrong secrets, so that every error path speaks; a role as well, and no certificate is verified."""
    settings = yaml.safe_load(broken.world.config.read_text())
    for target in settings["targets"]:
        if target["type"] == "postgres":
            target["trust"] = "none"
        if target["type"] == "aws":
            target |= {"max_attempts": 1, "role_arn": "arn:aws:iam::123456789012:role/auditor"}
            target["external_id"] = {"env": "EXTERNAL_ID"}
    config = tmp_path / "auditor.yaml"
    config.write_text(yaml.safe_dump(settings))
    everything = {**broken.world.environment, **CANARIES}
    shown = auditor("doctor", "-vv", "-c", config, "--policies", PACK, cwd=tmp_path, **everything)
    assert shown.code == 3
    assert "credentials" in shown.out
    said = (shown.out + shown.err).encode()
    for secret in CANARIES.values():
        assert [form for form in forms(secret) if form in said] == []
    assert [path.name for path in tmp_path.iterdir()] == ["auditor.yaml"]


def test_the_search_itself_would_find_them() -> None:
    """The positive control: a secret that is printed is found."""
    for secret in CANARIES.values():
        assert [form for form in forms(secret) if form in f"said {secret}".encode()]


def test_on_a_terminal_it_is_coloured_and_stays_within_it(broken: Audited, tmp_path: Path) -> None:
    arguments = ["doctor", "-c", broken.world.config, "--policies", PACK]
    shown = on_a_terminal(*arguments, cwd=tmp_path, columns=80, **broken.world.environment).out
    assert "\x1b[" in shown
    plain = on_a_terminal(*arguments, cwd=tmp_path, columns=80, **broken.world.environment, NO_COLOR="1").out
    assert "\x1b" not in plain
    long = [line for line in plain.splitlines() if len(line) > 80]
    assert all(str(broken.world.config) in line or "/" in line for line in long), long


def test_a_hostile_name_commands_no_terminal(healthy: Audited, tmp_path: Path) -> None:
    settings = yaml.safe_load(healthy.world.config.read_text())
    (database,) = (target for target in settings["targets"] if target["type"] == "postgres")
    (past,) = (target for target in settings["targets"] if target["type"] == "runs")
    database |= {"user": "x\x1b]0;pwned\x07\u202e", "endpoints": []}
    config = tmp_path / "auditor.yaml"
    config.write_text(yaml.safe_dump({**settings, "targets": [database, past]}, allow_unicode=False))
    shown = on_a_terminal(
        "doctor", "-c", config, "--policies", PACK, "--no-color", cwd=tmp_path, columns=80, **healthy.world.environment
    )
    assert shown.code == 3
    assert "\\u001b" in shown.out
    assert not set(shown.out) & set("\x1b\x07\u202e")

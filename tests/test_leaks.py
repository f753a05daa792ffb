"""No secret of any target is in anything an audit leaves behind, whoever says it, in whatever form and wherever.

Which secrets there are is read off the settings of every installed source: a new one without a canary fails here.
"""

from __future__ import annotations

import ast
import html
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from auditor import keys, plugins, settings
from auditor.cli import guarded, logs
from auditor.model import AuditorError, EvidenceError, Problem, UsageError
from auditor.questions import Failure, Opening, SecretRef
from auditor.redact import MASK, Redactor
from auditor.sandbox.http_server import HttpServer, reply
from auditor.sources.clock import utcnow
from tests import toy
from tests.canaries import forms, found, needles, texts
from tests.cli_process import COMMAND, ROOT, environment
from tests.hostile_servers import ISSUED, MANNERS, Hostile, HostilePostgres, Manner
from tests.test_redact import nested
from tests.toy import World, claim
from tests.world_runs import PACK

CANARIES = {
    "GITHUB_TOKEN": "canary_pat_/+=@'%7f{x}~0123",
    "HEROKU_API_KEY": "canary-HRKU_/+=@'%7f{x}~4567",
    "EXPLO_API_TOKEN": "kanary_api_/+=@'%7f{y}~89ab",
    "EXPLO_EMBED_SECRET": 'cánary-"embed"@/secret+%\\7f-012',
    "PGPASSWORD": "cänary  of\ttwo\nlines \"and\" 'more' é/@",
    "EXTERNAL_ID": "Canary:External@/id=,.+-99",
    "AWS_SECRET_ACCESS_KEY": 'cánary-"aws"@/key+%\\7f',
    "AWS_SESSION_TOKEN": 'kanary-token-"s"@/+ß-91a',
    "PSEUDONYM_KEY": "kanarie&of<the>key;of pseudonyms",
}
FROM_AWS = dict(zip(ISSUED, ("issuedCanary/secret+key=0123", 'issuedKanary//token"+/=4567'), strict=True))
"""Secrets that AWS gives when a role is assumed."""
PLACES = {
    ("", "seal.key"): "",  # a file, which no system was told of: see below
    ("", "pseudonym_key"): "PSEUDONYM_KEY",
    ("aws", "external_id"): "EXTERNAL_ID",
    ("github", "token"): "GITHUB_TOKEN",
    ("heroku", "token"): "HEROKU_API_KEY",
    ("postgres", "password"): "PGPASSWORD",
    ("tokens", "mint.token"): "EXPLO_API_TOKEN",
    ("tokens", "secret"): "EXPLO_EMBED_SECRET",
}
"""Where auditor.yaml refers to a secret, by type of target (none: of the file itself), and the canary put there."""
PRIVATE = {"privacy": "pseudonymous", "pseudonym_key": {"env": "PSEUDONYM_KEY"}}
ACCOUNT = "123456789012"


def places(kind: inspect.Type, path: str = "") -> Iterator[str]:
    """Every place in a type where a secret may be referred to, however deep."""
    if isinstance(kind, inspect.StructType):
        if kind.cls is SecretRef:
            yield path
        else:
            for field in kind.fields:
                yield from places(field.type, f"{path}.{field.encode_name}".lstrip("."))
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from places(one, path)
    elif isinstance(kind, inspect.CollectionType):
        yield from places(kind.item_type, f"{path}[]")
    elif isinstance(kind, inspect.DictType):
        yield from places(kind.value_type, f"{path}{{}}")
    elif isinstance(kind, inspect.Metadata):
        yield from places(kind.type, path)


def test_every_secret_of_every_source_has_a_canary() -> None:
    shapes = {"": settings.File, **{name: kind.settings for name, kind in plugins.sources().items()}}
    known = {(name, place) for name, shape in shapes.items() for place in places(inspect.type_info(shape))}
    assert known == PLACES.keys()
    assert {target["type"] for target in targets("http://127.0.0.1:9", 9)} == plugins.sources().keys()


class Inner(msgspec.Struct):
    ref: SecretRef


class Outer(msgspec.Struct):
    one: SecretRef | None
    many: list[Inner]
    named: dict[str, Inner | None]
    pair: tuple[SecretRef, ...] = ()


def test_places_are_found_however_deep() -> None:
    assert set(places(inspect.type_info(Outer))) == {"one", "many[].ref", "named{}.ref", "pair[]"}
    refs = [SecretRef(env=name) for name in "abcd"]
    outer = Outer(refs[0], [Inner(refs[1])], {"x": Inner(refs[2])}, (refs[3],))
    assert list(settings.secret_refs(outer)) == refs


def of(manner: Manner) -> dict[str, str]:
    """The secrets there are: that of pseudonyms only where there are pseudonyms, which is not always."""
    return {name: one for name, one in CANARIES.items() if name != "PSEUDONYM_KEY" or manner in ("answer", "refuse")}


def targets(url: str, port: int) -> list[dict[str, Any]]:
    """One target of every type, all its secrets being canaries."""

    def ref(kind: str, place: str) -> dict[str, str]:
        return {"env": PLACES[kind, place]}

    mint = {"url": f"{url}/tokens/mint/", "token": ref("tokens", "mint.token"), "customer": "test", "embed": "d"}
    return [
        {
            "id": "code", "type": "github", "organization": "explo", "base_url": f"{url}/github",
            "token": ref("github", "token"),
        },
        {
            "id": "hosting", "type": "heroku", "team": "explo", "base_url": f"{url}/heroku",
            "token": ref("heroku", "token"),
        },
        {
            "id": "embed", "type": "tokens", "allow": ["mint"], "secret": ref("tokens", "secret"), "mint": mint,
            "verify": {"url": f"{url}/tokens/verify", "in": "query", "name": "token"}, "jwks_url": f"{url}/tokens/jwks",
        },
        {
            "id": "prod", "type": "aws", "account_id": ACCOUNT, "endpoint_url": url, "max_attempts": 1,
            "role_arn": f"arn:aws:iam::{ACCOUNT}:role/auditor", "external_id": ref("aws", "external_id"),
        },
        {
            "id": "app-db", "type": "postgres", "host": "127.0.0.1", "port": port, "dbname": "app", "user": "auditor",
            "trust": "none", "password": ref("postgres", "password"),
        },
        {"id": "past", "type": "runs", "path": "out"},
    ]  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Hostile systems that know every secret, and a folder in which they are to be audited."""

    folder: Path
    web: Hostile
    database: HostilePostgres

    @property
    def config(self) -> Path:
        return self.folder / "auditor.yaml"

    def auditor(self, command: str, *arguments: object, **variables: str) -> tuple[int, bytes]:
        """Run a command in this folder; return its code and all it said."""
        called = [*COMMAND, command, *map(str, arguments)]
        done = subprocess.run(
            called,
            cwd=self.folder,
            env=environment(**{**CANARIES, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", **variables}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=100,
        )
        return done.returncode, done.stdout + done.stderr


@contextmanager
def hostile(manner: Manner, folder: Path) -> Iterator[Scene]:
    known = of(manner)
    web, database = Hostile({**known, **FROM_AWS}, manner, ACCOUNT), HostilePostgres(known, manner)
    key = keys.generate(folder / keys.PRIVATE, folder / keys.PUBLIC, utcnow())
    assert key.id
    whole = {
        "version": 1,
        "organization": "Explo",
        "targets": targets(web.url, database.port),
        "seal": {"key": {"file": keys.PRIVATE}},
        **(PRIVATE if "PSEUDONYM_KEY" in known else {}),
    }
    (folder / "auditor.yaml").write_text(yaml.safe_dump(whole))
    try:
        yield Scene(folder, web, database)
    finally:
        web.stop()
        database.stop()


def leaks(scene: Scene, said: bytes, *left: Path) -> list[str]:
    """Return every place in which a secret can be read: in what was left behind, and in what was said meanwhile."""
    lines = [("stdout and stderr", said), *(text for path in left for text in texts(path))]
    pem = [line.encode() for line in (scene.folder / keys.PRIVATE).read_text().splitlines() if "-----" not in line]
    assert pem
    of_key = [f"the signing key in {where}" for where, text in lines if any(line in text for line in pem)]
    return found({**of(scene.web.manner), **FROM_AWS}, *lines) + of_key


@pytest.mark.parametrize("manner", MANNERS)
def test_whatever_systems_send_back_no_secret_is_left_anywhere(manner: Manner, tmp_path: Path) -> None:
    """In every report, the evidence, the log at -vv, and what the other commands make of the run."""
    with hostile(manner, tmp_path) as scene:
        reports = ",".join(plugins.reports())
        arguments = ("-vv", "-c", scene.config, "--policies", PACK, "-o", "out", "-f", reports)
        code, said = scene.auditor("run", *arguments)
        assert code in (1, 3), said.decode()[-3000:]
        assert {"github", "heroku", "tokens", "aws"} <= scene.web.asked.keys()
        assert scene.database.asked
        (run,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
        for target in ("code", "hosting", "prod", "app-db") if manner in ("answer", "refuse") else ():
            kept = b"".join(path.read_bytes() for path in (run / "evidence").glob(f"{target}.*"))
            assert MASK.encode() in kept, f"the control: {target} sent something back"
        more = [scene.auditor("doctor", "-vv", "-c", scene.config, "--policies", PACK)[1]]
        more.append(scene.auditor("plan", "-c", scene.config, "--policies", PACK, "-f", "json")[1])
        more.append(scene.auditor("evaluate", run, "-o", "again", "-f", reports)[1])
        more.append(scene.auditor("report", run, "-o", "rendered", "-f", reports)[1])
        more.append(scene.auditor("package", run, "-o", "evidence.zip")[1])
        left = [tmp_path / name for name in ("out", "again", "rendered", "evidence.zip")]
        assert all(path.exists() for path in left), b"\n".join(more).decode()[-3000:]
        assert leaks(scene, said + b"\n".join(more), *left) == []


def test_a_github_that_quotes_the_token_in_the_spellings_of_other_programs(tmp_path: Path) -> None:
    """It has to know no more than what it was sent: the header is answered with 403, spelled otherwise."""
    token = CANARIES["GITHUB_TOKEN"]
    quoted = " and ".join(nested(token).values())

    def refuse(handler: BaseHTTPRequestHandler) -> None:
        assert handler.headers["Authorization"] == f"Bearer {token}"
        body = json.dumps({"message": f"Forbidden: {quoted}, it was", "errors": [*nested(token).values()]})
        reply(handler, 403, {"Content-Type": "application/json"}, body.encode())

    server = HttpServer("quoting", refuse, methods=("GET", "POST"))
    target = {
        "id": "code", "type": "github", "organization": "explo", "base_url": server.url,
        "token": {"env": "GITHUB_TOKEN"},
    }  # fmt: skip
    (tmp_path / "auditor.yaml").write_text(yaml.safe_dump({"version": 1, "organization": "Explo", "targets": [target]}))
    test = {
        "id": "mfa",
        "check": "github-mfa",
        "targets": ["code"],
        "severity": "high",
        "cadence": "P1D",
        "max_age": "P1D",
    }
    source = {"title": "t", "url": "https://example.com", "retrieved": "2026-11-23"}
    pack = {"version": 1, "id": "pack", "title": "t", "source": source, "claims": [claim("mfa", test)]}
    (tmp_path / "pack.yaml").write_text(yaml.safe_dump(pack))
    arguments = ("run", "-vv", "-c", "auditor.yaml", "--policies", "pack.yaml", "-o", "out", "-f", "json,html")
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(GITHUB_TOKEN=token),
            capture_output=True,
            check=False,
            timeout=100,
        )
    finally:
        server.stop()
    said = done.stdout + done.stderr
    assert done.returncode == 3, said.decode()
    (run,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    for name in ("evidence/code.main.jsonl", "findings/code.main.jsonl", "report.json", "report.html"):
        assert f"Forbidden: {MASK}".encode() in (run / name).read_bytes(), f"the control: {name} quotes what was said"
    assert found({"GITHUB_TOKEN": token}, ("stdout and stderr", said), *texts(tmp_path / "out")) == []


def test_the_search_would_find_each_form_of_each_secret_in_any_file_or_package(tmp_path: Path) -> None:
    for name, secret in CANARIES.items():
        for number, form in enumerate(forms(secret).values()):
            place = tmp_path / f"{name}-{number}"
            place.mkdir()
            for text in (f"xxx {form} xxx", json.dumps([form], indent=4), html.escape(form)):
                (place / "file").write_text(text)
                assert found({name: secret}, *texts(place)), text
            with zipfile.ZipFile(tmp_path / f"{name}-{number}.zip", "w") as package:
                package.writestr("inner/file", f"xxx {form} xxx")
            assert found({name: secret}, *texts(tmp_path / f"{name}-{number}.zip")), form
        assert len(needles(secret)) > 20
    assert found(CANARIES, ("nothing", b"nothing of the kind, and MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")) == []


def test_nothing_that_holds_a_secret_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`repr` is what ends up in a log by mistake: of settings, of connections, of what runs an audit."""
    for name, secret in CANARIES.items():
        monkeypatch.setenv(name, secret)
    config = tmp_path / "auditor.yaml"
    whole = {"version": 1, "organization": "Explo", "targets": targets("http://127.0.0.1:9", 9), **PRIVATE}
    config.write_text(yaml.safe_dump(whole))
    loaded = settings.load(config, plugins.sources())
    redactor = Redactor(CANARIES.values())
    shown = [repr(loaded), repr(redactor)]
    for target in loaded.targets:
        kind = plugins.sources()[target.type]
        opening = Opening(
            shard="main", secret=lambda ref: os.environ[str(ref.env)], conceal=redactor.conceal, folder=tmp_path
        )
        with kind.open(target.settings, opening) as connection:
            shown += [repr(opening), repr(connection), repr(list(kind.declare(target.settings).items()))]
            first = next(iter(kind.operations.values()))
            if not first.needs_identity or target.type == "tokens":
                shown.append(repr(list(connection.ask(first, {}))))
            shown.append(repr(connection))
    assert found(CANARIES, *((f"repr {number}", text.encode()) for number, text in enumerate(shown))) == []
    refs = {ref.env for ref in settings.secret_refs(loaded)}
    assert refs == {name for name in PLACES.values() if name}
    for (name, place), variable in PLACES.items():
        for target in loaded.targets:
            if target.type == name:
                assert reduce(getattr, place.split("."), target.settings) == SecretRef(env=variable)


def test_secrets_of_the_file_itself_are_masked_as_those_of_targets_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.generate(tmp_path / "a.key", tmp_path / "a.json", utcnow())
    pem = (tmp_path / "a.key").read_text()
    monkeypatch.setenv("PSEUDONYM_KEY", CANARIES["PSEUDONYM_KEY"])
    line = pem.splitlines()[1]
    world = World([{"id": f"box {line}", "closed": True}, {"id": CANARIES["PSEUDONYM_KEY"], "closed": True}])
    world.errors["lock"] = Failure(line, pem)
    more = {"seal": {"key": {"file": "a.key"}}, **PRIVATE}
    result = toy.audit(world, tmp_path, claim("c", {"id": "t", "check": "boxes-locked"}), more=more)
    left = list(texts(result.run))
    assert not [name for name, text in left if line.encode() in text]
    assert found({"PSEUDONYM_KEY": CANARIES["PSEUDONYM_KEY"]}, *left) == []
    assert f"box {MASK}".encode() in b"".join(text for _, text in left)


def test_a_message_is_cut_only_when_what_is_secret_in_it_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut first, half of a secret with blanks in it would stay, and nobody would know it."""
    monkeypatch.setenv("BLANKS", secret := "correct horse battery staple of blanks")
    for before in range(940, 1010, 5):
        world = World([{"id": "box", "closed": True}])
        world.errors["lock"] = Failure("odd", "w " * (before // 2) + secret + " w" * 200)
        folder = tmp_path / str(before)
        result = toy.audit(world, folder, claim("c", {"id": "t", "check": "boxes-locked"}), secret={"env": "BLANKS"})
        text = b"".join(text for _, text in texts(result.run))
        assert b"correct" not in text
        assert b"staple" not in text
        assert b"w \xe2\x80\xa6" in text or f"{MASK} …".encode() in text


def test_no_secret_is_an_argument_of_a_process() -> None:
    """Whoever may list processes reads their arguments; outside the demo world nothing starts one."""
    for path in (ROOT / "auditor").rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module).partition(".")[0])
        if "sandbox" not in path.parts:
            assert names.isdisjoint({"subprocess", "multiprocessing", "pty"}), path
            assert not re.search(r"os\.(system|popen|exec|spawn)", path.read_text()), path


def test_nothing_shows_local_variables_in_tracebacks() -> None:
    script = (
        "import sys, logging, auditor.cli, auditor.engine, auditor.doctor, auditor.cli.screen, auditor.cli.logs\n"
        "from auditor import plugins; plugins.installed()\n"
        "assert sys.excepthook is sys.__excepthook__\n"
        "assert 'rich.traceback' not in sys.modules or not sys.excepthook.__module__.startswith('rich')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_secrets_learnt_by_many_threads_are_all_masked() -> None:
    redactor = Redactor()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(redactor.conceal, CANARIES.values()))
    for secret in CANARIES.values():
        for name, form in forms(secret).items():
            body = redactor.scrub({"x": form, f"{form}": 1})[0]
            assert found({name: secret}, (name, json.dumps(body, ensure_ascii=False).encode())) == [], name


@pytest.mark.parametrize("error", [AuditorError, EvidenceError, lambda text: UsageError(Problem(text)), OSError])
def test_what_a_command_complains_of_is_masked(
    error: Callable[[str], Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(logs._State, "redactor", Redactor(CANARIES.values()))
    monkeypatch.setattr(logs._State, "file", tmp_path / "auditor.log")

    def fail() -> None:
        raise error(" ".join(CANARIES.values()))

    assert guarded(fail) != 0
    said = "".join(capsys.readouterr()).encode()
    assert MASK.encode() in said or error is OSError
    assert found(CANARIES, ("what was said", said), *texts(tmp_path)) == []

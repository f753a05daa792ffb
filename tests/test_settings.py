"""`auditor.yaml`: targets of known types, secrets only by reference, and every mistake told at once."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from auditor import plugins, settings
from auditor.model import UsageError
from auditor.questions import SecretRef
from auditor.sources.postgres.target import PostgresTarget
from auditor.yamlfile import Document

HEAD = "version: 1\norganization: Explo\ntargets:\n"
AWS = '{id: prod, type: aws, account_id: "123456789012"}'
ID = "a small letter, then small letters, digits and -, 41 characters at most"
SOURCES = {name: plugins.sources()[name] for name in ("aws", "postgres")}
DATABASE = "{id: db, type: postgres, host: db.example, dbname: app, user: auditor}"


def written(folder: Path, text: str) -> Path:
    path = folder / "auditor.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, *targets: str, head: str = HEAD) -> list[str]:
    """What is told about these targets, each on a line of its own; the first is line 4."""
    path = written(folder, head + "".join(f"  - {target}\n" for target in targets))
    reading = settings.read(path, SOURCES)
    assert (reading.settings is None) == bool(reading.problems)
    return [str(problem).removeprefix(f"{path}:") for problem in reading.problems]


def test_settings_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD + f"  - {AWS}\n  - {{id: db, type: postgres, tags: [production], host: h, dbname: a, user: u, "
        "password: {env: PGPASSWORD}, client_certificate: {cert: c, key: k}, trust: {ca: ca.pem}, port: 5433}\n",
    )
    loaded = settings.load(path, SOURCES)
    assert (loaded.organization, loaded.folder) == ("Explo", tmp_path)
    assert [(target.id, target.type, target.tags) for target in loaded.targets] == [
        ("prod", "aws", ()),
        ("db", "postgres", ("production",)),
    ]
    database = loaded.targets[1].settings
    assert isinstance(database, PostgresTarget)
    assert database.port == 5433
    assert list(settings.secret_refs(database)) == [SecretRef(env="PGPASSWORD")]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (AWS.replace('"', ""), "4:39: account_id: must be text, not a number: put it in quotes"),
        (
            AWS.replace('"123456789012"', "012345670123"),
            "4:39: begins with 0: put it in quotes if it is text, leave the 0 out if it is a number",
        ),
        (AWS.replace("012", "01"), "4:39: account_id: '12345678901' is not "),
        (AWS.replace("type: aws", "type: asw"), "4:22: unknown type 'asw' (did you mean 'aws'?)"),
        (AWS.replace("type: aws", "type: 3"), "4:22: type: must be text, not a number: put it in quotes"),
        (AWS.replace("type: aws, ", ""), "4:5: targets (item 1): missing 'type'"),
        (AWS.replace("id: prod, ", ""), "4:5: targets (item 1): missing 'id'"),
        (
            AWS.replace("prod", "Prod"),
            "4:10: id: 'Prod' is not a target id: " + ID,
        ),
        (
            AWS.replace("prod", "../x"),
            "4:10: id: '../x' is not a target id: " + ID,
        ),
        (AWS.replace("account_id", "acount_id"), "4:5: targets (item 1): missing 'account_id'"),
        (AWS.replace("}", ", regoins: {}}"), "4:55: unknown key 'regoins' (did you mean 'regions'?)"),
        (AWS.replace("}", ", tags: production}"), "4:61: tags: must be a list, not text"),
        (
            AWS.replace("}", ", external_id: hunter2}"),
            "4:68: external_id: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}",
        ),
        (
            AWS.replace("}", ", external_id: {env: A, file: B}}"),
            "4:68: external_id: a secret is either {env: NAME} or {file: PATH}",
        ),
        (
            AWS.replace("}", ", endpoint_url: http://evil.example}"),
            "4:69: endpoint_url: http:// is only for loopback; use https://",
        ),
        (
            AWS.replace("}", ", endpoint_url: 'http://127.0.0.1:1@evil.example'}"),
            "4:69: endpoint_url: http:// is only for loopback; use https://",
        ),
        (
            DATABASE.replace("}", ", password: hunter2}"),
            "4:86: password: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}",
        ),
        (DATABASE.replace("}", ", port: 65536}"), "4:82: port: must be at most 65535, not 65536"),
        (DATABASE.replace("host: db.example, ", ""), "4:5: targets (item 1): missing 'host'"),
        ("just text", "4:5: targets (item 1): must be a mapping (key: value), not text"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, target: str, problem: str) -> None:
    problems = told(tmp_path, target)
    assert [line for line in problems if line.startswith(problem)]
    assert "hunter2" not in "".join(problems)
    assert len(problems) == (2 if "acount_id" in target else 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:80", "https://x.example"])
def test_http_is_for_loopback(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, AWS.replace("}", f", endpoint_url: '{url}'}}")) == []


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Of every target, of the frame, of one target's shape and of its rules; in the order of the file."""
    problems = told(
        tmp_path,
        AWS.replace("}", ", endpoint_url: http://x.example, external_id: {}, max_attempts: 0}"),
        "{id: DB, type: postgres, host: h, dbname: a, user: u, port: '5432'}",
        DATABASE,
        DATABASE.replace("}", ", timeout: 0}"),
        head=HEAD.replace("version: 1", "version: 2").replace("organization", "organisation"),
    )
    assert [line.partition(": ")[0] for line in problems] == [
        "1:1", "1:10", "2:1",
        "4:69", "4:100", "4:118",
        "5:10", "5:65",
        "7:10", "7:85",
    ]  # fmt: skip


def test_an_id_is_given_once_even_to_broken_targets(tmp_path: Path) -> None:
    assert told(tmp_path, DATABASE, "{id: db, type: nothing}") == [
        "5:10: duplicate target id 'db', first on line 4",
        "5:20: unknown type 'nothing'; known here: aws, postgres",
    ]


def test_the_names_are_known_even_if_the_settings_are_broken(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "  - {id: db, type: postgres, tags: [a], port: x}\n  - {id: 3}\n  - text\n")
    reading = settings.read(path, SOURCES)
    assert reading.settings is None
    assert reading.names == (settings.Named(id="db", type="postgres", tags=("a",)),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file is empty"),
        ("[]", "1:1: must be a mapping (key: value), not a list"),
        ("version: 1\norganization: ''\ntargets: []", "2:15: organization: must not be empty"),
        ("version: 1\norganization: x\ntargets: {}", "3:10: targets: must be a list, not a mapping"),
        ("version: 1\norganization: x", "1:1: missing 'targets'"),
    ],
)
def test_a_mistake_in_the_frame_is_told(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        settings.load(path, SOURCES)
    assert str(caught.value) == f"{path}:{problem}"


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="there is no such file; name it with -c, or have one laid out: auditor policy new"
    ):
        settings.load(tmp_path / "auditor.yaml", SOURCES)


def test_secrets_are_found_wherever_they_are_nested() -> None:
    one, two = SecretRef(env="ONE"), SecretRef(file="two")
    target = PostgresTarget(host="h", dbname="d", user="u", password=one)
    assert list(settings.secret_refs([target, (two,), "text", 3, None])) == [one, two]


SCHEMA = json.loads(json.dumps(settings.json_schema(SOURCES)))


def test_the_schema_is_one_and_accepts_what_is_right() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(Document("f", HEAD + f"  - {AWS}\n  - {DATABASE[:-1]}, tags: [a], password: {{env: X}}}}").data)


@pytest.mark.parametrize(
    "target",
    [
        AWS.replace('"', ""),
        AWS.replace("type: aws", "type: asw"),
        AWS.replace("prod", "Prod"),
        AWS.replace("id: prod, ", ""),
        AWS.replace("}", ", regoins: {}}"),
        DATABASE.replace("}", ", password: hunter2}"),
        DATABASE.replace("}", ", password: {}}"),
        DATABASE.replace("}", ", password: {env: A, file: B}}"),
        DATABASE.replace("}", ", account_id: '123456789012'}"),
    ],
)
def test_the_schema_refuses_what_is_wrong(target: str) -> None:
    data = Document("f", HEAD + f"  - {target}").data
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(data)

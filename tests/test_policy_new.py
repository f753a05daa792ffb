"""A working folder to begin with: valid at once, explained, derived from what is installed, never over something."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
import yaml

from auditor import entries, plan, plugins, policy, settings, starter
from auditor.checking import Check
from auditor.cli import inputs, policy_new
from auditor.model import UsageError
from auditor.questions import SecretRef, SourceType
from auditor.shapes import keys
from auditor.starter import Starter
from auditor.wording import harmless
from tests.cli_process import auditor, closed_port, report, runs
from tests.policy_words import check

TODAY = "2026-11-23"
OPTIONAL = re.compile(r"( +)#([a-z_]+): (.+)")


def laid_out(*types: str) -> Starter:
    return starter.lay_out("Acme Inc.", types, TODAY, plugins.checks(), plugins.sources())


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def loaded(folder: Path, pack: str) -> tuple[settings.Settings, policy.Policy]:
    return inputs.read(folder / "auditor.yaml", folder / pack, plugins.checks(), plugins.sources())


KINDS = [(), *((name,) for name in dict.fromkeys(check.target_type for check in plugins.checks().values()))]


@pytest.mark.parametrize("types", KINDS, ids=lambda types: "+".join(types) or "all")
def test_what_is_laid_out_is_valid_and_a_plan_can_be_made(types: tuple[str, ...], tmp_path: Path) -> None:
    made = laid_out(*types)
    read, pack = loaded(written(tmp_path, made.files), made.pack)
    planned = plan.make(pack, plan.declare(read, plugins.sources()), read.organization, plugins.checks())
    wanted = {one.id for one in plugins.checks().values() if not types or one.target_type in types}
    assert {test.check for test in planned.tests} == wanted
    assert all(test.targets and not test.excluded for test in planned.tests)
    assert planned.organization == "Acme Inc."


def test_nothing_that_is_installed_is_left_out() -> None:
    made = laid_out()
    assert "could not be laid out" not in "".join(made.files.values())
    shown = made.files["auditor.yaml"]
    for source in {one.target_type for one in plugins.checks().values()}:
        assert f"\n  - id: {source}\n    type: {source}\n" in shown
        block = shown.partition(f"- id: {source}\n")[2].partition("\n\n")[0]
        for key in keys(plugins.sources()[source].settings):
            assert re.search(rf"^    #?{key.name}: .", block, re.MULTILINE), f"{source}: {key.name}"


def optional(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, line) for name, text in files.items() for line in text.splitlines() if OPTIONAL.fullmatch(line))


@pytest.mark.parametrize(
    ("name", "line"), [pytest.param(*row, id=row[1].strip()) for row in optional(laid_out().files)]
)
def test_every_optional_setting_is_valid_once_its_mark_is_taken_away(name: str, line: str, tmp_path: Path) -> None:
    made = laid_out()
    changed = made.files[name].replace(f"\n{line}\n", f"\n{line.replace('#', '', 1)}\n")
    assert changed != made.files[name]
    loaded(written(tmp_path, {**made.files, name: changed}), made.pack)


def test_there_are_optional_settings() -> None:
    assert len(list(optional(laid_out().files))) >= 10


def test_every_line_is_read_at_80_columns_and_all_are_explained() -> None:
    for name, text in laid_out().files.items():
        if name.endswith(".yaml"):
            assert text.startswith("# yaml-language-server: $schema=")
            prose = [line for line in text.splitlines() if line.strip().startswith("# ")]
            assert all(len(line) <= 80 for line in prose)
            assert len(prose) > 15
            assert text == text.replace("\t", "").replace(" \n", "\n")


def test_the_schemas_beside_them_accept_them(tmp_path: Path) -> None:
    made = laid_out()
    written(tmp_path, made.files)
    for name, text in made.files.items():
        if name.endswith(".yaml"):
            schema = tmp_path / Path(name).parent / text.partition("$schema=")[2].partition("\n")[0]
            jsonschema.Draft202012Validator(json.loads(schema.read_bytes())).validate(yaml.safe_load(text))


def test_secrets_are_references_and_reports_are_ignored(tmp_path: Path) -> None:
    made = laid_out()
    read, _ = loaded(written(tmp_path, made.files), made.pack)
    refs = [ref for target in read.targets for ref in settings.secret_refs(target.settings)]
    assert refs
    assert all(ref.env and re.fullmatch(r"[A-Z][A-Z0-9_]*", ref.env) for ref in refs)
    assert {"reports/", "secrets/", "*.key", "*.pem", ".env"} <= set(made.files[".gitignore"].splitlines())


def test_every_claim_is_an_example_until_somebody_quotes_their_page(tmp_path: Path) -> None:
    made = laid_out()
    _, pack = loaded(written(tmp_path, made.files), made.pack)
    for _, claim in pack.claims():
        assert claim.not_tested
        assert claim.owner
        assert claim.interpretation
        assert claim.criteria
        assert len(claim.tests) == 1


class Odd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A house. `door`: its number; `lock` and `key` belong together. Nobody lives in it."""

    door: Annotated[str, msgspec.Meta(pattern=r"^#\d+$", examples=["#7"])]
    lock: Literal["abus", "yale"]
    key: SecretRef
    windows: Annotated[int, msgspec.Meta(ge=2)]
    rooms: dict[str, list[Annotated[str, msgspec.Meta(min_length=3)]]]
    height: float
    lit: bool
    since: Annotated[str, msgspec.Meta(pattern=r"^\d+$")] | None = None


class Unguessable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`door`: its number."""

    door: Annotated[str, msgspec.Meta(pattern=r"^#\d+$")]


class Either(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mint` or `sample`: where a token comes from."""

    mint: str = ""
    sample: str = ""

    def __post_init__(self) -> None:
        if bool(self.mint) == bool(self.sample):
            raise ValueError("needs either mint or sample")


def source(name: str, shape: type[msgspec.Struct], **more: Any) -> SourceType:
    never: Any = None
    return SourceType(name=name, settings=shape, operations={}, declare=lambda _: {}, open=never, **more)


def made_of(checks: list[Check], *kinds: SourceType) -> Starter:
    return starter.lay_out("Ours", (), TODAY, {one.id: one for one in checks}, {kind.name: kind for kind in kinds})


def test_a_plug_in_is_laid_out_from_its_types_alone(tmp_path: Path) -> None:
    kinds = (source("house", Odd), source("papers", Odd))
    made = made_of([check("keys-listed", "house", "papers", params=Odd)], *kinds)
    written(tmp_path, made.files)
    found = settings.load(tmp_path / "auditor.yaml", {kind.name: kind for kind in kinds})
    assert [(target.id, target.type) for target in found.targets] == [("house", "house"), ("papers", "papers")]
    house: Any = found.targets[0].settings
    assert (house.door, house.lock, house.key, house.windows) == ("#7", "abus", SecretRef(env="HOUSE_KEY"), 2)
    text = made.files["auditor.yaml"]
    assert "  # A house. Nobody lives in it.\n  - id: house\n" in text
    assert "    # its number\n    door: '#7'\n    # lock and key belong together\n    lock: abus\n    key: " in text
    assert "    #since: '123456789012'\n" in text
    pack = yaml.safe_load(made.files["policies/ours/house.yaml"])
    (test,) = pack["claims"][0]["tests"]
    assert (test["with"], test["params"]["door"]) == ({"papers": "papers"}, "#7")


def test_a_source_may_bring_what_its_type_cannot_say() -> None:
    (bare,) = [
        text
        for name, text in made_of([check("a", "web")], source("web", Either)).files.items()
        if name == "auditor.yaml"
    ]
    assert "\ntargets: []\n\n  # A target of type web could not be laid out (needs either mint or sample):\n" in bare
    with_example = made_of([check("a", "web")], source("web", Either, example={"sample": "tokens.txt"}))
    assert "    sample: tokens.txt\n" in with_example.files["auditor.yaml"]
    assert "    #mint: example\n" in with_example.files["auditor.yaml"]


def test_what_cannot_be_made_up_is_said_and_the_rest_is_valid() -> None:
    checks = [check("a", "web", params=Unguessable), check("b", "web")]
    made = made_of(checks, source("web", Either, example={"mint": "x"}))
    text = made.files["policies/ours/web.yaml"]
    assert "A test by a could not be laid out" in text
    assert [claim["id"] for claim in yaml.safe_load(text)["claims"]] == ["b"]
    with pytest.raises(UsageError) as caught:
        made_of(checks[:1], source("web", Either))
    assert str(caught.value) == "no test by a could be laid out: auditor checks tells what their params are"


def test_a_type_that_nobody_reads_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        starter.lay_out(
            "Ours",
            ["papers"],
            TODAY,
            {"b": check("b", "web")},
            {"web": source("web", Either), "papers": source("papers", Odd)},
        )
    assert str(caught.value) == "--type: no check reads papers; types with checks: web"


NAMES = [
    "Acme: Inc",
    "'quoted'",
    '"Acme" #1',
    "- dash",
    "yes",
    "012",
    "{a: b}",
    "日本 株式会社",
    "Ümläut & Söhne",
    "null",
    "1.5",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_an_organization_is_kept_as_it_is(name: str, tmp_path: Path) -> None:
    made = starter.lay_out(name, (), TODAY, plugins.checks(), plugins.sources())
    read, pack = loaded(written(tmp_path, made.files), made.pack)
    assert read.organization == name
    assert all(name in one.source.title for one in pack.packs)


def test_the_command_lays_out_what_can_be_validated_and_names_what_comes_next(tmp_path: Path) -> None:
    made = auditor("policy", "new", "acme audit", "--type", "postgres", "--organization", "Acme", cwd=tmp_path)
    assert (made.code, made.err) == (0, "")
    folder = tmp_path / "acme audit"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [
        ".gitignore", "auditor.yaml", "policies/acme/postgres.yaml",
        "policies/auditor.schema.json", "policies/policy.schema.json",
    ]  # fmt: skip
    *listed, _, cd, validate, doctor, compare, run = made.out.splitlines()
    assert {f"acme audit/{name}" for name in files} < set(listed)
    assert cd == "  cd 'acme audit'"
    assert (validate, doctor, compare, run) == (
        "  auditor policy validate policies/acme -c auditor.yaml",
        "  auditor doctor --policies policies/acme",
        "  auditor policy coverage page.html --policies policies/acme",
        "  auditor run --policies policies/acme",
    )
    validated = auditor(*validate.split()[1:], cwd=folder)
    assert (validated.code, validated.err) == (0, "")
    assert "valid" in validated.out


def test_a_run_in_the_new_folder_proves_nothing_and_refutes_nothing(tmp_path: Path) -> None:
    auditor("policy", "new", ".", "--type", "postgres", "--organization", "Acme", cwd=tmp_path)
    config = tmp_path / "auditor.yaml"
    with closed_port() as port:
        text = config.read_text().replace("host: db.example.com", "host: 127.0.0.1")
        config.write_text(text.replace("    #port: 5432", f"    port: {port}"))
        ran = auditor("run", "--policies", "policies/acme", cwd=tmp_path, POSTGRES_PASSWORD="not-the-one-of-anybody")
    assert (ran.code, ran.err) == (3, "")
    (folder,) = runs(tmp_path / "reports")
    assert {claim["verdict"] for claim in report(folder)["claims"]} == {"unproven"}


def test_the_folders_name_is_the_organizations_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "Our Audit").mkdir()
    made = auditor("policy", "new", ".", "--type", "github", cwd=tmp_path / "Our Audit")
    assert made.code == 0
    assert "  cd " not in made.out
    assert "\norganization: Our Audit\n" in (tmp_path / "Our Audit" / "auditor.yaml").read_text()
    assert (tmp_path / "Our Audit" / "policies" / "our-audit" / "github.yaml").is_file()


@pytest.mark.parametrize("in_the_way", ["auditor.yaml", ".gitignore", "policies/acme/postgres.yaml"])
def test_nothing_is_overwritten_and_then_nothing_is_written(in_the_way: str, tmp_path: Path) -> None:
    path = tmp_path / "x" / in_the_way
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    made = auditor("policy", "new", "x", "--type", "postgres", "--organization", "Acme", cwd=tmp_path)
    assert made.code == 2
    assert f"x/{in_the_way}: exists, and nothing is overwritten; choose another folder\n" in made.err
    assert [file for file in (tmp_path / "x").rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "mine\n"


def test_an_empty_file_is_filled_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".gitignore").touch()
    (tmp_path / "x" / "auditor.yaml").symlink_to(tmp_path / "elsewhere")
    arguments = ("policy", "new", "x", "--type", "postgres")
    refused = auditor(*arguments, cwd=tmp_path)
    assert refused.code == 2
    assert "x/auditor.yaml: exists" in refused.err
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "x" / "auditor.yaml").unlink()
    assert auditor(*arguments, cwd=tmp_path).code == 0
    assert (tmp_path / "x" / ".gitignore").read_text() == starter.IGNORED


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    made = auditor("policy", "new", "x", cwd=tmp_path)
    assert (made.code, made.err) == (2, "x: is no folder; choose another one\n1 problem; nothing was run\n")


def test_what_was_begun_is_taken_back_where_it_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * (os.pathconf(tmp_path, "PC_NAME_MAX") + 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="File name too long"):
        policy_new._write(tmp_path, {"a": "text", "b/c": "text", long: "text"})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31mred"])
def test_a_name_that_cannot_be_printed_is_refused(name: str, tmp_path: Path) -> None:
    made = auditor("policy", "new", "x", "--organization", name, cwd=tmp_path)
    assert made.code == 2
    assert "--organization: must be a name that can be printed on one line" in made.err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_type_is_told(tmp_path: Path) -> None:
    made = auditor("policy", "new", "x", "--type", "postgers", "--type", "zzz", cwd=tmp_path)
    assert made.code == 2
    assert "--type: there is no type of source 'postgers' (did you mean 'postgres'?)\n" in made.err
    assert "--type: there is no type of source 'zzz'; known here: aws, github, " in made.err
    assert list(tmp_path.iterdir()) == []
    assert harmless(made.err.replace("\n", "")) == made.err.replace("\n", "")


def test_ids_made_of_names_are_ids() -> None:
    for text, longest in itertools.product(["Ä", "9 lives", "a" * 99, "A--b", "-", "x_y.z"], [41, 80]):
        assert re.fullmatch(r"[a-z][a-z0-9-]*", entries.slug(text, longest))
        assert len(entries.slug(text, longest)) <= longest

"""YAML that people write: read as YAML 1.2 core and nothing else, and every mistake is told with its place."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import yamlcore, yamlfile
from auditor.questions import SecretRef
from auditor.yamlfile import Document, check_shape, convert, in_order, read


def told(text: str) -> list[str]:
    """Every problem as `line:column message`."""
    return [f"{p.line}:{p.column} {p.message}" for p in Document("f.yaml", text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("Y", "Y"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T01:02:03Z", "2026-11-23T01:02:03Z"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("nullish", "nullish"),
        ("tRUE", "tRUE"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("123456789012", 123456789012),
        ('"012345670123"', "012345670123"),
        ("'no'", "no"),
        ('""', ""),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("|\n  1\n", "1\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    document = Document("f", f"a: {text}")
    assert document.problems == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 012345670123", "1:4 begins with 0: put it in quotes if it is text, leave the 0 out if it is a number"),
        ("a: -01.5", "1:4 begins with 0: put it in quotes if it is text, leave the 0 out if it is a number"),
        ("a: .inf", "1:4 no number to work with: put it in quotes if it is text"),
        ("a: .nan", "1:4 no number to work with: put it in quotes if it is text"),
        ("a: 1e999", "1:4 too large a number: put it in quotes if it is text"),
        ("a: " + "9" * 5000, "1:4 too large a number: put it in quotes if it is text"),
        ("a: 9223372036854775808", "1:4 too large a number: put it in quotes if it is text"),
        ("a: 1\nb: 2\na: 3", "3:1 duplicate key 'a', first on line 1"),
        ("x:\n  - {a: 1, a: 2}", "2:12 duplicate key 'a', first on line 2"),
        ("a: &a [*a]", "1:4 an alias to something that contains it"),
        ("a: *b", "1:4 an alias to nothing; a text that begins with * is put in quotes"),
        ("a: &x 1\nb: &x 2", "2:4 an anchor of this name was already set on line 1"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "3:3 merge keys (<<) are not part of YAML 1.2: write the keys out"),
        (
            "a: !!python/object/apply:os.system [x]",
            "1:4 a tag is not allowed; a text that begins with ! is put in quotes",
        ),
        ("a: !!binary aGk=", "1:4 a tag is not allowed; a text that begins with ! is put in quotes"),
        ("a: !!int 1", "1:4 a tag is not allowed; a text that begins with ! is put in quotes"),
        ("a: !own {b: 1}", "1:4 a tag is not allowed; a text that begins with ! is put in quotes"),
        ("!!binary a: 1", "1:1 a tag is not allowed; a text that begins with ! is put in quotes"),
        ("? [a]\n: 1", "1:3 a key must be text"),
        ("?\n: 1", "1:2 a key must be text"),
        ("a:\n\tb: 1", "2:1 a tab: YAML is indented with spaces"),
        ("a: 1\nb: \x00", "2:4 character U+0000 is not allowed in a YAML file"),
        ("a: 1\r\nb: x\x1b[31m", "2:5 character U+001B is not allowed in a YAML file"),
        ("a: x\u2028b: 2", "1:5 character U+2028 is not allowed in a YAML file"),
        ("a: \ufeff", "1:4 character U+FEFF is not allowed in a YAML file"),
        ("a: \ud800", "1:4 character U+D800 is not allowed in a YAML file"),
        ('a: "\\0"', "1:4 holds an escape that stands for no character"),
        ('a: "\\ud800"', "1:4 holds an escape that stands for no character"),
        ("", "1:1 the file is empty"),
        ("# nothing but this", "1:1 the file is empty"),
        ("---", "1:1 the file is empty"),
        ("null", "1:1 the file is empty"),
        ("a: 1\n---\nb: 2", "2:1 a second document (---) begins here: one file holds one"),
        ("[" * 5000, f"1:{yamlcore.MAX_DEPTH + 2} nested more than {yamlcore.MAX_DEPTH} deep"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(text: str, problem: str) -> None:
    assert told(text) == [problem]


@pytest.mark.parametrize(
    "text", ["a: [1", "a: 'x", "a: b: c", "a: %x", "{", "a\nb: 1", 'a: "\\U00110000"', "%YAML 9.9\n---\na"]
)
def test_what_is_not_yaml_is_one_problem(text: str) -> None:
    document = Document("f", text)
    assert document.data is None
    (problem,) = document.problems
    assert problem.line >= 1
    assert problem.column >= 1
    assert "unicode string" not in problem.message
    assert "\n" not in problem.message


def test_every_mistake_is_told_not_only_the_first() -> None:
    assert len(told("a: 01\nb: !x 1\nc: .inf\nc: 2\n<<: 1")) == 5


def test_a_mistake_that_is_repeated_by_aliases_is_told_once() -> None:
    assert told("a: &a [01]\nb: [*a, *a, *a]") == [
        "1:8 begins with 0: put it in quotes if it is text, leave the 0 out if it is a number"
    ]


def test_no_message_shows_a_value() -> None:
    """A password without quotes is a likely accident: its first character decides which mistake it is."""
    for value in (
        "0123456789",
        "*hunter2",
        "!hunter2",
        "!!hunter2",
        "&hunter2 [",
        "%hunter2",
        "@hunter2",
        "1e999",
        "hunter2: x",
    ):
        messages = told(f"password: {value}")
        assert messages
        assert not [text for text in messages if "hunter2" in text or "123" in text or "999" in text], value


def test_aliases_are_expanded() -> None:
    assert Document("f", "a: &a {x: 1}\nb: *a").data == {"a": {"x": 1}, "b": {"x": 1}}


def test_aliases_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlcore, "MAX_NODES", 2_000)
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 5)
    )
    assert [line.partition(" ")[2] for line in told(laughs)] == [
        "more than 2,000 values, aliases counted as often as used"
    ]


def test_aliases_cannot_nest_without_end() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
    assert [line.partition(" ")[2] for line in told(chain)] == ["nested more than 64 deep"]


def test_nodes_are_counted_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlcore, "MAX_NODES", 5)
    assert told("- a\n" * 4) == []
    assert told("- a\n" * 5) == ["5:3 more than 5 values"]


def test_a_mark_and_foreign_line_ends_move_no_place() -> None:
    document = Document("f", "\ufeffa: 1\r\nb:\r\n  c: no\r\n")
    assert document.data == {"a": 1, "b": {"c": "no"}}
    assert document.place(("a",)) == (1, 4)
    assert document.place(("b", "c")) == (3, 6)


def test_a_problem_stands_at_its_value_its_key_or_the_nearest_ancestor() -> None:
    document = Document("f", "a:\n  - b: 1\n    c: 2\n")
    assert str(document.problem("x", ("a", 0, "c"))) == "f:3:8: x"
    assert str(document.problem("x", ("a", 0, "c"), at_key=True)) == "f:3:5: x"
    assert str(document.problem("x", ("a", 0, "missing", 7))) == "f:2:5: x"


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes("\ufeffa: é\r\n".encode())
    document, problems = read(path)
    assert document is not None
    assert (document.data, problems) == ({"a": "é"}, [])


def test_what_is_not_utf_8_is_told_at_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: 1\nb: \xc3\xa9\xe9\n")
    document, problems = read(path)
    assert document is None
    assert list(map(str, problems)) == [f"{path}:2:5: is not UTF-8 text; save it as UTF-8"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert yamlfile.MAX_BYTES == 5_000_000
    monkeypatch.setattr(yamlfile, "MAX_BYTES", 1_000)
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * 998 + "é".encode())
    assert list(map(str, read(path)[1])) == [f"{path}:1:1: the file is empty"]
    path.write_bytes(b"#" * 999 + "é".encode())
    assert list(map(str, read(path)[1])) == [f"{path}: is larger than 1,000 bytes"]


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    assert list(map(str, read(tmp_path)[1])) == [
        f"{tmp_path}: cannot be read: Is a directory; name a file, not its folder"
    ]
    assert list(map(str, read(tmp_path / "no")[1])) == [f"{tmp_path / 'no'}: cannot be read: No such file or directory"]
    assert [problem.message for problem in read(Path("a\0b"))[1]] == ["cannot be read: no such name is possible"]


ANY = st.text() | st.text(alphabet="\t\n\r -:?,[]{}#&*!|>'\"%@`~<=aN01.\\x\ufeff\ud800\x00\x85\u2028")


@settings(deadline=None)
@given(ANY)
def test_any_text_is_read_or_reported(text: str) -> None:
    document = Document("f", text)
    assert (document.data is not None) or document.problems
    if not document.problems:
        json.dumps(document.data, allow_nan=False, ensure_ascii=False).encode()
    for problem in document.problems:
        assert (problem.line, problem.column) >= (1, 1)


CHARACTERS = "aé€😀\u202e :#-?[]{},&*!|>'\"%@`\\/~<=01nNyY.+_xo"
WORDS = st.text(CHARACTERS, min_size=1, max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
    max_leaves=8,
)


TEXTS = WORDS | st.text("0123456789eE.+-_xo", min_size=1, max_size=8) | st.sampled_from(["12e45678", "0123", ".inf"])


@settings(deadline=None)
@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS), min_size=1))
def test_what_is_written_is_read_as_it_was(value: dict[str, Any]) -> None:
    """PyYAML by itself writes 12e45678 without quotes, for in YAML 1.1 that is a text."""
    document = Document("f", yamlcore.dump(value))
    assert document.problems == []
    assert document.data == value


@settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES, min_size=1))
def test_json_is_read_as_json(value: dict[str, Any]) -> None:
    document = Document("f", json.dumps(value, ensure_ascii=False))
    assert document.problems == []
    assert document.data == value


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    open_: bool = msgspec.field(default=False, name="open")

    def __post_init__(self) -> None:
        if self.port == 7 and self.open_:
            raise ValueError("open: a door 7 is never open")
        if self.port == 6 and self.open_:
            raise ValueError("door 6 must be shut")


class House(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    kind: Literal["hut", "villa"] = "hut"
    trust: Door | Literal["system", "none"] = "system"
    key: SecretRef | None = None
    must: SecretRef = SecretRef(env="X")
    doors: Annotated[list[Door], msgspec.Meta(min_length=1)] = msgspec.field(default_factory=lambda: [Door()])
    by_name: dict[str, Door] = {}
    age: dt.timedelta | None = None
    number: Annotated[str, msgspec.Meta(pattern=r"^\d{2}$", description="two digits")] | None = None
    code: Annotated[str, msgspec.Meta(pattern="^x")] = "x"
    weight: Annotated[float, msgspec.Meta(gt=0, lt=9)] = 1.0
    words: Annotated[list[str], msgspec.Meta(min_length=2, max_length=3)] = msgspec.field(
        default_factory=lambda: list("ab")
    )
    short: Annotated[str, msgspec.Meta(min_length=2, max_length=3)] = "ab"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[]", ["1:1 must be a mapping (key: value), not a list"]),
        ("a house", ["1:1 must be a mapping (key: value), not text"]),
        ("kind: hut", ["1:1 missing 'name'"]),
        ("name: ''", ["1:7 name: must not be empty"]),
        ("name: 3", ["1:7 name: must be text, not a number: put it in quotes"]),
        ("name: true", ["1:7 name: must be text, not true: put it in quotes"]),
        ("name:", ["1:6 name: must be text, not nothing"]),
        ("name: [x]", ["1:7 name: must be text, not a list"]),
        ("{name: x, kinds: hut}", ["1:11 unknown key 'kinds' (did you mean 'kind'?)"]),
        ("{name: x, kind: vila}", ["1:17 kind: must be hut or villa; not 'vila' (did you mean 'villa'?)"]),
        ("{name: x, kind: 3}", ["1:17 kind: must be hut or villa; not 3"]),
        ("{name: x, kind: yes}", ["1:17 kind: must be hut or villa; not 'yes'"]),
        ("{name: x, kind: true}", ["1:17 kind: must be hut or villa; not true"]),
        (
            "{name: x, trust: sistem}",
            ["1:18 trust: must be none, system or a mapping (key: value); not 'sistem' (did you mean 'system'?)"],
        ),
        ("{name: x, trust: [a]}", ["1:18 trust: must be none, system or a mapping (key: value); not a list"]),
        ("{name: x, trust: {prt: 1}}", ["1:19 unknown key 'prt' (did you mean 'port'?)"]),
        ("{name: x, trust: {port: 0}}", ["1:25 port: must be at least 1, not 0"]),
        ("{name: x, trust: {port: 12}}", ["1:25 port: must be at most 9, not 12"]),
        ("{name: x, trust: {port: '1'}}", ["1:25 port: must be a whole number, not text: take the quotes away"]),
        ("{name: x, trust: {port: one}}", ["1:25 port: must be a whole number, not text"]),
        ("{name: x, trust: {port: 1.0}}", ["1:25 port: must be a whole number, not a number"]),
        ("{name: x, trust: {port: true}}", ["1:25 port: must be a whole number, not true"]),
        (
            "{name: x, key: hunter2}",
            ["1:16 key: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}"],
        ),
        (
            "{name: x, key: 1234}",
            ["1:16 key: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}"],
        ),
        (
            "{name: x, must: hunter2}",
            ["1:17 must: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}"],
        ),
        ("{name: x, key: {env: A, file: B}}", ["1:16 key: a secret is either {env: NAME} or {file: PATH}"]),
        ("{name: x, key: {}}", ["1:16 key: a secret is either {env: NAME} or {file: PATH}"]),
        ("{name: x, key: {env: 3}}", ["1:22 env: must be text, not a number: put it in quotes"]),
        ("{name: x, key: {value: hunter2}}", ["1:17 unknown key 'value'; known here: env, file"]),
        ("{name: x, doors: []}", ["1:18 doors: must not be empty"]),
        ("{name: x, doors: [3]}", ["1:19 doors (item 1): must be a mapping (key: value), not a number"]),
        ("{name: x, by_name: {front: {port: 0}}}", ["1:35 port: must be at least 1, not 0"]),
        ("{name: x, age: P1W}", ["1:16 age: 'P1W' is not a length of time such as P1D (a day) or PT12H (12 hours)"]),
        ("{name: x, age: -P1D}", ["1:16 age: '-P1D' is not a length of time such as P1D (a day) or PT12H (12 hours)"]),
        ("{name: x, number: '123'}", ["1:19 number: '123' is not two digits"]),
        ("{name: x, number: '١٢'}", ["1:19 number: '١٢' is not two digits"]),
        ('{name: x, number: "12\\n"}', ["1:19 number: '12\\u000a' is not two digits"]),
        ("{name: x, code: y}", ["1:17 code: 'y' is not of the form ^x"]),
        ("{name: x, code: 'y://me:pw@host'}", ["1:17 code: 'y://…@host' is not of the form ^x"]),
        ("{name: x, weight: 0}", ["1:19 weight: must be more than 0, not 0"]),
        ("{name: x, weight: 9}", ["1:19 weight: must be less than 9, not 9"]),
        ("{name: x, words: []}", ["1:18 words: must have at least 2 items"]),
        ("{name: x, words: [a, b, c, d]}", ["1:18 words: must have at most 3 items"]),
        ("{name: x, short: a}", ["1:18 short: must have at least 2 characters"]),
        ("{name: x, short: abcd}", ["1:18 short: must have at most 3 characters"]),
    ],
)
def test_what_does_not_fit_is_said_in_the_words_of_the_file(text: str, problems: list[str]) -> None:
    document = Document("f", text)
    assert document.problems == []
    found, wrong = convert(document, House)
    assert found is None
    assert [f"{p.line}:{p.column} {p.message}" for p in wrong] == problems


def test_rules_in_code_are_all_told_beside_each_other_and_beside_the_shape() -> None:
    doors = "doors:\n- {port: 7, open: true}\n- {port: 6, open: true}\n"
    document = Document("f", f"name: 3\n{doors}key: {{}}\nby_name: {{x: {{port: 7, open: true, y: 1}}}}")
    assert [str(problem) for problem in in_order(check_shape(document, House))] == [
        "f:1:7: name: must be text, not a number: put it in quotes",
        "f:3:19: open: a door 7 is never open",
        "f:4:3: doors (item 2): door 6 must be shut",
        "f:5:6: key: a secret is either {env: NAME} or {file: PATH}",
        "f:6:30: open: a door 7 is never open",
        "f:6:36: unknown key 'y'; known here: open, port",
    ]


def test_a_part_is_converted_and_the_keys_of_others_ignored() -> None:
    document = Document("f", "tags: 3\nhouse: {name: x, tags: 3, age: P2D}")
    found, problems = convert(document, House, ("house",), ignoring=("tags",))
    assert problems == []
    assert found == House(name="x", age=dt.timedelta(days=2))

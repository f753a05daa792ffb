"""A page against a pack: what has no row, which words are quoted, and what became of every quote.

The pages are made up here, around short quotes from Explo's Security Trust Center (https://www.explo.co/security).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import coverage, page, policy
from auditor.coverage import Coverage, Passage, Trace
from auditor.model import UsageError
from auditor.policy import Place, Quote
from tests.cli_process import PACK, Ended, auditor, on_a_terminal
from tests.policy_words import CHECKS, a_claim, a_pack

MFA = "All accounts added to our code repositories […] are required to have MFA enabled"
URL = "https://x"


def quote(text: str, row: str = "c", role: Any = "claim") -> Quote:
    return Quote("p", role, row, text, Place("p.yaml", 1))


def compared(text: str, *quotes: str | Quote) -> Coverage:
    wanted = [quote(one, f"c{n}") if isinstance(one, str) else one for n, one in enumerate(quotes)]
    return coverage.compare(page.read(f"<p>{text}</p>".encode(), "p.html"), wanted)


def passage(text: str, *quotes: str | Quote) -> Passage:
    (found,) = compared(text, *quotes).passages
    return found


def trace(text: str, wanted: str) -> Trace:
    (found,) = compared(text, wanted).traces
    return found


def test_a_sentence_is_covered_by_what_quotes_a_part_of_it() -> None:
    found = compared(
        "If files are sent, they are short-lived and encrypted in S3. We lock.", "encrypted in S3", "short-lived"
    )
    assert [passage.state for passage in found.passages] == ["covered", "uncovered"]
    first = found.passages[0]
    assert [quote.row for quote in first.quotes] == ["c0", "c1"]
    assert first.left_over == ("If files are sent, they are", "and")
    assert [trace.fate for trace in found.traces] == ["found", "found"]
    assert not found.complete


def test_nothing_is_left_over_of_a_sentence_that_is_quoted_whole() -> None:
    found = compared("We lock.", "We lock.")
    assert found.passages[0].left_over == ()
    assert found.complete


@pytest.mark.parametrize(
    ("there", "quoted"),
    [
        ("encrypted with AES\u2011256, block\u2013level storage", "encrypted with AES-256, block-level storage"),
        ("Heroku doesn\u2019t encrypt it", "Heroku doesn't encrypt it"),
        ("Heroku doesn't encrypt it", "Heroku doesn\u2019t encrypt it"),
        ("It is \u201csafe\u201d", "it is 'safe'"),
        ("data\u2014all of it\u2014is safe", "data - all of it - is safe"),
        ("256 bit + 390k stretch", "256 bit + 390k stretch"),
        ("256 bit &plus; 390k&nbsp;&nbsp;stretch", "256\n  bit + 390k stretch"),
        ("<em>mutually</em> auth<b>entic</b>ated", "mutually authenticated"),
        ("mutually auth&shy;enticated", "Mutually authenticated."),
        ("\uff21\uff25\uff33 256", "AES-256"),
    ],
)
def test_how_words_are_typed_makes_no_difference(there: str, quoted: str) -> None:
    assert compared(there, quoted).complete


@pytest.mark.parametrize(
    ("there", "quoted"),
    [
        ("TLS 1.2 or 1.3", "TLS 1.1 or 1.3"),
        ("TLS 1.2 or 1.3", "TLS 12 or 13"),
        ("at least 99% of it", "at least 99 of it"),
        ("256 bit + 390k", "256 bit 390k"),
        ("is not encrypted", "is encrypted"),
        ("they are encrypted", "they are crypted"),
        ("the embed_id is kept", "the embed id is kept"),
        ("&lt; 5 days", "> 5 days"),
    ],
)
def test_other_words_numbers_and_signs_do(there: str, quoted: str) -> None:
    assert trace(there, quoted).fate != "found"
    assert not compared(there, quoted).complete


def test_words_may_be_left_out_within_a_sentence() -> None:
    text = "All accounts added to our code repositories and hosting are required to have MFA enabled."
    found = passage(text, MFA)
    assert (found.state, found.left_over) == ("covered", ("and hosting",))
    assert passage(text, MFA.replace("…", "...")).state == "covered"
    across = compared("All accounts added to our code repositories. Guests are required to have MFA enabled.", MFA)
    assert [passage.state for passage in across.passages] == ["changed", "uncovered"]
    assert across.traces[0].fate == "changed"
    assert passage(f"{text} {text}"[: len(text)], "MFA enabled […] All accounts").state == "changed"


def test_a_quote_may_run_over_sentences_but_not_over_paragraphs() -> None:
    assert compared("We lock. They do not.", "We lock. They do not.").complete
    assert not compared("We lock.</p><p>They do not.", "We lock. They do not.").complete


def test_a_quote_covers_every_sentence_it_stands_in() -> None:
    found = compared("We use TLS 1.2 or 1.3. They use TLS 1.2 or 1.3, too.", "TLS 1.2 or 1.3")
    assert [passage.left_over for passage in found.passages] == [("We use",), ("They use", "too")]


@pytest.mark.parametrize(
    ("there", "quoted", "difference"),
    [
        ("Heroku uses TLS 1.3.", "TLS 1.2 or 1.3", "TLS [-1.2 or-] 1.3"),
        ("Heroku uses TLS 1.2, and more.", "TLS 1.2 or 1.3", "TLS 1.2 [-or 1.3-]"),
        ("Amazon manages the encryption keys.", "Amazon manages the keys", "Amazon manages the {+encryption+} keys"),
        ("They are encrypted in GCS.", "encrypted in S3", "encrypted in [-S3-]{+GCS+}"),
        ("A mutually safe channel", "mutually authenticated channel", "mutually [-authenticated-]{+safe+} channel"),
        ("A 256 bit + 600k stretch.", "256 bit + 390k stretch", "256 bit + [-390k-]{+600k+} stretch"),
        (
            "All accounts in our code repositories are asked to have MFA enabled.", MFA,
            "All accounts [-added to-]{+in+} our code repositories […] are [-required-]{+asked+} to have MFA enabled",
        ),
    ],
)  # fmt: skip
def test_a_changed_quote_is_shown_with_its_difference(there: str, quoted: str, difference: str) -> None:
    found = trace(f"We say so. {there}", quoted)
    assert (found.fate, found.difference, found.nearest) == ("changed", difference, there)


def test_what_a_quote_has_become_is_the_nearest_sentence() -> None:
    found = compared(
        "Files are kept encrypted in a vault. Exports are encrypted in GCS.", "exports are encrypted in S3"
    )
    assert [passage.state for passage in found.passages] == ["uncovered", "changed"]
    assert found.traces[0].nearest == "Exports are encrypted in GCS."


@pytest.mark.parametrize("there", ["We never sleep.", "The keys are in the safe of the bank.", "S3 is fine."])
def test_a_vanished_quote_resembles_nothing(there: str) -> None:
    found = trace(there, "Amazon manages the keys")
    assert (found.fate, found.nearest, found.difference) == ("vanished", "", "")


def test_a_page_of_which_every_sentence_has_a_row_is_not_complete_while_a_quote_is_missing() -> None:
    found = compared("We lock.", "we lock", "Amazon manages the keys")
    assert [one.state for one in found.passages] == ["covered"]
    assert [one.fate for one in found.traces] == ["found", "vanished"]
    assert not found.complete


@pytest.mark.parametrize("empty", ["…", "[…]", "--", "[...] […]"])
def test_a_quote_without_a_word_covers_nothing(empty: str) -> None:
    found = compared("We lock.", empty)
    assert ([one.state for one in found.passages], [one.fate for one in found.traces]) == (["uncovered"], ["vanished"])


def test_a_question_needs_no_row_and_a_heading_may_have_one() -> None:
    text = "Is it safe?</p><h2>Safe by design</h2><h2>Our word</h2><p>We lock."
    found = compared(text, "we lock", "safe by design")
    assert [(one.kind, one.state) for one in found.passages] == [
        ("question", "apart"), ("heading", "covered"), ("heading", "apart"), ("sentence", "covered"),
    ]  # fmt: skip
    assert found.complete


WORDS = st.lists(st.sampled_from("we lock all doors and keep 2 keys never tell them".split()), min_size=1, max_size=9)  # noqa: SIM905


@given(WORDS, WORDS, WORDS)
def test_a_part_of_a_page_is_always_found_in_it(before: list[str], quoted: list[str], after: list[str]) -> None:
    text = " ".join([*before, *quoted, *after])
    found = compared(text, " ".join(quoted))
    assert found.complete
    left = " ".join(found.passages[0].left_over).split()
    assert len(left) <= len(before) + len(after)


@given(WORDS, WORDS)
def test_what_is_not_on_a_page_is_never_found(words: list[str], quoted: list[str]) -> None:
    found = compared(" ".join(words), " ".join([*quoted, "unheard-of"]))
    assert found.traces[0].fate != "found"
    assert found.passages[0].state != "covered"


def pack_in(folder: Path, name: str = "p", url: str = URL, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    claim = a_claim(f"{name}-claim", statement="we lock")
    source = {"title": "Ours", "url": url}
    (folder / f"{name}.yaml").write_text(a_pack(name, claim, source=source, **more))
    return folder


REGISTERS = {
    "cuecs": [{"id": "rotate", "statement": "s", "criteria": ["CC6.1"], "quotes": ["you rotate your passwords"]}],
    "subservice_organizations": [
        {"name": "Cloud", "services": "s", "controls": ["c"], "criteria": ["CC6.1"], "quotes": ["the cloud has guards"]}
    ],
}
NOT_CLAIMS = [{"quote": "see our report", "reason": "points elsewhere"}]
PAGE = "# Ours\n\nIs it safe? We lock. You rotate your passwords. The cloud has guards.\n\nSee our report.\n"


def test_duties_vendors_and_what_is_no_claim_cover_sentences(tmp_path: Path) -> None:
    pack = policy.load(pack_in(tmp_path / "pack", registers=REGISTERS, not_claims=NOT_CLAIMS), CHECKS)
    reference, quotes = coverage.published(pack)
    assert (reference.title, reference.url) == ("Ours", URL)
    assert [(one.role, one.row) for one in quotes] == [
        ("claim", "p-claim"), ("cuec", "rotate"), ("subservice", "Cloud"), ("not_claim", "points elsewhere"),
    ]  # fmt: skip
    text = (tmp_path / "pack" / "p.yaml").read_text().splitlines()
    assert all(f'"{one.text}"' in text[one.place.line - 1] for one in quotes)
    assert coverage.compare(page.read(PAGE.encode(), "page.md"), quotes).complete


def test_only_files_with_the_same_source_are_held_against_a_page(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack", "one", "https://one.example")
    pack_in(tmp_path / "pack", "two", "https://two.example")
    pack = policy.load(tmp_path / "pack", CHECKS)
    assert [one.row for one in coverage.published(pack, "https://two.example")[1]] == ["two-claim"]
    with pytest.raises(UsageError) as caught:
        coverage.published(pack)
    assert "name that of the page with --source: https://one.example, https://two.example" in str(caught.value)
    with pytest.raises(UsageError) as caught:
        coverage.published(pack, "https://tow.example")
    assert "(did you mean 'https://two.example'?)" in str(caught.value)


def test_a_sentence_is_not_both_a_claim_and_none(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack", not_claims=[{"quote": "we  lock", "reason": "r"}])
    with pytest.raises(UsageError) as caught:
        policy.load(tmp_path / "pack", CHECKS)
    (problem,) = caught.value.problems
    assert problem.message == f"quote: is the statement of a claim, at {tmp_path}/pack/p.yaml:12: it cannot be both"


def command(folder: Path, text: str, *arguments: str) -> Ended:
    (folder / "page.md").write_text(text)
    return auditor("policy", "coverage", "page.md", "--policies", "pack", *arguments, cwd=folder)


def test_the_command_says_what_is_covered_and_what_is_not(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack", registers=REGISTERS, not_claims=NOT_CLAIMS)
    whole = command(tmp_path, PAGE)
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.splitlines() == [
        "claimed   We lock.",
        "          - p-claim",
        "customer  You rotate your passwords.",
        "          - rotate",
        "vendor    The cloud has guards.",
        "          - Cloud",
        "no claim  See our report.",
        "          - (points elsewhere)",
        "",
        "Headings and links, which are not compared; one may be a claim:",
        "  Ours",
        "",
        f"Ours ({URL})",
        "4 sentences: 1 claimed, 1 customer, 1 vendor, 1 no claim; 4 quotes: 4 found",
    ]
    changed = command(tmp_path, PAGE.replace("your", "all").replace("The cloud has guards", "We have dogs, too"))
    assert changed.code == 3
    lines = changed.out.splitlines()
    assert "CHANGED   You rotate all passwords." in lines
    assert "UNCOVERED We have dogs, too." in lines
    row = next(index for index, line in enumerate(lines) if line.startswith("CHANGED   rotate"))
    assert lines[row + 1 : row + 3] == [
        "          you rotate [-your-]{+all+} passwords",
        "          in: You rotate all passwords.",
    ]
    assert lines[row].startswith("CHANGED   rotate  pack/p.yaml:")
    assert any(line.startswith("VANISHED  Cloud  pack/p.yaml:") for line in lines)
    assert lines[-1].endswith("; 4 quotes: 2 found, 1 changed, 1 vanished")


def test_the_command_prints_json(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack")
    shown = command(tmp_path, "We lock. We bolt.", "--format", "json")
    assert shown.code == 3
    found = msgspec.convert(json.loads(shown.out), Coverage)
    assert [one.state for one in found.passages] == ["covered", "uncovered"]


def test_hostile_pages_command_no_terminal(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack")
    shown = command(tmp_path, "We lock. \x1b[31mRed\x1b]0;x\x07 \u202eback.")
    assert not set(shown.out) & set("\x1b\x07\u202e")
    assert "\\u001b[31mRed" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.html",), "nowhere.html: there is no such file; save the page and name its file"),
        ((".",), ".: cannot be read: Is a directory; name a file, not its folder"),
        (("-",), "the page on stdin: holds no sentence"),
        (("-", "--policies", "nowhere"), "nowhere: there is no such file or folder"),
    ],
)
def test_a_page_that_is_not_there_is_a_usage_error(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    pack_in(tmp_path / "pack")
    shown = auditor("policy", "coverage", "--policies", "pack", *arguments, cwd=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert said in shown.err


def test_on_a_terminal_lines_are_wrapped_under_their_text(tmp_path: Path) -> None:
    pack_in(tmp_path / "pack")
    (tmp_path / "page.md").write_text(f"We lock {'all the doors ' * 12}at night. And {'bolt ' * 30}them.\n")
    shown = on_a_terminal("policy", "coverage", "page.md", "--policies", "pack", cwd=tmp_path, COLUMNS="80")
    lines = shown.out.splitlines()
    assert shown.code == 3
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("claimed   We lock all the doors ")
    assert all(line.startswith(" " * 10) for line in lines[1:5])
    assert " ".join(" ".join(lines).split()).count("all the doors") == 24


def test_our_own_pack_quotes_its_source_and_nothing_twice_over() -> None:
    pack = policy.load(PACK, {**__import__("auditor.plugins", fromlist=["x"]).checks()})
    _, quotes = coverage.published(pack)
    sample = "<p>" + "</p><p>".join(one.text.replace("[…]", "and others") for one in quotes) + "</p>"
    assert coverage.compare(page.read(sample.encode(), "p.html"), quotes).complete
    assert {"claim", "cuec", "subservice", "not_claim"} == {one.role for one in quotes}

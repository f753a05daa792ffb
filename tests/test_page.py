"""A page as sentences: nothing that is published is lost, and nothing that is not is taken for a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import page
from auditor.model import UsageError


def told(text: str, name: str = "page.html") -> list[tuple[str, str]]:
    return [(sentence.kind, sentence.text) for sentence in page.read(text.encode(), name)]


def sentences(text: str, name: str = "page.html") -> list[str]:
    return [text for kind, text in told(text, name) if kind == "sentence"]


def test_inline_tags_entities_and_white_space_are_not_seen() -> None:
    text = "<p>Data is <b>en</b>crypted\n   with&nbsp;<a href=x>AES&#8209;256</a>, al&shy;ways<!-- not said -->.</p>"
    assert sentences(text) == ["Data is encrypted with AES\u2011256, always."]


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>var a = 'We never sleep. Never.';</script>",
        "<style>p::after { content: 'We are safe.' }</style>",
        "<noscript>Switch scripts on.</noscript>",
        "<nav><ul><li>All data is safe.</li></ul></nav>",
        "<div role=navigation>All data is safe.</div>",
        "<template>All data is safe.</template>",
        "<svg><text>All data is safe.</text></svg>",
        "<s>All data is safe.</s>",
        "<del>All data is safe.</del>",
        "<!-- All data is safe. -->",
    ],
)
def test_what_nobody_publishes_is_no_sentence(hidden: str) -> None:
    assert told(f"<head><title>Ours. Yes.</title></head><body>{hidden}<p>We lock.</p>{hidden}</body>") == [
        ("sentence", "We lock.")
    ]


@pytest.mark.parametrize("attribute", ["hidden", "style='display:none'", "aria-hidden=true", "class=collapsed"])
def test_what_opens_at_a_click_is_published(attribute: str) -> None:
    assert sentences(f"<details><summary>How?</summary><div {attribute}>We lock.</div></details>") == ["We lock."]


def test_questions_headings_and_links_are_told_apart() -> None:
    text = """
      <h1>Trust Center</h1><h2>Is it safe?</h2><p>Is it? It is.</p><button>Does it open?</button>
      <div><a href=/a>Pricing</a> <a href=/b>Docs</a></div><p><a href=/c>All data is encrypted.</a></p>
      <ul><li><a href=/d>Careers</a></li><li>We <a href=/e>lock</a></li></ul>
    """
    assert told(text) == [
        ("heading", "Trust Center"),
        ("question", "Is it safe?"),
        ("question", "Is it?"),
        ("sentence", "It is."),
        ("question", "Does it open?"),
        ("link", "Pricing Docs"),
        ("sentence", "All data is encrypted."),
        ("link", "Careers"),
        ("sentence", "We lock"),
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("We use TLS 1.2 or 1.3. Nothing else.", ["We use TLS 1.2 or 1.3.", "Nothing else."]),
        ("We keep secrets, e.g. AWS keys, i.e. Two of them.", ["We keep secrets, e.g. AWS keys, i.e. Two of them."]),
        ("It takes approx. 5 days, cf. No. 7.", ["It takes approx. 5 days, cf. No. 7."]),
        ("Is it so? No. We lock.", ["No. We lock."]),
        ("Yes. We lock! All of us.", ["Yes. We lock!", "All of us."]),
        ("Data stays in the U.S. Backups do too.", ["Data stays in the U.S.", "Backups do too."]),
        (
            "Keys, tokens etc. are kept by Acme Inc. in a vault.",
            ["Keys, tokens etc. are kept by Acme Inc. in a vault."],
        ),
        ("We lock. iOS too. and Android.", ["We lock.", "iOS too.", "and Android."]),
        ("“We lock.” They do.", ["“We lock.”", "They do."]),
        ("We lock (always.) We do.", ["We lock (always.)", "We do."]),
        ("We lock… Sometimes.", ["We lock…", "Sometimes."]),
        ("The level is 1.2.3 at api.example.com/v1.", ["The level is 1.2.3 at api.example.com/v1."]),
    ],
)
def test_a_sentence_ends_where_it_ends(text: str, parts: list[str]) -> None:
    assert sentences(f"<p>{text}</p>") == parts
    assert sentences(text, "page.txt") == parts


def test_bullets_without_a_stop_are_sentences_of_their_own() -> None:
    parts = ["Encrypted at rest", "Encrypted in transit", "MFA for all"]
    assert sentences("<ul><li>Encrypted at rest<li>Encrypted in transit</ul>MFA for all") == parts
    assert sentences("<p>• Encrypted at rest<br>• Encrypted in transit<br/>\u2013 MFA for all</p>") == parts
    assert sentences("<p>Encrypted<br>at rest<br>Encrypted in transit<p>MFA for all") == parts
    assert sentences("<table><tr><td>Encrypted at rest<td>Encrypted in transit<tr><td>MFA for all</table>") == parts
    assert sentences("* Encrypted at rest\n* Encrypted in transit\n\nMFA for all", "page.md") == parts
    assert sentences("  • Encrypted at rest\n  • Encrypted in transit\nMFA for all", "page.txt") == parts


def test_text_copied_from_a_browser_has_a_paragraph_on_each_line() -> None:
    long = f"Data is encrypted{', always' * 12}"
    lines = ["Encryption", "Is it safe?", long, "We lock", "MFA for all"]
    assert sentences("\n".join(lines), "page.txt") == ["Encryption", long, "We lock", "MFA for all"]


def test_a_wrapped_paragraph_is_one() -> None:
    text = "All of our data is stored at rest with\nAES-256 and never in the clear, by us,\nor anybody else.\n"
    assert sentences(text, "page.md") == [" ".join(text.split())]


def test_markdown_and_html_say_the_same() -> None:
    markdown = (
        "# Trust\n\nData is **encrypted** at *rest*; see [here](https://x.example).\n\n## Is it?\n\n> ~~No.~~ It is.\n"
    )
    html = "<h1>Trust</h1><p>Data is encrypted at rest; see here.</p><h2>Is it?</h2><blockquote>It is.</blockquote>"
    assert told(markdown, "page.md") == told(html)
    assert told("Data is <b>safe</b> &amp; sound.", "-.md") == [("sentence", "Data is safe & sound.")]


def test_a_stream_is_read_for_what_it_looks_like() -> None:
    assert told("<!doctype html><title>x</title><p>We lock.", "") == [("sentence", "We lock.")]
    assert told("\n<div><p>We lock.</div>", "") == [("sentence", "We lock.")]
    assert told("We *lock*.", "") == [("sentence", "We lock.")]
    assert told("<html><p>We lock.", "saved") == [("sentence", "We lock.")]


def test_html_is_decoded_as_it_says() -> None:
    raw = "<html><meta charset=windows-1252><p>We lock it \u2013 señor.</p>".encode("cp1252")
    assert [sentence.text for sentence in page.read(raw, "page.html")] == ["We lock it \u2013 señor."]


def test_a_footnotes_mark_stands_in_no_sentence() -> None:
    assert sentences("<p>Encrypted<sup><a href=#1>1</a></sup> with AES<a href=#2><sup>2</sup></a>.") == [
        "Encrypted with AES."
    ]
    assert sentences("<p>At most 2<sup>32</sup> times.") == ["At most 2 32 times."]


def test_pages_that_nest_deeply_are_read() -> None:
    assert sentences("<div>" * 5000 + "We lock." + "</div>" * 5000) == ["We lock."]
    assert sentences("<b>" * 5000 + "We lock.") == ["We lock."]


@pytest.mark.parametrize(
    ("raw", "name", "said"),
    [
        (b"", "page.html", "page.html: holds no sentence; a page that is drawn by scripts is saved"),
        (b"<html><div id=app></div><script>draw()</script>", "page.html", "holds no sentence"),
        (b"<h1>Trust</h1><p>Is it?</p>", "page.html", "holds no sentence"),
        (b"%PDF-1.7 \x00\x01", "page.pdf", "page.pdf: is no text; save the page as HTML"),
        (b"PK\x03\x04\x00\x00", "page.docx", "is no text"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n", "page.mhtml", "is a web archive (MHTML)"),
        (b"caf\xe9 is open.", "page.txt", "page.txt: is not UTF-8 text; save it as UTF-8"),
        (b"caf\xe9 is open.", "", "the page on stdin: is not UTF-8 text"),
    ],
)
def test_a_page_that_cannot_be_read_is_no_page_without_claims(raw: bytes, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        page.read(raw, name)
    assert said in str(caught.value)


WORDS = st.lists(st.text("abcxyzABC", min_size=1, max_size=8), min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from(["p", "li", "div", "td", "section", "x-card"]))
def test_no_word_is_lost_and_blocks_stay_apart(paragraphs: list[list[str]], tag: str) -> None:
    html = "".join(f"<{tag}>{' '.join(words)}.</{tag}>" for words in paragraphs)
    found = page.read(html.encode(), "page.html")
    read = " ".join(sentence.text for sentence in found)
    assert read.replace(".", " ").split() == " ".join(" ".join(words) for words in paragraphs).split()
    assert len({sentence.block for sentence in found if sentence.text}) <= len(paragraphs)


@given(st.binary(max_size=200), st.sampled_from(["page.html", "page.md", ""]))
def test_any_bytes_are_read_or_refused(raw: bytes, name: str) -> None:
    try:
        found = page.read(raw, name)
    except UsageError:
        return
    assert any(sentence.kind == "sentence" for sentence in found)

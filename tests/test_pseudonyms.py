"""Pseudonyms: the same for an address always, another for every other, whatever is written around it and however."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
import string
import subprocess
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.pseudonyms import Pseudonyms, bytes_hold_address, holds_address
from auditor.questions import SourceFailure
from auditor.redact import MASK, Redactor

KEY = b"0123456789abcdef"
ORGANIZATION = "Explo"
SHOWN = re.compile(
    r"(p-[0-9a-f]{20})([@\uff20\ufe6b]|%(?:25)*40|=40|\\u0040|\\x40|\\40|&#64;|&#x40;|&commat;)pseudonym\.invalid"
)


def named() -> Pseudonyms:
    return Pseudonyms(KEY, ORGANIZATION)


def expected(address: str) -> str:
    """The contract, worked out here."""
    digest = hmac.new(KEY, f"{ORGANIZATION}\n{address.casefold()}".encode(), hashlib.sha256).hexdigest()
    return f"p-{digest[:20]}@pseudonym.invalid"


def test_a_pseudonym_is_a_keyed_hash_of_organization_and_address() -> None:
    assert named().of("ada@explo.co") == expected("ada@explo.co") == named().of("Ada@EXPLO.co")
    others = {Pseudonyms(KEY, "Other").of("ada@explo.co"), Pseudonyms(KEY[::-1], "Explo").of("ada@explo.co")}
    assert len({named().of("ada@explo.co"), *others}) == 3


def test_whoever_has_the_key_can_tell_whose_it_is_with_openssl() -> None:
    command = ["openssl", "dgst", "-sha256", "-hmac", KEY.decode()]
    done = subprocess.run(command, input=b"Explo\nada@explo.co", capture_output=True, check=True)
    digits = done.stdout.decode().split("= ")[1][:20]
    assert named().of("ada@explo.co") == f"p-{digits}@pseudonym.invalid"


@pytest.mark.parametrize("key", [b"", b"0123456789abcde"])
def test_a_key_that_can_be_tried_out_is_none(key: bytes) -> None:
    with pytest.raises(ValueError, match="fewer than 16 bytes"):
        Pseudonyms(key, ORGANIZATION)


def test_neither_key_nor_addresses_are_shown() -> None:
    names = named()
    names.of("ada@explo.co")
    assert repr(names) == "Pseudonyms(of Explo)"


ADDRESSES = [
    "ada@explo.co",
    "Ada.Lovelace@mail.explo.example",
    "bao+ops@explo.co",
    "o'brien@explo.co",
    "x_y-z~@explo.co",
    "x@163.com",
    "müller@bücher.example",
    "संपर्क@डाटामेल.भारत",
    "用户@例子.公司",
    "\U0001f511@explo.co",
    "ada@xn--bcher-kva.example",
    "ada@[192.168.0.1]",
    "ada@[IPv6:2001:db8::1]",
    "p-0123456789abcdef0123@example.invalid",
    "p-0123456789ABCDEF0123@pseudonym.invalid",
    "nina@explo.co",
    "ab@ab.cd",
    "ada_explo.co#EXT#@tenant.onmicrosoft.example",
]
every_address = pytest.mark.parametrize("address", ADDRESSES)


def every_octet(text: str) -> str:
    return "".join(f"%{octet:02x}" for octet in text.encode())


def every_reference(text: str) -> str:
    return "".join(f"&#{ord(char)};" for char in text)


def quoted_printable(text: str, plain: str) -> str:
    return "".join(char if char in plain else "".join(f"={octet:02X}" for octet in char.encode()) for char in text)


WORDS = string.ascii_letters + string.digits
"""What stands as it is in a header's encoded word, almost (RFC 2047 section 5)."""
ENCODERS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "percent": lambda text: urllib.parse.quote(text, safe=""),
    "percent, with a bare @": lambda text: urllib.parse.quote(text, safe="@"),
    "percent, twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "percent, every octet": every_octet,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, escaped @": lambda text: json.dumps(text)[1:-1].replace("@", "\\u0040"),
    "HTML": html.escape,
    "HTML, decimal @": lambda text: html.escape(text).replace("@", "&#64;"),
    "HTML, hexadecimal @": lambda text: html.escape(text).replace("@", "&#x40;"),
    "HTML, named @": lambda text: html.escape(text).replace("@", "&commat;"),
    "HTML, every character": every_reference,
    "full width @": lambda text: text.replace("@", "\uff20"),
    "small @": lambda text: text.replace("@", "\ufe6b"),
    "LDAP, escaped @": lambda text: text.replace("@", "\\40"),
    "ASCII": lambda text: ascii(text)[1:-1],
    "quoted-printable @": lambda text: text.replace("@", "=40"),
    "quoted-printable": lambda text: quoted_printable(text, f"{WORDS}.-_+"),
    "quoted-printable, in a header": lambda text: quoted_printable(text, WORDS),
}
SURROUNDINGS = [
    ("", ""),
    ("from ", " to "),
    ("<", ">"),
    ("'", "'"),
    ('{"email":"', '"}'),
    ('{\\"email\\":\\"', '\\"}'),
    ("&lt;", "&gt;"),
    ("&quot;", "&quot;"),
    ("?email=", "&next=1"),
    ("q%3D", "%26x"),
    ("mailto:", "?subject=x"),
    ("mailto://", ""),
    ("arn:aws:sts::123456789012:assumed-role/Admin/", ""),
    ("line\\n", "\\nline"),
    ("(", "),"),
    ("emailAddress=", ",CN=x"),
    ("It was ", ". Then"),
    ("https://", ":secret@host/"),
    ("https://", "@host/"),
    ("https://x.io,", ",bao"),
    ("<https://x.io>; ", ""),
    ("“", "”"),
    ("“…", "…”"),
    ("50%", ""),
    ("**", "**"),
]


@every_address
@pytest.mark.parametrize("name", ENCODERS)
def test_an_address_is_found_however_it_is_written_and_nothing_else_is_touched(address: str, name: str) -> None:
    whole = expected(address)
    for before, after in SURROUNDINGS:
        written = ENCODERS[name](address)
        text = named().text(f"{before}{written}{after}")
        assert text.startswith(before), text
        assert text.endswith(after), text
        shown = SHOWN.fullmatch(text[len(before) : len(text) - len(after)])
        assert shown, (text, address)
        assert f"{shown[1]}@pseudonym.invalid" == whole, text
        assert named().text(text) == text


@pytest.mark.parametrize(
    "before",
    [
        "redirect_uri=https://app.explo.co&login_hint=",
        "https://app.explo.co:443&login_hint=",
        "https://app.explo.co%26hint=",
        "https://app.explo.co:443%26hint%3D",
        "https://x.io,",
        "https://x.io:443,",
        "https://x.io;",
        "https://x.io|",
        "(https://x.io)",
        "https://x.io:",
        "https://x.io\\t",
        "https://x.io\\n",
        "https://x.io&quot;",
        "https://x.io%2C",
        "https://x.io*",
        "https://x.io$",
        "https://x.io!",
        "https://x.io=",
        "https://x.io\u3000",
        "https://x.io、",
        "homepage:https://ada.dev,email:",
        "https://[2001:db8::1],",
    ],
)
def test_an_address_after_the_host_of_a_url_is_no_login(before: str) -> None:
    """A URL may end with its host, and what comes next need be no slash."""
    for after in ("", ",x", ":22/", "/x", " x"):
        assert named().text(f"{before}ada@explo.co{after}") == f"{before}{expected('ada@explo.co')}{after}"
    listed = named().text(f"{before}ada@explo.co,bob@explo.co")
    assert listed == f"{before}{expected('ada@explo.co')},{expected('bob@explo.co')}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://{ada}@host/", "https://{ada}@host/"),
        ("https://{ada}:secret@host/", "https://{ada}:secret@host/"),
        ("https://{ada}:{bob}/", "https://{ada}:{bob}/"),
        ("https://{ada}@{bob}/", "https://{ada}@{bob}/"),
        ("https://user:pa@ss.word@host.example/", "https://user:{pa@ss.word}@host.example/"),
        ("https://user:pa@ss@host.example/", "https://user:pa@{ss@host.example}/"),
        ("https://user:p!ss@host.example/", "https://user:p!{ss@host.example}/"),
        ("postgres://user:pa@ss@host/", "postgres://user:pa@ss@host/"),
        ("postgres://app:[redacted]@db.example.com/", "postgres://app:[redacted]@db.example.com/"),
        ("https://müller@explo.co/", "https://{müller@explo.co}/"),
    ],
)
def test_what_may_be_a_login_or_not_is_hidden(text: str, shown: str) -> None:
    def written(template: str, form: Callable[[str], str]) -> str:
        names = {"ada": "ada@explo.co", "bob": "bob@explo.co"}
        return re.sub(r"\{(.+?)\}", lambda found: form(names.get(found[1], found[1])), template)

    assert named().text(written(text, str)) == written(shown, expected)
    assert named().text(written(shown, expected)) == written(shown, expected)


@pytest.mark.parametrize("dot", "\uff0e\u3002\uff61")
def test_dots_of_other_scripts_are_dots_of_a_domain(dot: str) -> None:
    """As in UTS 46, which browsers and mail programs follow."""
    ada = expected("ada@mail.explo.co")
    domain = f"mail{dot}explo{dot}co"
    for text in (f"ada@{domain}", f"ada@{urllib.parse.quote(domain)}", json.dumps(f"ada@{domain}")[1:-1]):
        assert named().text(f"({text})") == f"({ada})"
    assert named().text(f"ada@{dot}co ada@co{dot} ada{dot}") == f"ada@{dot}co ada@co{dot} ada{dot}"


def test_the_end_of_a_sentence_is_no_dot_of_a_domain() -> None:
    text = f"{expected('ada@explo.co')}。次に"
    assert named().text("ada@explo.co。次に") == named().text(text) == text


def test_an_equals_sign_and_a_number_may_be_quoted_printable() -> None:
    assert named().text("user=40example.com") == expected("user@example.com").replace("@", "=40")
    header = "=?utf-8?q?Ada_Lind_=3Cada=2Elind=40explo=2Eco=3E?="
    hidden = expected("ada.lind@explo.co").replace("@", "=40")
    assert named().text(header) == f"=?utf-8?q?Ada_Lind_=3C{hidden}=3E?="
    assert named().text("?email=ada@explo.co=20") == f"?email={expected('ada@explo.co')}=20"
    assert named().text("a=40winks@explo.co") == f"a={expected('40winks@explo.co')}"
    assert holds_address("a=40@explo.co")
    for text in ("limit=40", "?a=40&b=1", "a=40.5", "=40b.co", "size=40px wide", "limit=40, of"):
        assert named().text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '"ada lovelace"@explo.co',
        '\\"ada lovelace\\"@explo.co',
        "&quot;ada lovelace&quot;@explo.co",
        "%22ada%20lovelace%22%40explo.co",
    ],
)
def test_a_local_part_in_quotation_marks(text: str) -> None:
    shown = SHOWN.fullmatch(named().text(text))
    assert shown
    assert f"{shown[1]}@pseudonym.invalid" == expected('"ada lovelace"@explo.co')
    assert "ad" not in named().text('x "ad\\"a"@explo.co').replace("pseudonym.invalid", "").split("p-")[0]


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:explo/app.git",
        "ssh://git@github.com/explo/app",
        "git+ssh://ada@github.com/explo/app",
        "postgres://app:secret@db.example.com:5432/app",
        "https://x-access-token:TOKEN@github.com/explo/app",
        "(https://ada.lovelace~1+x-y@github.com)",
        "arn:aws:iam::123456789012:user/ada",
        'role "ada" at host "db.example.com" (user@localhost)',
        "no pg_hba.conf entry for user@host",
        "lodash@4.17.21 left-pad@1.0.0-beta.1 x@1.2.0.rc1 actions/checkout@v4",
        "logo@2x.png",
        "@octocat @explo.co me@ @ @@",
        "100%@ 5.co",
        "&commat; %40 \\u0040",
        "sha256@abc",
        "a@b",
        "@.co@..co",
        '["@explo.co","@example.com"]'[:12],
        "p-0123456789abcdef0123@pseudonym.invalid",
        "",
    ],
)
def test_what_is_no_address_is_not_touched(text: str) -> None:
    assert named().text(text) == text
    assert not holds_address(text)


def test_of_two_marks_the_one_with_an_address_counts() -> None:
    assert named().text("a@b@explo.co") == f"a@{expected('b@explo.co')}"
    assert named().text("a@b.co@c.de") == f"{expected('a@b.co')}@c.de"
    assert named().text("git@github.com: no such repository") == f"{expected('git@github.com')}: no such repository"
    for mark in ("=40", "%40", "@"):
        chain = f"{expected('a@b.co').replace('@', mark)}@c.de"
        assert named().text(f"a{mark}b.co@c.de") == named().text(chain) == chain
    twice = named().text("ada@explo.co,bao@explo.co")
    assert twice == f"{expected('ada@explo.co')},{expected('bao@explo.co')}"


def test_plus_addresses_and_dots_are_other_addresses() -> None:
    """Only some providers deliver them to the same person; systems hold them apart."""
    spellings = ("ada@explo.co", "ada+x@explo.co", "a.da@explo.co", "ada@explo.com")
    assert len(set(map(named().of, spellings))) == 4


LOCAL = st.text("abzAZ059_+-~'.üß用\u0941", min_size=1, max_size=12).filter(lambda text: text[0] not in "'.")
LABEL = st.text("abzAZ059-ü用", min_size=1, max_size=8)
TOP = st.sampled_from(["co", "museum", "COM", "xn--p1ai", "भारत"])
ADDRESS = st.builds("{}@{}.{}".format, LOCAL, LABEL, TOP)
NEUTRAL = st.text(" ,;:()<>[]/=?!*|\t\n“”…", max_size=6)


@given(st.lists(st.tuples(NEUTRAL, ADDRESS, st.sampled_from(sorted(ENCODERS))), min_size=1, max_size=5), NEUTRAL)
def test_no_address_is_left_none_is_taken_for_another_and_it_is_the_same_again(
    parts: list[tuple[str, str, str]], end: str
) -> None:
    text = ""
    for number, (before, address, encoder) in enumerate(parts):
        between = before or (" " if number else "")
        text += between + ENCODERS[encoder](address)
    shown = named().text(text + end)
    pseudonyms = [f"{found[1]}@pseudonym.invalid" for found in SHOWN.finditer(shown)]
    assert pseudonyms == [expected(address) for _, address, _ in parts]
    for _, address, encoder in parts:
        if address.casefold() not in "".join(between for between, _, _ in parts):
            assert ENCODERS[encoder](address) not in shown
    assert named().text(text + end) == shown
    assert named().text(shown) == shown
    assert not holds_address(shown)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("@@%%\\\\&;&#x40.a==:/\u3002"), max_size=60))
def test_whatever_comes_is_read_and_after_a_second_time_it_is_the_same(text: str) -> None:
    once = named().text(text)
    assert named().text(once) == once
    assert holds_address(text) == (once != text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000 + "@",
        "a@" * 300_000,
        "a@b." * 200_000,
        "%40" * 300_000,
        "&#" * 300_000 + "@b.co",
        "x://a@b.co," * 80_000,
        "\\" * 500_000 + "@a.co",
        "a@" + "1." * 500_000,
        '"' * 500_000 + "@b.co",
        "a@b.co" * 100_000,
        "a=40" * 200_000,
        "://" + "a" * 1_000 + ("@" + "a" * 1_000) * 500,
        "a@" + "b\u3002" * 300_000,
    ],
    ids=lambda text: text[:6],
)
def test_nothing_a_system_can_send_takes_long(text: str) -> None:
    """Each is read in a second or so; reading backwards without a bound would take hours."""
    started = time.process_time()
    named().text(text)
    assert time.process_time() - started < 60


def test_questions_name_the_address_as_the_systems_spell_it() -> None:
    names = named()
    ada, other = names.text("Ada@explo.co"), expected("bao@explo.co")
    assert names.reveal({"UserName": ada, "Path": f"/x/{ada}", "List": [ada, 1, None]}) == {
        "UserName": "Ada@explo.co",
        "Path": "/x/Ada@explo.co",
        "List": ["Ada@explo.co", 1, None],
    }
    with pytest.raises(SourceFailure, match=f"{other} is of no address"):
        names.reveal(other)
    names.text("ada@explo.co")
    with pytest.raises(SourceFailure, match="several ways"):
        names.reveal(ada)


def redactor(*secrets: str) -> Redactor:
    made = Redactor(secrets)
    made.pseudonymise(named())
    return made


def test_a_body_keeps_pseudonyms_in_names_and_values_and_says_where() -> None:
    ada = expected("ada@explo.co")
    kept = redactor("the-secret-token").keep(
        {
            "ada@explo.co": {"role": "admin", "n": 3},
            "list": [1, "by ada@explo.co", {"a/b": "the-secret-token of ada@explo.co"}],
            "none": [None, True, 2.5, "text"],
        }
    )
    assert kept.body == {
        ada: {"role": "admin", "n": 3},
        "list": [1, f"by {ada}", {"a/b": f"{MASK} of {ada}"}],
        "none": [None, True, 2.5, "text"],
    }
    assert kept.redacted == ("/list/2/a~1b",)
    assert kept.pseudonymised == ("", "/list/1", "/list/2/a~1b")


def test_names_that_become_the_same_are_told_apart() -> None:
    ada = expected("ada@explo.co")
    assert redactor().keep({"ada@explo.co": 1, "Ada@explo.co": 2}).body == {ada: 1, f"{ada} (2)": 2}


def test_a_secret_that_looks_like_an_address_is_masked() -> None:
    assert redactor("ada@explo.co").text("x ada@explo.co") == f"x {MASK}"


@pytest.mark.parametrize(
    "write",
    [
        lambda raw: base64.b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
        bytes.hex,
    ],
)
def test_bytes_that_hold_an_address_are_redacted_as_a_whole(write: Callable[[bytes], str]) -> None:
    """A certificate cannot hold a pseudonym: it would be another."""
    der = b"\x30\x82\x01\x0a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01\x16\x0cada.lind@explo.co\xff\xfe\x30\x00"
    assert bytes_hold_address(der)
    kept = redactor().keep({"der": write(der), "other": write(b"\x30\x82" * 20)})
    assert kept.body == {"der": MASK, "other": write(b"\x30\x82" * 20)}
    assert (kept.redacted, kept.pseudonymised) == (("/der",), ())


@given(st.binary(min_size=18, max_size=200))
def test_other_bytes_are_not(raw: bytes) -> None:
    assume(b"@" not in raw)
    assert not bytes_hold_address(raw)
    body = [raw.hex(), base64.b64encode(raw).decode()]
    assert redactor().keep(body) == (body, (), ())


TEXTS = st.text("ab@.c%", max_size=12)
BODIES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab@.c", max_size=8), inner, max_size=4)
)


@given(BODIES)
def test_live_and_replayed_data_are_the_same(body: object) -> None:
    kept = redactor().keep({"body": body}).body
    assert redactor().keep(kept) == (kept, (), ())


def test_nobody_has_a_pseudonym_where_none_are_wanted() -> None:
    assert Redactor().keep({"ada@explo.co": "ada@explo.co"}) == ({"ada@explo.co": "ada@explo.co"}, (), ())
    assert Redactor().text("ada@explo.co") == "ada@explo.co"
    assert Redactor().reveal({"a": "p-0123456789abcdef0123@pseudonym.invalid"}) == {
        "a": "p-0123456789abcdef0123@pseudonym.invalid"
    }

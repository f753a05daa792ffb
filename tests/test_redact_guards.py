"""What a secret is known by, and what is kept of a body is told to the pointer."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from auditor.pseudonyms import Pseudonyms
from auditor.redact import MASK, Kept, Redactor
from auditor.spellings import SHORTEST_ENCODED, encoded_octets

NAMES = Pseudonyms(b"k" * 32, "Explo")
ADA, BOB = NAMES.of("ada@explo.co"), NAMES.of("bob@explo.co")
SECRET = "correct-horse"


def pseudonymous(*secrets: str) -> Redactor:
    redactor = Redactor(secrets)
    redactor.pseudonymise(NAMES)
    return redactor


def test_what_is_encoded_is_looked_into() -> None:
    text = "sixteen octets.."
    raw = text.encode()
    assert encoded_octets(base64.b64encode(raw).decode()) == raw
    assert encoded_octets(base64.b64encode(raw).decode().rstrip("=")) == raw
    odd = b"\xff\xfe\xfb\xff\xfe\xfb\xff\xfe\xfb\xff\xfe\xfb\xff"
    assert encoded_octets(base64.urlsafe_b64encode(odd).decode()) == odd
    assert encoded_octets(base64.b64encode(odd).decode()) == odd
    for octets in (b"\xfb\xef\xbe" * 5, b"\xfb\xef\xbe" * 5 + b"x"):  # of which each is a + or a -
        assert encoded_octets(base64.urlsafe_b64encode(octets).decode()) == octets
        assert encoded_octets(base64.b64encode(octets).decode()) == octets
    assert encoded_octets(raw.hex()) == encoded_octets(raw.hex().upper()) == raw
    assert encoded_octets("a" * SHORTEST_ENCODED) == bytes.fromhex("a" * SHORTEST_ENCODED)
    assert encoded_octets("a" * (SHORTEST_ENCODED - 1)) is None
    assert encoded_octets("z" * SHORTEST_ENCODED) == base64.b64decode("z" * SHORTEST_ENCODED)
    assert encoded_octets("z" * (SHORTEST_ENCODED + 1)) is None  # no base64 has that length
    assert encoded_octets("two words, no base64") is None


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, lambda raw: raw.hex().encode()])
def test_encoded_bytes_are_masked_as_a_whole(encode: Any) -> None:
    for secret, hidden in ((SECRET, True), ("another-horse", False)):
        text = encode(b'{"user": "x", "password": "' + secret.encode() + b'"}').decode()
        body = {"a": text}
        kept = Kept({"a": MASK}, ("/a",), ()) if hidden else Kept(body, (), ())
        assert Redactor([SECRET]).keep(body) == kept
        assert pseudonymous(SECRET).keep(body) == kept
    text = encode(b"a certificate of ada@explo.co, in DER").decode()
    assert Redactor([SECRET]).keep([text]) == Kept([text], (), ())
    assert pseudonymous(SECRET).keep([text]) == Kept([MASK], ("/0",), ())


def test_what_was_masked_and_what_was_pseudonymised_is_told_apart() -> None:
    body = {
        "plain": "text", "secret": f"x {SECRET} y", "address": "by ada@explo.co", "both": f"{SECRET} of bob@explo.co",
        "list": [1, None, True, {"a/b": ["ada@explo.co", SECRET]}], "number": 12.5,
    }  # fmt: skip
    assert pseudonymous(SECRET).keep(body) == Kept(
        {
            "plain": "text", "secret": f"x {MASK} y", "address": f"by {ADA}", "both": f"{MASK} of {BOB}",
            "list": [1, None, True, {"a/b": [ADA, MASK]}], "number": 12.5,
        },
        ("/secret", "/both", "/list/3/a~1b/1"),
        ("/address", "/both", "/list/3/a~1b/0"),
    )  # fmt: skip
    assert pseudonymous(SECRET).scrub(body) == pseudonymous(SECRET).keep(body)[:2]
    assert Redactor([SECRET]).keep(body)[2] == ()
    assert pseudonymous(SECRET).text(f"{SECRET} of bob@explo.co") == f"{MASK} of {BOB}"
    assert Redactor([SECRET]).text(f"{SECRET} of bob@explo.co") == f"{MASK} of bob@explo.co"


def test_names_of_members_are_kept_apart_and_told_by_their_object() -> None:
    redactor = pseudonymous(SECRET)
    assert redactor.keep({"in": {"ada@explo.co": 1}, "at": {SECRET: 2}, "no": {"x": 3}}) == Kept(
        {"in": {ADA: 1}, "at": {MASK: 2}, "no": {"x": 3}}, ("/at",), ("/in",)
    )
    several = {
        f"a {SECRET}": SECRET,
        f"a {SECRET.encode().hex()}": SECRET,
        f"a {MASK}": 3,
        "ada@explo.co": "ada@explo.co",
    }
    assert redactor.keep([several, several]) == Kept(
        [{f"a {MASK} (2)": MASK, f"a {MASK} (3)": MASK, f"a {MASK}": 3, ADA: ADA}] * 2,
        tuple(f"/{index}{rest}" for index in (0, 1) for rest in ("", f"/a {MASK} (2)", f"/a {MASK} (3)")),
        tuple(f"/{index}{rest}" for index in (0, 1) for rest in ("", f"/{ADA}")),
    )
    slashed = {f"x/{SECRET}": SECRET, f"x/{SECRET.encode().hex()}": SECRET}
    assert redactor.keep(slashed) == Kept(
        {f"x/{MASK}": MASK, f"x/{MASK} (2)": MASK}, ("", f"/x~1{MASK}", f"/x~1{MASK} (2)"), ()
    )


def test_numbers_are_masked_as_they_are_written() -> None:
    redactor = Redactor(["1234567890", "12.5"])
    assert redactor.keep([1234567890, 12.5, True, None, 7]) == Kept([MASK, MASK, True, None, 7], ("/0", "/1"), ())
    assert Redactor(["true", "null"]).keep([True, None, "true"]) == Kept([True, None, MASK], ("/2",), ())


def test_a_question_names_the_address_and_not_its_pseudonym() -> None:
    redactor = pseudonymous(SECRET)
    redactor.text("ada@explo.co")
    assert redactor.reveal({"who": ADA, "n": 1}) == {"who": "ada@explo.co", "n": 1}
    params = {"who": ADA}
    assert Redactor().reveal(params) is params


def test_a_secret_is_known_in_the_ways_that_others_write_it() -> None:
    long = "First Line\nof it: ABCDEFGH\nshort"
    redactor = Redactor([long])
    assert redactor.text("First Line of it: ABCDEFGH short") == MASK
    assert redactor.text(long.lower()) == MASK
    assert redactor.text("x of it: ABCDEFGH y") == f"x {MASK} y"
    assert redactor.text("of it: abcdefgh") == MASK
    assert Redactor(["short\nof it: ABCDEFGH"]).text("x of it: ABCDEFGH y") == f"x {MASK} y"
    assert redactor.text("short") == "short"
    assert Redactor(["a \t\t\t\t\t\t b"]).text("a b (a b)") == "a b (a b)"  # put on one line it is too short
    eight, seven = "12345678", "1234567"
    assert Redactor([eight]).text(f"x{eight}x") == f"x{MASK}x"
    assert Redactor([seven]).text(f"x{seven}x") == f"x{seven}x"
    assert Redactor([seven]).text(seven) == MASK
    lines = "-----BEGIN X-----\nabcdefgh\nabcdefg"
    assert Redactor([lines]).text("-----BEGIN X----- abcdefgh abcdefg") != lines
    assert Redactor([lines]).text("-----BEGIN X-----") == "-----BEGIN X-----"
    assert Redactor([lines]).text("(abcdefgh) (abcdefg)") == f"({MASK}) (abcdefg)"
    padded = "abcdefghi="  # which is no base64 of anything
    for form in (base64.b64encode(padded.encode()), base64.urlsafe_b64encode(padded.encode())):
        assert Redactor([padded]).text(form.decode()) == MASK
        assert Redactor([padded]).text(form.decode().rstrip("=")) == MASK
    short = "é?>"
    for form in (base64.b64encode(short.encode()), base64.urlsafe_b64encode(short.encode())):
        assert Redactor([short]).text(form.decode()) == MASK
        assert Redactor([short]).text(form.decode().rstrip("=")) == MASK
    assert Redactor(["abW"]).text("YWJX") == MASK
    assert Redactor(["abW"]).text("YWJ") == "YWJ"
    for text in (short.encode().hex(), short.encode().hex().upper(), "%C3%A9%3F%3E", "%c3%a9%3f%3e"):
        assert Redactor([short]).text(text) == MASK


def test_secrets_may_hold_what_is_no_character() -> None:
    """Half of a pair, as JSON may hold it; an octet, as the environment; both, and what Latin-1 has as one octet."""
    for secret in ("halves-\ud800-\udc41", "octet-\udcff-of", "s\xe9cret-\udcff-of", "s\xe9cret-\ud800-of"):
        assert Redactor([secret]).text(f"({secret})") == f"({MASK})"
    assert Redactor(["\xe9\ud800x"]).text("\xe9\ud800x") == MASK  # which is looked for as a whole value only
    assert Redactor(["octet-\xff-of"]).text(r"(octet-\xff-of)") == f"({MASK})"


def test_no_character_is_masked_in_part() -> None:
    """Octets of one may be those that a secret begins or ends with, in another encoding."""
    assert Redactor(["\xbfabcdefgh"]).text("x\xffabcdefgh y") == f"x{MASK} y"
    assert Redactor(["\x83abcdefgh"]).text("x\u20c3abcdefgh y") == f"x{MASK} y"
    assert Redactor(["abcdefgh\xc3"]).text("xabcdefgh\xe9Z") == f"x{MASK}Z"
    assert Redactor(["abcdefgh\xe2"]).text("xabcdefgh\u20acZZ") == f"x{MASK}ZZ"


def test_of_two_secrets_that_begin_alike_the_longer_is_masked() -> None:
    redactor = Redactor(["12345678-and-more", "12345678"])
    assert redactor.text("a 12345678-and-more b 12345678-and c") == f"a {MASK} b {MASK}-and c"
    assert redactor.text("12345678x12345678") == f"{MASK}x{MASK}"
    only = Redactor(["12345678-and-more"])
    assert only.text("12345678-and-12345678-and-more") == f"12345678-and-{MASK}"
    overlapping = Redactor(["aaaaaaaab"])
    assert overlapping.text("xaaaaaaaaab") == f"xa{MASK}"


def test_secrets_that_are_learnt_later_do_not_replace_those_before() -> None:
    redactor = Redactor(["first-secret"])
    redactor.conceal("second-secret")
    redactor.conceal("first-more")
    redactor.conceal("")
    redactor.conceal("abc")
    assert redactor.text("first-secret second-secret first-more") == f"{MASK} {MASK} {MASK}"
    assert (redactor.text("abc"), redactor.text("xabc"), redactor.text("")) == (MASK, "xabc", "")

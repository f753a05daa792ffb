"""Secrets never reach the disk: every form a secret may arrive in is masked, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
import string
import threading
import urllib.parse
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from auditor.redact import MASK, SUBSTRING_MINIMUM, Redactor

SECRETS = {
    "plain": "correct-horse-battery",
    "quote": 'pass"word"1234',
    "quotes": "tok'en\"x",
    "doubled": "a''b\"\"c\\'d",
    "at": "p@ssw0rd@host",
    "slash": "a/b/c/d+e/f==",
    "backslash": "back\\slash\\n12",
    "newline": "two lines\nof secret",
    "non-ascii": "pässwörd-ключ-🔑",
    "space": "one two three",
    "blanks": "ab  cd\tef  Gh",
    "percent": "100%sure%41",
    "markup": "<a href='x'>&amp;</a>",
    "control": "tab\there\x7f\x01end",
}
every_secret = pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())


def basic(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def in_lines(raw: bytes, columns: int, end: str = "\n") -> str:
    """Base64 that is broken within what is given: it stands near the end of the first line, and goes on in the next."""
    encoded = base64.b64encode(b"x" * (columns // 4 * 3 - len(raw) // 2) + raw).decode()
    return end.join(encoded[at : at + columns] for at in range(0, len(encoded), columns))


def escaped(secret: str, octet: str) -> str:
    return "".join(octet.format(one) for one in secret.encode())


def units(secret: str, unit: str) -> str:
    """Each in UTF-16, so that what is beyond it is written as a pair, as in JSON."""
    raw = secret.encode("utf-16-be")
    return "".join(unit.format(256 * high + low) for high, low in zip(raw[::2], raw[1::2], strict=True))


def in_turn(text: str) -> str:
    """Digits of hexadecimal in capital and small letters by turns."""
    return "".join(char.upper() if index % 3 else char.lower() for index, char in enumerate(text))


def in_sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def in_csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def in_shell(text: str, quote: str = "'\\''") -> str:
    return "'" + text.replace("'", quote) + "'"


def nested(secret: str) -> dict[str, str]:
    """The secret in spellings within each other, or that other programs take liberties in."""
    raw = secret.encode()
    percent = urllib.parse.quote(secret, safe="")
    inner = base64.b64encode(raw)
    soft = quopri.encodestring(raw, quotetabs=True).decode()
    return {
        "percent, mixed": re.sub("%..", lambda one: in_turn(one[0]), escaped(secret, "%{:02x}")),
        "percent, a letter": f"%{raw[0]:02x}{secret[1:]}",
        "percent, a letter in capitals": f"%{raw[0]:02X}{percent[1:]}" if percent[0] == secret[0] else percent,
        "percent, twice": urllib.parse.quote(percent, safe=""),
        "percent, thrice": urllib.parse.quote(urllib.parse.quote(percent, safe=""), safe=""),
        "percent, twice in small letters": escaped(secret, "%25{:02x}"),
        "JavaScript's escape": units(secret, "%u{:04X}"),
        "base64, MIME": base64.encodebytes(b"x" * (57 - len(raw) // 2) + raw).decode(),
        "base64, GitHub": in_lines(raw, 60) + "\n",
        "base64, PEM": in_lines(raw, 64, "\r\n"),
        "base64, one line": in_lines(raw, 76, " "),
        "base64, JSON": in_lines(raw, 60, "\\n"),
        "base64, indented": in_lines(raw, 64, "\n    "),
        "base64 in a URL": urllib.parse.quote(base64.b64encode(b"u:" + raw).decode(), safe=""),
        "base64 twice": base64.b64encode(inner).decode(),
        "base64 twice, of Basic": base64.b64encode(b"Basic " + base64.b64encode(b"u:" + raw)).decode(),
        "base64 of percent": base64.b64encode(percent.encode()).decode(),
        "base64 of JSON": base64.b64encode(json.dumps({"a": secret}).encode()).decode(),
        "base64 of UTF-16": base64.b64encode(secret.encode("utf-16-le")).decode(),
        "base64 of UTF-16, big": base64.b64encode(f"a{secret}".encode("utf-16-be")).decode(),
        "base64 of UTF-16 of percent": base64.b64encode(f"u:{percent}@h".encode("utf-16-le")).decode(),
        "base64 of UTF-16 of Basic": base64.b64encode(
            f"Basic {base64.b64encode(b'u:' + raw).decode()}".encode("utf-16-be")
        ).decode(),
        "hex of UTF-16 of JSON": json.dumps({"a": secret}, ensure_ascii=False).encode("utf-16-le").hex(),
        "base64 of hexadecimal": base64.b64encode(raw.hex().encode()).decode(),
        "hex, mixed": in_turn(raw.hex()),
        "hex, colons": raw.hex(":"),
        "hex, blanks": raw.hex(" ").upper(),
        "hex, hyphens": raw.hex("-"),
        "hex, plus": raw.hex("+"),
        "hex, commas": raw.hex(","),
        "hex, words": raw.hex(" ", 2),
        "hex of user and secret": (b"user:" + raw).hex(),
        "hex of Basic": base64.b64encode(b"u:" + raw).hex(),
        "octets": escaped(secret, "\\x{:02x}"),
        "octets, capital": escaped(secret, "\\x{:02X}"),
        "octal": escaped(secret, "\\{:03o}"),
        "octets, in C": escaped(secret, "0x{:02x}, "),
        "octets, decimal": str(list(raw)),
        "octets, Go": str(list(raw)).replace(",", ""),
        "octets, signed": str([one - 256 if one > 127 else one for one in raw]),
        "Perl": "".join(f"\\x{{{ord(char):x}}}" for char in secret),
        "bash": "".join(f"\\{char}" if char in string.punctuation else char for char in secret),
        "SQL": in_sql(secret)[1:-1],
        "CSV": in_csv(secret)[1:-1],
        "shell": in_shell(secret)[1:-1],
        "Python's shell": in_shell(secret, "'\"'\"'")[1:-1],
        "SQL in JSON": json.dumps(in_sql(secret))[2:-2],
        "JSON in CSV": in_csv(json.dumps(secret))[3:-3],
        "shell in shell": in_shell(in_shell(secret))[5:-5],
        "units": units(secret, "\\u{:04x}"),
        "units, mixed": in_turn(units(secret, "\\u{:04x}")).replace("\\U", "\\u"),
        "HTML, decimal": "".join(f"&#{ord(char)};" for char in secret),
        "HTML, hexadecimal": "".join(f"&#x{ord(char):x};" for char in secret),
        "HTML, capital": "".join(f"&#X{ord(char):04X};" for char in secret),
        "HTML in HTML": html.escape(f"{html.escape(secret[:2])}&#{ord(secret[2])};{html.escape(secret[3:])}"),
        "JSON in JSON": json.dumps(json.dumps(secret))[3:-3],
        "quoted-printable": soft,
        "quoted-printable, all": escaped(secret, "={:02X}"),
        "quoted-printable, broken": f"{soft[: len(soft) // 3]}=\n{soft[len(soft) // 3 :]}"
        if "=" not in soft
        else f"{escaped(secret[:5], '={:02X}')}=\r\n{escaped(secret[5:], '={:02X}')}",
    }


def forms(secret: str) -> dict[str, str]:
    """The secret as other programs write it; made here, not by the code under test."""
    raw = secret.encode()
    percent = urllib.parse.quote(secret, safe="")
    return {
        "itself": secret,
        "percent": percent,
        "percent, small": "".join(f"%{c:02x}" if f"%{c:02X}" in percent else chr(c) for c in raw),
        "percent, all": "".join(f"%{c:02X}" for c in raw),
        "percent, all small": "".join(f"%{c:02x}" for c in raw),
        "percent, path": urllib.parse.quote(secret),
        "percent, encodeURI": urllib.parse.quote(secret, safe=";,/?:@&=+$-_.!~*'()#"),
        "percent, encodeURIComponent": urllib.parse.quote(secret, safe="-_.!~*'()"),
        "form": urllib.parse.quote_plus(secret),
        "base64": base64.b64encode(raw).decode(),
        "base64, no padding": base64.b64encode(raw).decode().rstrip("="),
        "base64, for URLs": base64.urlsafe_b64encode(raw).decode(),
        "basic": basic("u", secret),
        "basic, other alignment": basic("us", secret),
        "basic, third alignment": basic("use", secret),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "JSON": json.dumps(secret)[1:-1],
        "JSON, unescaped": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON, slashes": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "XML": html.escape(secret),
        "XML, text": html.escape(secret, quote=False),
        "certificate": "".join(f"\\{char}" if char in ',+"\\<>;' else char for char in secret),
        "small": secret.lower(),
        "on one line": " ".join(secret.split()),
        "repr": repr(secret)[1:-1],
        "ascii": ascii(secret)[1:-1],
        "bytes": repr(raw)[2:-1],
        **nested(secret),
    }


@every_secret
def test_every_form_is_masked_alone_and_within_text(secret: str) -> None:
    redactor = Redactor([secret])
    for name, form in forms(secret).items():
        masked = redactor.text(form)
        assert form not in masked, name
        assert MASK in masked, name
        within = redactor.text(f"before {form} after")
        assert form not in within, name
        assert within.startswith("before "), name
        assert within.endswith(" after"), name


@every_secret
@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_base64_is_masked_at_every_alignment(secret: str, before: str, after: str) -> None:
    """Six bits at either end mix with the neighbours; no more of the secret than that may be read back."""
    encoded = base64.b64encode((before + secret + after).encode()).decode()
    for text in (encoded, encoded.replace("+", "-").replace("/", "_")):
        masked = Redactor([secret]).text(text)
        assert MASK in masked
        assert len(masked.replace(MASK, "")) <= len(text) - (8 * len(secret.encode()) // 6 - 2)


@every_secret
def test_a_body_is_masked_in_keys_and_values_and_says_where(secret: str) -> None:
    body = {
        "url": f"https://u:{urllib.parse.quote(secret, safe='')}@host/",
        "list": [1, secret, {"deep/er": [None, f"x{secret}y"]}],
        "fine": {"text": "nothing", "number": 3.5, "flag": True, "none": None, "empty": "", "list": []},
        "named": {f"key {secret}": "value", "other": 1},
    }
    scrubbed, pointers = Redactor([secret]).scrub(body)
    assert scrubbed == {
        "url": f"https://u:{MASK}@host/",
        "list": [1, MASK, {"deep/er": [None, f"x{MASK}y"]}],
        "fine": body["fine"],
        "named": {f"key {MASK}": "value", "other": 1},
    }
    assert pointers == ("/url", "/list/1", "/list/2/deep~1er/1", "/named")
    assert secret not in json.dumps(scrubbed, ensure_ascii=False)


def test_what_holds_no_secret_is_the_same() -> None:
    body: Any = {"a": [1, 2.5, True, None, "text", {"b": []}], "": "", MASK: "kept", "n": -0.0}
    assert Redactor(["correct-horse"]).scrub(body) == (body, ())
    assert Redactor().scrub(body) == (body, ())


def test_a_tuple_becomes_the_list_that_is_written() -> None:
    assert Redactor(["correct-horse"]).scrub(({"a": ("correct-horse",)},)) == ([{"a": [MASK]}], ("/0/a/0",))


def test_a_short_secret_is_masked_as_a_whole_value_only() -> None:
    secret = "s3cre/t"
    assert len(secret) == SUBSTRING_MINIMUM - 1
    redactor = Redactor([secret])
    for form in (
        secret,
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        secret.encode().hex(),
    ):
        assert redactor.text(form) == MASK
        assert redactor.text(f"x{form}") == f"x{form}"
    assert redactor.scrub({secret: [secret, "s3cre/t."]}) == ({MASK: [MASK, "s3cre/t."]}, ("", "/[redacted]/0"))


def test_a_secret_of_digits_is_masked_as_a_number_too() -> None:
    redactor = Redactor(["1234567890", "4711"])
    body = {"a": 1234567890, "b": 91234567890, "c": 4711, "d": 47110, "e": 12345.0, "f": True}
    assert redactor.scrub(body) == (
        {"a": MASK, "b": f"9{MASK}", "c": MASK, "d": 47110, "e": 12345.0, "f": True},
        ("/a", "/b", "/c"),
    )


def test_eight_characters_are_enough_for_a_substring() -> None:
    assert Redactor(["12345abc"]).text("x12345abcx") == f"x{MASK}x"


@pytest.mark.parametrize("secret", ["=", "====", "a=="])
def test_padding_alone_is_no_secret(secret: str) -> None:
    """Stripped of `=` these would be empty or nearly so, and every empty value would be masked."""
    redactor = Redactor([secret])
    assert redactor.text(secret) == MASK
    assert redactor.text("") == ""
    assert redactor.text("a") == "a"


def test_an_empty_secret_masks_nothing() -> None:
    assert Redactor([""]).scrub({"": ["", "x"]}) == ({"": ["", "x"]}, ())


def test_keys_that_become_the_same_are_told_apart() -> None:
    secret = "correct-horse"
    body = {secret: 1, base64.b64encode(secret.encode()).decode(): 2, MASK: 3, secret.encode().hex(): 4}
    scrubbed, pointers = Redactor([secret]).scrub(body)
    assert sorted(scrubbed.values()) == [1, 2, 3, 4]
    assert scrubbed[MASK] == 3
    assert pointers == ("",)
    assert all(name.startswith(MASK) for name in scrubbed)


def test_a_key_file_is_masked_line_by_line() -> None:
    """A PEM file is quoted without its line ends by some, and its frame is no secret."""
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n"
    redactor = Redactor([pem])
    assert redactor.text("MIIEvQIBADANBgkqhkiG9w0B AQEFAASCBKcwggSjAgEAAoIB") == f"{MASK} {MASK}"
    assert redactor.text(pem) == MASK
    assert redactor.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_the_longest_form_wins() -> None:
    assert Redactor(["password", "password-and-more"]).text("password-and-more password") == f"{MASK} {MASK}"


def test_bytes_that_were_no_text_are_masked_as_the_environment_gives_them() -> None:
    """Python reads a variable that is not UTF-8 with stand-ins (surrogateescape)."""
    secret = b"latin-\xe9-secret".decode("utf-8", "surrogateescape")
    redactor = Redactor([secret])
    assert redactor.text(secret) == MASK
    assert redactor.text("x latin-%E9-secret") == f"x {MASK}"
    assert MASK in redactor.text(base64.b64encode(b"user:latin-\xe9-secret").decode())


def test_secrets_are_learnt_while_others_write() -> None:
    redactor = Redactor()
    secrets = [f"secret-number-{n:04}" for n in range(40)]
    threads = [threading.Thread(target=redactor.conceal, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redactor.text(" ".join(secrets)) == " ".join([MASK] * len(secrets))


SECRET = st.text("ab1 \"'@/\\\n%+=&<é🔑", min_size=4, max_size=12).map(lambda text: f"Zq{text}Xv")
BODY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab1%=é", max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abk", max_size=3), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(SECRET, BODY, st.data())
def test_after_scrubbing_no_form_of_the_secret_is_in_the_text(secret: str, body: Any, data: st.DataObject) -> None:
    assume(len(secret) >= SUBSTRING_MINIMUM)
    known = sorted(forms(secret).values())
    hidden = {
        "value": data.draw(st.sampled_from(known)),
        "within": "ab" + data.draw(st.sampled_from(known)) + "ba",
        f"key-{data.draw(st.sampled_from(known))}": body,
        "list": [body, {"deep": [data.draw(st.sampled_from(known))]}],
    }
    scrubbed, pointers = Redactor([secret]).scrub(hidden)
    for text in (json.dumps(scrubbed), json.dumps(scrubbed, ensure_ascii=False)):
        for form in known:
            assert form not in text
    assert {"", "/value", "/within", "/list/1/deep/0"} <= set(pointers)
    assert scrubbed["list"][0] == body


@settings(deadline=None)
@given(BODY)
def test_nothing_else_is_changed(body: Any) -> None:
    assert Redactor(["Zq-not-in-there-Xv"]).scrub(body) == (body, ())


def test_many_tokens_of_one_issuer_are_masked_and_the_pattern_does_not_grow() -> None:
    """Tokens start alike; one that is the start of another is no reason to leave the rest of it."""
    tokens = [f"eyJhbGciOiJkaXIi..{'a' * number}.{number:04}" for number in range(200)]
    redactor = Redactor([*tokens[:2], "eyJhbGciOiJkaXIi..aaa"])
    assert redactor._known.starts is not None
    before = len(redactor._known.starts.pattern)
    for token in tokens:
        redactor.conceal(token)
    assert redactor.text(" ".join(tokens)) == " ".join([MASK] * len(tokens))
    assert redactor.text("eyJhbGciOiJkaXIi..aaaa-eyJhbGciOiJkaXIi-eyJhbGci") == f"{MASK}a-eyJhbGciOiJkaXIi-eyJhbGci"
    assert len(redactor._known.starts.pattern) < 3 * before

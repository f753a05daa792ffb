"""How a text may be spelled, and that what is undone is told by exactly the place it was written in."""

from __future__ import annotations

import base64
import json
import shlex
import string
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.redact import LONGEST_WHOLE, MASK, SUBSTRING_MINIMUM, Redactor
from auditor.spellings import _patterns, octets_of, readings, text_of, unescaped, wholes
from tests.test_redact import SECRETS, every_secret, forms, in_csv, in_lines, in_shell, in_sql

SECRET = "correct-horse"
REDACTOR = Redactor([SECRET])
UNTOUCHED = {
    "prose": "The organization requires two-factor authentication of everybody; 100% of the members, &c.",
    "URL": "https://h.example/a%20b%2Fc?x=%zz&y=1&amp;z=%u12",
    "path": "C:\\Users\\new\\table\\x41\\u0041 and \\\\server\\share",
    "UUID": "0a1b2c3d-0000-4000-8000-00000000000a",
    "time": "2026-11-20 09:12:44 +00:00",
    "MAC": "00:1b:44:11:3a:b7 00:1b:44:11:3a:b8 00:1b:44:11:3a:b9",
    "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "PEM": f"-----BEGIN X-----\n{base64.encodebytes(bytes(range(255, -1, -1)) * 3).decode()}-----END X-----\n",
    "token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjb3JyZWN0LWhvcnMifQ.",
    "quoted-printable": "correct=20hors=\n=E9 =3D =",
    "half a pair": "\ud83d of \\ud83d and &#xd83d; &#99999999; &#9999999; &nonsense; \udce9",
    "nearly": "correct-hors e, correct%2Dhors, Y29ycmVjdC1ob3Jz, 636f72726563742d686f7273",
    "other scripts": "данные организации, 組織のデータ %D0%B4",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_what_holds_no_secret_is_the_same_to_the_byte(text: str) -> None:
    for redactor in (REDACTOR, Redactor(SECRETS.values()), Redactor(["abc", "éé", "12345678"])):
        for one in (text, text * 3, json.dumps(text), base64.b64encode(text.encode("utf-8", "replace")).decode()):
            assert redactor.text(one) == one
            assert redactor.scrub({one: [one]}) == ({one: [one]}, ())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a%2Fb%2fc%zz%", "a/b/c%zz%"),
        ("%C3%A9", "\xc3\xa9"),
        ("\\x2f\\X2F\\xc3\\xa9\\xz", "//\xc3\xa9\\xz"),
        ("\\u002f\\u00e9\\u00E9\\u12", "/\xc3\xa9\xc3\xa9\\u12"),
        ("\\uD83D\\uDD11|\\ud83d\\udd11", "\xf0\x9f\x94\x91|\xf0\x9f\x94\x91"),
        ("\\U0001F511\\U002F\\U0010ffff\\U00110000", "\xf0\x9f\x94\x91/\xf4\x8f\xbf\xbf\x110000"),
        ("\\u{2f}\\u{1F511}\\u{0}", "/\xf0\x9f\x94\x91\0"),
        ("%u002F%uD83D%uDD11", "/\xf0\x9f\x94\x91"),
        ("\\057\\303\\251\\477", "/\xc3\xa9\\477"),
        ("\\b\\f\\n\\r\\t\\a", "\b\f\n\r\t\\a"),
        ("".join(f"\\{char}" for char in f" {string.punctuation}"), f" {string.punctuation}"),
        ("\\x{2f}\\x{1F511}\\x{0}\\x{}\\X{41}%x{41}", "/\xf0\x9f\x94\x91\0\\x{}\\X{41}%x{41}"),
        ("&#47;&#0047;&#x2f;&#X2F;&#xe9;&#127;&#1114112;", "////\xc3\xa9\x7f&#1114112;"),
        ("&lt;&amp;amp;&quot;&apos;&sol;&eacute;&nosuch;&lt", "<&amp;\"'/\xc3\xa9&nosuch;&lt"),
        ("%252F", "%2F"),
        ("&u0041;&x41", "&u0041;&x41"),
    ],
)
def test_every_escape_is_undone_once(written: str, read: str) -> None:
    assert unescaped(written) == read
    assert unescaped(f"x{written}y") == f"x{read}y"


@pytest.mark.parametrize("text", ["", "ascii", "é🔑", "\ud83d", "\udce9 é", "🔑\udd11"])
def test_octets_are_those_of_utf_8_and_come_back(text: str) -> None:
    assert text_of(octets_of(text)) == text
    assert octets_of(text).encode("latin-1") == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a%2Fb correct%2Dhorse c%2Fd", f"a%2Fb {MASK} c%2Fd"),
        ("%2F%63orrect-hors%65%2F", f"%2F{MASK}%2F"),
        ("é%2Fё correct%2Dhorse ё%2Fé", f"é%2Fё {MASK} ё%2Fé"),
        ("%41correct-horse%41", f"%41{MASK}%41"),
        ("correct%2Dhorse, correct-horse, %63orrect-horse", f"{MASK}, {MASK}, {MASK}"),
        ("correct%2Dhorsecorrect-horse", f"{MASK}{MASK}"),
        ("correct%252Dhorse %252F", f"{MASK} %252F"),
        ("x=\ncorre=\nct-horse=\ny", f"x=\n{MASK}=\ny"),
        ("a=3Db correct=2Dhorse c=3D", f"a=3Db {MASK} c=3D"),
        ("=20correct=2Dhors=65", f"=20{MASK}"),
        ("correct=  \r\n-horse", MASK),
        ("63 6f 72 72 65 63 74 2d 68 6f 72 73 65", MASK),
        ("x 63:6f:72:72:65:63:74:2d:68:6f:72:73:65, y", f"x {MASK}, y"),
        ("00:01:63:6f:72:72:65:63:74:2d:68:6f:72:73:65:02:03", f"00:01:{MASK}:02:03"),
        ("0x636f72726563742d686f727365;", f"0x{MASK};"),
        ("f636f72726563742d686f727365f", MASK),
        ("636f\n7272\n6563\n742d\n686f\n7273\n65 of", f"{MASK} of"),
        (f"{'ab' * 20} 63:6f:72:72:65:63:74:2d:68:6f:72:73:65", f"{'ab' * 20} {MASK}"),
        ("user Y29ycmVjdC1ob3JzZQ== is", f"user {MASK} is"),
        ("user Y29ycmVjdC1ob3JzZQ is", f"user {MASK} is"),
        ("a/path/Y29ycmVjdC1ob3JzZQ/to", MASK),
        ("internationalization Y29ycmVjdC1ob3JzZQ is a word", f"internationalization {MASK} is a word"),
        ("0x63, 0x6f,0x72 0X72\n0x65,\n  0x63, 0x74, 0x2d, 0x68, 0x6f, 0x72, 0x73, 0x65;", f"{MASK};"),
        (
            "{0x1, 0x63, 0x6f, 0x72, 0x72, 0x65, 0x63, 0x74, 0x2d, 0x68, 0x6f, 0x72, 0x73, 0x65, 0x1}",
            f"{{0x1, {MASK}, 0x1}}",
        ),
        ("[99, 111, 114, 114, 101, 99, 116, 45, 104, 111, 114, 115, 101]", f"[{MASK}]"),
        ("[7 99 111 114 114 101 99 116 45 104 111 114 115 101 300 12]", f"[7 {MASK} 300 12]"),
        ("99,111,114,114,101,99,116,45,104,111,114,115,101", MASK),
        ("[\n  99,\n  111,114,114\n,101,\n  99,\n  116,\n  45,\r\n\t104 , 111,114,115,101\n]", f"[\n  {MASK}\n]"),
        (f"1099 {' '.join(map(str, SECRET.encode()))} 1015", f"1099 {MASK} 1015"),
        (f"[{', '.join(map(str, b'x correct%2Dhorse y'))}]", f"[120, 32, {MASK}, 32, 121]"),
        (f"(1, {', '.join(map(str, b'Y29ycmVjdC1ob3JzZQ=='))})", f"(1, {MASK})"),
        (f"{'1, ' * 100}{', '.join(map(str, SECRET.encode()))}", f"{'1, ' * 100}{MASK}"),
        (f"{'QUFB' * 15}\n{'QUFB' * 15}\nY29ycmVjdC1ob3JzZQ==\n", f"{'QUFB' * 15}\n{'QUFB' * 15}\n{MASK}\n"),
        (f"{'QUFB' * 15}\nQUFBY29ycmVjdC1o\nb3JzZQ==\n", f"{'QUFB' * 15}\n{MASK}\n"),
    ],
)
def test_what_is_masked_is_what_was_written_as_the_secret(text: str, masked: str) -> None:
    assert REDACTOR.text(text) == masked
    assert REDACTOR.text(f"{text}|{text}") == f"{masked}|{masked}"


@every_secret
def test_all_forms_one_after_another_are_masked(secret: str) -> None:
    """What stands before a spelling may look like a part of it."""
    for between in (" ", "\n", "; ", "|", "\0"):
        masked = Redactor([secret]).text(between.join(forms(secret).values()))
        assert [name for name, form in forms(secret).items() if form in masked] == []


@pytest.mark.parametrize("columns", [48, 52, 60, 64, 72, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\n\t", "\\n", "\\r\\n", "%0A", "&#10;", "=\n"])
def test_base64_is_read_across_lines_of_every_usual_length(columns: int, end: str) -> None:
    masked = REDACTOR.text(in_lines(SECRET.encode(), columns, end))
    assert masked == MASK
    assert REDACTOR.text(in_lines(b"corrupt-horse", columns, end)) == in_lines(b"corrupt-horse", columns, end)


def test_the_shortest_secret_is_found_in_the_shortest_encoding() -> None:
    secret = "a1b2c3d4"
    assert len(secret) == SUBSTRING_MINIMUM
    for written in ("YTFiMmMzZDQ", secret.encode().hex(), secret.encode().hex(":"), secret.encode().hex(" ", 2)):
        assert Redactor([secret]).text(f"({written})") == f"({MASK})"
        assert Redactor([f"{secret}x", secret]).text(f"({written})") == f"({MASK})"
        assert Redactor([f"{secret}x"]).text(f"({written})") == f"({written})"
    assert Redactor([secret]).text(f"(x{base64.b64encode(f'>{secret}'.encode()).decode()})") == f"({MASK})"


def test_spellings_are_undone_four_deep_and_no_deeper() -> None:
    written, encoded = SECRET.replace("-", "%2D"), SECRET
    for _ in range(3):
        written = urllib.parse.quote(written)
    for _ in range(4):
        encoded = base64.b64encode(encoded.encode()).decode()
    assert REDACTOR.text(written) == REDACTOR.text(encoded) == MASK
    assert REDACTOR.text(deeper := urllib.parse.quote(written)) == deeper
    assert REDACTOR.text(deeper := base64.b64encode(encoded.encode()).decode()) == deeper


def test_text_in_utf_16_is_found_among_octets_from_its_first_to_its_last() -> None:
    """One octet before it may be of its first character, or of none."""
    patterns = _patterns(4)
    for octets, span in (
        ("a\0b\0c\0d\0", (0, 8)),
        ("\x01\x02\0a\0b\0c\0d", (1, 10)),
        ("\x01\x02a\0b\0c\0d\0\0", (2, 10)),
    ):
        assert list(patterns.texts(octets)) == [span]
    assert list(patterns.texts("\0a\0b\0\0")) == []


def test_a_secret_longer_than_a_line_is_found_on_several() -> None:
    secret = "".join(f"{number}-" for number in range(100, 150))
    redactor = Redactor([secret])
    pairs = secret.encode().hex()
    for columns in (48, 60, 76):
        assert redactor.text(in_lines(secret.encode(), columns)) == MASK
        assert redactor.text("\n".join(pairs[at : at + columns] for at in range(0, len(pairs), columns))) == MASK
    assert redactor.text(secret.encode().hex(" ", 2)) == redactor.text(secret.encode().hex(":")) == MASK
    short_lines = in_lines(secret.encode(), 44)
    assert redactor.text(short_lines) == short_lines


def test_only_the_lines_that_hold_a_secret_are_masked() -> None:
    encoded = base64.b64encode(SECRET.encode()).decode()
    for before in range(48, 52):  # digits that belong to something else are no reason to mask the line before
        assert REDACTOR.text(f"{'A' * before}\n{encoded}\nQUFB") == f"{'A' * before}\n{MASK}\nQUFB"


def test_secrets_may_overlap() -> None:
    redactor = Redactor(["12345678-and-more", "78-and-m", "and-more-of-it"])
    assert redactor.text("a 12345678-and-more b") == f"a {MASK} b"
    assert redactor.text("a 12345678-and-more-of-it b") == f"a {MASK} b"
    assert redactor.text("a 78-and-m b and-more-of-it c") == f"a {MASK} b {MASK} c"
    assert redactor.text("12345678-%61nd-more-of-it") == MASK
    assert Redactor(["aaaaaaaa"]).text("x" + "a" * 20 + "x") == f"x{MASK}x"


def test_text_among_bytes_is_read_as_text() -> None:
    for text in ("correct%2Dhorse", "Y29ycmVjdC1ob3JzZQ", "é correct%2Dhorse", "ключ🔑correct%2Dhorse"):
        raw = b"\0\x01\xff" + text.encode() + b"\xfe\0"
        assert REDACTOR.text(raw.hex()) == REDACTOR.text(base64.b64encode(raw).decode()) == MASK
    broken = b"correct%2\0Dhorse" * 3
    assert REDACTOR.text(broken.hex()) == broken.hex()


def test_plain_text_is_not_read_otherwise() -> None:
    """Most texts of most answers are such, and none of them costs more than one search."""
    for text in (
        "two words",
        "",
        "2026-11-20T09:12:44Z",
        "a" * 17,
        "ключ",
        "a = b",
        "12 34 56",
        "isn't 'it' \"so\"",
        "1, 2, 3",
    ):
        assert list(readings(octets_of(text), len(SECRET))) == []
    for text in (
        "%",
        "\\",
        "&",
        "a" * 18,
        "63 6f 72 72 65 63 74",
        "=3D",
        "=\n",
        "''",
        '""',
        "'\"'\"'",
        "1," * 13,
        "\0",
    ):
        assert isinstance(readings(text, len(SECRET)), Iterator)


@pytest.mark.parametrize("secret", ["s3cre/t", "é+ ?>", "a==", "4711", "a'b"])
def test_a_short_secret_is_the_whole_of_a_value_in_every_spelling(secret: str) -> None:
    redactor = Redactor([secret])
    raw = secret.encode()
    inner = base64.b64encode(raw).decode()
    for written in (
        secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), "".join(f"%{c:02x}" for c in raw),
        urllib.parse.quote(urllib.parse.quote(secret, safe=""), safe=""), f"%{raw[0]:02X}{secret[1:]}"
        if raw[0] < 128 else secret, inner, inner.rstrip("="), f"{inner}\n", base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(inner.encode()).decode(), base64.b64encode(secret.encode("utf-16-le")).decode(), raw.hex(),
        base64.b64encode(urllib.parse.quote(secret, safe="").encode("utf-16-be")).decode(),
        raw.hex().upper(), raw.hex(":"), raw.hex(" "), raw.hex("-"), raw.hex("+"), raw.hex(","),
        "".join(f"&#{ord(char)};" for char in secret),
        json.dumps(secret)[1:-1], "".join(f"={c:02X}" for c in raw), "".join(f"\\x{c:02x}" for c in raw),
        ", ".join(map(str, raw)), str(list(raw)), str(list(raw)).replace(",", ""), ",".join(map(hex, raw)),
    ):  # fmt: skip
        assert redactor.text(written) == MASK, written
        assert redactor.text(f"x{written}") == f"x{written}"
        assert redactor.scrub([written, f"{written}!"]) == ([MASK, f"{written}!"], ("/0",))


def test_a_short_secret_is_looked_for_in_short_values_only() -> None:
    redactor = Redactor(["ab"])
    assert redactor.text("%61%62") == MASK
    assert redactor.text("=\n" * ((LONGEST_WHOLE - 2) // 2) + "ab") == MASK
    assert redactor.text(long := "=\n" * (LONGEST_WHOLE // 2) + "ab") == long
    assert redactor.text("AB") == "AB"
    assert redactor.text("YWI=") == redactor.text("YWI") == MASK
    assert redactor.text("YWJ") == "YWJ"
    assert redactor.text("97 98") == redactor.text("{0x61,0x62}\n") == MASK
    assert redactor.text("97 98 99") == "97 98 99"
    assert Redactor(["a"]).text("97") == "97"  # one number is no list
    assert Redactor(["a'b"]).text("a''b") == MASK
    assert set(wholes("YWJj")) >= {"YWJj", "abc"}
    assert set(wholes("61", 0)) == {"61"}
    deep = "ab"
    for _ in range(4):
        deep = deep.encode().hex()
    assert redactor.text(deep) == MASK
    assert redactor.text(deep.encode().hex()) == deep.encode().hex()


def test_what_a_secret_is_when_its_own_escapes_are_undone_is_masked_only_where_it_is_long_enough() -> None:
    redactor = Redactor(["%41%42%43%44%45%46%47", "%41%42%43%44%45%46%47%48"])
    assert redactor.text("ABCDEFG") == "ABCDEFG"
    assert redactor.text("ABCDEFGH") == MASK
    assert redactor.text("%41%42%43%44%45%46%47") == redactor.text("%2541%42%43%44%45%46%47%48") == MASK
    assert Redactor(["%41%42"]).text("AB") == "AB"


def test_a_span_is_masked_by_whole_characters() -> None:
    """The octets of a secret in another encoding may be part of a character."""
    redactor = Redactor(["1234567é"])
    assert redactor.text("1234567\u9000!") == f"{MASK}!"
    assert redactor.text("ü1234567éü") == f"ü{MASK}ü"
    ends = Redactor([b"\xa9 2345678".decode("utf-8", "surrogateescape")])
    assert ends.text("aé 2345678b") == ends.text("a&#233; 2345678b") == f"a{MASK}b"


SPELLINGS = (
    lambda char: char,
    lambda char: "".join(f"%{octet:02X}" for octet in char.encode()),
    lambda char: "".join(f"%{octet:02x}" for octet in char.encode()),
    lambda char: "".join(f"%{octet:02x}".replace("f", "F") for octet in char.encode()),
)
OTHER_SPELLINGS = (
    *SPELLINGS,
    lambda char: "".join(f"\\x{octet:02x}" for octet in char.encode()),
    lambda char: f"&#{ord(char)};",
    lambda char: f"&#x{ord(char):x};",
    lambda char: json.dumps(char)[1:-1],
    lambda char: f"\\U{ord(char):08X}",
    lambda char: f"\\x{{{ord(char):x}}}",
    lambda char: f"\\{char}" if char in string.punctuation else char,
)
SECRET_TEXT = st.text("ab12 \"'@/\n%+=&<é🔑", min_size=4, max_size=16).map(lambda text: f"Zq{text}Xv")


@settings(deadline=None)
@given(SECRET_TEXT, st.data())
@pytest.mark.parametrize("spellings", [SPELLINGS, OTHER_SPELLINGS], ids=["percent", "all"])
def test_any_characters_may_be_written_in_any_way(
    spellings: tuple[object, ...], secret: str, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(spellings), min_size=len(secret), max_size=len(secret)))
    written = "".join(how(char) for how, char in zip(chosen, secret, strict=True))  # type: ignore[operator]
    redactor = Redactor([secret])
    assert redactor.text(written) == MASK
    assert redactor.text(f"so {written}, they say") == f"so {MASK}, they say"
    assert redactor.text(urllib.parse.quote(written, safe="")) == MASK
    assert redactor.text(base64.b64encode(written.encode()).decode()) == MASK
    assert redactor.text(written.encode().hex(":")) == MASK


@settings(deadline=None)
@given(st.text("abAB12%\\&#;=xu+/ -\n:éя🔑", max_size=60))
def test_texts_without_a_secret_are_byte_identical(text: str) -> None:
    assert Redactor(["Zq-not-in-there-Xv", "zq"]).text(text) == text


QUOTED = "tok'en\"x-1"


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("'tok''en\"x-1'", f"'{MASK}'"),
        ('"tok\'en""x-1"', f'"{MASK}"'),
        ("'tok'\\''en\"x-1'", f"'{MASK}'"),
        ("'tok'\"'\"'en\"x-1'", f"'{MASK}'"),
        ("x, '', 'tok''en\"x-1', \"\", ''''", f"x, '', '{MASK}', \"\", ''''"),
        ('a,"","a ""tok\'en""x-1""",""""', f'a,"","a ""{MASK}""",""""'),
        (json.dumps("'tok''en\"x-1'"), f"\"'{MASK}'\""),
        (json.dumps({"run": shlex.quote(QUOTED)}), f'{{"run": "\'{MASK}\'"}}'),
        (in_csv(json.dumps(QUOTED)), f'"""{MASK}"""'),
        (in_sql(json.dumps(QUOTED)), f"'\"{MASK}\"'"),
        ("tok\\'en\\\"x\\-1", MASK),
    ],
)
def test_quotation_marks_are_undone(written: str, masked: str) -> None:
    redactor = Redactor([QUOTED])
    assert redactor.text(written) == masked
    assert redactor.text(base64.b64encode(written.encode()).decode()) == MASK
    other = written.replace("1", "2")
    assert redactor.text(other) == other


WRITERS = st.sampled_from([in_sql, in_csv, in_shell, shlex.quote, json.dumps, repr])


@settings(deadline=None)
@given(st.text("ab'\"\\", min_size=4, max_size=10).map(lambda text: f"Zq-{text}-Xv"), WRITERS, WRITERS)
def test_whatever_quotation_marks_a_secret_has_programs_double_or_escape_them(
    secret: str, first: Callable[[str], str], second: Callable[[str], str]
) -> None:
    redactor = Redactor([secret])
    for written in (first(secret), second(first(secret))):
        masked = redactor.text(f"so {written}, they say")
        rest = masked.removeprefix("so ").removesuffix(", they say").replace(MASK, "", 1)
        assert rest == "".join(char for char in rest if char in "'\"\\")
        assert len(rest) < len(masked) - len("so , they say")


@settings(deadline=None)
@given(st.lists(st.integers(0, 999), max_size=30), st.sampled_from([", ", ",", " ", "\n", ",\n    "]))
def test_lists_of_numbers_are_read_as_octets(numbers: list[int], between: str) -> None:
    words = [str(one) for one in numbers]
    octets = [f"{ord(char):{'#04x' if index % 3 else ''}}" for index, char in enumerate(SECRET)]
    for before, after in ((words, []), ([], words), (words, words)):
        written = between.join([*before, *octets, *after])
        assert REDACTOR.text(f"[{written}]") == f"[{between.join([*before, MASK, *after])}]"
        without = between.join([*before, *octets[1:], *after])
        assert REDACTOR.text(without) == without


def test_octets_may_be_signed() -> None:
    """Java has no others."""
    numbers = [one - 256 if one > 127 else one for one in "schlüssel-ключ".encode()]
    assert Redactor(["schlüssel-ключ"]).text(str(numbers)) == f"[{MASK}]"


def test_a_list_of_octets_in_a_body_is_read_as_one_in_a_text() -> None:
    octets = list(SECRET.encode())
    other = [octets[1:], [1, 2.5, "x", None], [True] * 20, [], [None, *octets]]
    assert REDACTOR.scrub([octets, {"x": [1, *octets]}, other]) == ([MASK, {"x": MASK}, other], ("/0", "/1/x"))
    assert Redactor(["[]"]).scrub([[], "[]"]) == ([[], MASK], ("/1",))
    assert Redactor(["4711"]).scrub([[52, 55, 49, 49], [52, 55, 49]]) == ([MASK, [52, 55, 49]], ("/0",))

"""Secrets that would be known again anywhere: their forms, and a search for them in whatever an audit leaves behind."""

from __future__ import annotations

import base64
import binascii
import html
import io
import re
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.test_redact import forms as written_forms

_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f](?:[ :-]?[0-9A-Fa-f]){23,}")
_LISTED = re.compile(rb"(?:(?:0x[0-9a-f]{2}|[0-9]{2,3})[, ]{1,2}){11,}[0-9]{2,3}")
_BACKSLASHED = re.compile(r"\\+[xX]([0-9A-Fa-f]{2})|[\\%]+u([0-9A-Fa-f]{4})|\\+([0-3][0-7]{2})|\\+x\{([0-9a-f]+)\}")


def forms(secret: str) -> dict[str, str]:
    """The secret as a system that means harm may send it back."""
    raw = secret.encode()
    more = {
        "within a sentence": f"so {secret}, they say",
        "in a URL": f"https://user:{urllib.parse.quote(secret, safe='')}@host.example/",
        "Basic header": f"Basic {base64.b64encode(b'user:' + raw).decode()}",
        "Bearer header": f"Bearer {secret}",
    }
    return {**written_forms(secret), **more}


def within_bytes(secret: str) -> dict[str, str]:
    """The secret in bytes that are kept encoded, as a whole value: a transcript of a connection, a certificate."""
    said = f"\0{' '.join(forms(secret).values())}\0".encode()
    return {"transcript": said.hex(), "certificate": base64.b64encode(said).decode()}


def needles(secret: str) -> set[bytes]:
    """What must be nowhere: every form, base64 at every alignment without its ends, and either half of the secret."""
    raw = secret.encode()
    found = {form.encode() for form in written_forms(secret).values()}
    for before in (b"", b"x", b"xy"):
        core = base64.b64encode(before + raw)[len(before) + 2 : -4]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    half = len(raw) // 2
    return found | {raw[:half], raw[half:], raw[:half].hex().encode(), raw[half:].hex().encode()}


def texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, or in a package, by its name; the names themselves as well."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            yield f"the name {file}", file.name.encode()
            if file.is_file():
                yield from _of_file(str(file), file.read_bytes())
    else:
        yield from _of_file(str(path), path.read_bytes())


def _of_file(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for member in package.namelist():
                yield from _of_file(f"{name}/{member}", package.read(member))
    yield name, data


def found(secrets: dict[str, str], *left: tuple[str, bytes]) -> list[str]:
    """Where a secret is to be read in these texts, by its name: as it stands, or in what is encoded there."""
    hits = []
    wanted = [(name, needle) for name, secret in secrets.items() for needle in needles(secret)]
    plain = [(name, needle) for name, secret in secrets.items() for needle in _plain(secret)]
    for where, text in left:
        undone = list(_undone(text))
        inner = b"\n".join(octets for view in (text, *undone) for octets in _decoded(view))
        others = b"\n".join(re.sub(rb"\s", b"", view) for view in undone)
        for name, needle in wanted:
            if needle in text:
                hits.append(f"{name}: {needle!r} in {where}")
            elif needle in inner:
                hits.append(f"{name}: {needle!r} encoded in {where}")
        hits += [f"{name}: {needle!r} spelled in {where}" for name, needle in plain if needle in others]
    return hits


def _plain(secret: str) -> list[bytes]:
    """Either half of the secret without blanks, which are no longer there where line breaks are undone."""
    raw = "".join(secret.split()).encode()
    return [raw[: len(raw) // 2], raw[len(raw) // 2 :]]


def _undone(text: bytes) -> Iterator[bytes]:
    """The text without line breaks and blanks, and step by step as other programs undo what is escaped in it."""
    said = re.sub(rb"=?(?:\\[rnt]|\s)+", b"", text).decode("utf-8", "replace")
    unescape: list[Callable[[str], str]] = [html.unescape] * 3
    unquote: list[Callable[[str], str]] = [urllib.parse.unquote] * 3
    yield said.encode("utf-8", "replace")
    for undo in (*unescape, *unquote, _without_backslashes, _not_quoted, _without_doubled_marks):
        said = undo(said)
        yield said.encode("utf-8", "replace")
        yield said.encode("latin-1", "ignore")  # what was escaped octet by octet


def _without_backslashes(text: str) -> str:
    read = _BACKSLASHED.sub(lambda one: chr(int(one[1] or one[2] or one[4] or "0", 16) or int(one[3] or "0", 8)), text)
    return read.replace("\\", "")


def _not_quoted(text: str) -> str:
    return re.sub("=([0-9A-F]{2})", lambda one: chr(int(one[1], 16)), text)


def _without_doubled_marks(text: str) -> str:
    return re.sub(r"""'"'"'|(['"])\1+""", lambda one: one[0][0], text)


def _decoded(text: bytes) -> Iterator[bytes]:
    for run in _ENCODED.findall(text):
        for skipped in range(4):
            digits = run[skipped:].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
            yield binascii.a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")
    for run in _HEXADECIMAL.findall(text):
        pairs = re.sub(rb"[ :-]", b"", run)
        for skipped in range(2):
            yield bytes.fromhex(pairs[skipped : skipped + (len(pairs) - skipped) // 2 * 2].decode())
    for run in _LISTED.findall(text):
        yield bytes(int(one, 0) & 0xFF for one in re.findall(rb"0x[0-9a-f]{2}|[1-9][0-9]+", run))

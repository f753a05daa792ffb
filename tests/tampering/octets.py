"""Bytes of one file are changed, whatever they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.tampering.chain import STATEMENTS, Chain, Tampering, Told, files, segments, told


def lines_told(before: bytes, after: bytes) -> set[int]:
    """Return the line that has to be told: the first in which the two differ.

    Of two neighbours that were both changed, the second may be told. Where the last line bears another mark than the
    line before it has, it cannot be told which of the two was changed.
    """
    shorter = min(len(before), len(after))
    begin = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    same = next((i for i in range(shorter - begin) if before[-1 - i] != after[-1 - i]), shorter - begin)
    line = 1 + before.count(b"\n", 0, begin)
    lasts = (before.count(b"\n"), after.count(b"\n"))
    several = b"\n" in before[begin : len(before) - same] or b"\n" in after[begin : len(after) - same]
    return {line, line + 1 if several else line, line - 1 if line in lasts else line}


def changing(change: Callable[[bytes, Random], bytes], choose: Callable[[Path], list[str]] = files) -> Tampering:
    """Make a tampering of a change to the bytes of any file of a run."""

    def tamper(chain: Chain, rng: Random) -> Told:
        run = chain.run(rng)
        return rewrite(run, rng.choice(choose(run)), lambda data: change(data, rng))

    return tamper


def rewrite(run: Path, name: str, change: Callable[[bytes], bytes]) -> Told:
    """Change a file; nothing that belongs to it is made anew."""
    before = (run / name).read_bytes()
    after = change(before)
    if after == before:  # the same bytes, drawn by chance
        after = before + b"\n"
    (run / name).write_bytes(after)
    return told(run, name, lines=lines_told(before, after) if name in segments(run) else ())


def flip_bit(data: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(data))
    return data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1 :]


def other_byte(data: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(data))
    return (
        data[:position]
        + bytes([rng.choice([byte for byte in range(256) if byte != data[position]])])
        + (data[position + 1 :])
    )


def digit_for_digit(data: bytes, rng: Random) -> bytes:
    """Change a number, a date or a digest so that it stays one."""
    places = [index for index, byte in enumerate(data) if byte in b"0123456789"]
    if not places:
        return flip_bit(data, rng)
    position = rng.choice(places)
    digit = rng.choice([byte for byte in b"0123456789" if byte != data[position]])
    return data[:position] + bytes([digit]) + data[position + 1 :]


def insert_byte(data: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(data) + 1)
    return data[:position] + rng.randbytes(1) + data[position:]


def insert_blank(data: bytes, rng: Random) -> bytes:
    """White space means nothing in JSON between two tokens."""
    places = [index for index, byte in enumerate(data) if byte in b",:[]{}\n"]
    if not places:
        return insert_byte(data, rng)
    position = rng.choice(places)
    return data[:position] + rng.choice([b" ", b"\t", b"\r", b"\n"]) + data[position:]


def drop_byte(data: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(data))
    return data[:position] + data[position + 1 :]


def drop_block(data: bytes, rng: Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.randrange(1, 200) :]


def cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))]


def append(data: bytes, rng: Random) -> bytes:
    return data + rng.choice([b"\n", b" ", b"\0", data, data[-1:], rng.randbytes(9)])


def swap_bytes(data: bytes, rng: Random) -> bytes:
    first, second = sorted(rng.sample(range(len(data)), 2))
    return b"".join(
        (data[:first], data[second : second + 1], data[first + 1 : second], data[first : first + 1], data[second + 1 :])
    )


def repeat_block(data: bytes, rng: Random) -> bytes:
    begin = rng.randrange(len(data))
    end = begin + rng.randrange(1, 200)
    return data[:end] + data[begin:end] + data[end:]


def overwrite_block(data: bytes, rng: Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + rng.randbytes(rng.randrange(1, 40)) + data[begin + rng.randrange(1, 40) :]


def other_line_ends(data: bytes, rng: Random) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r"]))


def _statements(_: Path) -> list[str]:
    return list(STATEMENTS)


CHANGES = (
    flip_bit,
    other_byte,
    digit_for_digit,
    insert_byte,
    insert_blank,
    drop_byte,
    drop_block,
    cut,
    append,
    swap_bytes,
    repeat_block,
    overwrite_block,
    other_line_ends,
)
KINDS: dict[str, Tampering] = {
    **{f"bytes of any file: {change.__name__}": changing(change) for change in CHANGES},
    **{f"bytes of a statement: {change.__name__}": changing(change, _statements) for change in CHANGES},
    **{f"bytes of a segment: {change.__name__}": changing(change, segments) for change in CHANGES},
}

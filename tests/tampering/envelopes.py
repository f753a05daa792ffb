"""The envelope of one statement is written otherwise: in ways that mean the same to some reader, or to none."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random

import msgspec

from auditor import envelope, seal
from auditor.envelope import Envelope, Signature
from tests.sealing import finished_of, scope_of
from tests.tampering.chain import STATEMENTS, Chain, Tampering, Told, told
from tests.tampering.forging import disguised, parts, payload, written

ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of Ed25519's group: a signature's second half, with this added, satisfies the same equation (RFC 8032, 8.4)."""
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def rewriting(change: Callable[[bytes, Random], bytes]) -> Tampering:
    """Make a tampering of a change to the bytes of either statement."""

    def tamper(chain: Chain, rng: Random) -> Told:
        run, name = chain.run(rng), rng.choice(STATEMENTS)
        (run / name).write_bytes(change((run / name).read_bytes(), rng))
        return told(run, name)

    return tamper


def _signature(data: bytes, **changes: str) -> bytes:
    of = parts(data)
    changed = msgspec.structs.replace(of.signatures[0], **changes)
    return written(msgspec.structs.replace(of, signatures=(changed,)))


def _value(rng: Random) -> Callable[[Envelope], tuple[str, Callable[[str], Envelope]]]:
    """Choose the payload or the signature, both base64."""

    def of_payload(one: Envelope) -> tuple[str, Callable[[str], Envelope]]:
        return one.payload, lambda text: msgspec.structs.replace(one, payload=text)

    def of_signature(one: Envelope) -> tuple[str, Callable[[str], Envelope]]:
        signature = one.signatures[0]
        return signature.sig, lambda text: msgspec.structs.replace(
            one, signatures=(msgspec.structs.replace(signature, sig=text),)
        )

    return rng.choice([of_payload, of_signature])


def base64_tail(data: bytes, rng: Random) -> bytes:
    """Set bits of the last character that belong to no byte; the signature always has four of them."""
    sig = parts(data).signatures[0].sig
    last = BASE64.index(sig[-3])
    return _signature(data, sig=f"{sig[:-3]}{BASE64[last ^ rng.randrange(1, 16)]}==")


def base64_spelling(data: bytes, rng: Random) -> bytes:
    """Spell the same bytes in another way: padding, blanks, the alphabet for URLs."""
    text, put = _value(rng)(parts(data))
    place = rng.randrange(len(text))
    spellings = [
        text.rstrip("="),
        f"{text}=",
        f"{text}====",
        f"{text[:place]}\n{text[place:]}",
        f"{text[:place]} {text[place:]}",
        f"{text[:place]}={text[place:]}",
        text.replace("+", "-").replace("/", "_"),
    ]
    return written(put(rng.choice([one for one in spellings if one != text])))


def base64_value(data: bytes, rng: Random) -> bytes:
    """Change one byte of what is encoded, and encode it properly."""
    text, put = _value(rng)(parts(data))
    raw = bytearray(base64.b64decode(text))
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return written(put(base64.b64encode(raw).decode()))


def signature_of_another_size(data: bytes, rng: Random) -> bytes:
    raw = base64.b64decode(parts(data).signatures[0].sig)
    other = rng.choice([b"", raw[:-1], raw + b"\0", raw * 2, b"\0" * 64, rng.randbytes(64), raw[32:] + raw[:32]])
    return _signature(data, sig=base64.b64encode(other).decode())


def signature_plus_order(data: bytes, rng: Random) -> bytes:
    """The same point, with a number that is too large: accepted by careless readers."""
    del rng
    raw = base64.b64decode(parts(data).signatures[0].sig)
    number = int.from_bytes(raw[32:], "little") + ORDER
    return _signature(data, sig=base64.b64encode(raw[:32] + number.to_bytes(32, "little")).decode())


def key_id(data: bytes, rng: Random) -> bytes:
    """The id of a key is not signed."""
    old = parts(data).signatures[0].keyid
    digit = rng.randrange(len(old))
    return _signature(
        data,
        keyid=rng.choice(
            [
                old.upper(),
                old[:-1],
                f"{old} ",
                f"sha256:{old}",
                "",
                rng.randbytes(32).hex(),
                old[:digit] + rng.choice([one for one in "0123456789abcdef" if one != old[digit]]) + old[digit + 1 :],
            ]
        ),
    )


def payload_type(data: bytes, rng: Random) -> bytes:
    other = rng.choice(["", "application/json", f"{envelope.PAYLOAD_TYPE} ", envelope.PAYLOAD_TYPE.upper(), "x" * 99])
    return written(msgspec.structs.replace(parts(data), payloadType=other))


def number_of_signatures(data: bytes, rng: Random) -> bytes:
    one = parts(data).signatures[0]
    other = Signature(rng.randbytes(32).hex(), base64.b64encode(rng.randbytes(64)).decode())
    several = rng.choice([(), (one, one), (one, other), (other, one)])
    return written(msgspec.structs.replace(parts(data), signatures=several))


def json_spelling(data: bytes, rng: Random) -> bytes:
    """Write the same envelope as other writers of JSON do, or with more in it."""
    read = json.loads(data)
    text = data.decode().removesuffix("\n")
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    spellings = [
        text,
        f"{text}\n\n",
        f" {text}\n",
        f"{text}\r\n",
        f"\ufeff{text}\n",
        f"{json.dumps(read)}\n",
        f"{json.dumps(read, indent=2)}\n",
        f"{json.dumps(dict(reversed(read.items())), separators=(',', ':'))}\n",
        f"{json.dumps({**read, 'more': 1}, separators=(',', ':'))}\n",
        f'{text[:-1]},"payload":{json.dumps(read["payload"])}}}\n',
        text.replace(letter, f"\\u{ord(letter):04x}", 1) + "\n",
        text.replace("/", "\\/") + "\n",
        f"[{text}]\n",
    ]
    return rng.choice(spellings).encode()


def encoding(data: bytes, rng: Random) -> bytes:
    return data.decode().encode(rng.choice(["utf-16", "utf-32", "utf-16-le"]))


def payload_spelling(data: bytes, rng: Random) -> bytes:
    """Write the statement itself otherwise; the signature is over its bytes."""
    read = json.loads(payload(data))
    other = rng.choice([json.dumps(read), json.dumps(read, sort_keys=True), f"{payload(data).decode()}\n"])
    return written(msgspec.structs.replace(parts(data), payload=base64.b64encode(other.encode()).decode()))


def other_statement(chain: Chain, rng: Random) -> Told:
    """Put one statement of a run in the place of its other one, or exchange them."""
    run = chain.run(rng)
    both = {name: (run / name).read_bytes() for name in STATEMENTS}
    first, second = rng.sample(STATEMENTS, 2)
    (run / first).write_bytes(both[second])
    if rng.random() < 0.5:
        (run / second).write_bytes(both[first])
    return told(run, *STATEMENTS)


def other_signature(chain: Chain, rng: Random) -> Told:
    """Take the signature of another statement by the same key."""
    run, name = chain.run(rng), rng.choice(STATEMENTS)
    lender = chain.other(rng, run)
    of = parts((run / name).read_bytes())
    other = parts((lender / rng.choice(STATEMENTS)).read_bytes()).signatures
    (run / name).write_bytes(written(msgspec.structs.replace(of, signatures=other)))
    return told(run, name)


def foreign_key(chain: Chain, rng: Random) -> Told:
    """Sign what stands there with another key: one of the statements or both, under one's own id or the company's."""
    run = chain.run(rng)
    old = {name: (run / name).read_bytes() for name in STATEMENTS}
    key = rng.choice([chain.foreign, disguised(chain, old)])
    names = rng.choice([STATEMENTS, STATEMENTS[:1], STATEMENTS[1:]])
    for name in names:
        (run / name).write_bytes(envelope.close(payload(old[name]), key))
    return told(run, *names)


def stripped(chain: Chain, rng: Random) -> Told:
    """Put the bare statement in the place of one of the envelopes."""
    run, name = chain.run(rng), rng.choice(STATEMENTS)
    (run / name).write_bytes(payload((run / name).read_bytes()) + rng.choice([b"\n", b""]))
    return told(run, *STATEMENTS)


def both_stripped(chain: Chain, rng: Random) -> Told:
    """Leave an unsigned run, in which everything else is right."""
    run = chain.run(rng)
    for name in STATEMENTS:
        (run / name).write_bytes(payload((run / name).read_bytes()) + b"\n")
    return told(run, seal.MANIFEST)


def said_otherwise(chain: Chain, rng: Random) -> Told:
    """Let a statement say something else, under the signature as it was."""
    run, name = chain.run(rng), rng.choice(STATEMENTS)
    data = (run / name).read_bytes()
    read = seal.decode_evidence if name == seal.EVIDENCE else seal.decode_manifest
    statement = read(payload(data))
    predicate = scope_of(run) if name == seal.EVIDENCE else finished_of(run)
    field, value = rng.choice(
        [("sequence", predicate.sequence + rng.choice([-1, 1, 9])), ("run", chain.other(rng, run).name)]
    )
    subject = list(statement.subject)
    change = rng.choice(["drop", "shuffle", "predicate"])
    if change == "drop":
        subject.pop(rng.randrange(len(subject)))
    elif change == "shuffle":
        first, second = rng.sample(range(len(subject)), 2)
        subject[first], subject[second] = subject[second], subject[first]
    else:
        predicate = msgspec.structs.replace(predicate, **{field: value})
    said = msgspec.structs.replace(statement, subject=tuple(subject), predicate=predicate)
    encoded = base64.b64encode(msgspec.json.encode(said)).decode()
    (run / name).write_bytes(written(msgspec.structs.replace(parts(data), payload=encoded)))
    return told(run, name)


CHANGES = (
    base64_tail,
    base64_spelling,
    base64_value,
    signature_of_another_size,
    signature_plus_order,
    key_id,
    payload_type,
    number_of_signatures,
    json_spelling,
    encoding,
    payload_spelling,
)
TAMPERINGS = (other_statement, other_signature, foreign_key, stripped, both_stripped, said_otherwise)
KINDS: dict[str, Tampering] = {
    **{f"envelope: {change.__name__}": rewriting(change) for change in CHANGES},
    **{f"envelope: {tamper.__name__}": tamper for tamper in TAMPERINGS},
}

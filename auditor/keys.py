"""The keys that runs are sealed with: Ed25519 (RFC 8032), and the file of public keys with the time each was in use.

A key's id is the SHA-256 of its public half as SubjectPublicKeyInfo in DER, in hex, so that anybody can work it out:
`openssl pkey -pubin -in key.pem -outform DER | sha256sum`. Whoever holds the private key can seal anything, so it is
read only where nobody else can read it.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from auditor.model import Problem, UsageError
from auditor.wording import quoted

SCHEMA: Literal["auditor/keys/1"] = "auditor/keys/1"
MOST_OCTETS = 65_536
"""More than any private key takes."""
LEAST_OF_ID = 8
"""Characters of an id that name a key: no slip of the hand ends one."""
PRIVATE, PUBLIC = "auditor.key", "auditor.keys.json"
"""What the files are called where nobody says otherwise."""

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of the key file: `public` in PEM; in use from `valid_from` until `valid_until` (None: it still is)."""

    id: str
    algorithm: Literal["ed25519"] = "ed25519"
    public: str
    valid_from: Moment
    valid_until: Moment | None = None

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raise `cryptography.exceptions.InvalidSignature` unless this key signed the data."""
        _public(self.public).verify(signature, data)

    def was_valid(self, at: dt.datetime) -> bool:
        """Whether the key was in use at that time."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


class KeyRing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key file: whose signatures count, and the certificates (PEM) of authorities whose time stamps do."""

    schema: Literal["auditor/keys/1"] = SCHEMA
    keys: tuple[PublicKey, ...]
    timestamp_authorities: tuple[str, ...] = ()

    def find(self, key_id: str) -> PublicKey | None:
        """Return the key of that id."""
        return next((key for key in self.keys if key.id == key_id), None)


_DECODER = msgspec.json.Decoder(KeyRing)


class SigningKey:
    """A private key, which signs and is never shown."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = _pem(private.public_key())
        self.id = key_id(private.public_key())

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 octets."""
        return self._private.sign(data)


def key_id(public: Ed25519PublicKey) -> str:
    """Return the id of a key."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def parse_private(pem: str, whence: str) -> SigningKey:
    """Return the key of a PEM text; `UsageError` names where it came from, and never the text."""
    try:
        private = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "is encrypted; keys are read without a passphrase" if "ENCRYPTED" in pem else "holds no private key"
        raise _unusable(whence, f"{reason} (PEM, PKCS#8, Ed25519); make one: auditor keys generate") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise _unusable(whence, "holds a key of another kind than Ed25519; make one: auditor keys generate")
    return SigningKey(private)


def read_private(path: Path) -> str:
    """Return the text of a key file, which nobody but its owner may be able to read."""
    with _opened(path, "; make one: auditor keys generate") as handle:
        found = os.fstat(handle.fileno())
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(found.st_mode)
            raise _unusable(path, f"others can read this private key (mode {mode:04o}); chmod 600 {path}")
        if found.st_uid not in (os.geteuid(), 0):
            raise _unusable(path, "this private key belongs to another user")
        return handle.read(MOST_OCTETS).decode("utf-8", "surrogateescape")


def load(path: Path) -> KeyRing:
    """Read a key file; `UsageError` where it cannot be relied on."""
    with _opened(path) as handle:
        return parse(handle.read(), str(path))


def parse(data: bytes, name: str) -> KeyRing:
    """Return the keys of a key file's bytes; `UsageError` where they cannot be relied on."""
    try:
        ring = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(name, f"is no key file: {error}") from None
    for key in ring.keys:
        try:
            public = _public(key.public)
        except (ValueError, UnsupportedAlgorithm):
            raise _unusable(name, f"key {key.id} is no Ed25519 key in PEM") from None
        if key.id != key_id(public):
            raise _unusable(name, f"key {key.id} has another id than its public key gives: {key_id(public)}")
        if key.valid_until is not None and key.valid_until <= key.valid_from:
            raise _unusable(name, f"key {key.id} was never valid: its dates are the wrong way round")
    if len({key.id for key in ring.keys}) != len(ring.keys):
        raise _unusable(name, "names a key twice")
    for pem in ring.timestamp_authorities:
        if _certificates(pem) != (pem,):
            raise _unusable(name, "a time-stamp authority in it is no single certificate, written as PEM usually is")
    return ring


def authorities(path: Path) -> tuple[str, ...]:
    """Return the certificates (PEM) of a file, each by itself; `UsageError` where there is none."""
    try:
        with _opened(path) as handle:
            found = _certificates(handle.read().decode())
    except UnicodeDecodeError:
        raise _unusable(path, "cannot be read: it is no text") from None
    if not found:
        raise _unusable(path, "holds no certificate (PEM) of a time-stamp authority")
    return found


def describe_authority(pem: str) -> str:
    """Return an authority by name and fingerprint (SHA-256 of its certificate in DER, as openssl prints it)."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - a tenth of a second

    certificate = load_pem_x509_certificate(pem.encode())
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return f"{certificate.subject.rfc4514_string()} (SHA-256 {digest})"


def add_authorities(path: Path, public: Path) -> tuple[str, ...]:
    """Add the certificates of a file to the key file, so that time stamps issued under them count; return them."""
    found = authorities(path)
    with _alone(public := public.resolve()):
        ring = load(public)
        kept = tuple(dict.fromkeys((*ring.timestamp_authorities, *found)))
        _replace(public, to_json(msgspec.structs.replace(ring, timestamp_authorities=kept)))
    return found


def to_json(ring: KeyRing) -> bytes:
    """Return a key file's bytes."""
    return msgspec.json.format(msgspec.json.encode(ring)) + b"\n"


def generate(private: Path, public: Path, now: dt.datetime) -> SigningKey:
    """Make a key, write its private half to a new file and add its public half to the key file."""
    link, (private, public) = private, _files(private, public)
    if private.exists():
        raise UsageError(Problem("is there already; auditor keys rotate puts a new key in its place", str(private)))
    if link.is_symlink():
        raise UsageError(Problem("is a link to nothing; name the file itself", str(link)))
    key = SigningKey(Ed25519PrivateKey.generate())
    public.parent.mkdir(parents=True, exist_ok=True)
    with _alone(public):
        ring = load(public) if public.exists() else KeyRing(keys=())
        _write_private(private, key)
        try:
            _replace(public, to_json(_with(ring, [*ring.keys, _entry(key, now)])))
        except BaseException:
            private.unlink()  # a key that nobody can verify with is none
            raise
    return key


def rotate(private: Path, public: Path, now: dt.datetime) -> tuple[SigningKey, SigningKey]:
    """Put a new key in the place of the old one, which from now on is no longer valid; return old and new.

    The old private key is gone then: what it sealed stays valid, and nothing new can be sealed with it.
    """
    private, public = _files(private, public)
    waiting = _waiting(private)
    with _alone(public):
        if waiting.exists():
            unfinished = (
                f"is of a rotation that was not finished: where {public} has its key, put it in the place of {private}"
            )
            raise UsageError(Problem(f"{unfinished}; else remove it", str(waiting)))
        old = parse_private(read_private(private), str(private))
        ring = load(public)
        known = ring.find(old.id)
        if known is None:
            raise UsageError(Problem(f"does not know the key of {private} ({old.id})", str(public)))
        if not known.was_valid(now):
            raise UsageError(Problem(f"the key of {private} ({old.id}) is not valid now", str(public)))
        new = SigningKey(Ed25519PrivateKey.generate())
        _write_private(waiting, new)
        _replace(public, to_json(_with(ring, [*_without(ring, known, now), _entry(new, now)])))
        waiting.replace(private)
    return old, new


def end(beginning: str, public: Path, now: dt.datetime) -> PublicKey:
    """Have a key count no longer from now on, whose private half was lost, say; return it as it was.

    `beginning` is the key's id, or enough of it to be no other's. One that would count only later never does: it is
    taken out of the file.
    """
    if len(beginning) < LEAST_OF_ID:
        raise UsageError(Problem(f"{quoted(beginning)}: name at least {LEAST_OF_ID} characters of the fingerprint"))
    with _alone(public := public.resolve()):
        ring = load(public)
        found = [key for key in ring.keys if key.id.startswith(beginning)]
        if len(found) != 1:
            which = "no key" if not found else f"{len(found)} keys"
            raise UsageError(Problem(f"knows {which} whose id begins with {quoted(beginning)}", str(public)))
        if (until := found[0].valid_until) is not None and until <= now:
            raise UsageError(Problem(f"key {found[0].id} ended {until:%Y-%m-%d %H:%M:%S} UTC", str(public)))
        _replace(public, to_json(_with(ring, _without(ring, found[0], now))))
    return found[0]


def _without(ring: KeyRing, ended: PublicKey, now: dt.datetime) -> Iterator[PublicKey]:
    """Yield the keys of a key file, one of which ends now; it goes where it would have begun only later."""
    for key in ring.keys:
        if key.id != ended.id:
            yield key
        elif key.valid_from < now:
            yield msgspec.structs.replace(key, valid_until=now)


def _files(private: Path, public: Path) -> tuple[Path, Path]:
    """Return the files that two names lead to: a link stays one, and what it leads to is replaced.

    Names by which the public keys would be written over the private one are refused.
    """
    files = private.resolve(), public.resolve()
    if files[0] in (files[1], _waiting(files[1])):
        raise UsageError(Problem(f"the private key and the public keys, {public}, would be in one file", str(private)))
    return files


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from changing the key file meanwhile: of two keys that are added at once one would be lost.

    Where folders cannot be locked (NFS) that is left to whoever makes keys.
    """
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError:  # the file cannot be read either, and that says why
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _waiting(path: Path) -> Path:
    """Return where a file is written that is then put in the place of another."""
    return path.with_name(f"{path.name}.new")


def _with(ring: KeyRing, keys: Iterable[PublicKey]) -> KeyRing:
    return msgspec.structs.replace(ring, keys=tuple(keys))


def _entry(key: SigningKey, now: dt.datetime) -> PublicKey:
    return PublicKey(id=key.id, public=key.public, valid_from=now)


def _write_private(path: Path, key: SigningKey) -> None:
    pem = key._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # noqa: SLF001 - its own file
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(pem)
            handle.flush()
            os.fsync(handle.fileno())
    except BaseException:
        path.unlink()  # half a key is none, and would be in the way of the next
        raise


def _replace(path: Path, data: bytes) -> None:
    waiting = _waiting(path)
    waiting.write_bytes(data)
    waiting.replace(path)


@contextmanager
def _opened(path: Path, advice: str = "") -> Iterator[IO[bytes]]:
    """Open a file, and nothing else: a pipe would be waited for, and a device may never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unusable(path, "is no file")
            with os.fdopen(descriptor, "rb", closefd=False) as handle:
                yield handle
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}{advice}") from None


def _pem(public: Ed25519PublicKey) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _public(pem: str) -> Ed25519PublicKey:
    public = load_pem_public_key(pem.encode())
    if not isinstance(public, Ed25519PublicKey) or _pem(public) != pem:
        raise ValueError("not an Ed25519 key, or not written as PEM usually is")
    return public


def _certificates(pem: str) -> tuple[str, ...]:
    """Return the certificates of a PEM text, each as PEM usually is; none where one of them cannot be read."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - a tenth of a second

    try:
        return tuple(one.public_bytes(Encoding.PEM).decode() for one in load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return ()


def _unusable(path: Path | str, reason: str) -> UsageError:
    return UsageError(Problem(reason, str(path)))

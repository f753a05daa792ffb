"""A time-stamp authority asked over real HTTP: an honest one that openssl runs, and everything else that may answer."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import timestamps
from auditor.model import EvidenceError
from auditor.sources import http
from auditor.sources.timestamp_authority import Authority, stamp
from tests.cli_process import closed_port
from tests.test_github_source import dripping
from tests.tsa_server import QUERY, REAL_SUBJECT, REPLY, Issuer, Query, Signer, authority, integer, rejected

DATA = b"evidence"
NOW = dt.datetime.now(dt.UTC)
ISSUER = Issuer()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signer"), ISSUER)


def at(url: str, *issuers: Issuer) -> Authority:
    return Authority(url=url, certificates=tuple(one.pem for one in issuers or (ISSUER,)))


def refused(asked: Authority) -> str:
    with pytest.raises(EvidenceError) as caught:
        stamp(asked, DATA)
    return str(caught.value)


def test_an_honest_authority_stamps(signer: Signer) -> None:
    with authority(signer.answer) as server:
        tsr, said = stamp(at(server.url), DATA)
    assert said.authority == REAL_SUBJECT
    assert timestamps.check(tsr, DATA, [ISSUER.pem]) == said
    ((method, path, headers, body),) = server.queries
    assert (method, path, headers["content-type"], headers["accept"]) == ("POST", "/tsa", QUERY, REPLY)
    assert "authorization" not in headers
    assert Query.of(body).digest == hashlib.sha256(DATA).digest()
    assert DATA not in body


def test_each_stamp_is_asked_for_anew(signer: Signer) -> None:
    with authority(signer.answer) as server:
        first, second = (stamp(at(server.url), DATA) for _ in range(2))
    assert first[0] != second[0]
    assert len({Query.of(body).nonce for *_, body in server.queries}) == 2


LIES: dict[str, tuple[Callable[[Signer, Query], bytes], str]] = {
    "another nonce": (
        lambda signer, query: signer.stamp(query.digest, NOW, query.nonce + 1),
        "does not repeat the nonce",
    ),
    "no nonce": (lambda signer, query: signer.stamp(query.digest, NOW), "does not repeat the nonce"),
    "other data": (lambda signer, query: signer.stamp(bytes(32), NOW, query.nonce), "it stamps other data"),
    "a refusal": (lambda *_: rejected("try tomorrow"), "did not grant it as asked: status 2 (try tomorrow)"),
    "garbage": (lambda *_: b"\xff" * 100, "is no time stamp"),
    "nothing": (lambda *_: b"", "is no time stamp"),
    "more after it": (lambda signer, query: signer.answer(query.raw) + b"\x00", "is no time stamp"),
    "a huge body": (lambda *_: bytes(2_000_000), "the body is longer than 1,048,576 bytes"),
    "a body without end": (lambda *_: bytes(40_000_000), "the body is longer than 33,554,432 bytes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_stamp_for_this_query_is_refused(lie: str, signer: Signer) -> None:
    answer, reason = LIES[lie]
    with authority(lambda raw: answer(signer, Query.of(raw))) as server:
        assert reason in refused(at(server.url))


def signed_by(signer: Signer) -> Callable[[bytes], bytes]:
    """Answer each query as it wants to be answered, whatever the certificate."""
    return lambda raw: signer.stamp(Query.of(raw).digest, NOW, Query.of(raw).nonce)


def test_the_liar_can_be_honest(signer: Signer) -> None:
    """The positive control of the lies that are signed."""
    with authority(signed_by(signer)) as server:
        assert stamp(at(server.url), DATA)[1].at == NOW.replace(microsecond=0)


def test_another_authority_is_refused(signer: Signer, tmp_path: Path) -> None:
    with authority(signer.answer) as server:
        assert "not of an authority that counts" in refused(at(server.url, Issuer("Nobody")))
    unfit = Signer(tmp_path / "unfit", ISSUER, usage=None)
    over = Signer(tmp_path / "over", ISSUER, until=NOW - dt.timedelta(days=1))
    for one, reason in ((unfit, "unsuitable certificate purpose"), (over, "certificate has expired")):
        with authority(signed_by(one)) as server:
            assert reason in refused(at(server.url))


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (500, REPLY, "it answered HTTP 500 Internal Server Error"),
        (404, "text/html", "it answered HTTP 404 Not Found"),
        (200, "text/html", "not a time stamp, but text/html"),
        (200, "", "not a time stamp, but of no stated kind"),
    ],
)
def test_another_kind_of_answer_is_refused(status: int, kind: str, reason: str, signer: Signer) -> None:
    """Even where the body is a stamp: a portal in between may answer anything."""
    with authority(signer.answer, status=status, kind=kind) as server:
        assert refused(at(server.url)) == reason


def test_a_redirect_is_not_followed(signer: Signer) -> None:
    with authority(signer.answer) as elsewhere:
        moved = {"Location": elsewhere.url}
        with authority(lambda _: b"", status=307, headers=moved) as server:
            assert refused(at(server.url)) == "it answered HTTP 307 Temporary Redirect"
        assert stamp(at(elsewhere.url), DATA)
        assert len(elsewhere.queries) == 1


def test_one_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        assert "127.0.0.1 cannot be reached" in refused(at(f"http://127.0.0.1:{port}/tsa"))
    monkeypatch.setattr(http, "EXCHANGE_SECONDS", 0.5)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {REPLY}\r\nContent-Length: 52\r\n\r\n".encode()
    with dripping(head, b"\x30", b"\x30\x30") as (url, said):
        assert "was not whole after" in refused(at(url))
        assert len(said) < 50


def test_a_stamp_that_was_cut_is_refused(signer: Signer) -> None:
    with authority(lambda raw: signer.answer(raw)[:-10]) as server:
        assert "is no time stamp" in refused(at(server.url))


def test_the_hand_made_numbers_are_written_as_they_should_be() -> None:
    """Of the tests themselves: a number that began with a set bit would be negative."""
    assert (integer(0), integer(127), integer(128)) == (b"\x02\x01\x00", b"\x02\x01\x7f", b"\x02\x02\x00\x80")

"""The token services of the demo worlds, asked by urllib, their tokens read by jwcrypto: nothing of our source."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from jwcrypto import jwe, jwk, jws

from auditor.sandbox.part import SandboxError
from auditor.sandbox.token_issuer import Issuer, NotValid
from auditor.sandbox.tokens import HEADER, MEMBER, TokenServices, TokensPart, start_tokens
from auditor.sandbox.tokens_world import NAMES, Protection
from tests.token_services import API_TOKEN, KEY, running, service

WORLDS = Path(__file__).parent.parent / "auditor" / "sandbox" / "worlds"
ASKED = {"provided_id": "test", "embed_id": "d7x2k9"}
PROTECTIONS: list[Protection] = ["dir/A256GCM", "RS256", "ES256", "HS256"]


def call(url: str, body: Any = None, **headers: str) -> tuple[int, str, bytes]:
    """Return status, media type and body of a GET, or of a POST where there is a body to send."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data)  # noqa: S310 - loopback
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
            return response.status, response.headers.get_content_type(), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read()


def mint(server: TokenServices, name: str = "embed", **asked: Any) -> str:
    status, media, raw = call(
        f"{server.url}/{name}/api/generate_jwt/", {**ASKED, **asked}, Explo_Authorization=f"Token {API_TOKEN}"
    )
    assert (status, media) == (200, "application/json")
    body = json.loads(raw)
    assert body.keys() == {"success", "jwt"}
    assert body["success"] == 1
    text: str = body["jwt"]
    return text


def opens(server: TokenServices, text: str, name: str = "embed") -> int:
    return call(f"{server.url}/{name}/dashboard", **{HEADER: text})[0]


def octets(secret: str) -> jwk.JWK:
    return jwk.JWK(kty="oct", k=jwk.base64url_encode(secret.encode()))


def claims_of(server: TokenServices, text: str, name: str = "embed") -> Any:
    """Read a token with jwcrypto, under the service's published or shared key."""
    protection = server.services[name].service.protection
    if protection == "dir/A256GCM":
        opened = jwe.JWE(algs=["dir", "A256GCM"])
        opened.deserialize(text, octets(KEY))
        assert json.loads(opened.objects["protected"]).keys() == {"alg", "enc", "kid"}
        return json.loads(opened.payload)
    key = octets(KEY)
    if protection != "HS256":
        (known,) = json.loads(call(f"{server.url}/{name}/jwks.json")[2])["keys"]
        key = jwk.JWK(**known)
    verifier = jws.JWS()
    verifier.allowed_algs = [protection]
    verifier.deserialize(text, key)
    return json.loads(verifier.payload)


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_tokens_are_what_an_independent_library_reads(protection: Protection) -> None:
    with running(service(protection=protection, iat=True)) as server:
        claims = claims_of(server, mint(server, expiration="PT1H"))
    assert {name: claims[name] for name in ("cst", "dsh")} == {"cst": "test", "dsh": "d7x2k9"}
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60


@pytest.mark.parametrize(
    ("asked", "lives"), [({}, 86_400), ({"expiration": "PT5M"}, 300), ({"expiration": "P2D"}, 172_800)]
)
def test_the_default_is_a_day_and_a_duration_is_a_duration(asked: dict[str, str], lives: int) -> None:
    with running(service(float_exp=True)) as server:
        claims = claims_of(server, mint(server, **asked))
    assert "iat" not in claims
    assert isinstance(claims["exp"], float)
    assert abs(claims["exp"] - time.time() - lives) < 60


def test_who_may_not_mint_and_what_is_no_question_is_refused() -> None:
    with running() as server:
        url = f"{server.url}/embed/api/generate_jwt/"
        good = f"Token {API_TOKEN}"
        assert call(url, ASKED)[0] == 401
        for wrong in ("Token wrong", f"Bearer {API_TOKEN}", API_TOKEN):
            assert call(url, ASKED, Explo_Authorization=wrong)[0] == 401
        assert call(url, ASKED, Authorization=good)[0] == 401
        wrong_bodies: list[Any] = [{}, {"provided_id": "x"}, {**ASKED, "expiration": "x"}, [], b"{"]
        for bad in (*wrong_bodies, {**ASKED, "embed_id": 7}):
            assert call(url, bad, Explo_Authorization=good)[0] == 400
        assert server.services["embed"].issued == []
        assert call(url, ASKED, Explo_Authorization=good)[0] == 200
        for path in ("/", "/other/dashboard", "/embed", "/embed/jwks.json", "/embed/api/generate_jwt"):
            assert call(server.url + path, Explo_Authorization=good)[0] == 404


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_the_dashboard_opens_to_a_token_and_to_no_other(protection: Protection) -> None:
    with running(service(protection=protection), service("other", protection=protection)) as server:
        text, expired = mint(server), mint(server, expiration="-PT1S")
        assert opens(server, text) == 200
        last = text.rpartition(".")[2]
        flipped = text[: -len(last)] + ("B" if last[0] == "A" else "A") + last[1:]
        foreign = Issuer(protection, KEY[::-1]).issue({"cst": "test", "dsh": "d7x2k9", "exp": time.time() + 60})
        others = (expired, flipped, foreign, "", "x", "a.b.c", "a.b.c.d.e", text + ".x", mint(server, "other"))
        assert {opens(server, one) for one in others} <= ({401} if protection != "HS256" else {401, 200})
        assert {opens(server, one) for one in others[:-1]} == {401}


@pytest.mark.parametrize("where", ["header", "query", "body"])
def test_the_token_goes_where_the_service_says(where: Any) -> None:
    with running(service(presented=where)) as server:
        text, url = mint(server), f"{server.url}/embed/dashboard"
        found = {
            "header": call(url, **{HEADER: text})[0],
            "query": call(f"{url}?{urllib.parse.urlencode({MEMBER: text})}")[0],
            "body": call(url, {MEMBER: text})[0],
        }
    assert found == {**dict.fromkeys(found, 401), where: 200}


# The faults


def test_every_fault_is_what_it_is_called() -> None:
    names = ["accepts_expired", "checks_no_signature", "refuses_all", "crashes", "signs_in", "ignores_lifetime"]
    with running(*(service(name.replace("_", "-"), faults=(name,)) for name in names)) as server:
        found = {}
        for name in server.services:
            text, expired = mint(server, name, expiration="PT1H"), mint(server, name, expiration="-PT1H")
            flipped = text[:-4] + ("BAAA" if text[-4] == "A" else "AAAA")
            found[name] = [opens(server, one, name) for one in (text, expired, flipped)]
    assert found == {
        "accepts-expired": [200, 200, 401],
        "checks-no-signature": [200, 401, 200],
        "refuses-all": [401, 401, 401],
        "crashes": [500, 500, 500],
        "signs-in": [200, 200, 200],
        "ignores-lifetime": [200, 200, 401],
    }


def test_who_is_not_signed_in_gets_a_page_with_200() -> None:
    with running(service(faults=("signs_in",))) as server:
        url = f"{server.url}/embed/dashboard"
        assert call(url, **{HEADER: "x"})[:2] == (200, "text/html")
        assert call(url, **{HEADER: mint(server)})[:2] == (200, "application/json")


def test_what_is_wrong_with_a_lifetime_is_in_the_token() -> None:
    faults = {"no-exp": "no_exp", "milliseconds": "milliseconds", "text": "text", "fixed": "ignores_lifetime"}
    services = [service(name, faults=(fault,)) for name, fault in faults.items()]
    with running(*services, service("offset", offset=18_000)) as server:
        exp = {
            name: claims_of(server, mint(server, name, expiration="PT1H"), name).get("exp") for name in server.services
        }
    now = time.time()
    assert exp["no-exp"] is None
    assert abs(exp["milliseconds"] / 1000 - now - 3600) < 60
    assert abs(int(exp["text"]) - now - 3600) < 60
    assert abs(exp["fixed"] - now - 86_400) < 60
    assert abs(exp["offset"] - now - 3600 - 18_000) < 60


def test_a_service_that_trusts_the_header_opens_to_every_key_that_comes_with_its_token() -> None:
    with running(
        service(protection="RS256", faults=("trusts_header_key",)), service("sound", protection="RS256")
    ) as server:
        thief = Issuer("RS256", faults=("trusts_header_key",))
        text = thief.issue({"cst": "x", "dsh": "y", "exp": time.time() + 60})
        assert opens(server, text) == 200
        assert opens(server, text, "sound") == 401
        assert opens(server, mint(server)) == opens(server, mint(server, "sound"), "sound") == 200


def test_nothing_protects_a_token_of_algorithm_none() -> None:
    issuer = Issuer("none")
    text = issuer.issue({"cst": "x"})
    assert text.endswith(".")
    assert issuer.open(text) == {"cst": "x"}
    with pytest.raises(NotValid):
        issuer.open(text + "AAAA")


# The worlds


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_truth_of_a_world_is_about_what_is_there(name: str, tmp_path: Path) -> None:
    part = start_tokens(WORLDS / name, tmp_path)
    try:
        for target in part.targets:
            truth = {line.resource: line for line in part.expected if line.target == target["id"]}
            assert truth.keys() - _samples(target, tmp_path) == set(NAMES)
            assert _samples(target, tmp_path) <= truth.keys()
        for line in part.expected:
            assert (line.outcome in ("fail", "error")) is bool(line.why), line
        secrets = {key: value for key, value in part.environment.items() if "EMBED" in key}
        assert all(len(value.encode()) == 32 for value in secrets.values())
        assert len(set(part.environment.values())) == len(part.environment)
        _issued(part)
    finally:
        part.stop()
        part.stop()


def _samples(target: dict[str, Any], folder: Path) -> set[str]:
    if "samples" not in target:
        return set()
    lines = (folder / target["samples"]).read_text().splitlines()
    return {hashlib.sha256(line.encode()).hexdigest() for line in lines if not line.startswith("#")}


def _issued(part: TokensPart) -> None:
    """What a service issued is told to who may mint, and to nobody else."""
    url = f"{part.simulator.url}/embed/issued"
    assert call(url)[0] == 401
    status, _, raw = call(url, Explo_Authorization=f"Token {part.environment['EXPLO_API_TOKEN']}")
    assert (status, json.loads(raw)) == (200, part.simulator.services["embed"].issued)
    assert json.loads(raw)


def test_a_misspelt_world_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text("api_token: X\nsecrets: []\nservises: []\n")
    with pytest.raises(SandboxError, match=r"tokens\.yaml"):
        start_tokens(tmp_path, tmp_path)

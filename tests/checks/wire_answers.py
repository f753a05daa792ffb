"""What the probes of the wire answer."""

from __future__ import annotations

from typing import Any

DEMANDED = "connection requires a valid client certificate"
NO_ENTRY = 'no pg_hba.conf entry for host "10.0.0.1", user "auditor", database "app", no encryption'


def parsed(**said: Any) -> dict[str, Any]:
    return {"hex": "", "parsed": said}


def error(sqlstate: str, text: str) -> dict[str, Any]:
    return parsed(message="error", severity="FATAL", sqlstate=sqlstate, text=text, tls_version="TLSv1.3")


def alert(number: int, name: str) -> dict[str, Any]:
    return parsed(message="alert", alert=number, alert_name=name, tls_version="TLSv1.3")


def authentication(method: int, name: str) -> dict[str, Any]:
    return parsed(message="authentication", method=method, name=name, tls_version="TLSv1.3")


def trusted(until: str) -> dict[str, Any]:
    return parsed(verified=True, version="TLSv1.3", certificate={"subject": "CN=db", "not_after": until})


def target(trust: str = "ca", *doors: Any, client_certificate: Any = False) -> dict[str, Any]:
    endpoints = list(doors) or [{"host": "db", "port": 5432}]
    return {"trust": trust, "client_certificate": client_certificate, "endpoints": endpoints}


SASL = authentication(10, "sasl")
TRUSTED = authentication(0, "ok")
REFUSED_IN_CLEAR = error("28000", NO_ENTRY)
REFUSED_WITHOUT = error("28000", DEMANDED)
TLS_1_3 = parsed(result="accepted", version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", bits=256)
TLS_1_2 = parsed(result="accepted", version="TLSv1.2", cipher="ECDHE-RSA-AES256-GCM-SHA384", bits=256)
TLS_1_0 = parsed(result="accepted", version="TLSv1.0", cipher="TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA")
REFUSED_VERSION = parsed(result="refused", alert=70, alert_name="protocol_version")
NO_TLS = parsed(result="no_tls")
YEAR = trusted("2027-11-23T00:00:00Z")
DISTRUSTED = parsed(verified=False, verify_code=19, reason="self-signed certificate in certificate chain")

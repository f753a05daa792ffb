"""Groups of passwords as the statement counts them, and parameters to judge them by."""

from __future__ import annotations

from typing import Any

from auditor.checks.postgres_password_kdf import CHECK
from tests.checks.asking import params

ACCEPT = {"pbkdf2_sha256": {"iterations": 390_000}}
ARGON2 = {"argon2id": {"memory_kib": 19_456, "iterations": 2}}
SCRYPT = {"scrypt": {"n": 16_384, "r": 8}}
BCRYPT = {"bcrypt": {"log2_rounds": 10}}


def group(
    scheme: str = "pbkdf2_sha256", bits: int | None = 256, *, salt: bool | None = True, users: int = 7, **cost: int
) -> dict[str, Any]:
    """Build a group as the statement counts it: null is what a scheme does not have."""
    encoding = "none" if scheme in ("null", "empty", "unrecognised") else "django"
    known = {"scheme": scheme, "digest_bits": bits, "salt": salt, "users": users, "cost": cost or None}
    return {"encoding": encoding, **known}


def pbkdf2(iterations: int = 390_000, **changed: Any) -> dict[str, Any]:
    return group(**{"iterations": iterations, **changed})


def given(accept: Any = ACCEPT, min_bits: Any = 256, **where: Any) -> Any:
    return params(
        CHECK, accept=accept, min_bits=min_bits, **({"table": "public.auth_user", "column": "password"} | where)
    )


def summary(*groups: Any, **changed: Any) -> dict[str, Any]:
    whole = {"schema": "public", "table": "auth_user", "column": "password", "kind": "r", "rls_active": False}
    total = sum(group["users"] for group in groups)
    return {"summary": whole | {"total": total, "groups": list(groups)} | changed}

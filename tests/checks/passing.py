"""For each check, small systems in which every subject passes: what the properties of all checks start from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from auditor.answers import Answer, Listing, Record
from auditor.checking import Check, Reconciled, Subject
from auditor.checks import (
    aws_config_volumes,
    aws_ebs_key_stability,
    aws_ebs_volume_encryption,
    aws_iam_mfa,
    aws_s3_encryption,
    aws_s3_object_expiry,
    github_mfa,
    heroku_mfa,
    jwt_expiry_enforced,
    jwt_lifetime,
    postgres_client_certificate,
    postgres_password_kdf,
    postgres_tls,
)
from auditor.model import JSON
from tests.checks.asking import InMemory, Question, params, question, require_agreement
from tests.checks.earlier_runs import RUN, earlier, seen
from tests.checks.iam_report import ACCOUNT, account, root, user, user_arn
from tests.checks.lifecycle import EVER, NEVER, abort, expire, expire_older, filtered, rule
from tests.checks.password_groups import ACCEPT, ARGON2, group, pbkdf2, summary
from tests.checks.token_answers import MINTED, minted, number, presented, token
from tests.checks.wire_answers import (
    REFUSED_IN_CLEAR,
    REFUSED_VERSION,
    REFUSED_WITHOUT,
    SASL,
    TLS_1_2,
    TLS_1_3,
    YEAR,
    alert,
    target,
)

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
TARGET = question("target")


class System(NamedTuple):
    """What a check meets: a body for each question, a list for a question with pages, and one for `TARGET`."""

    name: str
    check: Check
    given: dict[str, Any]
    bodies: Mapping[Question, JSON]

    def records(self) -> dict[Question, Record]:
        """What is kept of it: each answer on a line of its own, listings as one page."""
        return {
            asked: Record(
                "system", line, asked[0], "ok", {"Items": body} if isinstance(body, list) else body, dated=NOW
            )
            for line, (asked, body) in enumerate(self.bodies.items(), 1)
        }

    def collected(self, changed: Mapping[Question, Record] | None = None) -> Iterator[Subject]:
        """Collect from it, with some records replaced."""
        records = self.records() | dict(changed or {})
        answers = {
            asked: _listing(record) if isinstance(self.bodies[asked], list) else Answer(record)
            for asked, record in records.items()
            if asked != TARGET
        }
        declared = Answer(records.get(TARGET, Record("system", 0, "target", "error")))
        not_asked = Answer(Record("system", 0, "", "error", reason="not asked")) if changed else None
        sources = [InMemory(answers, target=declared, otherwise=not_asked) for _ in self.check.sources]
        counts = []
        for found in self.check.collect(params(self.check, **self.given), *sources):
            if isinstance(found, Reconciled):
                counts.append(found)
            else:
                yield found.judged(NOW, [])
        for count in counts:
            require_agreement(count)


def _listing(record: Record) -> Listing:
    return Listing(lambda: iter([record]), "/Items", record.file, (record.line, record.line))


KEY = {"KeyMetadata": {"KeyId": "1", "KeyState": "Enabled", "KeyManager": "AWS"}}
VOLUMES = [
    {"VolumeId": "vol-1", "Encrypted": True, "KmsKeyId": "key-1", "Tags": [{"Key": "Name", "Value": "database"}]},
    {"VolumeId": "vol-2", "Encrypted": True, "KmsKeyId": "key-2", "State": "available"},
]
RECORDER = {"name": "default", "recordingGroup": {"allSupported": True}}
RECORDING = {"name": "default", "recording": True, "lastStatus": "Success", "lastStartTime": "2025-03-03T10:00:00Z"}
BUCKETS = [{"Name": "a", "BucketRegion": "eu-central-1"}, {"Name": "b", "BucketRegion": "us-east-1"}]
A, B = ({"Bucket": bucket["Name"], "BucketRegion": bucket["BucketRegion"]} for bucket in BUCKETS)
TAGS = {"TagSet": [{"Key": "team", "Value": "x"}, {"Key": "data", "Value": "export"}]}
EXPORT = {"key": "data", "value": "export"}
KMS = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
DEFAULT = {"ServerSideEncryptionConfiguration": {"Rules": [KMS]}}
SPLIT = {
    "Rules": [
        rule(expire(1), status="Disabled"),
        rule(expire(3), expire_older(4), filtered(And={"Prefix": "exports/"})),
        rule(abort(7), filtered()),
    ]
}
LEGACY = {"Rules": [rule(expire(7), abort(7), {"Prefix": "exports"})]}
PREFIX = {"Rules": [rule(expire(1), abort(1), filtered(Prefix="exports/"))]}
OWNER = {
    "state": "active",
    "role": "admin",
    "organization": {"id": 5, "login": "explo"},
    "user": {"id": 1, "login": "ada"},
}
FLAG = {"id": 5, "login": "explo", "two_factor_requirement_enabled": True}
ADA, BAO, ELSE = (
    {"id": number, "login": name, "type": "User"} for number, name in ((1, "ada"), (2, "bao"), (3, "eve"))
)


def accounts(operation: str, *everybody: JSON) -> dict[Question, JSON]:
    """The three lists of one kind of account, none of which is without MFA."""
    return {
        question(operation, filter="all"): list(everybody),
        question(operation, filter="2fa_disabled"): [],
        question(operation, filter="2fa_insecure"): [],
    }


GITHUB = {
    TARGET: {"organization": "explo"},
    question("organization"): FLAG,
    question("membership"): OWNER,
    question("members_count"): {"data": {"organization": {"login": "explo", "membersWithRole": {"totalCount": 2}}}},
    **accounts("members", ADA, BAO),
    **accounts("outside_collaborators", ELSE),
    question("invitations"): [],
}
LISTED = {"created_at": "2024-05-02T09:00:00Z", "updated_at": "2024-05-02T09:00:00Z", "two_factor_authentication": True}
TEAM = {"id": "t", "name": "explo", "role": "member", "type": "team"}
HEROKU = {
    TARGET: {"team": "explo"},
    question("team"): TEAM,
    question("members"): [
        {**LISTED, "email": "ada@explo.co", "federated": False, "user": {"id": "u1", "email": "ada@explo.co"}},
        {**LISTED, "email": "bao@explo.co", "federated": False, "role": "admin"},
    ],
    question("invitations"): [],
}
HEROKU_ENTERPRISE = {
    **{asked: body for asked, body in HEROKU.items() if asked != question("invitations")},
    TARGET: {"team": "explo", "enterprise_account": "acme"},
    question("team"): TEAM | {"type": "enterprise", "enterprise_account": {"id": "e", "name": "acme"}},
    question("enterprise_account"): {"id": "e", "name": "acme", "permissions": ["view"]},
    question("enterprise_members"): [
        {
            "id": number,
            "user": {"id": "u1", "email": email},
            "two_factor_authentication": True,
            "identity_provider": None,
        }
        for number, email in (("m1", "ada@explo.co"), ("m2", "bao@explo.co"))
    ],
}
DB, PROXY = {"host": "db", "port": 5432}, {"host": "proxy", "port": 6432}


def _door(where: Mapping[str, Any], session: JSON, *newer: JSON) -> dict[Question, JSON]:
    return {
        question("wire.tls_startup", certificate="declared", **where): session,
        **{
            question("wire.tls_handshake", version=version, **where): body
            for version, body in zip(("TLSv1.3", "TLSv1.2"), newer, strict=False)
        },
        question("wire.plaintext_startup", **where): REFUSED_IN_CLEAR,
        question("wire.old_tls", version="TLSv1.0", **where): REFUSED_VERSION,
        question("wire.old_tls", version="TLSv1.1", **where): REFUSED_VERSION,
        question("wire.certificate_trust", **where): YEAR,
    }


VOLUMES_AND_KEYS: dict[Question, JSON] = {
    question("ec2.describe_volumes"): VOLUMES,
    question("kms.describe_key", KeyId="key-1"): KEY,
    question("kms.describe_key", KeyId="key-2"): KEY,
}
SYSTEMS = [
    System(
        "volumes",
        aws_ebs_volume_encryption.CHECK,
        {"key_manager": "AWS"},
        VOLUMES_AND_KEYS | {question(aws_config_volumes.RECORDERS): {"ConfigurationRecorders": []}},
    ),
    System(
        "volumes that AWS Config records",
        aws_ebs_volume_encryption.CHECK,
        {"key_manager": "AWS"},
        VOLUMES_AND_KEYS
        | {
            question(aws_config_volumes.RECORDERS): {"ConfigurationRecorders": [RECORDER]},
            question(aws_config_volumes.STATUS): {"ConfigurationRecordersStatus": [RECORDING]},
            question(aws_config_volumes.KNOWN, resourceType="AWS::EC2::Volume"): [
                {"resourceId": volume["VolumeId"]} for volume in VOLUMES
            ],
        },
    ),
    System(
        "keys of volumes",
        aws_ebs_key_stability.CHECK,
        {},
        {
            TARGET: {"account_id": ACCOUNT},
            question("ec2.describe_volumes"): VOLUMES,
            question(aws_config_volumes.RECORDERS): {"ConfigurationRecorders": []},
            earlier("vol-1", "vol-2"): {
                "runs": [{"run": RUN, "sequence": 1, "manifest_sha256": "5e" * 32, "signed_by": ""}],
                "unread": {"answers": 0, "items": 1},
                "resources": {"vol-1": [seen("key-1")], "vol-2": [seen("key-2", runs=3)]},
            },
        },
    ),
    System(
        "MFA of AWS users",
        aws_iam_mfa.CHECK,
        {},
        {
            TARGET: {"account_id": ACCOUNT},
            question("iam.get_credential_report"): account(root(), user("ada"), user("bao")),
            question("iam.get_account_summary"): {"SummaryMap": {"Users": 2, "AccountMFAEnabled": 1}},
            question("iam.list_roles", PathPrefix=aws_iam_mfa.PATH): [],
            question("iam.list_saml_providers"): [],
        },
    ),
    System(
        "MFA of AWS users, one of them younger than the report",
        aws_iam_mfa.CHECK,
        {},
        {
            TARGET: {"account_id": ACCOUNT},
            question("iam.get_credential_report"): account(root(), user("ada"), user("gone")),
            question("iam.get_account_summary"): {"SummaryMap": {"Users": 3, "AccountMFAEnabled": 1}},
            question("iam.list_users"): [
                {"Arn": user_arn("ada"), "CreateDate": "2024-05-02T09:00:00+00:00"},
                {"Arn": user_arn("new"), "CreateDate": "2026-11-23T09:00:00+00:00"},
                {"Arn": user_arn("newer"), "CreateDate": "2026-11-23T11:00:00+00:00"},
            ],
            question("iam.list_roles", PathPrefix=aws_iam_mfa.PATH): [],
            question("iam.list_saml_providers"): [],
        },
    ),
    System(
        "encryption of named buckets",
        aws_s3_encryption.CHECK,
        {"buckets": ["a", "b"]},
        {
            question("s3.list_buckets"): BUCKETS,
            question("s3.get_bucket_encryption", **A): DEFAULT,
            question("s3.get_bucket_encryption", **B): DEFAULT,
        },
    ),
    System(
        "encryption of tagged buckets",
        aws_s3_encryption.CHECK,
        {"buckets": EXPORT},
        {
            question("s3.list_buckets"): BUCKETS[:1],
            question("s3.get_bucket_tagging", **A): TAGS,
            question("s3.get_bucket_encryption", **A): DEFAULT,
        },
    ),
    System(
        "expiry in named buckets",
        aws_s3_object_expiry.CHECK,
        {"buckets": ["a", "b"], "prefix": "exports/", "max_days": 7},
        {
            question("s3.list_buckets"): BUCKETS,
            question("s3.get_bucket_lifecycle_configuration", **A): SPLIT,
            question("s3.get_bucket_versioning", **A): EVER,
            question("s3.get_bucket_lifecycle_configuration", **B): LEGACY,
            question("s3.get_bucket_versioning", **B): NEVER,
        },
    ),
    System(
        "expiry in tagged buckets",
        aws_s3_object_expiry.CHECK,
        {"buckets": EXPORT, "prefix": "exports/", "max_days": 1},
        {
            question("s3.list_buckets"): BUCKETS[:1],
            question("s3.get_bucket_tagging", **A): TAGS,
            question("s3.get_bucket_lifecycle_configuration", **A): PREFIX,
            question("s3.get_bucket_versioning", **A): NEVER,
        },
    ),
    System(
        "client certificates",
        postgres_client_certificate.CHECK,
        {},
        {
            TARGET: target("ca", DB, PROXY),
            question("wire.tls_startup", certificate="none", **DB): REFUSED_WITHOUT,
            question("wire.tls_startup", certificate="declared", **DB): SASL,
            question("wire.tls_startup", certificate="none", **PROXY): alert(116, "certificate_required"),
            question("wire.tls_startup", certificate="declared", **PROXY): SASL,
        },
    ),
    System(
        "TLS",
        postgres_tls.CHECK,
        {},
        {
            TARGET: target("ca", DB, PROXY, client_certificate=True),
            **_door(DB, SASL, TLS_1_3),
            **_door(PROXY, REFUSED_WITHOUT, REFUSED_VERSION, TLS_1_2),
        },
    ),
    System(
        "passwords in a table",
        postgres_password_kdf.CHECK,
        {"table": "public.auth_user", "column": "password", "min_bits": 256, "accept": ACCEPT | ARGON2},
        {
            question("sql.password_kdf", table="public.auth_user", column="password"): summary(
                pbkdf2(), group("argon2id", memory_kib=19_456, iterations=2, parallelism=1)
            ),
        },
    ),
    System(
        "passwords by a function",
        postgres_password_kdf.CHECK,
        {
            "table": "public.auth_user",
            "column": "password",
            "function": "audit.kdf",
            "min_bits": 256,
            "accept": ACCEPT,
        },
        {question("sql.password_kdf_function", function="audit.kdf"): {"definition": {}} | summary(pbkdf2())},
    ),
    System("accounts on GitHub", github_mfa.CHECK, {}, GITHUB),
    System(
        "accounts on GitHub, SMS allowed",
        github_mfa.CHECK,
        {"allow_insecure": True},
        {asked: body for asked, body in GITHUB.items() if asked[1] != (("filter", "2fa_insecure"),)},
    ),
    System("accounts on Heroku", heroku_mfa.CHECK, {}, HEROKU),
    System("accounts of an enterprise on Heroku", heroku_mfa.CHECK, {}, HEROKU_ENTERPRISE),
    System(
        "lifetimes of tokens",
        jwt_lifetime.CHECK,
        {"max_lifetime": "P1D", "algorithms": ["dir/A256GCM", "RS256"]},
        {
            TARGET: {"mint": {}, "samples": "samples.txt"},
            question("mint"): minted(),
            question("samples"): [
                {"sha256": "33" * 32, "token": token(iat=number(MINTED))},
                {"sha256": "44" * 32, "token": token(iat=number(MINTED), algorithm="RS256", signature="verified")},
            ],
        },
    ),
    System(
        "the lifetime of a token as requested",
        jwt_lifetime.CHECK,
        {"max_lifetime": "P1D", "algorithms": ["dir/A256GCM"], "requested_lifetime": "PT4S"},
        {question("mint", lifetime="PT4S"): minted(number(MINTED + 4), number(MINTED))},
    ),
    System(
        "tokens presented",
        jwt_expiry_enforced.CHECK,
        {"lifetime": "PT4S", "max_wait": "PT30S"},
        presented(),
    ),
]

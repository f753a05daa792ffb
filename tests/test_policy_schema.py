"""The JSON Schema of policy files: published beside them, accepting ours, and refusing what the loader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import plugins, policy
from auditor.yamlfile import Document
from tests.policy_words import CHECKS, a_claim, a_pack
from tests.test_policy import CLAIMS, LOCKED, TESTS, without

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = json.loads(json.dumps(policy.json_schema(list(CHECKS.values()))))
PUBLISHED = ROOT / "policies" / "policy.schema.json"


def test_the_published_schema_is_the_one_of_this_program() -> None:
    schema = json.loads(json.dumps(policy.json_schema(list(plugins.checks().values()))))
    assert json.loads(PUBLISHED.read_bytes()) == schema, "stale: auditor policy schema > policies/policy.schema.json"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_published_schema_accepts_our_policies() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_bytes()))
    files = policy.find_files(ROOT / "policies" / "explo")
    assert files
    for file in files:
        text = file.read_text()
        assert text.startswith("# yaml-language-server: $schema=../policy.schema.json\n")
        validator.validate(Document(str(file), text).data)


BEYOND_A_SCHEMA = ("unknown target", "reads", "length of time", "only believed")


@pytest.mark.parametrize("change", [row for row, told in TESTS if not any(text in told for text in BEYOND_A_SCHEMA)])
def test_the_schema_refuses_a_broken_test(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(json.loads(a_pack("p", a_claim("c", LOCKED))))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(json.loads(a_pack("p", a_claim("c", {**LOCKED, **change}))))


@pytest.mark.parametrize(
    "claim", [a_claim("c", without(LOCKED, "params")), *(a_claim("c", LOCKED, **change) for change, _ in CLAIMS)]
)
def test_the_schema_refuses_a_broken_claim(claim: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(a_pack("p", claim)))

"""The composite action and the recipes of docs/ci.md, cut out of the page."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.world_runs import ROOT

ACTION = ROOT / ".github" / "actions" / "audit" / "action.yml"
DOCS = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def _block(beginning: str) -> str:
    (found,) = [text for text in BLOCKS if text.startswith(beginning)]
    return str(found)


WORKFLOW, GITLAB, ALLOWED = _block("name: Security claims\n"), _block("audit:\n"), _block("allow_failure:\n")


def load(text: str) -> Any:
    """Read YAML as CI servers do: `on` is a word, not a boolean."""
    return yaml.safe_load(re.sub("^on:", '"on":', text, flags=re.MULTILINE))


def action() -> Any:
    """The composite action."""
    return load(ACTION.read_text(encoding="utf-8"))

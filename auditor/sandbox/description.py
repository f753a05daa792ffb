"""How the parts of a demo world are described: one YAML file for each, read strictly."""

from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from auditor.sandbox.part import SandboxError
from auditor.yamlfile import Document, convert


class Truth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a check must find out about an item, and why."""

    outcome: Literal["pass", "fail", "error", "not_applicable", "manual"]
    why: str = ""


World = TypeVar("World", bound=msgspec.Struct)


def read(path: Path, kind: type[World]) -> World:
    """Read a description; every mistake in it is in the `SandboxError`, with its line."""
    try:
        document = Document(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SandboxError(f"{path} cannot be read: {error.strerror}") from error
    world, problems = convert(document, kind)
    if world is None or document.problems:
        raise SandboxError("; ".join(map(str, [*document.problems, *problems])))
    return world

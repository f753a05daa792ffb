"""Settings: `auditor.yaml` names the systems to look at. Secrets only by reference, never as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from auditor.model import JSON, Problem, UsageError
from auditor.questions import SecretRef, SourceType
from auditor.yamlfile import Document, check_shape, convert, did_you_mean

TARGET_ID = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One system to look at: its id, kind and tags, and its own settings."""

    id: str
    type: str
    tags: tuple[str, ...]
    settings: msgspec.Struct


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of auditor.yaml; `folder` is where its relative paths start."""

    organization: str
    targets: tuple[Target, ...]
    folder: Path


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What every target has, whatever its type."""

    id: str
    type: str
    tags: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outer shape of auditor.yaml."""

    version: Literal[1]
    organization: str
    targets: list[dict[str, JSON]]


def load(path: Path, sources: Mapping[str, SourceType]) -> Settings:
    """Read auditor.yaml; `UsageError` carries every mistake in it, with line and column."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "name it with -c, or see the README for how to write one"
        raise UsageError(Problem(f"cannot be read: {error.strerror} ({hint})", str(path))) from None
    except UnicodeDecodeError:
        raise UsageError(Problem("is not UTF-8 text", str(path))) from None
    return parse(text, str(path), path.parent, sources)


def parse(text: str, file: str, folder: Path, sources: Mapping[str, SourceType]) -> Settings:
    """Read the text of an auditor.yaml."""
    document = Document(file, text)
    problems = list(document.problems)
    if document.data is not None:
        problems += check_shape(document, _File)
    entries = document.data.get("targets") if isinstance(document.data, dict) else None
    targets: list[Target] = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        target, found = _target(document, index, sources)
        problems += found
        if target is not None and any(other.id == target.id for other in targets):
            problems.append(document.problem(f"duplicate target id {target.id!r}", ("targets", index, "id")))
        elif target is not None:
            targets.append(target)
    if problems:
        raise UsageError(*sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return Settings(organization=document.data["organization"], targets=tuple(targets), folder=folder)


def _target(document: Document, index: int, sources: Mapping[str, SourceType]) -> tuple[Target | None, list[Problem]]:
    path = ("targets", index)
    own = _Entry.__struct_fields__
    entry, problems = convert(document, _Entry, path)
    if entry is None:
        return None, problems
    if not TARGET_ID.fullmatch(entry.id):
        problems.append(document.problem(f"target id {entry.id!r} must match {TARGET_ID.pattern}", (*path, "id")))
    if entry.type not in sources:
        known = f"{did_you_mean(entry.type, sources)}; known: {', '.join(sorted(sources))}"
        return None, [*problems, document.problem(f"unknown type {entry.type!r}{known}", (*path, "type"))]
    settings, found = convert(document, sources[entry.type].settings, path, ignoring=own)
    if settings is None or problems:
        return None, problems + found
    return Target(id=entry.id, type=entry.type, tags=entry.tags, settings=settings), []


def secret_refs(value: Any) -> Iterator[SecretRef]:
    """Yield every secret that a target's settings refer to."""
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secret_refs(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_refs(item)


def json_schema(sources: Mapping[str, SourceType]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of auditor.yaml, for editors."""
    kinds = [sources[name] for name in sorted(sources)]
    shapes, definitions = msgspec.json.schema_components([kind.settings for kind in kinds])
    entries = []
    for kind, reference in zip(kinds, shapes, strict=True):
        shape = definitions[reference["$ref"].rpartition("/")[2]] if "$ref" in reference else reference
        own = {
            "id": {"type": "string", "pattern": f"^{TARGET_ID.pattern}$"},
            "type": {"const": kind.name},
            "tags": {"type": "array", "items": {"type": "string"}},
        }
        entries.append(
            {
                **shape,
                "properties": {**own, **shape["properties"]},
                "required": ["id", "type", *shape.get("required", [])],
            }
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:auditor:settings:1",
        "title": "auditor.yaml",
        "type": "object",
        "required": list(_File.__struct_fields__),
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "organization": {"type": "string"},
            "targets": {"type": "array", "items": {"oneOf": entries}},
        },
        "$defs": definitions,
    }

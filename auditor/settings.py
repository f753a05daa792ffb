"""Settings: `auditor.yaml` names the systems to look at. Secrets only by reference, never as text."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from auditor import yamlfile
from auditor.model import JSON, Privacy, Problem, UsageError
from auditor.questions import SecretRef, SourceType
from auditor.schemas import published
from auditor.wording import or_known, quoted
from auditor.yamlfile import Document, Steps, convert, in_order, walk

MISSING = "there is no such file; name it with -c, or have one laid out: auditor policy new FOLDER"


Id = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9-]{0,40}$",
        description="a target id: a small letter, then small letters, digits and -, 41 characters at most",
    ),
]
Text = Annotated[str, msgspec.Meta(pattern=r"\S", description="text that says something")]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One system to look at: its id, kind and tags, and its own settings."""

    id: str
    type: str
    tags: tuple[str, ...]
    settings: msgspec.Struct


class Timestamp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time-stamp authority (RFC 3161).

    `url`: where it is asked (http:// will do, as its answer is signed); `ca`: a file with the certificate (PEM) that
    its own is issued under, which is in the key file as well (`auditor keys authority`).
    """

    url: Text
    ca: Text

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("timestamp.url: must be an https:// or http:// URL")
        if parts.username is not None or parts.fragment:
            raise ValueError("timestamp.url: must have no user or fragment")


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How runs are sealed.

    `key`: the private key that signs them (`auditor keys generate`); `keys`: the file of public keys, in which the key
    must be (auditor.keys.json, where there is one); `timestamp`: an authority that says when, so that it does not rest
    on our clock.
    """

    key: SecretRef
    keys: Text | None = None
    timestamp: Timestamp | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of auditor.yaml; `folder` is where its relative paths start."""

    organization: str
    targets: tuple[Target, ...]
    folder: Path
    seal: Seal | None = None
    privacy: Privacy = "plain"
    pseudonym_key: SecretRef | None = None


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy may call a target by, as far as the file says it plainly."""

    id: str
    type: str
    tags: tuple[str, ...]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: the settings, or the problems, and either way the names that are there."""

    settings: Settings | None
    problems: tuple[Problem, ...] = ()
    names: tuple[Named, ...] | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What every target has, whatever its type.

    `id`: the name by which policies and reports call it; `type`: which kind of system it is; `tags`: words by which
    policies may call several at once.
    """

    id: Id
    type: Text
    tags: tuple[Text, ...] = ()


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outer shape of auditor.yaml.

    `version`: of this format; `organization`: whose systems these are, as reports say it; `targets`: the systems, each
    with the keys of every target and those of its type; `seal`: how runs are sealed (without it, they are not signed);
    `privacy`: whether e-mail addresses are kept as they are (plain) or as pseudonyms (pseudonymous); `pseudonym_key`:
    what these are made with, 16 bytes at least, and only whoever has it can tell whose they are.
    """

    version: Literal[1]
    organization: Text
    targets: list[dict[str, JSON]]
    seal: Seal | None = None
    privacy: Privacy = "plain"
    pseudonym_key: SecretRef | None = None

    def __post_init__(self) -> None:
        if self.privacy == "pseudonymous" and self.pseudonym_key is None:
            raise ValueError("privacy: pseudonymous needs a pseudonym_key: {env: NAME} or {file: PATH}")
        if self.privacy == "plain" and self.pseudonym_key is not None:
            raise ValueError("pseudonym_key: makes no pseudonyms without privacy: pseudonymous")


def load(path: Path, sources: Mapping[str, SourceType]) -> Settings:
    """Read auditor.yaml; `UsageError` carries every mistake in it, with line and column."""
    reading = read(path, sources)
    if reading.settings is None:
        raise UsageError(*reading.problems)
    return reading.settings


def read(path: Path, sources: Mapping[str, SourceType]) -> Reading:
    """Read auditor.yaml as far as it can be read."""
    document, problems = yamlfile.read(path, missing=MISSING)
    if document is None or document.data is None:
        return Reading(settings=None, problems=tuple(problems))
    if yamlfile.is_other(document, "claims", "targets"):
        said = "is a policy file, for it has claims and no targets; settings name the systems to look at"
        return Reading(settings=None, problems=(Problem(said, str(path)),))
    file, found = convert(document, File)
    problems += found
    entries = [(where, entry) for where, entry in walk(document.data, ("targets", None)) if isinstance(entry, dict)]
    targets: list[Target] = []
    first: dict[str, int] = {}
    for where, entry in entries:
        target, found = _target(document, where, sources)
        problems += found
        if target is not None:
            targets.append(target)
        name = entry.get("id")
        if isinstance(name, str) and name in first:
            said = f"duplicate target id {quoted(name)}, first on line {first[name]}"
            problems.append(document.problem(said, (*where, "id")))
        elif isinstance(name, str):
            first[name] = document.place((*where, "id")).line
    names = tuple(_named(entry) for _, entry in entries if {"id", "type"} <= entry.keys())
    if problems:
        return Reading(settings=None, problems=tuple(in_order(problems)), names=names)
    settings = Settings(
        organization=document.data["organization"],
        targets=tuple(targets),
        folder=path.parent,
        seal=file.seal if file else None,
        privacy=file.privacy if file else "plain",
        pseudonym_key=file.pseudonym_key if file else None,
    )
    return Reading(settings=settings, names=names)


def _named(entry: Mapping[str, JSON]) -> Named:
    tags = entry.get("tags")
    return Named(
        id=str(entry["id"]),
        type=str(entry["type"]),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )


def _target(document: Document, where: Steps, sources: Mapping[str, SourceType]) -> tuple[Target | None, list[Problem]]:
    entry, problems = convert(document, Entry, where)
    kind = document.data["targets"][where[1]].get("type")
    if not isinstance(kind, str):
        return None, problems
    if kind not in sources:
        return None, [
            *problems,
            document.problem(f"unknown type {quoted(kind)}{or_known(kind, sources)}", (*where, "type")),
        ]
    settings, found = convert(document, sources[kind].settings, where, ignoring=Entry.__struct_fields__)
    if entry is None or settings is None:
        return None, problems + found
    return Target(id=entry.id, type=entry.type, tags=entry.tags, settings=settings), []


def secret_refs(value: Any) -> Iterator[SecretRef]:
    """Yield every secret that settings refer to: those of one target, or all of them."""
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secret_refs(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from secret_refs(tuple(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secret_refs(item)


def json_schema(sources: Mapping[str, SourceType]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of auditor.yaml, for editors."""
    kinds = [sources[name] for name in sorted(sources)]
    (file, entry, *shapes), definitions = msgspec.json.schema_components(
        [File, Entry, *(kind.settings for kind in kinds)]
    )
    common = definitions.pop(_name(entry))
    own = {name: definitions.pop(name) for name in {_name(reference) for reference in shapes}}  # types may share one
    entries = []
    for kind, reference in zip(kinds, shapes, strict=True):
        shape = own[_name(reference)]
        properties = {**common["properties"], "type": {"const": kind.name}, **shape["properties"]}
        required = [*common["required"], *shape["required"]]
        entries.append({**shape, "properties": properties, "required": required})
    for reference in shapes:
        definitions.pop(_name(reference), None)  # two kinds may have the same shape
    if "SecretRef" in definitions:
        definitions["SecretRef"] |= {"minProperties": 1, "maxProperties": 1}
    outer = definitions.pop(_name(file))
    outer["properties"]["targets"]["items"] = {"oneOf": entries}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:auditor:settings:1",
        **outer,
        "title": "auditor.yaml",
        "$defs": definitions,
    }
    plain: dict[str, Any] = published(document)
    return plain


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]

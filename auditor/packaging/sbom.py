"""The software that made a package, as a CycloneDX 1.6 bill of materials: what is installed, and what it rests on."""

from __future__ import annotations

import importlib.metadata
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageMetadata

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "auditor"


def render(root: str = ROOT) -> bytes:
    """Return the bill as JSON; the same installation gives the same bytes: no date in it, and no number by chance."""
    found = _closure(root)
    components = {name: _component(distribution, name == root) for name, (distribution, _) in found.items()}
    purls = "\n".join(sorted(str(component.purl) for component in components.values()))
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, purls))
    bom.metadata.timestamp = None  # type: ignore[assignment]  # else it would be now
    bom.metadata.component = components[root]
    for name, component in components.items():
        if name != root:
            bom.components.add(component)
    for name, (_, needs) in found.items():
        bom.register_dependency(components[name], [components[need] for need in needs])
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def _closure(root: str) -> dict[str, tuple[importlib.metadata.Distribution, list[str]]]:
    """Return every distribution that is needed at run time, with those it needs itself."""
    found: dict[str, tuple[importlib.metadata.Distribution, list[str]]] = {}
    plugins = _plugins(root)
    extras: dict[str, set[str]] = {root: set(), **{name: set() for name in plugins}}
    waiting = [root, *plugins]
    while waiting:
        name = waiting.pop()
        distribution = importlib.metadata.distribution(name)
        needs: dict[str, None] = dict.fromkeys(plugins if name == root else ())
        for need, wanted in _needs(distribution, extras[name]):
            needs[need] = None
            if need not in extras or not wanted <= extras[need]:
                extras.setdefault(need, set()).update(wanted)
                waiting.append(need)
        found[name] = (distribution, sorted(needs))
    return dict(sorted(found.items()))


def _plugins(root: str) -> list[str]:
    """Return the distributions whose checks, sources and report formats are used as well."""
    groups = ("auditor.checks", "auditor.sources", "auditor.reports")
    found = (entry.dist for group in groups for entry in importlib.metadata.entry_points(group=group))
    return sorted({canonicalize_name(dist.name) for dist in found if dist is not None} - {root})


def _needs(distribution: importlib.metadata.Distribution, extras: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield what a distribution requires here, with the extras it wants of it; what is not installed is not needed."""
    for line in distribution.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras))):
            name = canonicalize_name(requirement.name)
            try:
                importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            yield name, set(requirement.extras)


def _component(distribution: importlib.metadata.Distribution, is_root: bool) -> Component:  # noqa: FBT001 - one caller
    name = canonicalize_name(distribution.metadata["Name"])
    purl = PackageURL("pypi", name=name, version=distribution.version)
    return Component(
        name=name,
        version=distribution.version,
        type=ComponentType.APPLICATION if is_root else ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        description=_said(distribution.metadata, "Summary") or None,
        licenses=_licenses(distribution.metadata),
    )


def _licenses(metadata: PackageMetadata) -> list[License]:
    """Return what a distribution says of its licence: an SPDX expression, else a name in its own words."""
    said = _said(metadata, "License-Expression") or _said(metadata, "License")
    words = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if line.startswith("License")]
    if "\n" in said:  # the whole text of the licence
        said = "" if words else said.strip().splitlines()[0]
    factory = LicenseFactory()
    found = [factory.make_from_string(one) for one in ([said] if said else words)]
    return found if len(found) == 1 else [one for one in found if not isinstance(one, LicenseExpression)]


def _said(metadata: PackageMetadata, field: str) -> str:
    """Return what a field says, "" where it is not there."""
    return next(iter(metadata.get_all(field) or []), "")

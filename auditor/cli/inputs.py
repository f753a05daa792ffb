"""Everything a person wrote, read at once: all mistakes of all files are told together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from auditor import plan, policy, settings
from auditor.checking import Check
from auditor.model import Problem, UsageError
from auditor.plan import Plan, PlannedTarget
from auditor.policy import Policy, Selectors
from auditor.questions import SourceFailure, SourceType
from auditor.settings import Reading, Settings
from auditor.sources.secrets import resolve
from auditor.wording import or_known, quoted

if TYPE_CHECKING:
    from auditor.keys import SigningKey
    from auditor.sources.timestamp_authority import Authority

Selected = Mapping[str, tuple[str, ...]]
"""What --claim, --test, --check and --target name, by `claims`, `tests`, `checks` and `targets`."""


def read(
    config: Path, policies: Path, checks: Mapping[str, Check], sources: Mapping[str, SourceType]
) -> tuple[Settings, Policy]:
    """Return settings and policy; `UsageError` carries every mistake of either."""
    reading = settings.read(config, sources)
    pack, problems = _policy(policies, checks, _selectors(reading, sources))
    if reading.settings is None or pack is None:
        raise UsageError(*reading.problems, *problems)
    return reading.settings, pack


def plan_of(
    config: Path, policies: Path, selected: Selected, checks: Mapping[str, Check], sources: Mapping[str, SourceType]
) -> tuple[Settings, Policy, Plan]:
    """Return settings, policy and the plan for them; a name that selects nothing is a mistake as well."""
    loaded, pack = read(config, policies, checks, sources)
    targets = plan.declare(loaded, sources)
    refuse_unknown(
        selected,
        {
            "claims": [claim.id for _, claim in pack.claims()],
            "tests": [test.id for _, test in pack.tests()],
            "checks": checks.keys(),
            "targets": [target.id for target in targets],
        },
    )
    chosen = plan.Selection(**selected)
    return loaded, pack, plan.make(pack, targets, loaded.organization, checks, chosen, loaded.privacy)


def signing_key(settings: Settings, conceal: Callable[[str], None], now: dt.datetime) -> SigningKey | None:
    """Return the key that runs are sealed with, None where the settings name none; it is concealed before it is read.

    A key that the key file does not know, or knows as no longer in use, would make evidence that does not verify.
    """
    if settings.seal is None:
        return None
    from auditor import keys

    ref = settings.seal.key
    if ref.file is not None:
        whence = str(settings.folder / ref.file)
        text = keys.read_private(settings.folder / ref.file)
    else:
        whence = f"environment variable {ref.env}"
        try:
            text = resolve(ref, settings.folder)
        except SourceFailure as failure:
            raise UsageError(Problem(f"seal: {failure.message}")) from None
    conceal(text)
    key = keys.parse_private(text, whence)
    ring = key_file(settings)
    if ring is not None:
        known = keys.load(ring).find(key.id)
        if known is None or not known.was_valid(now):
            what = "is not valid now" if known else "is not among these keys"
            raise UsageError(Problem(f"the key that would sign ({whence}, {key.id}) {what}", str(ring)))
    return key


def time_stamp_authority(settings: Settings) -> Authority | None:
    """Return the authority that is to stamp the evidence, None where the settings name none.

    A stamp of an authority that the key file does not know would make evidence that does not verify.
    """
    if settings.seal is None or settings.seal.timestamp is None:
        return None
    from auditor import keys
    from auditor.sources.timestamp_authority import Authority

    certificates = keys.authorities(settings.folder / settings.seal.timestamp.ca)
    ring = key_file(settings)
    if ring is not None and not set(certificates) <= set(keys.load(ring).timestamp_authorities):
        ca = settings.folder / settings.seal.timestamp.ca
        what = f"does not know the time-stamp authority of {ca}; add it: auditor keys authority {ca}"
        raise UsageError(Problem(what, str(ring)))
    return Authority(url=settings.seal.timestamp.url, certificates=certificates)


def key_file(settings: Settings) -> Path | None:
    """Return the file of public keys; None where none is named, and there is none."""
    from auditor import keys

    if settings.seal is None:
        return None
    path = settings.folder / (settings.seal.keys or keys.PUBLIC)
    return path if settings.seal.keys is not None or path.exists() else None


def refuse_unknown(selected: Selected, known: Mapping[str, Collection[str]]) -> None:
    """Refuse names that select nothing: a typing error must not look like a small audit."""
    problems = [
        Problem(f"--{kind[:-1]}: there is no {kind[:-1]} {quoted(name)}{or_known(name, known[kind])}")
        for kind, names in selected.items()
        for name in names
        if name not in known[kind]
    ]
    if problems:
        raise UsageError(*problems)


def _policy(
    path: Path, checks: Mapping[str, Check], selectors: Selectors | None
) -> tuple[Policy | None, tuple[Problem, ...]]:
    try:
        return policy.load(path, checks, selectors), ()
    except UsageError as error:
        return None, error.problems


def _selectors(reading: Reading, sources: Mapping[str, SourceType]) -> Selectors | None:
    """Return what a policy may name, as far as the settings say it: a mistake elsewhere in them hides none here."""
    if reading.names is None:
        return None
    named = (PlannedTarget(id=one.id, type=one.type, tags=one.tags, declared={}) for one in reading.names)
    return plan.selectors(tuple(named), sources)

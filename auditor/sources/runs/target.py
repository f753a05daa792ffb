"""A folder of earlier runs as a target: its settings, and what of them may be published."""

from __future__ import annotations

from typing import Annotated

import msgspec

from auditor.model import JSON

PathText = Annotated[str, msgspec.Meta(pattern=r"\S", description="the path of a folder", examples=["./reports"])]
KeysText = Annotated[str, msgspec.Meta(pattern=r"^(\S.*)?$", description="the path of a file")]


class RunsTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Earlier runs, whatever the organization was called, from whose sealed evidence is read what systems said then.

    `path`: the folder of the runs; `keys`: the file of public keys whose signatures count (auditor.keys.json, where
    there is one); `allow_unsigned`: whether to believe runs that were made without a key, which anybody could have
    changed; `since`: the number of the first run that is kept there, where older ones were moved away.
    """

    path: PathText
    keys: KeysText = ""
    allow_unsigned: bool = False
    since: Annotated[int, msgspec.Meta(ge=1)] = 1


def declare(target: RunsTarget) -> dict[str, JSON]:
    """Return what may be known of the folder; nothing in it is secret."""
    declared: dict[str, JSON] = {"path": target.path, "allow_unsigned": target.allow_unsigned, "since": target.since}
    if target.keys:
        declared["keys"] = target.keys
    return declared

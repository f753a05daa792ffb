"""Ways of tampering with runs and packages without their key: each has a name, and a seed that makes it again."""

from __future__ import annotations

from tests.tampering import envelopes, lines, octets, packages, places
from tests.tampering.chain import Tampering

KINDS: dict[str, Tampering] = {**octets.KINDS, **envelopes.KINDS, **lines.KINDS, **places.KINDS, **packages.KINDS}

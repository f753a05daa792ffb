"""Ways of tampering with sealed runs without their key: each is named, and the same seed gives the same change."""

from __future__ import annotations

from tests.tampering import envelopes, lines, octets, places
from tests.tampering.chain import Tampering

KINDS: dict[str, Tampering] = {**octets.KINDS, **envelopes.KINDS, **lines.KINDS, **places.KINDS}

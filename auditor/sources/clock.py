"""The clock: sources stamp what they ask with it, and nothing that judges may read it."""

from __future__ import annotations

import datetime as dt


def utcnow() -> dt.datetime:
    """Return the present time (UTC)."""
    return dt.datetime.now(dt.UTC)

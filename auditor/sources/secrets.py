"""Finding a secret where the settings say it is, at the moment it is needed."""

from __future__ import annotations

import os
from pathlib import Path

from auditor.questions import SecretRef, SourceFailure


def resolve(ref: SecretRef, folder: Path) -> str:
    """Return the secret, without a file's last newline; `SourceFailure` names the variable or file, never the value."""
    if ref.env is not None:
        value = os.environ.get(ref.env)
        if value is None:
            raise SourceFailure("secret", f"environment variable {ref.env} is not set")
    else:
        path = folder / str(ref.file)
        try:
            value = path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceFailure("secret", f"file {path} cannot be read: {type(error).__name__}") from None
    if not value:
        raise SourceFailure("secret", f"{ref.env or ref.file} is empty")
    return value

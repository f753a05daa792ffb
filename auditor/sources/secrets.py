"""Finding a secret where the settings say it is, at the moment it is needed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from auditor.questions import SecretRef, SourceFailure

LOG = logging.getLogger(__name__)


class Keeper:
    """Finds the secrets that one auditor.yaml refers to, and has each concealed from the moment it is known."""

    def __init__(self, folder: Path, conceal: Callable[[str], None]) -> None:
        self._folder = folder
        self._conceal = conceal

    def get(self, ref: SecretRef) -> str:
        """Return a secret; `SourceFailure` where it cannot be had."""
        value = resolve(ref, self._folder)
        self._conceal(value)
        return value

    def conceal(self, target: str, refs: Iterable[SecretRef]) -> None:
        """Have the secrets of a target concealed before anything is asked."""
        for ref in refs:
            try:
                self.get(ref)
            except SourceFailure as failure:
                LOG.info("%s: %s", target, failure)  # whoever needs it says so in its answer

    def conceal_variables(self, names: Iterable[str]) -> None:
        """Have what stands in these environment variables concealed, as far as anything does."""
        for name in names:
            if value := os.environ.get(name):
                self._conceal(value)


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

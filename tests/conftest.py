"""Fixtures of the whole suite: both demo worlds, started and audited once."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests.world_runs import Audited, audited

hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)  # the same cases on every machine
hypothesis.settings.load_profile("gate")


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """The world in which every finding passes or is not applicable."""
    with audited("healthy", tmp_path_factory.mktemp("healthy")) as world:
        yield world


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """The world with several realistic faults for each check."""
    with audited("broken", tmp_path_factory.mktemp("broken")) as world:
        yield world

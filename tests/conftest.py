"""Fixtures of the whole suite: both demo worlds, started and audited once, and a browser."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator

import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.world_runs import Audited, audited

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored; what we start would inherit that, and never be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)  # the same cases on every machine
hypothesis.settings.load_profile("gate")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, for the tests of pages."""
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.fail("these tests need a browser: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        yield launched
        launched.close()


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

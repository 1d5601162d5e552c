"""One market, one explorer and one browser for all browser tests of a process."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests
from playwright.sync_api import Browser, expect, sync_playwright

from node.connections import open_files, open_ledgers, open_store
from node.explorer.server import serving
from node.settings import load_settings
from tests.browser.market import Shown, make_market
from tests.browser.watching import Watched
from tests.integration.conftest import stage
from tests.integration.world import Stage, make_world

__all__ = ["stage"]

SOON_MS = 20_000
"""How long something may take to show up on a machine with much to do."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def shown(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with closing(make_world(stage, tmp_path_factory.mktemp("market"))) as world:
        yield make_market(world)


@pytest.fixture(scope="session")
def address(shown: Shown) -> Iterator[str]:
    """An explorer as `fedbounty explore` runs it, without its trailing slash."""
    settings = load_settings(shown.reader.config)
    ledgers = open_ledgers(settings)
    with closing(ledgers.chain), serving(ledgers, open_files(settings, open_store(settings)), 0) as found:
        _await_record(f"{found}bounty/{shown.ended}")
        yield found.rstrip("/")


def _await_record(page: str) -> None:
    """Until the explorer has read the chain that far: what it has not read yet is not found."""
    deadline = time.monotonic() + SOON_MS / 1000
    while requests.get(page, timeout=5).status_code != 200:
        assert time.monotonic() < deadline, f"{page} is still not there"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    named = os.environ.get("FEDBOUNTY_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert path, "no chromium: run `scripts/setup --browser`, or name one in FEDBOUNTY_CHROMIUM"
    expect.set_options(timeout=SOON_MS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    """A page whose every complaint fails the test."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    made = Watched(context.new_page())
    yield made
    context.close()
    assert made.complaints == []

"""A bounty that the explorer has not read yet, in a real browser: it comes by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.watching import Watched
from tests.node.late import DEPTH, late_explorer

pytestmark = pytest.mark.browser


def test_bounty__when_it_is_read__then_its_page_comes_by_itself(browser: Browser, tmp_path: Path) -> None:
    with late_explorer(tmp_path) as late:
        late.world.joining()
        page = browser.new_page(base_url=late.address)
        page.goto(f"bounty/{late.world.bounty}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not read yet")
        expect(page.locator("#awaited")).to_contain_text(f"when {DEPTH} are above it")
        assert Watched(page).barriers() == []
        late.world.mine(DEPTH)
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Bounty {late.world.bounty} open")
        page.close()

"""The explorer in a real browser: clicked through, kept up to date, verified, and fed with hostile text."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.market import HOSTILE, REPORTS, Shown
from tests.browser.watching import Watched
from tests.integration.world import steps

pytestmark = pytest.mark.browser

PHONE = {"width": 375, "height": 740}


def paths(shown: Shown) -> list[str]:
    """One page of each kind."""
    bounty = f"/bounty/{shown.ended}"
    return [
        "/",
        bounty,
        f"/bounty/{shown.running}",
        f"/bounty/{shown.open}",
        f"/bounty/{shown.scored}",
        f"{bounty}/round/1",
        f"{bounty}/round/2/payout?leaf=1",
        f"{bounty}/round/1/update/0",
        f"/account/{shown.providers[0]}",
        f"/account/{shown.stranger}",
        f"/evaluation/{shown.evaluation}",
        "/search?q=nothing",
    ]


def wait_for_name(page: Page, shown: Shown) -> None:
    """Until the manifests came from IPFS."""
    page.goto(f"/bounty/{shown.ended}")
    expect(page.locator("h1")).to_contain_text("clouds")


def test_explorer__when_clicked_through__then_each_page_leads_to_the_next(watched: Watched, shown: Shown) -> None:
    page = watched.page
    wait_for_name(page, shown)
    page.goto("/")
    assert page.locator("h2").all_inner_texts() == ["Running 1", "Open 2", "Ended 1", "Evaluations 1"]
    page.get_by_role("link", name="clouds").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("clouds ended")
    expect(page.locator("#rounds tbody tr")).to_have_count(2)
    rejected = page.locator("#rejected tbody tr")
    expect(rejected).to_have_count(2)
    expect(rejected.first).to_contain_text("wrong-root")
    expect(page.locator("#pay tbody tr")).to_have_count(4)
    expect(page.locator("#money")).to_contain_text("round merged")
    page.locator("#rounds").get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Round 1 merged")
    expect(page.locator("#updates").get_by_text("accepted", exact=True)).to_have_count(3)
    page.locator("#updates").get_by_role("link", name=re.compile("^0x")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Account")
    page.locator("#events a[href^='/tx/']").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Transaction")
    expect(page.locator("main")).to_contain_text("gwei")


def test_accuracy__when_reports_are_at_hand__then_a_chart_and_a_table_say_the_same(
    watched: Watched, shown: Shown
) -> None:
    page = watched.page
    wait_for_name(page, shown)
    expect(page.locator("figure.chart canvas")).to_be_visible()
    expect(page.locator("figure.chart svg .dot")).to_have_count(2)
    metric = page.locator("#rounds tbody tr").first.locator("td").nth(5)
    assert 0.3 < float(metric.inner_text()) <= 1
    expect(page.locator("figure.chart")).to_contain_text("Reported by the merger")


def test_verify__when_pressed_for_a_payment__then_each_step_is_shown_and_the_chain_agrees(
    watched: Watched, shown: Shown
) -> None:
    page = watched.page
    page.goto(f"/bounty/{shown.ended}/round/2")
    page.get_by_label("Leaf", exact=True).select_option("2")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="Verified")).to_be_visible()
    expect(page.locator(".step")).to_have_count(7)
    expect(page.locator(".ladder li")).to_have_count(2)
    shown_root = page.locator(".step").nth(4).locator(".mono").all_inner_texts()
    assert shown_root[0] == shown_root[1]
    assert shown.world.merged(shown.ended, 2).claim.payout_root.hex().startswith(shown_root[0][2:])
    expect(page.locator(".chip-bad")).to_have_count(0)


def test_verify__when_an_update_has_other_bytes__then_the_step_that_differs_is_named(
    watched: Watched, shown: Shown
) -> None:
    page = watched.page
    reveals = shown.world.history(shown.ended).rounds[1].reveals
    for reveal in reveals:
        page.goto(f"/bounty/{shown.ended}/round/1/update/{reveal.index}")
        verdict = "Does not match" if reveal.provider == shown.liar else "Verified"
        expect(page.locator("#verdict-title")).to_have_text(verdict)
    lie = next(reveal.index for reveal in reveals if reveal.provider == shown.liar)
    page.goto(f"/bounty/{shown.ended}/round/1")
    page.get_by_role("link", name=f"Verify update {lie}").click()
    wrong = page.locator(".step-is-mismatch").first
    expect(wrong).to_contain_text("Compare the root with what was revealed")
    expect(page.locator("main")).to_contain_text("The merge says so too")


def test_search__by_address_cid_transaction_and_number__then_the_page_is_found(watched: Watched, shown: Shown) -> None:
    page = watched.page
    event = shown.world.merged(shown.ended, 1)
    page.goto(f"/bounty/{shown.ended}/round/1")
    cid = page.locator("#updates .copyable .mono").first.get_attribute("title") or ""
    for text, title in (
        (shown.liar, "Account"),
        (shown.liar.lower(), "Account"),
        (cid, "Round 1"),
        (event.at.transaction, "Transaction"),
        ("0x" + event.claim.state_root.hex(), "Round 1"),
        (str(shown.running), "clouds"),
    ):
        page.get_by_role("searchbox").fill(text)
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.get_by_role("searchbox").fill(HOSTILE)
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".empty")).to_contain_text("Nothing in this market has that")


def test_evaluation__when_reports_were_revealed__then_their_spread_is_drawn(watched: Watched, shown: Shown) -> None:
    page = watched.page
    page.goto("/")
    page.get_by_role("link", name="Accuracy").click()
    expect(page.locator("#spread rect").first).to_be_attached()
    counts = [int(text) for text in page.locator("#spread table").first.locator("td:nth-child(3)").all_inner_texts()]
    assert sum(counts) == len(REPORTS)
    expect(page.locator("#facts")).to_contain_text("0.9125")
    expect(page.locator("#reports").get_by_text("matches", exact=True)).to_have_count(len(REPORTS))
    expect(page.locator("#reports")).to_contain_text("not opened")


def test_scoring__of_an_open_bounty__then_panel_and_evaluators_are_shown(watched: Watched, shown: Shown) -> None:
    page = watched.page
    page.goto(f"/bounty/{shown.scored}")
    expect(page.locator("#scoring .facts")).to_contain_text("quorum 2")
    expect(page.locator("#evaluators tbody tr")).to_have_count(3)
    expect(page.locator("#scoring")).to_contain_text("Nothing was merged yet.")
    expect(page.locator("#events")).to_contain_text("panel appointed")
    page.locator("#evaluators").get_by_role("link").first.click()
    expect(page.locator("#parts")).to_contain_text("evaluator")


def test_hostile_text__when_shown__then_it_is_text_and_nothing_runs(watched: Watched, shown: Shown) -> None:
    page = watched.page
    page.goto(f"/account/{shown.stranger}")
    announced = page.locator(".stranger").first
    expect(announced).to_contain_text("<script>document.title='owned'</script><img src=x onerror=alert(1)>")
    expect(announced).to_contain_text("‹U+202E›elif‹U+2066›‹U+0007›")
    expect(page.locator("main script, main img")).to_have_count(0)
    announced.hover()
    assert "owned" not in page.title()


def test_pages__when_read_with_assistive_technology__then_axe_finds_no_serious_barrier(
    watched: Watched, shown: Shown
) -> None:
    bounty = f"/bounty/{shown.ended}"
    coloured = (bounty, f"{bounty}/round/1", f"{bounty}/round/1/update/0")
    for path in paths(shown):
        watched.page.goto(path)
        assert watched.barriers() == [], path
        if path in coloured:
            watched.page.emulate_media(color_scheme="dark")
            assert watched.barriers("color-contrast") == [], f"{path} in the dark"
            watched.page.emulate_media(color_scheme="light")


def test_pages__on_a_phone__then_no_page_is_wider_than_the_screen(watched: Watched, shown: Shown) -> None:
    watched.page.set_viewport_size(PHONE)
    for path in paths(shown):
        watched.page.goto(path)
        assert watched.overflow() <= 0, path


def test_keyboard__when_tabbing__then_the_skip_link_comes_first_and_focus_is_seen(
    watched: Watched, shown: Shown
) -> None:
    page = watched.page
    page.goto(f"/bounty/{shown.ended}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"


def test_page__without_javascript__then_everything_is_there(browser: Browser, address: str, shown: Shown) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/bounty/{shown.running}")
    expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1)
    expect(page.locator(".clock-phase")).to_be_visible()
    page.goto(f"/bounty/{shown.ended}")
    expect(page.locator("figure.chart svg .dot")).to_have_count(2)
    page.goto(f"/bounty/{shown.ended}/round/1")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="Verified")).to_be_visible()
    context.close()


def test_bounty__when_the_chain_moves__then_the_open_page_follows_by_itself(watched: Watched, shown: Shown) -> None:
    page = watched.page
    page.goto(f"/bounty/{shown.running}")
    expect(page.locator(".clock-phase")).to_have_text("commit round 1")
    expect(page.locator("#clock")).to_contain_text("0 committed")
    before = page.get_by_role("timer").inner_text()
    for daemon in shown.waiting:
        steps(daemon, "Commit")
    expect(page.locator("#clock")).to_contain_text("2 committed")
    expect(page.locator("#events")).to_contain_text("update committed")
    expect(page.get_by_role("timer")).not_to_have_text(before)
    shown.world.travel(1001)
    expect(page.locator(".clock-phase")).to_have_text("reveal round 1")
    expect(page.locator("#announce")).to_have_text("The phase is now reveal, round 1.")

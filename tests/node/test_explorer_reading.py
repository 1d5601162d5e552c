"""What the explorer says of what its mirror has not read yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests

from ledger.chain import Block
from ledger.mirror import Mirror, Progress, SyncResult
from ledger.records import Timestamp
from node.explorer.feed import Feed
from node.explorer.reading import LATEST, SOONEST, Reading, awaited, reading
from tests import builders as make
from tests.node.late import DEPTH, Late, late_explorer
from tests.node.rendered import Still, rendered

SOON = 20.0


def block(number: int) -> Block:
    return Block(number, make.word(f"block {number}"), Timestamp(1000 + 12 * number))


@pytest.mark.unit
def test_reading__while_ranges_are_read__then_time_left_follows_from_the_pace() -> None:
    assert reading(100, 300, 1100, 4.0) == Reading(300, 1100, 16)
    assert reading(100, 100, 1100, 0.0) == Reading(100, 1100, None)
    assert reading(100, 1100, 1100, 4.0) is None
    assert Reading(1300, 22_000, 75).in_words() == (
        "The mirror is at block 1\u202f300 of 22\u202f000; the rest takes about 1 min 15 s."
    )
    assert Reading(7, 9, None).in_words() == "The mirror is at block 7 of 9."
    assert [Reading(0, 9, left).again for left in (0, 5, 10**6, None)] == [SOONEST, 5, LATEST, LATEST]


@pytest.mark.unit
def test_awaited__in_each_case__then_it_says_why_and_when() -> None:
    told = awaited(None, block(90), block(102), 12)
    assert told.why == (
        "The mirror is at block 90 and the chain at block 102: "
        "a block is mirrored when 12 are above it, which takes about 2 min 24 s."
    )
    assert told.again == LATEST
    assert awaited(Reading(5, 50, 9), block(90), block(102), 12) == (type(told))(
        "The mirror is at block 5 of 50; the rest takes about 9 s.", 9
    )
    for head, newest, depth in (
        (None, block(3), 0),
        (block(3), None, 12),
        (block(3), block(3), 12),
        (block(2), block(3), 0),
    ):
        assert awaited(None, head, newest, depth).again == SOONEST


@pytest.mark.unit
def test_feed__while_it_reads_much__then_it_tells_how_far_it_is(tmp_path: Path) -> None:
    seen: list[Reading | None] = []

    def sync(progress: Progress) -> SyncResult:
        for at in (10, 20, 40):
            progress(at, 40, 0)
            seen.append(feed.reading)
        return SyncResult(0, 40, 0)

    mirror = Mirror.open(tmp_path / "mirror", 1, [make.OWNER])
    feed = Feed(mirror, sync, 1.0)
    feed.follow()
    mirror.close()
    assert [one and (one.at, one.goal) for one in seen] == [(10, 40), (20, 40), None]
    assert feed.reading is None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("feed", "says"),
    [
        (Still(), "Nothing was read yet."),
        (Still(head=block(5), reading=Reading(5, 50, 9)), "The mirror is at block 5 of 50; the rest takes about 9 s."),
        (Still(trouble="No answer.", head=block(5), reading=Reading(5, 50, 9)), "Not up to date."),
    ],
)
def test_pages__while_the_mirror_is_behind__then_each_says_so(feed: Still, says: str) -> None:
    assert says in rendered("search.html", feed=feed, text="", hits=[])
    assert 'class="banner"' not in rendered("search.html", feed=Still(head=block(5)), text="", hits=[])


# --- as served ---


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Late]:
    with late_explorer(tmp_path_factory.mktemp("late")) as made:
        yield made


@pytest.mark.chain
def test_bounty__posted_and_not_confirmed__then_the_page_says_when_and_finds_it_later(
    late: Late,
) -> None:
    world, address = late.world, late.address
    world.joining()
    number = world.bounty
    page = requests.get(f"{address}bounty/{number}", timeout=SOON)
    again = int(page.headers["retry-after"])
    assert page.status_code == 503
    assert SOONEST <= again <= LATEST
    assert f"Bounty {number} is on the chain" in page.text
    assert f"a block is mirrored when {DEPTH} are above it" in page.text
    assert f'data-again="{again}"' in page.text
    found = requests.get(f"{address}search?q={number}", timeout=SOON)
    assert (found.status_code, found.url) == (503, f"{address}bounty/{number}")
    world.mine(DEPTH)
    deadline = monotonic() + SOON
    while requests.get(f"{address}bounty/{number}", timeout=SOON).status_code == 503:
        assert monotonic() < deadline
        sleep(0.1)
    assert requests.get(f"{address}bounty/{number}", timeout=SOON).status_code == 200


@pytest.mark.chain
@pytest.mark.parametrize("kind", ["bounty", "evaluation"])
def test_page__of_what_is_not_on_the_chain__then_not_found(kind: str, late: Late) -> None:
    address = late.address
    page = requests.get(f"{address}{kind}/999", timeout=SOON)
    assert (page.status_code, f"There is no {kind} 999 in this market." in page.text) == (404, True)
    search = requests.get(f"{address}search?q=999", timeout=SOON)
    assert "Nothing in this market has that up to block" in search.text

"""The explorer's page models: pure functions of a bounty's history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.payouts import cumulative_payouts
from ledger.chain import Block
from ledger.commitments import payout_root, payout_tree
from ledger.history import BountyHistory, build_history
from ledger.merge_parameters import MergeParameters
from ledger.merge_records import KeptMerge, record_hash, record_of
from ledger.mirror import GasUse
from ledger.records import Event, Joined, MergeRule, Phase, Posted, Timestamp, Wei
from ledger.trees import ChunkTree, chunk_root
from node.explorer.account_page import KnownBounty, account_page
from node.explorer.bounty_page import bounty_page, gas_lines, phase_clock
from node.explorer.charts import line_chart
from node.explorer.display import brief, duration, exact, short, tokens, visible
from node.explorer.overview import Stage, bounty_line, grouped, stage_of
from node.explorer.payout_check import LiveMerge, payout_steps
from node.explorer.reports import MOST_METRICS, Report, read_report
from node.explorer.round_page import round_page
from node.explorer.shelf import Missing
from node.explorer.steps import MOST_DRAWN_LEAVES, Outcome, chunk_rungs, draw_tree, verdict
from tests import builders as make

pytestmark = pytest.mark.unit

LATE = Timestamp(10**6)
BLOCK = Block(99, make.word("block"), LATE)


STORY: list[Event] = [
    make.posted(),
    make.joined(make.ALICE, 0),
    make.joined(make.BOB, 1),
    make.opened(1, 3),
    make.committed(make.ALICE, 1, 4),
    make.committed(make.BOB, 1, 5),
    make.revealed(make.ALICE, 1, 0, 6),
    make.revealed(make.BOB, 1, 1, 7),
    make.merged(1, 8, reveals=2, rejected=0b10, reasons=make.reasons((5, 1)), paid=Wei(300), payout_leaves=2),
]
"""Two providers, a merged round in which Bob's update was rejected."""


def story(*more: Event) -> BountyHistory:
    return build_history([*STORY, *more])


def live(history: BountyHistory, **changes: object) -> LiveMerge:
    """What an honest contract keeps of the story's merge."""
    merged = history.rounds[1].merged
    assert merged is not None
    kept = KeptMerge(
        payout_root=payout_root(payout_tree(cumulative_payouts(history, 1)))[:28],
        vests_at=merged.vests_at,
        record_hash=record_hash(record_of(merged)),
        reveals=2,
        previous=0,
        aggregator=merged.aggregator,
        paid=merged.claim.paid,
    )
    return LiveMerge(replace(kept, **changes), BLOCK)


# --- display ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\u202eb", "a‹U+202E›b"),
        ("\x00\x1b[2J", "‹U+0000›‹U+001B›[2J"),
        ("e\u0301", "e\u0301"),
        ("e\u0301\u0301\u0489\u0301", "e\u0301\u0301‹U+0489›‹U+0301›"),
        ("<b>", "<b>"),
        ("a\nb", "a‹U+000A›b"),
    ],
)
def test_visible__when_text_hides_something__then_it_is_named(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text(max_size=50))
def test_visible__whatever_the_text__then_all_of_it_can_be_seen(text: str) -> None:
    assert visible(text).isprintable()


def test_visible__when_text_is_long__then_it_is_cut() -> None:
    assert visible("x" * 10_000, 10) == "x" * 10 + "…"


def test_tokens__when_amounts_differ__then_the_points_stand_in_one_column() -> None:
    assert [tokens(one) for one in (0, 1, 10**14, 8 * 10**18 // 3, 10**21)] == [
        "0.0000", "< 0.0001", "0.0001", "2.6666", "1\u202f000.0000",
    ]  # fmt: skip
    assert [brief(one) for one in (0, 10**18, 25 * 10**17)] == ["0", "1", "2.5"]
    assert exact(10**18 + 1) == "1.000000000000000001"
    assert short("0x" + "ab" * 20) == "0xabab…abab"
    assert [duration(one) for one in (-5, 59, 3661, 90000)] == ["0 s", "59 s", "1 h 1 min", "1 d 1 h"]


# --- overview, bounty, round, account ---


def test_stage__as_a_bounty_lives__then_it_is_named() -> None:
    posted = build_history([make.posted()])
    assert [stage_of(one) for one in (posted, story())] == [Stage.OPEN, Stage.RUNNING]
    line = bounty_line(story(), "digits")
    assert (line.accepted, line.rejected, line.paid, line.members) == (1, 1, 300, 2)
    titles = [(group.title, len(group.lines)) for group in grouped([line, bounty_line(posted, "")])]
    assert titles == [("Running", 1), ("Open", 1), ("Ended", 0)]


def test_bounty_page__when_a_round_was_merged__then_pay_and_reasons_are_there() -> None:
    report = Report(metrics={"loss": 0.4, "accuracy": 0.9}, details={1: "chunk 1 is off"})
    page = bounty_page(story(), "digits", "accuracy", LATE, lambda merged: report)
    assert page.metric_names == ("accuracy", "loss")
    assert [(one.provider, one.earned, one.vested, one.accepted, one.rejected) for one in page.pay] == [
        (make.ALICE, 300, 300, 1, 0), (make.BOB, 0, 0, 0, 1),
    ]  # fmt: skip
    assert [(one.reason.label, one.reason.chunk, one.detail) for one in page.rejected] == [
        ("wrong-norm", 1, "chunk 1 is off")
    ]
    assert page.pay_total == page.history.rounds[1].merged.claim.paid  # type: ignore[union-attr]
    early = bounty_page(story(), "", "", Timestamp(0), lambda merged: report)
    assert [one.vested for one in early.pay] == [0, 0]


def test_bounty_page__when_a_report_is_missing__then_its_cid_is_named() -> None:
    page = bounty_page(story(), "", "", LATE, lambda merged: Missing("QmX", "nobody serves it"))
    assert page.rounds[0].missing == Missing("QmX", "nobody serves it")
    assert (page.metric_names, page.chart) == ((), None)


def test_round_page__when_a_merge_was_voided__then_its_updates_wait_again() -> None:
    merged = round_page(story(), 1, None)
    assert [(line.fate, line.pay) for line in merged.updates] == [("accepted", 300), ("rejected", 0)]
    assert [(line.provider, line.cumulative, line.added) for line in merged.payouts] == [
        (make.ALICE, 300, 300), (make.BOB, 0, 0),
    ]  # fmt: skip
    voided = round_page(story(make.opened(2, 8), make.voided(1, 9, 2)), 1, None)
    assert [line.fate for line in voided.updates] == ["waiting", "waiting"]
    assert (voided.state, voided.payouts, len(voided.one.voided)) == ("voided", (), 1)


def test_round_page__when_fewer_were_accepted_than_the_promise_takes__then_it_says_so() -> None:
    first, *rest = STORY
    assert isinstance(first, Posted)
    median = MergeParameters(MergeRule.MEDIAN, eta=2**16, attackers=1)
    weak = replace(first.terms, merge_rule=median.rule, merge_parameters=median.pack())
    page = round_page(build_history([replace(first, terms=weak), *rest]), 1, None)
    assert page.weakness.startswith("median over 1 accepted update withstands no faulty updates")
    assert round_page(story(), 1, None).weakness == "", "a mean promises nothing"


def test_account_page__when_an_account_plays_two_parts__then_both_are_listed() -> None:
    page = account_page(make.ALICE, [KnownBounty(story(), "digits")], LATE)
    assert [part.roles for part in page.parts] == [("provider",)]
    assert (page.earned, page.updates) == (300, 1)
    assert {one.kind for one in page.happenings} == {"Joined", "Committed", "Revealed"}
    both = account_page(make.AGGREGATOR, [KnownBounty(story())], LATE).parts[0]
    assert (both.roles, both.merges) == (("aggregator",), (1,))
    assert account_page(make.OWNER, [], LATE).parts == ()


def test_phase_clock__in_each_phase__then_time_left_and_steps_fit() -> None:
    commit = phase_clock(make.clock(Phase.COMMIT), Timestamp(1004))
    assert (commit.phase, commit.left) == ("commit", 6)
    assert [place for _, place in commit.steps] == ["past", "now", "next", "next", "next"]
    assert phase_clock(make.clock(Phase.COMMIT), Timestamp(2000)).left == 0
    assert phase_clock(make.clock(Phase.JOINING, 0, ends_at=Timestamp(0)), LATE).left is None
    assert "open merge" in [name for name, _ in phase_clock(make.clock(Phase.OPEN_MERGE), LATE).steps]


def test_gas_lines__when_several_senders_do_the_same__then_they_are_one_line() -> None:
    uses = [GasUse("Joined", make.ALICE, 1, 100, 5), GasUse("Joined", make.BOB, 2, 50, 5)]
    (line,) = gas_lines(uses)
    assert (line.label, line.senders, line.transactions, line.gas, line.fee) == ("provider joined", 2, 3, 150, 10)


# --- reports ---


@pytest.mark.parametrize(
    "data",
    [b"", b"[" * 5000, b"{}", b"null", b'{"format":2}', b'{"format":1,"bounty":8,"round":1}', b"\xff\xfe", b"1" * 400],
)
def test_read_report__when_it_is_something_else__then_it_says_so(data: bytes) -> None:
    assert read_report(data, 7, 1).problem


def test_read_report__when_parts_are_hostile__then_they_are_left_out() -> None:
    metrics = ",".join(f'"m{n}":{n}' for n in range(50))
    text = (
        '{"format":1,"bounty":7,"round":1,"metrics":{"x":"1","y":null,"z":true,"w":[1],' + metrics + "},"
        '"rejections":[1,null,{"index":"0","detail":"a"},{"index":2,"detail":"b"}],"payouts":["1","-2","x"]}'
    )
    report = read_report(text.encode(), 7, 1)
    assert len(report.metrics) == MOST_METRICS
    assert set(report.metrics) <= {f"m{n}" for n in range(50)}
    assert (dict(report.details), report.payouts, report.problem) == ({2: "b"}, (), "")


# --- verification ---


def test_payout_steps__when_the_chain_keeps_what_the_rules_give__then_all_match() -> None:
    history = story()
    merged = history.rounds[1].merged
    assert merged is not None
    for seat in (0, 1):
        steps = payout_steps(history, merged, seat, live(history))
        assert verdict(steps) == Outcome.OK
        assert [len(step.rungs) for step in steps] == [0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "step"),
    [({"payout_root": bytes(28)}, 4), ({"record_hash": bytes(28)}, 5), ({"paid": Wei(299)}, 6)],
)
def test_payout_steps__when_the_chain_keeps_something_else__then_that_step_differs(
    change: dict[str, object], step: int
) -> None:
    history = story()
    merged = history.rounds[1].merged
    assert merged is not None
    steps = payout_steps(history, merged, 0, live(history, **change))
    assert [number for number, one in enumerate(steps) if one.outcome == Outcome.MISMATCH] == [step]
    gone = payout_steps(history, merged, 0, LiveMerge(None, BLOCK))
    assert verdict(gone) == Outcome.MISMATCH


@pytest.mark.parametrize("leaves", [1, 2, 3, 5, 8, 9])
def test_chunk_rungs__from_every_leaf__then_they_end_at_the_root(leaves: int) -> None:
    hashes = [make.word(f"leaf {number}") for number in range(leaves)]
    tree = ChunkTree(hashes)
    for index, leaf in enumerate(hashes):
        proof = tree.proof(index)
        rungs = chunk_rungs(leaf, index, proof)
        assert (rungs[-1].parent if rungs else leaf) == tree.root == chunk_root(leaf, index, proof)
        drawn = draw_tree(leaves, index)
        assert drawn is not None
        roles = [node.role for node in drawn.nodes]
        assert roles.count("path") == tree.depth + 1
        assert roles.count("sibling") == tree.depth
        assert sum(node.parent is None for node in drawn.nodes) == 1
    assert draw_tree(MOST_DRAWN_LEAVES + 1, 0) is None


def test_line_chart__when_values_are_missing__then_the_line_has_gaps() -> None:
    chart = line_chart([(1, 0.5), (2, 0.6), (3, None), (4, float("nan")), (5, 0.9), (6, 0.9)])
    assert chart is not None
    assert (len(chart.segments), len(chart.dots)) == (2, 4)
    assert all(0 <= dot.y <= 220 for dot in chart.dots)
    heights = [dot.y for dot in chart.dots]
    assert heights == sorted(heights, reverse=True)
    assert line_chart([(1, None)]) is None
    assert line_chart([]) is None


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_line_chart__whatever_a_merger_reports__then_it_is_drawn_or_left_out(values: list[float]) -> None:
    chart = line_chart(list(enumerate(values, 1)))
    assert chart is None or all(-1 <= dot.y <= 221 for dot in chart.dots)


def test_joined__when_it_is_hostile__then_the_page_model_keeps_it_as_it_is() -> None:
    hostile = replace(make.joined(make.ALICE, 0), multiaddr="<script>\u202e")
    history = build_history([make.posted(), hostile])
    joined = account_page(make.ALICE, [KnownBounty(history)], LATE).parts[0].joined
    assert isinstance(joined, Joined)
    assert joined.multiaddr == "<script>\u202e", "escaping is the template's work, in one place"

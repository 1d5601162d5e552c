"""Metrics: what notices come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.errors import ChainUnreachable
from ledger.evaluation_records import EvaluationClock, EvaluationId, EvaluationPhase
from ledger.notices import (
    CallMade,
    CallRepeated,
    FetchFailed,
    FileFetched,
    FilePublished,
    Notice,
    TransactionFound,
    TransactionSent,
    TransactionSettled,
)
from ledger.records import BountyId, Phase, Timestamp, Wei
from node.cli.balances import Accounted
from node.loop import Finish
from node.notices import (
    Acted,
    BalanceSeen,
    BountyLeft,
    BountySeen,
    EpochTrained,
    EvaluationSeen,
    Looked,
    MergeChecked,
    MergeMade,
    MirrorSynced,
    RewardTaken,
    StateScored,
    Stumbled,
    UpdateMade,
    UpdatesVerified,
)
from node.telemetry.metrics import Metrics
from tests.builders import BOUNTY, clock

pytestmark = pytest.mark.unit

SEEN = BountySeen(
    BOUNTY,
    Timestamp(1004),
    clock(Phase.REVEAL, 2, members=5, commits=4, reveals=3),
    rounds=8,
    stake=Wei(100),
    bond=Wei(50),
    claimable=Wei(30),
    claimed=Wei(20),
)


def after(*notices: Notice) -> Callable[..., float | None]:
    """The value of a sample, after these notices: by its name and labels."""
    metrics = Metrics("provider")
    for notice in notices:
        metrics(notice)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"fedbounty_{name}", labels)

    return value


def test_metrics__when_a_bounty_is_seen__then_round_phase_and_money_are_its() -> None:
    value = after(SEEN)
    bounty = {"bounty": "7"}
    phases = {phase.name.lower(): value("phase", phase=phase.name.lower(), **bounty) for phase in Phase if phase}
    assert phases.pop("reveal") == 1
    assert set(phases.values()) == {0}
    expected = {
        "round": 2,
        "rounds": 8,
        "phase_remaining_seconds": 6,
        "chain_timestamp_seconds": 1004,
        "members": 5,
        "round_commits": 4,
        "round_reveals": 3,
        "stake_wei": 100,
        "bond_wei": 50,
        "pay_claimable_wei": 30,
        "pay_claimed_wei": 20,
    }
    assert {name: value(name, **bounty) for name in expected} == expected


def test_metrics__when_the_phase_changes__then_only_the_new_one_is_on() -> None:
    value = after(SEEN, replace(SEEN, clock=clock(Phase.MERGE, 2, ends_at=Timestamp(0))))
    assert value("phase", bounty="7", phase="reveal") == 0
    assert value("phase", bounty="7", phase="merge") == 1
    assert value("phase_remaining_seconds", bounty="7") == 0


def test_metrics__when_an_evaluation_is_seen__then_its_phase_and_reports_show() -> None:
    at_work = EvaluationClock(EvaluationPhase.REVEAL, ends_at=Timestamp(1010), commits=4, reports=3, claims=1)
    value = after(EvaluationSeen(EvaluationId(3), Timestamp(1004), at_work))
    assert value("evaluation_phase", evaluation="3", phase="reveal") == 1
    assert value("evaluation_phase", evaluation="3", phase="commit") == 0
    assert value("evaluation_phase_remaining_seconds", evaluation="3") == 6
    assert (value("evaluation_commits", evaluation="3"), value("evaluation_reports", evaluation="3")) == (4, 3)


def test_metrics__when_the_mirror_follows__then_block_and_logs_show() -> None:
    value = after(MirrorSynced(90, logs=7, removed=0), MirrorSynced(89, logs=2, removed=3))
    assert value("mirror_block") == 89
    assert (value("mirror_logs_total"), value("mirror_blocks_removed_total")) == (9, 3)


def test_metrics__when_a_bounty_is_left__then_nothing_of_it_stays() -> None:
    other = BountyId(8)
    metrics = Metrics("challenger")
    for bounty in (BOUNTY, other):
        metrics(replace(SEEN, bounty=bounty))
        metrics(MergeChecked(bounty, 1, "right", 0.5))
        metrics(StateScored(bounty, 1, {"accuracy": 0.5}))
    metrics(BountyLeft(BOUNTY))
    left = {
        sample.labels["bounty"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if "bounty" in sample.labels
    }
    assert left == {"8"}


def test_metrics__when_transactions_come_and_go__then_pending_gas_and_outcomes_follow() -> None:
    sent = TransactionSent("commit", "0xaa", 3, attempt=1)
    again = replace(sent, transaction="0xab", attempt=2)
    waiting = after(sent, again)
    assert (waiting("transactions_pending"), waiting("transactions_sent_total")) == (1, 1)
    assert waiting("transactions_replaced_total") == 1
    done = after(
        sent,
        TransactionSettled("commit", "mined", "0xab", gas_used=50_000, fee=10**15, seconds=2.0),
        replace(sent, nonce=4),
        TransactionSettled("reveal", "reverted", "0xac", gas_used=30_000, fee=10**14, seconds=1.0),
        replace(sent, nonce=5),
        TransactionSettled("claim", "withdrawn"),
    )
    assert done("transactions_pending") == 0
    assert done("transactions_sent_total") == 3
    outcomes = {one: done("transactions_settled_total", outcome=one) for one in ("mined", "reverted", "withdrawn")}
    assert outcomes == {"mined": 1, "reverted": 1, "withdrawn": 1}
    assert (done("gas_used_total"), done("gas_fees_wei_total")) == (80_000, 11 * 10**14)
    assert (done("transaction_seconds_count"), done("transaction_seconds_sum")) == (2, 3.0)


def test_metrics__when_a_transaction_was_left_open__then_it_is_pending_but_not_sent_again() -> None:
    value = after(TransactionFound("commit", "0xaa", 3))
    assert (value("transactions_pending"), value("transactions_sent_total")) == (1, 0)


def test_metrics__when_files_are_fetched__then_time_bytes_and_failures_are_counted() -> None:
    value = after(
        FileFetched("Qm1", 1000, 0.2),
        FileFetched("Qm2", 24, 2.0),
        FetchFailed("Qm3", "ContentUnavailable", 60.0),
        FilePublished("Qm4", 7, 0.1),
    )
    assert (value("fetch_seconds_count"), value("fetch_seconds_sum")) == (2, 2.2)
    assert value("fetch_seconds_bucket", le="0.3") == 1
    assert (value("fetched_bytes_total"), value("published_bytes_total")) == (1024, 7)
    assert value("fetch_failures_total", error="ContentUnavailable") == 1


def test_metrics__when_calls_fail__then_retries_and_outcomes_are_counted() -> None:
    value = after(CallMade("answered", 0.01), CallRepeated(), CallRepeated(), CallMade("unreachable", 3.0))
    assert value("rpc_retries_total") == 2
    assert value("rpc_request_seconds_count", outcome="answered") == 1
    assert value("rpc_request_seconds_sum", outcome="unreachable") == 3.0


def test_metrics__when_updates_are_verified__then_failures_have_their_reason() -> None:
    verified = UpdatesVerified(BOUNTY, 2, accepted=3, rejected={"wrong-root": 1, "unavailable": 2}, seconds=0.5)
    value = after(verified, MergeMade(BOUNTY, 2, 4.0), replace(verified, round=3, rejected={}))
    assert value("updates_verified_total", bounty="7") == 6
    assert value("updates_rejected_total", bounty="7", reason="unavailable") == 2
    assert value("updates_rejected_total", bounty="7", reason="wrong-root") == 1
    assert value("verification_seconds_count") == 2
    assert (value("merges_total", bounty="7"), value("merge_seconds_sum")) == (1, 4.0)


def test_metrics__when_training_and_scoring__then_the_last_values_stand() -> None:
    value = after(
        EpochTrained(BOUNTY, 2, 0, 0.5, loss=0.9),
        EpochTrained(BOUNTY, 2, 1, 1.0, loss=0.7),
        UpdateMade(BOUNTY, 2, loss=0.7, norm=1.5, examples=120, seconds=9.0),
        StateScored(BOUNTY, 2, {"accuracy": 0.75, "loss": float("inf")}),
    )
    assert (value("training_loss", bounty="7"), value("training_examples", bounty="7")) == (0.7, 120)
    assert (value("training_seconds_sum"), value("update_norm", bounty="7")) == (9.0, 1.5)
    assert value("holdout", bounty="7", metric="accuracy") == 0.75
    assert value("holdout", bounty="7", metric="loss") == float("inf")
    assert value("holdout_round", bounty="7") == 2


def test_metrics__when_the_loop_turns__then_its_health_shows() -> None:
    value = after(
        Looked(0.2, at=1_700_000_000.0),
        Acted("Commit", 1.5),
        Stumbled("ChainUnreachable", 4.0),
        BalanceSeen("ether", Wei(10**20)),
        RewardTaken(BOUNTY, Wei(5)),
    )
    assert value("loop_last_success_timestamp_seconds") == 1_700_000_000
    assert value("action_seconds_sum", action="Commit") == 1.5
    assert value("loop_errors_total", error="ChainUnreachable") == 1
    assert value("balance_wei", asset="ether") == 1e20
    assert value("rewards_wei_total") == 5
    assert value("build_info", version="0.1.0", role="provider") == 1


def test_metrics__for_every_kind_of_notice__then_each_is_counted() -> None:
    heard = set(Metrics("provider")._handlers)
    leaves = [*Notice.__subclasses__()]
    assert heard == set(leaves), "a notice that no metric knows"


def test_metrics__of_two_daemons__then_neither_sees_the_others() -> None:
    one, other = Metrics("provider"), Metrics("aggregator")
    one(CallRepeated())
    assert other.registry.get_sample_value("fedbounty_rpc_retries_total") == 0


class Counting:
    """A daemon that looks and does nothing."""

    def observe(self) -> int:
        return 5

    def decide(self, view: int) -> list[Finish]:
        return [Finish(str(view))]

    def act(self, action: object) -> None:
        raise AssertionError(action)


def test_accounted__when_it_looks__then_one_balance_a_turn_in_turns() -> None:
    asked: list[str] = []
    heard: list[Notice] = []

    def balance(asset: str, amount: int) -> tuple[str, Callable[[], int]]:
        return asset, lambda: (asked.append(asset), amount)[1]

    daemon = Accounted(Counting(), [balance("ether", 3), balance("token", 4)], heard.append)
    for turn in range(1, 4):
        assert daemon.observe() == 5
        assert len(asked) == turn
    assert heard == [BalanceSeen("ether", Wei(3)), BalanceSeen("token", Wei(4)), BalanceSeen("ether", Wei(3))]
    assert daemon.decide(5) == [Finish("5")]


def test_accounted__when_a_balance_can_not_be_read__then_the_daemon_goes_on() -> None:
    heard: list[Notice] = []

    def fail() -> int:
        raise ChainUnreachable("http://x", "gone")

    daemon = Accounted(Counting(), [("ether", fail)], heard.append)
    assert daemon.observe() == 5
    assert heard == []

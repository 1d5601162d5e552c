"""Notices counted for Prometheus. README, "Watching a node", says what each metric means.

One registry a process. Labels take values of our own only, never text from chain or IPFS: bounty numbers that this
node follows, names of our classes, phases, reasons. Amounts are in the token's smallest unit, as floats: Prometheus
knows no others, and they are exact to 15 digits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ledger import notices as doors
from ledger.evaluation_records import EvaluationPhase
from ledger.notices import Notice
from ledger.records import Phase
from node import notices as daemons

_FAST = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_SLOW = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_PHASES = tuple(phase for phase in Phase if phase != Phase.NONE)
_EVALUATION_PHASES = tuple(phase for phase in EvaluationPhase if phase != EvaluationPhase.NONE)

Made = TypeVar("Made", Gauge, Counter)


def _remaining(one: daemons.BountySeen) -> int:
    return max(0, one.clock.ends_at - one.now) if one.clock.ends_at else 0


_OF_BOUNTY: dict[str, tuple[str, Callable[[daemons.BountySeen], float]]] = {
    "round": ("The round that the bounty is in.", lambda one: one.clock.round),
    "rounds": ("Rounds that the bounty has in all.", lambda one: one.rounds),
    "phase_remaining_seconds": (
        "Until time ends the phase, by the chain's clock; 0: time doesn't.",
        _remaining,
    ),
    "chain_timestamp_seconds": ("Time of the newest block that was seen, seconds since 1970.", lambda one: one.now),
    "members": ("Providers that are members.", lambda one: one.clock.members),
    "round_commits": ("Commitments of the round.", lambda one: one.clock.commits),
    "round_reveals": ("Reveals of the round.", lambda one: one.clock.reveals),
    "stake_wei": ("What the account has at stake.", lambda one: one.stake),
    "bond_wei": ("What the account has bonded.", lambda one: one.bond),
    "pay_claimable_wei": ("Pay that has vested and can be taken.", lambda one: one.claimable),
    "pay_claimed_wei": ("Pay that was taken.", lambda one: one.claimed),
}


class Metrics:
    """An observer that counts. Safe to tell from several threads."""

    def __init__(self, role: str) -> None:
        self.registry = CollectorRegistry()
        self._with_bounty: list[Gauge | Counter] = []
        self._turn = threading.Lock()
        self._gauge("build_info", "Version and role of this process; always 1.", "version", "role").labels(
            version("fedbounty"), role
        ).set(1)
        self._of_bounty = {name: self._gauge(name, text, "bounty") for name, (text, _) in _OF_BOUNTY.items()}
        self._phase = self._gauge("phase", "1 for the phase that the bounty is in, 0 for others.", "bounty", "phase")
        self._make_evaluation_metrics()
        self._make_loop_metrics()
        self._make_door_metrics()
        self._make_work_metrics()
        self._handlers: dict[type[Notice], Callable[[Any], None]] = {
            daemons.BountySeen: self._bounty_seen,
            daemons.BountyLeft: self._bounty_left,
            daemons.EvaluationSeen: self._evaluation_seen,
            daemons.MirrorSynced: self._mirror_synced,
            daemons.BalanceSeen: lambda one: self._balance.labels(one.asset).set(one.amount),
            daemons.Looked: self._looked,
            daemons.Acted: lambda one: self._actions.labels(one.action).observe(one.seconds),
            daemons.Stumbled: lambda one: self._stumbles.labels(one.error).inc(),
            daemons.EpochTrained: lambda one: self._loss.labels(one.bounty).set(one.loss),
            daemons.UpdateMade: self._update_made,
            daemons.UpdatesVerified: self._updates_verified,
            daemons.MergeMade: self._merge_made,
            daemons.MergeChecked: self._merge_checked,
            daemons.StateScored: self._state_scored,
            daemons.RewardTaken: lambda one: self._rewards.inc(one.amount),
            doors.CallMade: self._call_made,
            doors.CallRepeated: lambda one: self._call_repeats.inc(),
            doors.TransactionFound: lambda one: self._pending.set(1),
            doors.TransactionSent: self._transaction_sent,
            doors.TransactionSettled: self._transaction_settled,
            doors.FileFetched: self._file_fetched,
            doors.FetchFailed: lambda one: self._fetch_failures.labels(one.error).inc(),
            doors.FilePublished: lambda one: self._published_bytes.inc(one.size_bytes),
        }

    def __call__(self, notice: Notice) -> None:
        handle = self._handlers.get(type(notice))
        if handle is not None:
            handle(notice)

    # --- what there is ---

    def _make_evaluation_metrics(self) -> None:
        self._evaluation_phase = self._gauge(
            "evaluation_phase", "1 for the phase that the evaluation is in, 0 for others.", "evaluation", "phase"
        )
        self._evaluation_remaining = self._gauge(
            "evaluation_phase_remaining_seconds", "Until the phase ends, by the chain's clock.", "evaluation"
        )
        self._evaluation_commits = self._gauge("evaluation_commits", "Commitments to the evaluation.", "evaluation")
        self._evaluation_reports = self._gauge("evaluation_reports", "Reports of the evaluation.", "evaluation")

    def _make_loop_metrics(self) -> None:
        self._last_look = self._gauge(
            "loop_last_success_timestamp_seconds", "When the daemon last saw the chain, seconds since 1970."
        )
        self._looks = self._histogram("loop_observe_seconds", "Time to observe and decide.", _FAST)
        self._actions = self._histogram("action_seconds", "Time of an effect, waiting included.", _SLOW, "action")
        self._stumbles = self._counter("loop_errors", "Errors after which the loop went on, by class.", "error")
        self._mirror_block = self._gauge("mirror_block", "The last block that is mirrored.")
        self._mirror_logs = self._counter("mirror_logs", "Logs that were mirrored.")
        self._mirror_removed = self._counter("mirror_blocks_removed", "Mirrored blocks that a reorganisation took out.")
        self._balance = self._gauge("balance_wei", "What the account holds: ether, token.", "asset")

    def _make_door_metrics(self) -> None:
        self._calls = self._histogram("rpc_request_seconds", "Calls to the Ethereum endpoint.", _FAST, "outcome")
        self._call_repeats = self._counter("rpc_retries", "Calls that were made again: the connection failed.")
        self._pending = self._gauge("transactions_pending", "Own transactions that are sent and not mined.")
        self._sent = self._counter("transactions_sent", "Transactions sent, replacements not counted.")
        self._replaced = self._counter("transactions_replaced", "Times that one was sent again at a higher fee.")
        self._settled = self._counter("transactions_settled", "How transactions ended.", "outcome")
        self._settling = self._histogram("transaction_seconds", "From sending to the receipt.", _SLOW)
        self._gas = self._counter("gas_used", "Gas of own transactions, failed ones included.")
        self._fees = self._counter("gas_fees_wei", "Wei paid for that gas.")
        self._fetches = self._histogram("fetch_seconds", "Fetches from IPFS that gave the right file.", _SLOW)
        self._fetched_bytes = self._counter("fetched_bytes", "Bytes of those files.")
        self._fetch_failures = self._counter("fetch_failures", "Fetches that gave none, by class of error.", "error")
        self._published_bytes = self._counter("published_bytes", "Bytes added to IPFS.")

    def _make_work_metrics(self) -> None:
        self._verified = self._counter("updates_verified", "Updates that were found right.", "bounty")
        self._rejected = self._counter("updates_rejected", "Updates that failed verification.", "bounty", "reason")
        self._verifying = self._histogram("verification_seconds", "Fetching and checking a round's updates.", _SLOW)
        self._merges = self._counter("merges", "Merges that this node recorded.", "bounty")
        self._merging = self._histogram("merge_seconds", "Verifying, merging, scoring, publishing a round.", _SLOW)
        self._checked = self._counter("merges_checked", "Merges that this node recomputed.", "bounty", "verdict")
        self._checking = self._histogram("merge_check_seconds", "Recomputing a merge.", _SLOW)
        self._rewards = self._counter("rewards_wei", "Taken from who was proven wrong.")
        self._trainings = self._histogram("training_seconds", "Local training of a round.", _SLOW)
        self._examples = self._gauge("training_examples", "Examples that the last training used.", "bounty")
        self._loss = self._gauge("training_loss", "Mean loss of the last local epoch.", "bounty")
        self._norm = self._gauge("update_norm", "L2 norm of the last update, before clipping.", "bounty")
        self._score = self._gauge("holdout", "The global model on the published hold-out.", "bounty", "metric")
        self._scored = self._gauge("holdout_round", "The round after which that was measured.", "bounty")

    # --- what happened ---

    def _bounty_seen(self, one: daemons.BountySeen) -> None:
        with self._turn:
            for name, (_, value) in _OF_BOUNTY.items():
                self._of_bounty[name].labels(one.bounty).set(value(one))
            for phase in _PHASES:
                self._phase.labels(one.bounty, phase.name.lower()).set(phase == one.clock.phase)

    def _evaluation_seen(self, one: daemons.EvaluationSeen) -> None:
        clock, number = one.clock, one.evaluation
        self._evaluation_remaining.labels(number).set(max(0, clock.ends_at - one.now) if clock.ends_at else 0)
        self._evaluation_commits.labels(number).set(clock.commits)
        self._evaluation_reports.labels(number).set(clock.reports)
        for phase in _EVALUATION_PHASES:
            self._evaluation_phase.labels(number, phase.name.lower()).set(phase == clock.phase)

    def _mirror_synced(self, one: daemons.MirrorSynced) -> None:
        self._mirror_block.set(one.block)
        self._mirror_logs.inc(one.logs)
        self._mirror_removed.inc(one.removed)

    def _bounty_left(self, one: daemons.BountyLeft) -> None:
        """Drop its series: a node that follows a whole market for years must not grow with it."""
        with self._turn:
            for metric in self._with_bounty:
                metric.remove_by_labels({"bounty": str(one.bounty)})

    def _looked(self, one: daemons.Looked) -> None:
        self._last_look.set(one.at)
        self._looks.observe(one.seconds)

    def _update_made(self, one: daemons.UpdateMade) -> None:
        self._trainings.observe(one.seconds)
        self._examples.labels(one.bounty).set(one.examples)
        self._loss.labels(one.bounty).set(one.loss)
        self._norm.labels(one.bounty).set(one.norm)

    def _updates_verified(self, one: daemons.UpdatesVerified) -> None:
        self._verifying.observe(one.seconds)
        self._verified.labels(one.bounty).inc(one.accepted)
        for reason, count in one.rejected.items():
            self._rejected.labels(one.bounty, reason).inc(count)

    def _merge_made(self, one: daemons.MergeMade) -> None:
        self._merges.labels(one.bounty).inc()
        self._merging.observe(one.seconds)

    def _merge_checked(self, one: daemons.MergeChecked) -> None:
        self._checked.labels(one.bounty, one.verdict).inc()
        self._checking.observe(one.seconds)

    def _state_scored(self, one: daemons.StateScored) -> None:
        self._scored.labels(one.bounty).set(one.round)
        for name, value in one.metrics.items():
            self._score.labels(one.bounty, name).set(value)

    def _call_made(self, one: doors.CallMade) -> None:
        self._calls.labels(one.outcome).observe(one.seconds)

    def _transaction_sent(self, one: doors.TransactionSent) -> None:
        self._pending.set(1)
        (self._sent if one.attempt == 1 else self._replaced).inc()

    def _transaction_settled(self, one: doors.TransactionSettled) -> None:
        self._pending.set(0)
        self._settled.labels(one.outcome).inc()
        self._gas.inc(one.gas_used)
        self._fees.inc(one.fee)
        if one.outcome in ("mined", "reverted"):
            self._settling.observe(one.seconds)

    def _file_fetched(self, one: doors.FileFetched) -> None:
        self._fetches.observe(one.seconds)
        self._fetched_bytes.inc(one.size_bytes)

    # --- making them ---

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return self._noted(Gauge(f"fedbounty_{name}", text, labels, registry=self.registry), labels)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return self._noted(Counter(f"fedbounty_{name}", text, labels, registry=self.registry), labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"fedbounty_{name}", text, labels, registry=self.registry, buckets=buckets)

    def _noted(self, metric: Made, labels: tuple[str, ...]) -> Made:
        if "bounty" in labels:
            self._with_bounty.append(metric)
        return metric

"""What the demo shows: a live table, a closing table, two pictures, one line of JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ledger.chain import Chain
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.records import BountyId, Claimed, Clock, Event, LapsedClaimed, Refunded

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

TOKEN = 10**18


class LiveTable:
    """The bounty as it goes: a row a round."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._live.is_started:
            self._live.stop()
            if not self._live.console.is_terminal:
                self._live.console.print()  # what comes next starts a line of its own

    def show(self, clock: Clock, events: Sequence[Event]) -> None:
        history = build_history(events)
        table = Table(title=f"bounty {history.bounty}: {clock.phase.name.lower().replace('_', ' ')}")
        for column in ("round", "committed", "revealed", "merged", "paid"):
            table.add_column(column, justify="right")
        for one in history.rounds.values():
            merged = "yes" if one.merged else "lapsed" if one.lapsed else "…"
            paid = f"{one.merged.claim.paid / TOKEN:g}" if one.merged else ""
            table.add_row(str(one.number), str(len(one.commits)), str(len(one.reveals)), merged, paid)
        if not history.rounds:
            table.add_row("–", "", "", f"{len(history.members)} joined", "")
        self._live.update(table)


def live_table() -> LiveTable:
    return LiveTable(Live(console=Console(stderr=True), refresh_per_second=4))


@dataclass(frozen=True)
class Outcome:
    """A finished bounty in figures. `rounds` comes from the audit's report, `gas` is by round, `paid` by account."""

    rounds: list[dict[str, Any]]
    accuracy_start: float
    gas: dict[int, int]
    paid: dict[str, int]
    refunded: int
    escrow_left: int
    audit: str

    def summary(self) -> dict[str, Any]:
        """The demo's last line; amounts in whole tokens."""
        return {
            "rounds": len(self.rounds),
            "updates": sum(one["accepted"] for one in self.rounds),
            "accuracy_start": round(self.accuracy_start, 4),
            "accuracy_final": round(self.rounds[-1]["metrics"]["accuracy"], 4) if self.rounds else None,
            "paid": sum(self.paid.values()) / TOKEN,
            "refunded": self.refunded / TOKEN,
            "escrow_left": self.escrow_left,
            "audit": self.audit,
        }


def outcome(market: Market, bounty: BountyId, report: dict[str, Any]) -> Outcome:
    """Put the chain's record and the audit's report together."""
    history = build_history(market.events(bounty))
    paid: dict[str, int] = defaultdict(int)
    for event in history.events:
        if isinstance(event, Claimed | LapsedClaimed):
            paid[event.provider] += event.amount
    return Outcome(
        rounds=report["rounds"],
        accuracy_start=report["metrics_start"].get("accuracy", 0.0),
        gas=gas_by_round(market.chain, history),
        paid=dict(paid),
        refunded=sum(event.amount for event in history.events if isinstance(event, Refunded)),
        escrow_left=market.money(bounty).escrow,
        audit=report["verdict"],
    )


def gas_by_round(chain: Chain, history: BountyHistory) -> dict[int, int]:
    """Gas of all commits, reveals and the merge of each round."""
    used: dict[int, int] = defaultdict(int)
    for one in history.rounds.values():
        for event in (*one.commits.values(), *one.reveals, *([one.merged] if one.merged else [])):
            used[one.number] += chain.gas_used(event.at.transaction)
    return used


def closing_table(result: Outcome, providers: Sequence[str]) -> Table:
    table = Table(title="the bounty, round by round, as the audit recomputed it")
    for column in ("round", "updates", "rejected", "accuracy", "gas", "bytes", "paid"):
        table.add_column(column, justify="right")
    for one in result.rounds:
        table.add_row(
            str(one["round"]),
            str(one["accepted"]),
            str(one["rejected"]),
            f"{one['metrics']['accuracy']:.4f}",
            f"{result.gas[one['round']]:,}",
            f"{one['bytes']:,}",
            f"{int(one['paid']) / TOKEN:g}",
        )
    table.caption = ", ".join(
        f"provider {i}: {result.paid.get(account, 0) / TOKEN:g}" for i, account in enumerate(providers)
    )
    return table


def draw(result: Outcome, providers: Sequence[str], out: Path) -> None:
    """Save `accuracy.png` and `pay.png`."""
    accuracy = [result.accuracy_start] + [one["metrics"]["accuracy"] for one in result.rounds]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(range(len(accuracy)), accuracy, marker="o", color="#2457a7")
    axes.set(title="Accuracy on the held-out digits", xlabel="merged rounds", ylabel="accuracy", ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axhline(0.93, color="#999999", linestyle="--", linewidth=1)
    axes.annotate(
        f"{accuracy[-1]:.3f}", (len(accuracy) - 1, accuracy[-1]), xytext=(-14, -18), textcoords="offset points"
    )
    axes.grid(alpha=0.3)
    figure.savefig(out / "accuracy.png", dpi=150)
    plt.close(figure)

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    amounts = [result.paid.get(account, 0) / TOKEN for account in providers]
    bars = axes.bar([f"provider {i}\n{account[:8]}…" for i, account in enumerate(providers)], amounts, color="#2457a7")
    axes.bar_label(bars, fmt="%g")
    axes.set(title="Pay by provider", ylabel="tokens")
    figure.savefig(out / "pay.png", dpi=150)
    plt.close(figure)

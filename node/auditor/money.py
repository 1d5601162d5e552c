"""A bounty's money: the replay of its events against the chain, at every block where something changed.

Three things are held against each other: the events against the protocol (`incentives.settlement`), the contract's
purses against the events after each block, and the market's balance of the token against what all of the token's
bounties must hold together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from incentives.payouts import split_round
from incentives.settlement import Settlement, open_settlement, settle_next
from ledger.chain import Block
from ledger.erc20 import Token
from ledger.errors import WrongChain
from ledger.history import BountyHistory, accepted
from ledger.market import Market
from ledger.records import Address, BountyId, Event, Money, Posted, Wei
from node.auditor.report import Books, Difference, Unchecked


@dataclass(frozen=True)
class MoneyFindings:
    """What the money's replay says."""

    books: Books
    differences: tuple[Difference, ...]
    unchecked: tuple[Unchecked, ...]


@dataclass(frozen=True)
class Replay:
    """What follows from the events alone.

    purses: the bounty's, after each block that has an event of it.
    held:   what the market must hold of the bounty's token for all bounties, after each block that changed it.
    """

    settlement: Settlement
    purses: dict[int, Money]
    held: dict[int, int]


def replay(bounty: BountyId, events: Iterable[Event]) -> Replay:
    """Replay a bounty among all those of its market.

    events: of all bounties, in the order of execution, the bounty's own among them.
    """
    ordered = list(events)
    token = next(one.terms.token for one in ordered if isinstance(one, Posted) and one.bounty == bounty)
    standings: dict[BountyId, Settlement] = {}
    purses: dict[int, Money] = {}
    held: dict[int, int] = {}
    total = 0
    for event in ordered:
        if isinstance(event, Posted) and event.terms.token == token:
            before, state = 0, open_settlement(event)
            standings[event.bounty] = state
        elif event.bounty in standings:
            state = standings[event.bounty]
            before = state.held
            settle_next(state, event)
        else:
            continue
        if state.held != before:
            total += state.held - before
            held[event.at.block] = total
        if event.bounty == bounty:
            purses[event.at.block] = Money(Wei(state.owed), Wei(state.free))
    return Replay(standings[bounty], purses, held)


def check_money(market: Market, history: BountyHistory, replayed: Replay, block: Block) -> MoneyFindings:
    """Compare with the chain at every block where something changed, and at `block`.

    Raises: ChainError; what the node can't say any more becomes `unchecked`.
    """
    purses = {**replayed.purses, block.number: list(replayed.purses.values())[-1]}
    held = {**replayed.held, block.number: list(replayed.held.values())[-1]}
    on_chain = market.money_at(history.bounty, sorted(purses))
    balances = _balances(market, history.posted.terms.token, sorted(held))
    books = Books(
        figures=replayed.settlement.figures(),
        changed=len(purses.keys() | held.keys()),
        checked=len(on_chain.keys() | balances.keys()),
        first_checked=min([*on_chain, *balances], default=0),
        held=held[block.number],
        balance=balances.get(block.number),
    )
    differences = (
        *_fault_differences(replayed.settlement),
        *purse_differences(purses, on_chain),
        *balance_differences(held, balances),
        *claim_differences(history, replayed.settlement),
    )
    return MoneyFindings(books, differences, tuple(unchecked_money(books, purses, on_chain, held, balances)))


def _balances(market: Market, token: Address, blocks: Sequence[int]) -> dict[int, Wei]:
    """What the token says that the market holds; nothing if there is no such contract any more."""
    try:
        return Token(market.chain, token).balances_at(market.address, blocks)
    except WrongChain:
        return {}


def purse_differences(expected: Mapping[int, Money], on_chain: Mapping[int, Money]) -> list[Difference]:
    """Where each of the contract's two purses first differs from the replay."""
    found = []
    for purse in ("owed", "free"):
        for number, money in sorted(on_chain.items()):
            claimed, ours = getattr(money, purse), getattr(expected[number], purse)
            if claimed != ours:
                found.append(Difference(0, f"money ({purse}, after block {number})", str(claimed), str(ours)))
                break
    return found


def balance_differences(held: Mapping[int, int], balances: Mapping[int, Wei]) -> list[Difference]:
    """Where the market first held less than it must. It may hold more: anyone can send it tokens."""
    for number, balance in sorted(balances.items()):
        if balance < held[number]:
            what = f"money (the market's balance after block {number})"
            return [Difference(0, what, str(balance), f"at least {held[number]}")]
    return []


def _fault_differences(settlement: Settlement) -> list[Difference]:
    """Events that the protocol does not allow where they stand."""
    return [
        Difference(
            getattr(fault.event, "round", 0),
            f"money ({fault.what}, {type(fault.event).__name__} in block {fault.event.at.block})",
            str(fault.claimed),
            str(fault.expected),
        )
        for fault in settlement.faults
    ]


def claim_differences(history: BountyHistory, settlement: Settlement) -> list[Difference]:
    """Providers whose claims add up to no amount that a merged round's payout tree gave them."""
    totals: dict[Address, int] = {}
    given: dict[Address, set[int]] = {}
    for one in history.merged_rounds:
        if one.merged is None:
            continue
        counted = accepted(one.merged, one.reveals)
        parts = split_round(history.posted.terms, one.number, counted).parts
        for reveal, amount in zip(counted, parts, strict=True):
            totals[reveal.provider] = totals.get(reveal.provider, 0) + amount
            given.setdefault(reveal.provider, set()).add(totals[reveal.provider])
    return [
        Difference(0, f"money (claims of {account})", str(claimed), f"one of {sorted(given.get(account, set()))}")
        for account, claimed in settlement.claimed.items()
        if claimed and claimed not in given.get(account, set())
    ]


def unchecked_money(
    books: Books,
    purses: Mapping[int, Money],
    on_chain: Mapping[int, Money],
    held: Mapping[int, int],
    balances: Mapping[int, Wei],
) -> Iterable[Unchecked]:
    """What the node would not say. No answer at the newest block can't be for want of history."""
    if len(on_chain) < len(purses) or 0 < len(balances) < len(held):
        left = books.changed - books.checked
        yield Unchecked(
            f"money in {left} of {books.changed} blocks where it changed: no history, since the node keeps no states "
            f"before block {books.first_checked} (an archive node has them)",
            "the contract's code, whose events add up",
        )
    if not balances:
        yield Unchecked("the market's token balance: the token does not answer", "the token's contract")

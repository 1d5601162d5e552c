"""An account's page: what it did in every bounty, as owner, aggregator, provider or evaluator. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from incentives.settlement import settle
from ledger.history import BountyHistory
from ledger.records import Address, BountyId, Joined, Merged, MergeVoided, Terms, Timestamp
from node.explorer.earnings import ProviderPay, provider_pay
from node.explorer.happenings import Happening, happening, involves
from node.explorer.overview import Stage, stage_of
from node.explorer.round_page import UpdateLine, round_page
from node.explorer.scoring import EvaluatorLine, Scoring, happened

MOST_HAPPENINGS = 40


@dataclass(frozen=True)
class KnownBounty:
    """name: by its manifest, empty while that is not at hand; scoring: None where pay is not by contribution."""

    history: BountyHistory
    name: str = ""
    scoring: Scoring | None = None


@dataclass(frozen=True)
class UpdateOfRound:
    round: int
    line: UpdateLine


@dataclass(frozen=True)
class Part:
    """What the account does in one bounty.

    roles:  among `owner`, `aggregator`, `provider`, `evaluator`, `prover`.
    joined: its latest, with the address and the key that it announced.
    seat:   in the panel.
    merges: rounds that it merged; voided: how many of these merges were proven wrong.
    """

    bounty: BountyId
    name: str
    stage: Stage
    roles: tuple[str, ...]
    terms: Terms
    joined: Joined | None
    pay: ProviderPay | None
    seat: EvaluatorLine | None
    updates: tuple[UpdateOfRound, ...]
    merges: tuple[int, ...]
    voided: int


@dataclass(frozen=True)
class AccountPage:
    account: Address
    parts: tuple[Part, ...]
    happenings: tuple[Happening, ...]
    more_happenings: int

    @property
    def earned(self) -> int:
        """As provider and as evaluator."""
        fees = sum(part.seat.fees for part in self.parts if part.seat)
        return fees + sum(part.pay.earned for part in self.parts if part.pay)

    @property
    def claimed(self) -> int:
        fees = sum(part.seat.fees - part.seat.owed for part in self.parts if part.seat)
        return fees + sum(part.pay.claimed + part.pay.lapsed for part in self.parts if part.pay)

    @property
    def staked(self) -> int:
        bonds = sum(part.seat.bond for part in self.parts if part.seat)
        return bonds + sum(part.pay.stake for part in self.parts if part.pay)

    @property
    def updates(self) -> int:
        return sum(len(part.updates) for part in self.parts)


def account_page(account: Address, bounties: Iterable[KnownBounty], now: Timestamp) -> AccountPage:
    """bounties: all that there are."""
    parts, events = [], []
    for known in bounties:
        roles = _roles(known, account)
        own = [event for event in happened(known.history, known.scoring) if involves(event, account)]
        if roles or own:
            parts.append(_part(account, known, roles, now))
            events += own
    newest = sorted(events, key=lambda event: (event.at.block, event.at.log_index), reverse=True)
    shown = tuple(happening(event) for event in newest[:MOST_HAPPENINGS])
    return AccountPage(account, tuple(reversed(parts)), shown, len(newest) - len(shown))


def _roles(known: KnownBounty, account: Address) -> tuple[str, ...]:
    history = known.history
    played = (
        ("owner", history.posted.owner == account),
        ("aggregator", history.posted.terms.aggregator == account or bool(_merges(history, account))),
        ("provider", any(member.provider == account for member in history.members)),
        ("evaluator", known.scoring is not None and known.scoring.seat(account) is not None),
        ("prover", any(isinstance(event, MergeVoided) and event.prover == account for event in history.events)),
    )
    return tuple(name for name, played_it in played if played_it)


def _merges(history: BountyHistory, account: Address) -> tuple[int, ...]:
    return tuple(event.round for event in history.events if isinstance(event, Merged) and event.aggregator == account)


def _part(account: Address, known: KnownBounty, roles: tuple[str, ...], now: Timestamp) -> Part:
    history, scoring = known.history, known.scoring
    joined = next((member for member in history.members if member.provider == account), None)
    pay = None
    if joined is not None:
        accounts = provider_pay(history, settle(history.events), now, scoring)
        pay = next(one for one in accounts if one.provider == account)
    voids = [event for event in history.events if isinstance(event, MergeVoided) and event.aggregator == account]
    return Part(
        bounty=history.bounty,
        name=known.name,
        stage=stage_of(history),
        roles=roles,
        terms=history.posted.terms,
        joined=joined,
        pay=pay,
        seat=scoring.seat(account) if scoring else None,
        updates=tuple(_updates(known, account)),
        merges=_merges(history, account),
        voided=len(voids),
    )


def _updates(known: KnownBounty, account: Address) -> Iterable[UpdateOfRound]:
    for number, one in sorted(known.history.rounds.items()):
        if one.reveal_of(account) is not None:
            for line in round_page(known.history, number, None, known.scoring).updates:
                if line.reveal.provider == account:
                    yield UpdateOfRound(number, line)

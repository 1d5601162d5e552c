"""What is an account's own in a bounty but can't be taken out yet: how much, from when, and what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.records import Phase, Timestamp, Wei
from ledger.score_records import ScorePhase
from node.claiming.decisions import Own
from node.claiming.view import ClaimView
from node.explaining.stakes import stake_free_at
from node.provider.view import vested_total
from node.scored_rounds import pending

_STEPS = {
    ScorePhase.WAITING: "its merge can still be proven wrong",
    ScorePhase.COMMIT: "evaluators measure it, until then at the latest; then they open their reports",
    ScorePhase.REVEAL: "evaluators open their reports, until then at the latest",
    ScorePhase.DUE: "it can be divided now",
}


@dataclass(frozen=True)
class Waiting:
    """Something that the account can't take yet.

    amount:  None where it is not known yet.
    free_at: when that changes by time alone; None where time alone does not.
    """

    own: Own
    amount: Wei | None
    free_at: Timestamp | None
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"what": self.own.value, "amount": self.amount, "free_at": self.free_at, "why": self.why}


def waiting(view: ClaimView) -> list[Waiting]:
    """All that the account will, or may, be able to take later."""
    return [*_pay(view), *_scored(view), *_stake(view), *_bond(view), *_seat(view), *_owners(view)]


def _pay(view: ClaimView) -> Iterator[Waiting]:
    """What merges gave by their payout trees, by the time at which it vests."""
    provider, history = view.provider, view.provider.history
    before = provider.vested_total
    later = {one.merged.vests_at for one in history.merged_rounds if one.merged and one.merged.vests_at > provider.now}
    for moment in sorted(later):
        total = vested_total(history, provider.account, moment)
        if total > before:
            yield Waiting(Own.PAY, Wei(total - before), moment, "until then a merge can be proven wrong")
        before = total


def _scored(view: ClaimView) -> Iterator[Waiting]:
    provider = view.provider
    if provider.scoring is None:
        return
    for number, phase in pending(provider.scoring, provider.history, provider.account).items():
        moment = provider.scoring.clocks[number].ends_at
        yield Waiting(Own.SCORED, None, moment or None, f"round {number}: {_STEPS[phase]}")


def _stake(view: ClaimView) -> Iterator[Waiting]:
    provider = view.provider
    stake, free_at = provider.standing.stake, stake_free_at(provider)
    if not stake:
        return
    if free_at is None:
        command = f"`fedbounty leave {provider.history.bounty}`"
        yield Waiting(Own.STAKE, stake, None, f"free after the end, or some time after {command}")
    elif free_at > provider.now:
        yield Waiting(Own.STAKE, stake, free_at, "until then what you did can be challenged")


def _bond(view: ClaimView) -> Iterator[Waiting]:
    if not view.bond:
        return
    if not view.is_over:
        yield Waiting(Own.BOND, view.bond, None, "it stays while the bounty runs")
    elif view.bond_free_at > view.provider.now:
        yield Waiting(Own.BOND, view.bond, view.bond_free_at, "until then a merge can be proven wrong")


def _seat(view: ClaimView) -> Iterator[Waiting]:
    seat, scoring = view.seat, view.provider.scoring
    if seat is None or scoring is None:
        return
    if seat.open:
        why = f"{seat.open} of your reports wait for their rounds to be settled"
        yield Waiting(Own.FEES, None, None, why)
    if not seat.bond:
        return
    if not view.is_over:
        yield Waiting(Own.EVALUATOR_BOND, seat.bond, None, "it stays while the bounty runs: it covers your reports")
    elif not scoring.is_settled or seat.open:
        yield Waiting(Own.EVALUATOR_BOND, seat.bond, None, f"{_undivided(view)} not divided yet")


def _owners(view: ClaimView) -> Iterator[Waiting]:
    if not view.is_owner:
        return
    provider = view.provider
    phase, bounty = provider.clock.phase, provider.history.bounty
    vests_at = provider.history.last_vests_at
    if phase == Phase.JOINING:
        why = f"rounds are paid of it; until the first opens, `fedbounty bounty cancel {bounty}` takes it back"
        yield Waiting(Own.REFUND, view.money.free, None, why)
    elif not view.is_over and view.money.free:
        yield Waiting(Own.REFUND, view.money.free, None, "rounds to come are paid of it; what is left after the end")
    elif phase == Phase.ENDED and view.money.free and vests_at > provider.now:
        yield Waiting(Own.REFUND, view.money.free, vests_at, "until then a merge can be proven wrong")
    if provider.scoring is not None and not provider.scoring.is_settled:
        yield Waiting(Own.REST, None, None, f"{_undivided(view)} not divided yet")


def _undivided(view: ClaimView) -> str:
    """Rounds 1, 2 and 5 -> `rounds 1, 2, 5 are`."""
    assert view.provider.scoring is not None
    clocks = view.provider.scoring.clocks
    numbers = [str(number) for number, clock in sorted(clocks.items()) if clock.phase != ScorePhase.SETTLED]
    return f"round {numbers[0]} is" if len(numbers) == 1 else f"rounds {', '.join(numbers)} are"

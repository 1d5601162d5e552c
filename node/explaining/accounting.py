"""A provider's receipt from one look at the chain: replayed, divided and compared. Pure.

docs/PROTOCOL.md, sections 6 and 7. The rules themselves are those of `incentives`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from incentives.payouts import cumulative_payouts, expected_paid
from incentives.rewards import divisor_of, weight_of
from incentives.settlement import Settlement, open_settlement, settle_next
from incentives.shares import lapsed_share, round_share
from ledger.commitments import payout_root, payout_tree
from ledger.errors import BadInput
from ledger.history import BountyHistory, RoundHistory, accepted, rejections
from ledger.merge_records import KeptMerge
from ledger.records import (
    Address,
    BondForfeited,
    BountyId,
    Committed,
    LapsedClaimed,
    Merged,
    Phase,
    Revealed,
    StakeForfeited,
    Timestamp,
    UpdateDisqualified,
    Wei,
)
from ledger.score_records import ScorePhase
from node.explaining.receipt import Check, Division, Outcome, Receipt, RoundReceipt
from node.explaining.scoring import score_checks, scored_claims, scored_division
from node.explaining.stakes import stake_receipt
from node.provider.decisions import Claim, ClaimLapsed, ClaimScored, ProviderView, claims
from node.robustness import certain_shortfall
from node.scored_rounds import pending

NOTHING = "nothing"
_MERGING = (Phase.MERGE, Phase.OPEN_MERGE)
_OVER = (Phase.ENDED, Phase.CANCELLED)


class UnknownRound(BadInput):
    def __init__(self, bounty: int, number: int, opened: int) -> None:
        self.bounty, self.number, self.opened = bounty, number, opened
        there = f"It has rounds 1 .. {opened}" if opened else "No round has been opened"
        super().__init__(f"Bounty {bounty} has no round {number}. {there} so far.")


@dataclass(frozen=True)
class Replayed:
    """What the events say: the standing after them, and what the provider had locked at each of its commits."""

    settlement: Settlement
    stakes: Mapping[int, Wei]


def seat_of(history: BountyHistory, account: Address) -> int | None:
    """The account's member index; None if it never joined."""
    return next((member.index for member in history.members if member.provider == account), None)


def check_round(history: BountyHistory, number: int) -> None:
    """Raises: UnknownRound."""
    if number not in history.rounds:
        raise UnknownRound(history.bounty, number, len(history.rounds))


def make_receipt(view: ProviderView, kept: Mapping[int, KeptMerge], number: int | None = None) -> Receipt:
    """The receipt of the view's account, which has a seat.

    kept:   what the market keeps of each merge, at the view's block.
    number: the only round to show; None for all. Totals are of all rounds anyway.
    Raises: UnknownRound.
    """
    history = view.history
    seat = seat_of(history, view.account)
    if seat is None:
        raise ValueError(f"{view.account} never joined bounty {history.bounty}")
    if number is not None:
        check_round(history, number)
    replayed = _replay(history, view.account)
    rounds = [_round_receipt(view, one, replayed.stakes.get(one.number)) for one in history.rounds.values()]
    shown = [
        replace(one, checks=(*one.checks, *_merge_checks(view, one, seat, kept.get(one.round))))
        for one in rounds
        if number in (None, one.round)
    ]
    cumulated = _with_cumulative(rounds, view.scoring is not None)
    unvested = _unvested(rounds, view.now)
    earned = sum(one.amount for one in rounds if one.vests_at)
    claimable, claimable_lapsed = _claimable(view)
    receipt = Receipt(
        bounty=history.bounty,
        provider=view.account,
        seat=seat,
        now=view.now,
        rule=view.terms.reward_rule,
        rounds=tuple(replace(one, cumulative=cumulated.get(one.round)) for one in shown),
        earned=Wei(earned),
        vested=Wei(earned - sum(amount for _, amount in unvested)),
        unvested=unvested,
        claimed=Wei(view.standing.claimed + scored_claims(view.scoring, view.account)),
        claimed_lapsed=Wei(sum(one.taken for one in rounds)),
        claimable=claimable,
        claimable_lapsed=claimable_lapsed,
        stake=stake_receipt(view, rounds),
        checks=tuple(_account_checks(view, replayed.settlement, cumulated)),
        steps=(),
    )
    return replace(receipt, steps=tuple(_steps(view, receipt)))


def _replay(history: BountyHistory, account: Address) -> Replayed:
    state = open_settlement(history.posted)
    stakes: dict[int, Wei] = {}
    for event in history.events[1:]:
        if isinstance(event, Committed) and event.provider == account and account in state.seats:
            stakes[event.round] = Wei(state.seats[account].stake)
        settle_next(state, event)
    return Replayed(state, stakes)


# --- one round ---


def _round_receipt(view: ProviderView, one: RoundHistory, stake: Wei | None) -> RoundReceipt:
    mine = one.reveal_of(view.account)
    outcome = _outcome(view, one, mine)
    reason = None
    if one.merged is not None and mine is not None:
        reason = {shown.index: given for shown, given in rejections(one.merged, one.reveals)}.get(mine.index)
    division = _division(view, one, mine, outcome)
    events = [event for event in view.history.events if getattr(event, "round", None) == one.number]
    own = [event for event in events if getattr(event, "provider", None) == view.account]
    return RoundReceipt(
        round=one.number,
        state="interrupted" if one.interrupted and one.state == "running" else one.state,
        outcome=outcome,
        stake=stake,
        revealed=mine,
        division=division,
        reason=reason,
        vests_at=one.merged.vests_at if one.merged and division else Timestamp(0),
        taken=Wei(sum(event.amount for event in own if isinstance(event, LapsedClaimed))),
        forfeited=Wei(sum(event.amount for event in own if isinstance(event, StakeForfeited))),
        seized=Wei(sum(event.stake for event in own if isinstance(event, UpdateDisqualified))),
        voided=len(one.voided),
        note=certain_shortfall(view.terms, len(accepted(one.merged, one.reveals))) if one.merged else "",
        checks=tuple(_own_checks(view, one, mine, stake)),
    )


def _outcome(view: ProviderView, one: RoundHistory, mine: Revealed | None) -> Outcome:
    if mine is None:
        return _outcome_without_update(view, one)
    if mine.index in one.disqualified:
        return Outcome.DISQUALIFIED
    if one.merged is not None:
        return Outcome.REJECTED if one.merged.claim.rejected >> mine.index & 1 else Outcome.ACCEPTED
    if one.lapsed is not None:
        return Outcome.LAPSED
    return Outcome.UNSETTLED if _has_passed(view, one) else Outcome.WAITING


def _outcome_without_update(view: ProviderView, one: RoundHistory) -> Outcome:
    if view.account not in one.commits:
        return Outcome.ABSENT
    if one.interrupted:
        return Outcome.INTERRUPTED
    if len(one.commits) < view.terms.min_updates:
        return Outcome.EXPIRED if _has_passed(view, one) else Outcome.COMMITTED
    settled = one.merged is not None or one.lapsed is not None or bool(one.voided)
    merging = one.number == view.clock.round and view.clock.phase in _MERGING
    return Outcome.UNREVEALED if settled or merging or _has_passed(view, one) else Outcome.COMMITTED


def _has_passed(view: ProviderView, one: RoundHistory) -> bool:
    """Whether the clock has left a round, though no event may say so yet."""
    return view.clock.phase in _OVER or (view.clock.round > one.number and not one.voided)


def _division(view: ProviderView, one: RoundHistory, mine: Revealed | None, outcome: Outcome) -> Division | None:
    """How the update was paid, or None."""
    if mine is None:
        return None
    share = round_share(view.terms, one.number)
    if one.merged is not None:
        counted = accepted(one.merged, one.reveals)
        if mine not in counted:
            return None
        if view.scoring is not None:
            return scored_division(view.scoring, one, mine, len(counted))
        divisor = divisor_of([reveal.weight for reveal in counted], view.history.posted.terms.min_updates)
        return Division(share, mine.weight, divisor, len(counted))
    if outcome not in (Outcome.LAPSED, Outcome.UNSETTLED):
        return None
    bond = _lapsed_bond(view, one)
    parts = max(len(one.reveals), view.terms.min_updates)
    return Division(Wei(share + bond), 1, parts, len(one.reveals), bond)


def _lapsed_bond(view: ProviderView, one: RoundHistory) -> Wei:
    """What a silent aggregator lost to the round; before that is written down, what it will lose."""
    if one.lapsed is not None:
        lost = [event for event in view.history.events if isinstance(event, BondForfeited)]
        return Wei(sum(event.amount for event in lost if event.round == one.number))
    silent = len(one.reveals) >= view.terms.min_updates and not one.voided
    return view.terms.bond if silent else Wei(0)


# --- held to the chain ---


def _own_checks(view: ProviderView, one: RoundHistory, mine: Revealed | None, stake: Wei | None) -> list[Check]:
    """What the events say of the provider's update and of a lapse, against the rules."""
    checks = []
    if mine is not None and stake is not None:
        checks.append(Check("weight", str(weight_of(stake, view.terms)), str(mine.weight)))
    if mine is not None and one.lapsed is not None:
        share = lapsed_share(view.terms, one.number, len(one.reveals), _lapsed_bond(view, one))
        checks.append(Check("share of the lapsed round", str(share), str(one.lapsed.share)))
    return checks


def _merge_checks(view: ProviderView, one: RoundReceipt, seat: int, kept: KeptMerge | None) -> list[Check]:
    """A standing merge's payout root and sum, against what the market keeps."""
    merged = view.history.rounds[one.round].merged
    if merged is None:
        return []
    recorded = "0x" + kept.payout_root.hex() if kept else NOTHING
    root = recomputed_root(view.history, merged)
    length = len(kept.payout_root) if kept else len(root)
    paid = str(kept.paid) if kept else NOTHING
    return [
        Check("payout root", "0x" + root[:length].hex(), recorded),
        Check("paid by the round", str(expected_paid(view.history, one.round)), paid),
        *score_checks(view.scoring, view.history, merged, view.account),
    ]


def recomputed_root(history: BountyHistory, merged: Merged) -> bytes:
    """The payout root that follows from the events; no bytes where no tree does, since nobody has a leaf."""
    payouts = cumulative_payouts(history, merged.round)
    return payout_root(payout_tree(payouts)) if payouts else b""


def _account_checks(view: ProviderView, settlement: Settlement, cumulated: Mapping[int, Wei]) -> list[Check]:
    claimed = view.standing.claimed
    given = max(amount for amount in (0, *cumulated.values()) if amount <= claimed)
    return [
        Check("sum of all claims", str(settlement.claimed.get(view.account, 0)), str(claimed)),
        Check("claimed by a payout tree", str(given), str(claimed)),
        Check("stake", str(settlement.seats[view.account].stake), str(view.standing.stake)),
        Check("events that the protocol does not allow", "0", str(len(settlement.faults))),
    ]


# --- sums ---


def _with_cumulative(rounds: list[RoundReceipt], by_contribution: bool) -> dict[int, Wei]:
    """The provider's cumulative pay by payout trees after each merged round."""
    total, found = 0, {}
    for one in rounds:
        if one.state == "merged":
            total += 0 if by_contribution else one.amount
            found[one.round] = Wei(total)
    return found


def _unvested(rounds: list[RoundReceipt], now: Timestamp) -> tuple[tuple[Timestamp, Wei], ...]:
    later: dict[Timestamp, int] = {}
    for one in rounds:
        if one.vests_at > now and one.amount:
            later[one.vests_at] = later.get(one.vests_at, 0) + one.amount
    return tuple((moment, Wei(amount)) for moment, amount in sorted(later.items()))


def _claimable(view: ProviderView) -> tuple[Wei, Wei]:
    """What claims would pay now: from the latest vested tree, and from lapsed rounds."""
    tree, lapsed = 0, 0
    for action in claims(view):
        match action:
            case Claim(cumulative=cumulative):
                tree += cumulative - view.standing.claimed
            case ClaimLapsed(round=number):
                shared = view.history.rounds[number].lapsed
                lapsed += shared.share if shared else 0
            case ClaimScored(due=due):
                tree += due.amount
    return Wei(tree), Wei(lapsed)


def _steps(view: ProviderView, receipt: Receipt) -> list[tuple[str, str]]:
    """What the provider can do now, and the command for it."""
    bounty, steps = receipt.bounty, []
    stake = receipt.stake
    is_free = stake.locked > 0 and stake.free_at is not None and stake.free_at <= view.now
    waiting = pending(view.scoring, view.history, view.account) if view.scoring else {}
    if ScorePhase.DUE in waiting.values():
        steps.append(("have a round divided by contribution, then claim it", f"fedbounty claim {bounty}"))
    if receipt.claimable or receipt.claimable_lapsed:
        steps.append(("claim your pay", f"fedbounty claim {bounty}"))
    if is_free:
        steps.append(("take your stake back", f"fedbounty claim {bounty}"))
    if any(one.outcome == Outcome.UNSETTLED for one in receipt.rounds):
        steps.append(("have the lapse written down, and claim its share", f"fedbounty claim {bounty}"))
    if receipt.differences:
        steps.append(("prove what differs, and take the bond", audit_command(bounty)))
    return steps


def audit_command(bounty: BountyId) -> str:
    """What proves to the contract that a record is wrong."""
    return f"fedbounty audit {bounty} --challenge"

"""What collecting and leaving do on chain; shared by the daemon and the command `claim`."""

from __future__ import annotations

import structlog

from incentives.payouts import cumulative_payouts, entitlement
from ledger.commitments import payout_root, payout_tree
from ledger.errors import ProtocolFault
from ledger.history import BountyHistory
from ledger.merge_records import record_of
from ledger.scores import Scores, ScoreWriter
from ledger.transactions import Receipt
from node.connections import Account, spent
from node.provider.decisions import (
    Claim,
    ClaimLapsed,
    ClaimScored,
    Collection,
    Forfeit,
    Leave,
    SettleScored,
    WithdrawStake,
)

log = structlog.get_logger()


class WrongPayoutRoot(ProtocolFault):
    """The aggregator's payout tree is not the one that follows from the chain."""

    def __init__(self, bounty: int, round_number: int, claimed: bytes, expected: bytes) -> None:
        self.bounty, self.round, self.claimed, self.expected = bounty, round_number, claimed, expected
        super().__init__(
            f"Round {round_number} of bounty {bounty} records the payout root 0x{claimed.hex()}, but "
            f"0x{expected.hex()} "
            f"follows from the chain; nothing was claimed. `fedbounty audit {bounty}` shows what is wrong."
        )


def collect(account: Account, history: BountyHistory, action: Collection) -> None:
    """Perform one of the effects by which a provider takes out what is its own."""
    bounty, writer = history.bounty, account.writer
    match action:
        case Claim(merged, cumulative):
            payouts = cumulative_payouts(history, merged.round)
            root = payout_root(payout_tree(payouts))
            if root != merged.claim.payout_root:
                raise WrongPayoutRoot(bounty, merged.round, merged.claim.payout_root, root)
            receipt = writer.claim(bounty, merged, cumulative, entitlement(payouts, writer.account).proof)
            log.info("claimed", bounty=bounty, round=merged.round, cumulative=cumulative, **spent(receipt))
        case ClaimLapsed(round_number, root):
            receipt = writer.claim_lapsed(bounty, round_number, root)
            log.info("claimed_lapsed", bounty=bounty, round=round_number, **spent(receipt))
        case Forfeit():
            receipt = writer.forfeit(bounty, writer.account)
            log.warning("forfeited", bounty=bounty, **spent(receipt))
        case SettleScored(round_number):
            receipt = settle_round(account, history, round_number)
            log.info("settled", bounty=bounty, round=round_number, **spent(receipt))
        case ClaimScored(due):
            receipt = _score_writer(account).claim(bounty, due.round, due.revealed.update_root)
            log.info("claimed_scored", bounty=bounty, round=due.round, amount=due.amount, **spent(receipt))
        case Leave():
            receipt = writer.leave(bounty)
            log.info("left", bounty=bounty, **spent(receipt))
        case WithdrawStake():
            receipt = writer.withdraw_stake(bounty)
            log.info("stake_withdrawn", bounty=bounty, **spent(receipt))


def settle_round(account: Account, history: BountyHistory, number: int) -> Receipt:
    """Divide a round by what its evaluators opened."""
    writer, merged = _score_writer(account), history.rounds[number].merged
    assert merged is not None, "only merged rounds are divided"
    reports = writer.scores.history(history.bounty).shown_reports(number)
    return writer.settle(history.bounty, number, record_of(merged), reports)


def _score_writer(account: Account) -> ScoreWriter:
    market = account.writer.market
    return ScoreWriter(Scores(market.chain, market.scores()), account.transactor)

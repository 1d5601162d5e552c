"""What collecting and leaving do on chain; shared by the daemon and the command `claim`."""

from __future__ import annotations

import structlog

from incentives.payouts import cumulative_payouts, entitlement
from ledger.commitments import payout_root, payout_tree
from ledger.errors import ProtocolFault
from ledger.history import BountyHistory
from ledger.market import MarketWriter
from node.connections import spent
from node.provider.decisions import Claim, ClaimLapsed, Collection, Forfeit, Leave, WithdrawStake

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


def collect(writer: MarketWriter, history: BountyHistory, action: Collection) -> None:
    """Perform one of the effects by which a provider takes out what is its own."""
    bounty = history.bounty
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
        case Leave():
            receipt = writer.leave(bounty)
            log.info("left", bounty=bounty, **spent(receipt))
        case WithdrawStake():
            receipt = writer.withdraw_stake(bounty)
            log.info("stake_withdrawn", bounty=bounty, **spent(receipt))

"""Taking out what is an account's own: one transaction an action."""

from __future__ import annotations

import structlog

from ledger.scores import Scores, ScoreWriter
from node.aggregator.decisions import Refund, Settle, WithdrawBond
from node.claiming.decisions import Action, ReturnRest, Taking, takings, undivided, unwritten
from node.claiming.view import ClaimView, observe_claims
from node.connections import Account, spent
from node.provider.effects import collect
from node.scorer.decisions import Collect, Withdraw

log = structlog.get_logger()


def take_all(account: Account, view: ClaimView) -> tuple[list[Taking], list[int]]:
    """Take out all that is the account's own: what was taken, and the rounds that were divided for it.

    Raises: WrongPayoutRoot when all but the pay of a wrong payout tree was taken.
    """
    for settle in unwritten(view):
        perform(account, view, settle)
        view = _again(account, view)
    divided = undivided(view)
    for division in divided:
        perform(account, view, division)
    found = takings(_again(account, view) if divided else view)
    for taking in found:
        perform(account, view, taking.action)
    return found, [one.round for one in divided]


def _again(account: Account, view: ClaimView) -> ClaimView:
    provider = view.provider
    return observe_claims(account.writer.market, provider.history.bounty, provider.terms, provider.account)


def perform(account: Account, view: ClaimView, action: Action) -> None:
    """Perform one action, with a line in the log."""
    history, writer = view.provider.history, account.writer
    bounty = history.bounty
    match action:
        case Settle():
            log.info("settled", bounty=bounty, **spent(writer.settle(bounty)))
        case Refund():
            log.info("refunded", bounty=bounty, **spent(writer.refund(bounty)))
        case WithdrawBond():
            log.info("bond_withdrawn", bounty=bounty, **spent(writer.withdraw_bond(bounty)))
        case Collect():
            log.info("fees_collected", bounty=bounty, **spent(_scores(account).collect_fees(bounty)))
        case Withdraw():
            log.info("evaluator_bond_withdrawn", bounty=bounty, **spent(_scores(account).withdraw_bond(bounty)))
        case ReturnRest():
            log.info("rest_returned", bounty=bounty, **spent(_scores(account).return_rest(bounty)))
        case _:
            collect(account, history, action)


def _scores(account: Account) -> ScoreWriter:
    market = account.writer.market
    return ScoreWriter(Scores(market.chain, market.scores()), account.transactor)

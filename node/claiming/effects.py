"""Taking out what is an account's own: one transaction an action."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from ledger.errors import Reverted
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

    Most of these calls are anyone's, so others may be faster: a refusal stops nothing, and is an error only where what
    it was about is still the account's to take.
    Raises: Reverted; WrongPayoutRoot, when all but the pay of a wrong payout tree was taken.
    """
    settles = unwritten(view)
    if settles:
        _try_all(account, view, settles)
        view = _again(account, view)
    divisions = undivided(view)
    divided = _try_all(account, view, divisions)[0]
    if divisions:
        view = _again(account, view)
    found = takings(view)
    done, refusals = _try_all(account, view, [one.action for one in found])
    if refusals:
        left = [one.action for one in takings(_again(account, view))]
        for action, error in refusals:
            if action in left:
                raise error
    taken = [one for one in found if one.action in done]
    return taken, [action.round for action in divisions if action in divided]


def _try_all(
    account: Account, view: ClaimView, actions: Sequence[Action]
) -> tuple[list[Action], list[tuple[Action, Reverted]]]:
    """Perform actions: those that worked, and those that the contract refused."""
    done: list[Action] = []
    refusals: list[tuple[Action, Reverted]] = []
    for action in actions:
        try:
            perform(account, view, action)
        except Reverted as error:
            log.warning("refused", action=type(action).__name__, error=str(error))
            refusals.append((action, error))
        else:
            done.append(action)
    return done, refusals


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

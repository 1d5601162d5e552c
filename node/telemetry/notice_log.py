"""The notices that are worth a log line of their own; daemons log their effects themselves."""

from __future__ import annotations

import structlog

from ledger.evaluation_records import EvaluationClock
from ledger.notices import (
    CallRepeated,
    FetchFailed,
    FileFetched,
    Notice,
    TransactionFound,
    TransactionSent,
    TransactionSettled,
)
from ledger.records import Clock, Timestamp
from node.notices import BountySeen, EpochTrained, EvaluationSeen, UpdatesVerified

log = structlog.get_logger()


class NoticeLog:
    """An observer that logs. Phases once when they change; sendings and fetches as details (`--verbose`)."""

    def __init__(self) -> None:
        self._phases: dict[tuple[tuple[str, int], ...], tuple[int, ...]] = {}

    def __call__(self, notice: Notice) -> None:
        match notice:
            case BountySeen(bounty, now, clock):
                self._say_phase({"bounty": bounty}, {"round": clock.round}, clock, now)
            case EvaluationSeen(number, now, clock):
                self._say_phase({"evaluation": number}, {}, clock, now)
            case UpdatesVerified(bounty, number, accepted, rejected, seconds):
                where = {"bounty": bounty, "round": number}
                log.info("verified", **where, accepted=accepted, rejected=dict(rejected), seconds=round(seconds, 3))
            case TransactionFound() | TransactionSent() | TransactionSettled():
                _say_transaction(notice)
            case _:
                _say_detail(notice)

    def _say_phase(
        self, what: dict[str, int], where: dict[str, int], clock: Clock | EvaluationClock, now: Timestamp
    ) -> None:
        """Once each time that it changes; `ends_in_seconds` is null where time does not end it."""
        key, at = tuple(what.items()), (clock.phase, *where.values())
        if self._phases.get(key) != at:
            self._phases[key] = at
            ends_in = clock.ends_at - now if clock.ends_at else None
            log.info("phase", **what, **where, phase=clock.phase.name.lower(), ends_in_seconds=ends_in)


def _say_transaction(notice: TransactionFound | TransactionSent | TransactionSettled) -> None:
    """A detail while all goes well: the effect has a line of its own."""
    match notice:
        case TransactionFound(action, transaction, nonce):
            log.warning("found_open", action=action, transaction=transaction, nonce=nonce)
        case TransactionSent(action, transaction, nonce, 1):
            log.debug("sent", action=action, transaction=transaction, nonce=nonce)
        case TransactionSent(action, transaction, nonce, attempt):
            log.warning("replaced", action=action, transaction=transaction, nonce=nonce, attempt=attempt)
        case TransactionSettled(action, outcome, transaction, gas, fee, seconds):
            said = log.debug if outcome == "mined" else log.warning
            cost = {"gas": gas, "fee_wei": fee, "seconds": round(seconds, 3)}
            said(outcome, action=action, transaction=transaction, **cost)


def _say_detail(notice: Notice) -> None:
    match notice:
        case EpochTrained(bounty, number, epoch, _, loss):
            log.debug("epoch", bounty=bounty, round=number, epoch=epoch, loss=loss)
        case FileFetched(cid, size, seconds):
            log.debug("fetched", cid=cid, bytes=size, seconds=round(seconds, 3))
        case FetchFailed(cid, error, seconds):
            log.debug("not_fetched", cid=cid, error=error, seconds=round(seconds, 3))
        case CallRepeated():
            log.debug("call_repeated")

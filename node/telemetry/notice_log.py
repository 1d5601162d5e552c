"""The notices that are worth a log line of their own; daemons log their effects themselves."""

from __future__ import annotations

import structlog

from ledger.evaluation_records import EvaluationPhase
from ledger.notices import CallRepeated, FetchFailed, FileFetched, Notice, TransactionSent, TransactionSettled
from ledger.records import Phase
from node.notices import BountySeen, EpochTrained, EvaluationSeen, UpdatesVerified

log = structlog.get_logger()


class NoticeLog:
    """An observer that logs. Phases once when they change; sendings and fetches as details (`--verbose`)."""

    def __init__(self) -> None:
        self._phases: dict[int, tuple[Phase, int]] = {}
        self._evaluations: dict[int, EvaluationPhase] = {}

    def __call__(self, notice: Notice) -> None:
        match notice:
            case BountySeen(bounty, now, clock):
                if self._phases.get(bounty) != (clock.phase, clock.round):
                    self._phases[bounty] = (clock.phase, clock.round)
                    phase = clock.phase.name.lower()
                    ends_in = clock.ends_at - now if clock.ends_at else None
                    log.info("phase", bounty=bounty, round=clock.round, phase=phase, ends_in_seconds=ends_in)
            case EvaluationSeen(evaluation, now, clock):
                if self._evaluations.get(evaluation) != clock.phase:
                    self._evaluations[evaluation] = clock.phase
                    ends_in = clock.ends_at - now if clock.ends_at else None
                    phase = clock.phase.name.lower()
                    log.info("phase", evaluation=evaluation, phase=phase, ends_in_seconds=ends_in)
            case UpdatesVerified(bounty, number, accepted, rejected, seconds):
                where = {"bounty": bounty, "round": number}
                log.info("verified", **where, accepted=accepted, rejected=dict(rejected), seconds=round(seconds, 3))
            case EpochTrained(bounty, number, epoch, _, loss):
                log.debug("epoch", bounty=bounty, round=number, epoch=epoch, loss=loss)
            case TransactionSent(action, transaction, nonce, attempt):
                said = log.debug if attempt == 1 else log.warning
                event = "sent" if attempt == 1 else "replaced"
                said(event, action=action, transaction=transaction, nonce=nonce, attempt=attempt)
            case TransactionSettled(action, outcome, transaction, gas, fee, seconds):
                said = log.debug if outcome == "mined" else log.warning
                cost = {"gas": gas, "fee_wei": fee, "seconds": round(seconds, 3)}
                said(outcome, action=action, transaction=transaction, **cost)
            case FileFetched(cid, size, seconds):
                log.debug("fetched", cid=cid, bytes=size, seconds=round(seconds, 3))
            case FetchFailed(cid, error, seconds):
                log.debug("not_fetched", cid=cid, error=error, seconds=round(seconds, 3))
            case CallRepeated():
                log.debug("call_repeated")

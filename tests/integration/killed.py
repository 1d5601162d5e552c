"""Run `fedbounty` in this process and kill it (SIGKILL) right after a moment: python -m tests.integration.killed …

Arguments: the moment, the beginning of the transaction's name that it belongs to (or "" for any), the command line.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from web3.eth import Eth

from ledger.content import ContentStore
from ledger.journal import Journal as TransactionJournal
from ledger.market import MarketWriter
from ledger.transactions import Transactor
from node.bounty_files import BountyFiles
from node.cli.app import main
from node.evaluator.journal import ReportJournal
from node.journal import Journal

MOMENTS: dict[str, tuple[type, str]] = {
    "pinned": (ContentStore, "add"),
    "journalled": (Journal, "record"),
    "measured": (ReportJournal, "record"),
    "published": (BountyFiles, "publish"),
    "signed": (TransactionJournal, "attempt"),
    "sent": (Eth, "send_raw_transaction"),
    "mined": (MarketWriter, "_send"),
}
"""What the process has just done when it dies."""


def arm(moment: str, action: str) -> None:
    """Make the process die after the moment's function returns within a transaction named `action…`."""
    owner, name = MOMENTS[moment]
    original: Callable[..., Any] = getattr(owner, name)
    send: Callable[..., Any] = Transactor.send
    sending: list[str] = []

    def named(transactor: Transactor, given: str, *arguments: Any, **options: Any) -> Any:
        sending[:] = [given]
        return send(transactor, given, *arguments, **options)

    def deadly(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        if not action or (sending and sending[0].startswith(action)):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Transactor.send = named  # type: ignore[method-assign]
    setattr(owner, name, deadly)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    sys.argv = ["fedbounty", *sys.argv[3:]]
    main()

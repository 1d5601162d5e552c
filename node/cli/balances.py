"""What the account holds, read beside a daemon's own look: one more call a turn, and none that can stop the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from ledger.errors import ChainError
from ledger.notices import Observer
from ledger.records import Wei
from node.loop import Daemon, Finish
from node.notices import BalanceSeen

log = structlog.get_logger()

View = TypeVar("View")
Action = TypeVar("Action")

Reader = tuple[str, Callable[[], int]]
"""An asset's name and how to ask for the account's balance of it."""


class Accounted(Generic[View, Action]):
    """A daemon whose account is looked at too: one asset a turn, in turns."""

    def __init__(self, daemon: Daemon[View, Action], readers: Sequence[Reader], tell: Observer) -> None:
        self._daemon, self._readers, self._tell = daemon, tuple(readers), tell
        self._turn = 0

    def observe(self) -> View:
        view = self._daemon.observe()
        self._read()
        return view

    def decide(self, view: View) -> Sequence[Action | Finish]:
        return self._daemon.decide(view)

    def act(self, action: Action) -> None:
        self._daemon.act(action)

    def _read(self) -> None:
        asset, read = self._readers[self._turn % len(self._readers)]
        self._turn += 1
        try:
            self._tell(BalanceSeen(asset, Wei(read())))
        except ChainError as error:
            log.debug("no_balance", asset=asset, error=str(error))

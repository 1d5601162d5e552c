"""Locks that one process holds at a time, and that are free again when it ends in whatever way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ledger.errors import BadInput


class Lock:
    """A lock on a file of its own.

    taken: the sentence for whoever comes second.
    Raises: BadInput with that sentence if another process holds it.
    """

    def __init__(self, path: Path, taken: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise BadInput(taken) from error

    def close(self) -> None:
        """Set it free."""
        os.close(self._descriptor)

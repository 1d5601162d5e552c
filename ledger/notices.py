"""What the doors to chain and IPFS tell of their work: values for whoever counts, logs or shows it.

A door is given an `Observer` and tells it what happened, as it happens; by default nobody listens. Observers are called
in the thread that does the work, so they must be quick, safe to call from several threads, and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Notice:
    """Something that happened."""


Observer: TypeAlias = Callable[[Notice], None]


def ignore(notice: Notice) -> None:
    """The observer that does nothing."""


@dataclass(frozen=True)
class CallMade(Notice):
    """A call to the Ethereum endpoint came to an end. seconds: with its repetitions."""

    outcome: Literal["answered", "reverted", "refused", "unreachable"]
    seconds: float


@dataclass(frozen=True)
class CallRepeated(Notice):
    """The connection to the Ethereum endpoint failed; the call is made again."""


@dataclass(frozen=True)
class TransactionSent(Notice):
    """A transaction, or one more form of it at a higher fee, is on its way. attempt: from 1."""

    action: str
    transaction: str
    nonce: int
    attempt: int


@dataclass(frozen=True)
class TransactionFound(Notice):
    """An earlier process left a transaction open; the next one that is sent settles it first."""

    action: str
    transaction: str
    nonce: int


@dataclass(frozen=True)
class TransactionSettled(Notice):
    """Nothing of this nonce is open any more.

    outcome:  `overtaken` by another program's transaction; `withdrawn` because the node never took it.
    gas_used: 0 unless a form of it was mined; fee in wei.
    seconds:  since it was first sent, or since the restart that found it.
    """

    action: str
    outcome: Literal["mined", "reverted", "overtaken", "withdrawn"]
    transaction: str = ""
    gas_used: int = 0
    fee: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class FileFetched(Notice):
    """A file came from IPFS and is what its CID says."""

    cid: str
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class FetchFailed(Notice):
    """A file did not come, or was something else. error: the name of its class in `ledger.errors`."""

    cid: str
    error: str
    seconds: float


@dataclass(frozen=True)
class FilePublished(Notice):
    """A file was added to IPFS and pinned there."""

    cid: str
    size_bytes: int
    seconds: float

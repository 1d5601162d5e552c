"""The mirror: an SQLite index of every log of the market and its companions, followed from any Ethereum endpoint.

Its content is a function of the chain up to its last block, however it got there. docs/PROTOCOL.md, section 13.
"""

from ledger.mirror.mirror import Mirror
from ledger.mirror.records import GasUse, MirroredTransaction, Progress, SearchHit, SyncResult
from ledger.mirror.schema import DamagedMirror, WrongMirror

__all__ = [
    "DamagedMirror",
    "GasUse",
    "Mirror",
    "MirroredTransaction",
    "Progress",
    "SearchHit",
    "SyncResult",
    "WrongMirror",
]

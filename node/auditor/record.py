"""What the chain itself says of a bounty at one block, as plain data: what anyone can verify of a report. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import IntEnum
from math import isfinite
from typing import Any

from incentives.payouts import split_round
from incentives.settlement import settle
from ledger.chain import Block
from ledger.cid import to_cid
from ledger.history import BountyHistory, RoundHistory, accepted, rejections
from ledger.keccak import keccak
from ledger.records import Claimed, Event, LapsedClaimed, Merged, Refunded, Revealed

EXACT = 2**53
"""From here on integers are written as text: JSON readers round them."""


def canonical(value: Any) -> bytes:
    """The one way to write a value as JSON: sorted keys, no spaces, ASCII.

    Raises: ValueError for numbers that are not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """Records as JSON has them: bytes as 0x… text, enumerations by name, great integers as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= EXACT:
        return str(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value


def chain_record(history: BountyHistory, block: Block, chain_id: int, market: str) -> dict[str, Any]:
    """A bounty's record: a function of its events up to `block`, and of nothing else."""
    posted = history.posted
    terms = plain(posted.terms) | {"manifest": to_cid(posted.terms.manifest)}
    rounds = list(history.rounds.values())
    return {
        "chain": {
            "chain_id": chain_id,
            "market": market,
            "block": block.number,
            "block_hash": plain(block.hash),
            "block_time": block.timestamp,
        },
        "events": {"count": len(history.events), "keccak256": plain(keccak(canonical(_events(history.events))))},
        "bounty": {
            "number": posted.bounty,
            "owner": posted.owner,
            "posted_in": posted.at.transaction,
            "status": _status(history),
            "terms": terms,
        },
        "members": [{"index": one.index, "provider": one.provider} for one in history.members],
        "lineage": _lineage(history, rounds),
        "rounds": [_round(one) for one in rounds],
        "payments": _payments(history),
        "privacy": {"mode": posted.terms.privacy.name.lower(), "released": _released(rounds)},
    }


def _released(rounds: Sequence[RoundHistory]) -> list[dict[str, Any]]:
    """In how many rounds each provider showed an update: what its noise has to cover."""
    shown = Counter(reveal.provider for one in rounds for reveal in one.reveals)
    return [{"provider": provider, "rounds": count} for provider, count in sorted(shown.items())]


def differences_between(claimed: Any, found: Any, where: str = "record") -> list[str]:
    """Where two plain values differ, in words; lists and tables are compared place by place."""
    if isinstance(claimed, dict) and isinstance(found, dict):
        names = sorted(claimed.keys() | found.keys())
        return [
            line
            for name in names
            for line in differences_between(claimed.get(name), found.get(name), f"{where}.{name}")
        ]
    if isinstance(claimed, list) and isinstance(found, list) and len(claimed) == len(found):
        pairs = enumerate(zip(claimed, found, strict=True))
        return [line for place, (one, other) in pairs for line in differences_between(one, other, f"{where}[{place}]")]
    if type(claimed) is type(found) and claimed == found:
        return []
    return [f"{where} is {_short(claimed)} in the report, {_short(found)} on the chain"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _events(events: Sequence[Event]) -> list[Any]:
    return [[type(event).__name__, plain(event)] for event in events]


def _status(history: BountyHistory) -> str:
    if history.cancelled is not None:
        return "cancelled"
    if history.ended is not None:
        return "ended"
    return "running" if history.rounds else "joining"


def _lineage(history: BountyHistory, rounds: Sequence[RoundHistory]) -> list[dict[str, Any]]:
    """Every checkpoint with its file and the updates that it came from; voided ones too."""
    state_root = plain(history.posted.terms.state_root)
    found: list[dict[str, Any]] = [
        {"round": 0, "voided": False, "state_root": state_root, "updates": [], "rejected": []}
    ]
    for one in rounds:
        merges = [*((merged, True) for merged in one.voided), *([(one.merged, False)] if one.merged else [])]
        found += [_checkpoint(one, merged, voided) for merged, voided in merges]
    return found


def _checkpoint(one: RoundHistory, merged: Merged, voided: bool) -> dict[str, Any]:
    claim = merged.claim
    return {
        "round": one.number,
        "previous": merged.previous,
        "voided": voided,
        "state_root": plain(claim.state_root),
        "state_cid": to_cid(claim.state_cid),
        "report_cid": to_cid(claim.report_cid),
        "aggregator": merged.aggregator,
        "merged_at": merged.merged_at,
        "merged_in": merged.at.transaction,
        "updates": [_update(reveal) for reveal in accepted(merged, one.reveals)],
        "rejected": [
            {"index": reveal.index, "provider": reveal.provider, "reason": given.label, "chunk": given.chunk}
            for reveal, given in rejections(merged, one.reveals)
        ],
    }


def _update(reveal: Revealed) -> dict[str, Any]:
    return {
        "index": reveal.index,
        "provider": reveal.provider,
        "cid": to_cid(reveal.cid),
        "update_root": plain(reveal.update_root),
        "squared_norm": plain(reveal.squared_norm),
        "weight": reveal.weight,
        "revealed_in": reveal.at.transaction,
    }


def _round(one: RoundHistory) -> dict[str, Any]:
    return {
        "round": one.number,
        "state": one.state,
        "opened_at": one.opened_at,
        "commits": len(one.commits),
        "reveals": len(one.reveals),
        "paid": plain(one.merged.claim.paid if one.merged else 0),
        "vests_at": one.merged.vests_at if one.merged else 0,
        "lapsed_share": plain(one.lapsed.share if one.lapsed else 0),
        "disqualified": sorted(one.disqualified),
    }


def _payments(history: BountyHistory) -> dict[str, Any]:
    """All sums in the token's smallest unit."""
    earned: dict[str, int] = {}
    taken: dict[str, int] = {}
    for one in history.merged_rounds:
        counted = accepted(one.merged, one.reveals) if one.merged else []
        parts = split_round(history.posted.terms, one.number, counted).parts
        for reveal, part in zip(counted, parts, strict=True):
            earned[reveal.provider] = earned.get(reveal.provider, 0) + part
    paid_out = [event for event in history.events if isinstance(event, Claimed | LapsedClaimed | Refunded)]
    for event in paid_out:
        if not isinstance(event, Refunded):
            taken[event.provider] = taken.get(event.provider, 0) + event.amount
    providers = [member.provider for member in history.members]
    return {
        "sums": plain(settle(history.events).figures()),
        "providers": [
            {"provider": who, "earned": plain(earned.get(who, 0)), "taken": plain(taken.get(who, 0))}
            for who in providers
        ],
        "payouts": [
            {
                "kind": {Claimed: "claim", LapsedClaimed: "share of a lapsed round", Refunded: "refund"}[type(event)],
                "to": event.owner if isinstance(event, Refunded) else event.provider,
                "amount": plain(event.amount),
                "paid_in": event.at.transaction,
            }
            for event in paid_out
        ],
    }

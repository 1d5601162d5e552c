"""Small real records for tests: a bounty's terms and events with sensible values, each changeable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger.cid import Digest
from ledger.commitments import zero_state_root
from ledger.keccak import Hash32, keccak
from ledger.records import (
    Address,
    BountyId,
    Clock,
    Committed,
    Joined,
    Merged,
    MergeRule,
    Phase,
    Position,
    Posted,
    PrivacyMode,
    Provider,
    Revealed,
    RewardRule,
    RoundOpened,
    Terms,
    Timestamp,
    Wei,
)

BOUNTY = BountyId(7)
ALICE = Address("0x" + "A1" * 20)
BOB = Address("0x" + "B0" * 20)
AGGREGATOR = Address("0x" + "C0" * 20)
OWNER = Address("0x" + "D0" * 20)


def terms(**changes: Any) -> Terms:
    """Terms of a small bounty: 3 rounds, 1 .. 4 updates of 2 chunks, a pot of 900."""
    base = Terms(
        token=Address("0x" + "E0" * 20),
        pot=Wei(900),
        aggregator=AGGREGATOR,
        bond=Wei(50),
        stake=Wei(100),
        forfeit=Wei(30),
        rounds=3,
        min_updates=1,
        max_updates=4,
        commit_seconds=10,
        reveal_seconds=10,
        merge_seconds=10,
        open_merge_seconds=10,
        challenge_seconds=20,
        patience=3,
        squared_norm_bound=2**40,
        chunks=2,
        manifest=Digest(keccak(b"manifest")),
        state_root=zero_state_root(2),
        merge_rule=MergeRule.MEAN,
        merge_parameters=(65536).to_bytes(32, "big"),
        reward_rule=RewardRule.EQUAL,
        max_weight=1,
        privacy=PrivacyMode.OPEN,
    )
    return replace(base, **changes)


def at(block: int, log_index: int = 0) -> Position:
    return Position(block, log_index, f"0x{block:064x}")


def word(text: str) -> Hash32:
    return keccak(text.encode())


def posted(**changes: Any) -> Posted:
    return Posted(at(1), BOUNTY, OWNER, terms(**changes))


def joined(provider: Address, index: int, block: int = 2) -> Joined:
    return Joined(at(block, index), BOUNTY, provider, index, Wei(100), bytes(32), "/ip4/127.0.0.1/tcp/4001/p2p/Qm")


def opened(number: int, block: int) -> RoundOpened:
    return RoundOpened(at(block, 90), BOUNTY, number, Timestamp(1000 + block))


def committed(provider: Address, number: int, block: int) -> Committed:
    return Committed(at(block, 1), BOUNTY, number, provider, word(f"commitment {provider} {number}"))


def revealed(provider: Address, number: int, index: int, block: int) -> Revealed:
    root = word(f"root {provider} {number}")
    return Revealed(at(block, 10 + index), BOUNTY, number, provider, index, Digest(word("cid")), root, 5, 1)


def merged(number: int, block: int, **changes: Any) -> Merged:
    base = Merged(
        at=at(block, 50),
        bounty=BOUNTY,
        round=number,
        aggregator=AGGREGATOR,
        state_root=word(f"state {number}"),
        state_cid=Digest(word(f"state cid {number}")),
        report_cid=Digest(word(f"report cid {number}")),
        payout_root=word(f"payouts {number}"),
        paid=Wei(300),
        rejected=0,
        reasons=b"",
        reveals=1,
        member_count=1,
        vests_at=Timestamp(1020 + block),
        record_hash=word(f"record {number}"),
    )
    return replace(base, **changes)


def clock(phase: Phase, number: int = 1, **changes: Any) -> Clock:
    base = Clock(phase, number, Timestamp(1000), Timestamp(1010), members=1, member_count=1, commits=0, reveals=0)
    return replace(base, **changes)


def standing(**changes: Any) -> Provider:
    base = Provider(stake=Wei(100), claimed=Wei(0), index=0, commit_round=0, unlocks_at=Timestamp(0))
    return replace(base, **changes)

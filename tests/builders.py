"""Small real records for tests: a bounty's terms and events with sensible values, each changeable."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ledger.cid import Digest
from ledger.commitments import zero_state_root
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.merge_records import GivenReason, pack_reasons
from ledger.records import (
    Address,
    BountyId,
    Clock,
    Committed,
    Event,
    Joined,
    MergeClaim,
    Merged,
    MergeRule,
    MergeVoided,
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
        demand_fee=Wei(5),
        answer_seconds=5,
        target=0,
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


def claim(number: int, **changes: Any) -> MergeClaim:
    base = MergeClaim(
        state_root=word(f"state {number}"),
        state_cid=Digest(word(f"state cid {number}")),
        report_cid=Digest(word(f"report cid {number}")),
        payout_root=word(f"payouts {number}"),
        paid=Wei(300),
        payout_leaves=1,
        metric=0,
        rejected=0,
        reasons=b"",
        scales_hash=ZERO_HASH,
        distances_hash=ZERO_HASH,
        clip_cid=Digest(ZERO_HASH),
    )
    return replace(base, **changes)


def reasons(*codes: int | tuple[int, int]) -> bytes:
    """Reasons as a merge gives them: codes, or pairs of code and chunk."""
    return pack_reasons([GivenReason(*(one if isinstance(one, tuple) else (one, 0))) for one in codes])


def merged(number: int, block: int, **changes: Any) -> Merged:
    """A merge by its event; fields of its claim may be given too."""
    own = {field.name for field in fields(MergeClaim)}
    base = Merged(
        at=at(block, 50),
        bounty=BOUNTY,
        round=number,
        aggregator=AGGREGATOR,
        claim=claim(number, **{name: value for name, value in changes.items() if name in own}),
        reveals=1,
        previous=number - 1,
        merged_at=Timestamp(1000 + block),
        vests_at=Timestamp(1020 + block),
        record_hash=word(f"record {number}")[:28],
    )
    return replace(base, **{name: value for name, value in changes.items() if name not in own})


def voided(number: int, block: int, interrupted: int) -> MergeVoided:
    return MergeVoided(at(block, 60), BOUNTY, number, AGGREGATOR, OWNER, interrupted, Wei(50), Wei(25))


def clock(phase: Phase, number: int = 1, **changes: Any) -> Clock:
    base = Clock(phase, number, Timestamp(1000), Timestamp(1010), members=1, member_count=1, commits=0, reveals=0)
    return replace(base, **changes)


def standing(**changes: Any) -> Provider:
    base = Provider(stake=Wei(100), claimed=Wei(0), index=0, commit_round=0, unlocks_at=Timestamp(0))
    return replace(base, **changes)


def begun(**terms_changes: Any) -> list[Event]:
    """A bounty that Alice has joined, in its first round."""
    return [posted(**terms_changes), joined(ALICE, 0), opened(1, 3)]


def shown(**terms_changes: Any) -> list[Event]:
    """That bounty when Alice has revealed an update."""
    return [*begun(**terms_changes), committed(ALICE, 1, 4), revealed(ALICE, 1, 0, 5)]

"""A merge rule's numbers, and how the chain holds them in one word. docs/PROTOCOL.md, section 7."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from ledger.errors import ProtocolFault
from ledger.records import MergeRule

WORD_BYTES = 32

_BITS = {"eta": 32, "beta": 16, "trim": 8, "bucket": 8, "iterations": 8, "tau": 32, "attackers": 8}
"""Bits of each field, the lowest first."""

_SHIFTS = dict(zip(_BITS, accumulate([0, *_BITS.values()]), strict=False))

_RANGES = {
    (MergeRule.TRIMMED_MEAN, "trim"): (1, 127),
    (MergeRule.CENTERED_CLIP, "bucket"): (1, 16),
    (MergeRule.CENTERED_CLIP, "iterations"): (1, 4),
    (MergeRule.CENTERED_CLIP, "tau"): (1, 2**32 - 1),
}
"""What a rule may set beside `eta`, `beta` and `attackers`; where it has no entry, the field must be 0."""

PROVABLE = (MergeRule.MEAN, MergeRule.TRIMMED_MEAN, MergeRule.MEDIAN, MergeRule.CENTERED_CLIP)
"""Rules that a proof on chain computes again at one coordinate. Of the others every update must be read whole."""

_NEEDS_ATTACKERS = (MergeRule.MULTI_KRUM, MergeRule.NEAREST_NEIGHBOURS)


class BadMergeParameters(ProtocolFault):
    """`problems` holds every problem that was found."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The merge parameters can't be used: " + "; ".join(problems) + ".")


@dataclass(frozen=True)
class MergeParameters:
    """A merge rule with its numbers; it may hold what no bounty may, which `problems` tells.

    eta:        learning rate.
    beta:       server momentum, 0 for none.
    trim:       values that `trimmed_mean` drops at each end.
    bucket:     updates that `centered_clip` averages before it clips.
    iterations: clipping steps.
    tau:        clipping radius.
    attackers:  faulty updates that the rule is to withstand.

    Units:      eta and beta in 2**-16, tau in grid units.
    """

    rule: MergeRule
    eta: int
    beta: int = 0
    trim: int = 0
    bucket: int = 0
    iterations: int = 0
    tau: int = 0
    attackers: int = 0

    @property
    def planes(self) -> int:
        """How many planes a state has: 2 where the aggregate is remembered."""
        return 2 if self.beta > 0 or self.rule == MergeRule.CENTERED_CLIP else 1

    def problems(self, min_updates: int) -> list[str]:
        """All that keeps a bounty with this quorum from having these numbers, a sentence each."""
        ranges = {"eta": (1, 2**32 - 1), "beta": (0, 2**16 - 1), "attackers": (0, 2**8 - 1)}
        found = []
        for name in _BITS:
            least, most = ranges.get(name) or _RANGES.get((self.rule, name), (0, 0))
            value = getattr(self, name)
            if not least <= value <= most:
                allowed = f"between {least} and {most}" if most else "0"
                found.append(f"{name} is {value} and must be {allowed} for {self.rule.name.lower()}")
        if self.rule == MergeRule.TRIMMED_MEAN and 2 * self.trim >= min_updates:
            found.append(f"dropping {self.trim} values at each end leaves nothing of a quorum of {min_updates} updates")
        most = self.most_attackers(min_updates)
        if self.attackers > most:
            found.append(f"attackers is {self.attackers}; of {min_updates} updates the rule withstands {most}")
        if self.rule in _NEEDS_ATTACKERS and self.attackers == 0:
            found.append(f"attackers must be at least 1 for {self.rule.name.lower()}")
        return found

    def most_attackers(self, updates: int) -> int:
        """How many faulty ones among so many updates the rule can withstand at most, with its other numbers."""
        match self.rule:
            case MergeRule.MEAN:
                return 0
            case MergeRule.TRIMMED_MEAN:
                return self.trim
            case MergeRule.CENTERED_CLIP:
                return (-(-updates // max(self.bucket, 1)) - 1) // 2
            case MergeRule.MULTI_KRUM:
                return max(updates - 3, 0) // 2
        return max(updates - 1, 0) // 2

    def pack(self) -> bytes:
        """The word that the chain holds, big-endian.

        Raises: BadMergeParameters if a field is wider than its bits.
        """
        wide = [f"{name} {getattr(self, name)} is no uint{bits}" for name, bits in _BITS.items() if self._wide(name)]
        if wide:
            raise BadMergeParameters(wide)
        word: int = sum(getattr(self, name) << shift for name, shift in _SHIFTS.items())
        return word.to_bytes(WORD_BYTES, "big")

    def _wide(self, name: str) -> bool:
        return not 0 <= getattr(self, name) < 1 << _BITS[name]

    @classmethod
    def unpack(cls, rule: MergeRule, packed: bytes) -> MergeParameters:
        """Read the word that the chain holds.

        Raises: BadMergeParameters if it is no word, or a bit beyond the fields is set.
        """
        if len(packed) != WORD_BYTES:
            raise BadMergeParameters([f"they are {len(packed)} bytes, not {WORD_BYTES}"])
        word = int.from_bytes(packed, "big")
        if word >> sum(_BITS.values()):
            raise BadMergeParameters(["a bit beyond the fields is set"])
        return cls(rule, **{name: word >> shift & (1 << _BITS[name]) - 1 for name, shift in _SHIFTS.items()})

"""The market's enumerations, by number. They mirror `contracts/src/Types.sol`."""

from __future__ import annotations

from enum import IntEnum


class MergeRule(IntEnum):
    MEAN = 0
    TRIMMED_MEAN = 1
    MEDIAN = 2
    CENTERED_CLIP = 3
    MULTI_KRUM = 4
    GEOMETRIC_MEDIAN = 5
    NEAREST_NEIGHBOURS = 6


class RewardRule(IntEnum):
    EQUAL = 0
    STAKE = 1
    CONTRIBUTION = 2


class PrivacyMode(IntEnum):
    OPEN = 0
    DP = 1
    MASKED = 2
    ENCRYPTED = 3


class Phase(IntEnum):
    NONE = 0
    JOINING = 1
    COMMIT = 2
    REVEAL = 3
    MERGE = 4
    OPEN_MERGE = 5
    ENDED = 6
    CANCELLED = 7

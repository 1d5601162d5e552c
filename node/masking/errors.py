"""The leaves of the tree of errors that belong to masking.

FedbountyError
├── BadInput
│   └── NotInGroup          the provider has no part in the round's groups
└── ProtocolFault
    ├── BadShares           an encrypted bundle of shares does not open as this update's
    ├── BadUnmasking        an unmasking file is not what the protocol allows
    ├── BadTable            a mask table is not what the protocol allows
    ├── NotUnmaskable       a group's masks can't be taken away
    └── AlreadyDecided      shares were released for other lists of revealed and dropped members
"""

from __future__ import annotations

from ledger.errors import BadInput, ProtocolFault


class NotInGroup(BadInput):
    def __init__(self, who: str, round_number: int) -> None:
        self.who, self.round = who, round_number
        super().__init__(
            f"{who} is in no group of round {round_number}: it joined after the round was opened, its key is "
            f"malformed, or there are fewer than 3 members. Wait for the next round."
        )


class BadShares(ProtocolFault):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The encrypted shares can't be used: {detail}.")


class BadUnmasking(ProtocolFault):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The unmasking file is malformed: {detail}.")


class BadTable(ProtocolFault):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The mask table is malformed: {detail}.")


class NotUnmaskable(ProtocolFault):
    """`culprits`: member indices whose shares were found to be wrong."""

    def __init__(self, detail: str, culprits: tuple[int, ...] = ()) -> None:
        self.detail, self.culprits = detail, culprits
        named = f" Wrong shares came from the members {', '.join(map(str, culprits))}." if culprits else ""
        super().__init__(f"The group can't be unmasked: {detail}.{named}")


class AlreadyDecided(ProtocolFault):
    def __init__(self, bounty: int, round_number: int) -> None:
        self.bounty, self.round = bounty, round_number
        super().__init__(
            f"Shares of round {round_number} of bounty {bounty} were released for another list of revealed updates "
            f"than the chain has now. Nothing more is released: both lists together could lay an update open."
        )

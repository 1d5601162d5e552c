"""The node's leaves of the tree of errors (see `ledger.errors`).

FedbountyError
├── BadInput
│   ├── BadManifest         the TOML manifest is not one, or asks for something impossible
│   ├── BadPackage          a program is not an allowed torch.export program, or does not fit its manifest
│   ├── BadExport           the owner's module can't be made into a package
│   └── BadData             the provider's data does not fit the manifest's schema
├── TrainingFailed          local training produced no usable update
├── NonFiniteUpdate         a delta has a coordinate that is infinite or not a number
└── ProtocolFault
    ├── UpdateFault         an update file is not what the protocol allows; carries the on-chain reason
    │   ├── MalformedUpdate
    │   └── WrongLengthUpdate
    └── BadStateFile        a state file is not what the protocol allows
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import BadInput, FedbountyError, ProtocolFault
from ledger.merge_records import Reason

SHOWN_LENGTH = 120
SHOWN_PROBLEMS = 20


def shown(text: object, length: int = SHOWN_LENGTH) -> str:
    """Text of unknown origin, fit for a terminal and a log: one line, printable, at most `length` characters."""
    line = "".join(character if character.isprintable() else "?" for character in str(text)[: length + 1])
    return line if len(line) <= length else line[: length - 1] + "…"


def escaped(text: str) -> str:
    """Text of unknown origin on one line, whole: what is not printable stands there as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _listed(problems: Sequence[str]) -> str:
    lines = [f"\n  - {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    more = len(problems) - len(lines)
    return "".join(lines) + (f"\n  - and {more} more" if more > 0 else "")


class BadManifest(BadInput):
    """`problems` holds every problem that was found, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The manifest can't be used:{_listed(self.problems)}")


class BadPackage(BadInput):
    """`where` names the member, operator or tensor; `remedy` says what the model's owner can do."""

    def __init__(self, program: str, where: str, detail: str, remedy: str = "") -> None:
        self.program, self.where, self.detail, self.remedy = program, where, detail, remedy
        advice = remedy or "Export the model again with fedbounty's own export, which writes only what is allowed."
        super().__init__(f"The program {shown(program)} is refused: {shown(where)}: {shown(detail, 400)}. {advice}")


class BadExport(BadInput):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The model can't be packaged: {detail}.")


class BadData(BadInput):
    """`problems` holds what is wrong with the data, each with its file and row or column."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source, self.problems = source, tuple(problems)
        super().__init__(f"The data {shown(source)} can't be used:{_listed(self.problems)}")


class TrainingFailed(FedbountyError):
    """Local training gave no usable update. `step` counts batches from 0."""

    def __init__(self, step: int, detail: str) -> None:
        self.step, self.detail = step, detail
        super().__init__(
            f"Training stopped at batch {step}: {detail}. No update was made; "
            f"look at the data, or ask the owner for a smaller learning rate."
        )


class NonFiniteUpdate(FedbountyError):
    def __init__(self, coordinate: int) -> None:
        self.coordinate = coordinate
        super().__init__(f"The update's coordinate {coordinate} is infinite or not a number; it can't be sent.")


class UpdateFault(ProtocolFault):
    """An update file breaks the protocol; `reason` is what a merge writes down for it."""

    reason: Reason

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The update is {self.reason.label}: {detail}.")


class MalformedUpdate(UpdateFault):
    reason = Reason.MALFORMED


class WrongLengthUpdate(UpdateFault):
    reason = Reason.WRONG_LENGTH


class BadStateFile(ProtocolFault):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The state file is malformed: {detail}.")

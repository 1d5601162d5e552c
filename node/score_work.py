"""Measuring what a round's updates contributed: from committed bytes and validation data to parts of its pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from incentives.score_settlement import to_parts
from ledger.cid import Digest, to_cid
from ledger.errors import BadInput, ContentError, ContentMismatch, ContentTooLarge, ContentUnavailable
from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.keccak import Hash32
from ledger.records import Merged, Revealed, Terms
from ledger.score_records import Part
from ledger.unixfs import digest_of_file
from node.bounty_files import Artefacts
from node.contribution import Holdout, assess
from node.data.load import load_file
from node.made_merges import MEASURABLE, MadeMerge
from node.manifest import Manifest, coordinates
from node.merged_states import parameters_of
from node.package.loader import load_program
from node.package.program import EVALUATION_BATCH
from node.round_updates import check_updates
from node.verification import Rejection, VerifiedUpdate

log = structlog.get_logger()


class OtherValidation(BadInput):
    def __init__(self, path: Path, found: Digest, wanted: Digest) -> None:
        self.path, self.found, self.wanted = path, found, wanted
        super().__init__(
            f"{path} is not the panel's validation file: its CID is {to_cid(found)}, the panel names {to_cid(wanted)}. "
            f"Ask the bounty's owner for that file."
        )


class NotMeasurable(ContentError):
    """A round can't be measured as things are; a file that is missing may come."""

    retryable = True

    def __init__(self, round_number: int, detail: str) -> None:
        self.round, self.detail = round_number, detail
        super().__init__(
            f"Round {round_number} can't be measured ({detail}). Without a quorum of reports it is divided equally."
        )


class OtherRule(BadInput):
    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(
            f"What an update contributed can't be measured under the merge rule {rule}, which chooses among values or "
            f"updates. Pay by contribution needs {' or '.join(one.name.lower() for one in MEASURABLE)}."
        )


@dataclass(frozen=True)
class ScoreWork:
    """Measures rounds of one bounty."""

    files: Artefacts
    terms: Terms
    manifest: Manifest
    holdout: Holdout

    @property
    def examples(self) -> int:
        return len(self.holdout.examples)

    def measure(self, history: BountyHistory, number: int, seed: Hash32 | None) -> tuple[Part, ...]:
        """Each revealed update's part of the round's pay, by reveal index; 0 for rejected ones.

        seed:   of the round, where the rule draws an order.
        Raises: NotMeasurable, ContentError, BadPackage.
        """
        one = history.rounds[number]
        assert one.merged is not None, "only merged rounds are scored"
        shown = accepted(one.merged, one.reveals)
        before = history.latest_merge(before_round=number)
        merge = MadeMerge(parameters_of(self.terms), self._state(number, before), self._updates(number, shown), seed)
        try:
            assessed = assess(merge, self.holdout, self._replayable(history, before))
        except ValueError as error:
            raise NotMeasurable(number, str(error)) from error
        weights = [0] * one.merged.reveals
        for revealed, weight in zip(shown, assessed.weights, strict=True):
            weights[revealed.index] = weight
        log.info("measured", round=number, updates=len(shown), examples=self.examples)
        return to_parts(weights)

    def _state(self, number: int, before: Merged | None) -> NDArray[np.int32]:
        """The state that the round's updates were merged into."""
        try:
            return self.files.state(before, self.terms)
        except (ContentMismatch, ContentTooLarge, ContentUnavailable) as error:
            raise NotMeasurable(number, str(error)) from error

    def _replayable(self, history: BountyHistory, before: Merged | None) -> list[NDArray[np.int16]]:
        """What the latest merge before counted, which everybody could replay."""
        if before is None:
            return []
        one: RoundHistory = history.rounds[before.round]
        return self._updates(before.round, accepted(before, one.reveals))

    def _updates(self, number: int, shown: Sequence[Revealed]) -> list[NDArray[np.int16]]:
        found = []
        for checked in check_updates(self.files, self.terms, shown, coordinates(self.manifest)):
            match checked:
                case VerifiedUpdate(update=update):
                    found.append(update)
                case Rejection(revealed=revealed, detail=detail):
                    raise NotMeasurable(number, f"update {revealed.index}: {detail}")
                case _:
                    raise NotMeasurable(number, "its updates are masked")
        return found


def open_score_work(files: Artefacts, terms: Terms, validation: Path, wanted: Digest) -> ScoreWork:
    """Load and check everything before a bond is locked.

    Raises: OtherValidation, BadData, BadPackage, ContentError, TermsMismatch; BadInput for a file that is not there,
            or a merge rule that can't be measured.
    """
    if terms.merge_rule not in MEASURABLE:
        raise OtherRule(terms.merge_rule.name.lower())
    if not validation.is_file():
        raise BadInput(f"There is no validation file {validation}.")
    found = digest_of_file(validation)
    if found != wanted:
        raise OtherValidation(validation, found, wanted)
    manifest = files.manifest(terms)
    examples = load_file(validation, validation.suffix.lower().removeprefix("."), manifest)
    program = load_program(files.programs(manifest).evaluate, manifest, EVALUATION_BATCH)
    return ScoreWork(files, terms, manifest, Holdout(program, manifest, examples))

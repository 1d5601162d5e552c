"""What right merges made of the model, measured again: the hold-out's metrics by a challenger's own computation."""

from __future__ import annotations

import numpy as np
import structlog
from numpy.typing import NDArray

from ledger.errors import FedbountyError
from ledger.notices import Observer
from ledger.records import BountyId, Terms
from node.bounty_files import BountyFiles
from node.notices import StateScored
from node.scoring import Scorer, open_scorer

log = structlog.get_logger()


class Scores:
    """Measures states of the bounties that were asked for. A bounty whose hold-out can't be used is left alone."""

    def __init__(self, files: BountyFiles, bounties: tuple[BountyId, ...], tell: Observer) -> None:
        self._files, self._tell = files, tell
        self._asked = set(bounties)
        self._scorers: dict[BountyId, Scorer] = {}

    def measure(self, bounty: BountyId, terms: Terms, number: int, state_D: NDArray[np.int32]) -> None:
        """Tell the metrics of the state after a round. An owner's broken program must not stop a challenger."""
        if bounty not in self._asked:
            return
        try:
            if bounty not in self._scorers:
                scorer = open_scorer(self._files, self._files.manifest(terms))
                if scorer is None:
                    self._asked.discard(bounty)
                    return
                self._scorers[bounty] = scorer
            self._tell(StateScored(bounty, number, self._scorers[bounty].score(state_D)))
        except FedbountyError as error:
            self._asked.discard(bounty)
            log.warning("not_scored", bounty=bounty, round=number, error=str(error))

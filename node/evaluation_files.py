"""An evaluation's artefacts by their commitments: manifest, program, state, and the list of who may report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from eth_utils.address import is_address, to_checksum_address
from numpy.typing import NDArray

from ledger.cid import from_cid, to_cid
from ledger.commitments import CHUNK, state_tree, zero_state_root
from ledger.errors import BadInput, ContentMismatch, ProtocolFault
from ledger.evaluation_records import EvaluationTerms, Metric, list_tree
from ledger.keccak import Hash32
from ledger.records import Address
from node import manifest as manifests
from node.bounty_files import BountyFiles
from node.errors import shown
from node.manifest import Manifest
from node.state_files import decode_state, state_file_bytes

MOST_LISTED = 65_536
LINE_BYTES = 43
"""An address and the end of its line."""

METRIC_NAMES = {
    Metric.ACCURACY: "accuracy",
    Metric.MEAN_SQUARED_ERROR: "mse",
    Metric.MEAN_ABSOLUTE_ERROR: "mae",
    Metric.CROSS_ENTROPY: "cross_entropy",
}
"""As manifests and the command line say them."""

_TASKS = {
    Metric.ACCURACY: "classification",
    Metric.CROSS_ENTROPY: "classification",
    Metric.MEAN_SQUARED_ERROR: "regression",
    Metric.MEAN_ABSOLUTE_ERROR: "regression",
}


class EvaluationMismatch(ProtocolFault):
    """Chain and manifest tell different stories; `problems` holds every difference."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The evaluation contradicts its manifest: {'; '.join(problems)}. Don't report to it.")


class BadAllowList(BadInput):
    """`problems` holds every problem, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The list of accounts can't be used: {'; '.join(problems[:20])}.")


class NotOnList(BadInput):
    def __init__(self, account: Address, evaluation: int) -> None:
        self.account, self.evaluation = account, evaluation
        super().__init__(
            f"{account} is not on the list of those that may report to evaluation {evaluation}. "
            f"Use another account, or ask the owner to post it again with yours."
        )


class EvaluationFiles:
    """Artefacts of evaluations, fetched within known limits.

    Raises: ContentError leaves from every method; what they return has the committed root.
    """

    def __init__(self, files: BountyFiles) -> None:
        self._files = files

    def manifest(self, terms: EvaluationTerms) -> Manifest:
        """The manifest, checked against the terms on chain.

        Raises: BadManifest; EvaluationMismatch.
        """
        manifest = manifests.parse_manifest(self._files.file(terms.manifest, manifests.MAX_BYTES).read_bytes())
        problems = problems_of(terms, manifest)
        if problems:
            raise EvaluationMismatch(problems)
        return manifest

    def program(self, manifest: Manifest) -> Path:
        """The evaluation program; the training one is not needed."""
        return self._files.file(from_cid(manifest.model.eval_cid), manifest.model.eval_bytes)

    def state(self, terms: EvaluationTerms, manifest: Manifest) -> NDArray[np.int32]:
        """The state that is measured.

        Shapes: -> (planes, chunks * CHUNK) int32.
        Raises: ContentMismatch if the file's root is not the posted one.
        """
        chunks, planes = manifests.chunks(manifest), manifests.merge_parameters(manifest).planes
        if not any(terms.state_cid):
            return np.zeros((planes, chunks * CHUNK), dtype=np.int32)
        path = self._files.file(terms.state_cid, state_file_bytes(chunks, planes))
        planes_PD = decode_state(path.read_bytes(), chunks, planes)
        root = state_tree(planes_PD).root
        if root != terms.state_root:
            detail = f"its root is 0x{root.hex()}, the evaluation is of 0x{terms.state_root.hex()}"
            raise ContentMismatch(to_cid(terms.state_cid), detail)
        return planes_PD

    def listed(self, terms: EvaluationTerms) -> list[Address]:
        """The accounts that may report, in the order of the tree.

        Raises: BadAllowList; ContentMismatch if the list's root is not the posted one.
        """
        path = self._files.file(terms.list_cid, MOST_LISTED * LINE_BYTES)
        accounts = parse_list(path.read_bytes())
        if list_tree(accounts).root != terms.list_root:
            raise ContentMismatch(to_cid(terms.list_cid), f"its root is not 0x{terms.list_root.hex()}")
        return accounts

    def place(self, terms: EvaluationTerms, evaluation: int, account: Address) -> tuple[int, list[Hash32]]:
        """An account's place in the list, and the siblings of its leaf; 0 and none where everyone may report.

        Raises: NotOnList.
        """
        if terms.is_open:
            return 0, []
        accounts = self.listed(terms)
        if account not in accounts:
            raise NotOnList(account, evaluation)
        place = accounts.index(account)
        return place, list_tree(accounts).proof(place)


def problems_of(terms: EvaluationTerms, manifest: Manifest) -> list[str]:
    """What an evaluation's terms and its model's manifest don't agree on."""
    problems = []
    kind = manifest.task.kind
    if _TASKS[terms.metric] != kind:
        problems.append(f"its metric is {METRIC_NAMES[terms.metric]}, but the model is for {kind}")
    planes = manifests.merge_parameters(manifest).planes
    if not any(terms.state_cid) and terms.state_root != zero_state_root(manifests.chunks(manifest), planes):
        problems.append("its state has no file and is not the zero state")
    return problems


def parse_list(data: bytes) -> list[Address]:
    """Read a list of accounts: one address a line; empty lines don't count.

    Raises: BadAllowList with every problem.
    """
    found: dict[Address, int] = {}
    problems = []
    lines = data.decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if not is_address(text) or not text.startswith("0x"):
            problems.append(f"line {number} ({shown(text, 50)}) is not an Ethereum address")
            continue
        account = Address(to_checksum_address(text))
        if account in found:
            problems.append(f"line {number} repeats line {found[account]}")
        found.setdefault(account, number)
    if len(found) > MOST_LISTED:
        problems.append(f"it has more than {MOST_LISTED} accounts")
    if not found and not problems:
        problems.append("it is empty")
    if problems:
        raise BadAllowList(problems)
    return list(found)


def render_list(accounts: Sequence[Address]) -> bytes:
    """The list's one form as a file."""
    return "".join(f"{account}\n" for account in accounts).encode()

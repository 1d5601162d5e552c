"""Everything on IPFS that an audit of one bounty reads: listed, gathered, and written as one CAR file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledger.car import write_car
from ledger.cid import Digest, from_cid, to_cid
from ledger.errors import ContentError, ContentUnreachable
from ledger.history import BountyHistory, RoundHistory
from ledger.records import Merged, PrivacyMode, Terms
from node import manifest as manifests
from node.bounty_files import MAX_REPORT_BYTES, Artefacts, max_clip_bytes, max_update_bytes, planes_of
from node.manifest import Manifest
from node.round_updates import FETCHES_AT_ONCE
from node.state_files import state_file_bytes


@dataclass(frozen=True)
class Artefact:
    """A file that the chain or the manifest names, in words for a person, and the most bytes that it may have."""

    what: str
    digest: Digest
    max_bytes: int


@dataclass(frozen=True)
class Missing:
    """An artefact that could not be had, and why."""

    what: str
    cid: str
    why: str


def artefacts_of(history: BountyHistory, manifest: Manifest) -> list[Artefact]:
    """All files of a bounty, each once, in the order in which an audit reads them."""
    terms, model, holdout = history.posted.terms, manifest.model, manifest.holdout
    found = [
        Artefact("manifest", terms.manifest, manifests.MAX_BYTES),
        Artefact("training program", from_cid(model.train_cid), model.train_bytes),
        Artefact("evaluation program", from_cid(model.eval_cid), model.eval_bytes),
    ]
    if holdout is not None:
        found.append(Artefact("hold-out", from_cid(holdout.cid), holdout.bytes))
    for one in history.rounds.values():
        found += _artefacts_of_round(one, terms)
    return list({artefact.digest: artefact for artefact in reversed(found)}.values())[::-1]


def _artefacts_of_round(one: RoundHistory, terms: Terms) -> list[Artefact]:
    update_bytes, state_bytes = max_update_bytes(terms), state_file_bytes(terms.chunks, planes_of(terms))
    found = [Artefact(f"round {one.number}, update {each.index}", each.cid, update_bytes) for each in one.reveals]
    merges: list[Merged] = [*one.voided, *([one.merged] if one.merged else [])]
    for merged in merges:
        found.append(Artefact(f"round {one.number}, state", merged.claim.state_cid, state_bytes))
        found.append(Artefact(f"round {one.number}, report", merged.claim.report_cid, MAX_REPORT_BYTES))
        if any(merged.claim.clip_cid):
            what = "mask table" if terms.privacy == PrivacyMode.MASKED else "clip file"
            found.append(Artefact(f"round {one.number}, {what}", merged.claim.clip_cid, max_clip_bytes(terms)))
    return found


def export(
    files: Artefacts,
    artefacts: Sequence[Artefact],
    target: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, list[Missing]]:
    """Write what can be had as one CAR file; its size, and what it lacks.

    progress: called with how many of the steps are done: to fetch each artefact, then to write each that was had.
    Holds:    `target` is whole or untouched; what was fetched stays in the cache, so another try goes on.
    Raises:   ContentUnreachable.
    """
    had: list[tuple[Digest, Path]] = []
    missing: list[Missing] = []

    def fetch(artefact: Artefact) -> Path | ContentError:
        try:
            return files.file(artefact.digest, artefact.max_bytes)
        except ContentUnreachable:
            raise
        except ContentError as error:
            return error

    with ThreadPoolExecutor(FETCHES_AT_ONCE) as threads:
        for done, (artefact, got) in enumerate(zip(artefacts, threads.map(fetch, artefacts), strict=True), 1):
            if isinstance(got, Path):
                had.append((artefact.digest, got))
            else:
                missing.append(Missing(artefact.what, to_cid(artefact.digest), str(got)))
            progress(done, 2 * len(artefacts))
    return write_car(target, had, lambda done: progress(len(artefacts) + done, len(artefacts) + len(had))), missing

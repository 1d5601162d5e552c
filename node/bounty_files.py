"""A bounty's artefacts by their commitments: fetched within known limits, checked, kept.

Every size is known before the download: the manifest's by protocol, the programs' and the hold-out's from the
manifest, updates' and states' from the number of chunks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ledger.cid import Digest, from_cid, to_cid
from ledger.commitments import CHUNK, state_tree, zero_state_root
from ledger.content import ContentStore, FileSource
from ledger.errors import ContentMismatch, ContentTooLarge, ProtocolFault
from ledger.keccak import keccak
from ledger.merge_parameters import MergeParameters
from ledger.records import Merged, PrivacyMode, Revealed, Terms
from ledger.unixfs import digest_of_file
from ledger.whole_files import replacing
from node import manifest as manifests
from node.clip_files import clip_file_bytes
from node.errors import UpdateFault
from node.manifest import Manifest
from node.manifest_sections import HoldoutSection
from node.masking.files import most_masked_bytes
from node.masking.table import MOST_TABLE_BYTES
from node.sealed_updates import Reader, SealedUpdate
from node.sealing import MOST_RECIPIENTS, sealed_file_bytes
from node.state_files import decode_state, state_file_bytes
from node.targets import target_units
from node.updates import update_file_bytes

MAX_REPORT_BYTES = 256 * 1024


class TermsMismatch(ProtocolFault):
    """Chain and manifest tell different stories; `problems` holds every difference."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The bounty contradicts its manifest: {'; '.join(problems)}. Don't join it.")


@dataclass(frozen=True)
class Programs:
    """Where the two exported programs lie."""

    train: Path
    evaluate: Path


class Artefacts:
    """Artefacts of bounties, read from one source through one cache directory.

    reader: opens sealed updates; without one they can't be read.
    Raises: ContentError leaves from every method; what they return has the committed root.
    """

    store: FileSource

    def __init__(self, store: FileSource, cache: Path, fetch_seconds: float, reader: Reader | None = None) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.store = store
        self.cache = cache
        self.reader = reader
        self._seconds = fetch_seconds
        self._whole: set[Digest] = set()

    def manifest(self, terms: Terms) -> Manifest:
        """The manifest, checked against the terms on chain.

        Raises: BadManifest; TermsMismatch where chain and manifest disagree.
        """
        path = self.file(terms.manifest, manifests.MAX_BYTES)
        manifest = manifests.parse_manifest(path.read_bytes())
        check_terms(terms, manifest)
        return manifest

    def programs(self, manifest: Manifest) -> Programs:
        model = manifest.model
        return Programs(
            self.file(from_cid(model.train_cid), model.train_bytes),
            self.file(from_cid(model.eval_cid), model.eval_bytes),
        )

    def holdout(self, section: HoldoutSection) -> Path:
        """The owner's published test data."""
        return self.file(from_cid(section.cid), section.bytes)

    def state(self, merged: Merged | None, terms: Terms) -> NDArray[np.int32]:
        """The state after `merged`, all zeros for None.

        Shapes: -> (planes, chunks * CHUNK) int32: `A`, and `M` where the bounty's rule keeps one.
        Raises: ContentMismatch if the file's root is not the recorded one.
        """
        planes = planes_of(terms)
        if merged is None:
            return np.zeros((planes, terms.chunks * CHUNK), dtype=np.int32)
        claim = merged.claim
        path = self.file(claim.state_cid, state_file_bytes(terms.chunks, planes))
        planes_PD = decode_state(path.read_bytes(), terms.chunks, planes)
        root = state_tree(planes_PD).root
        if root != claim.state_root:
            detail = (
                f"its root is 0x{root.hex()}, the merge of round {merged.round} recorded 0x{claim.state_root.hex()}"
            )
            raise ContentMismatch(to_cid(claim.state_cid), detail)
        return planes_PD

    def update(self, revealed: Revealed, terms: Terms) -> Path:
        """The update's file as revealed, opened if it is sealed. Its root is not checked here: verification does.

        Raises: SealedUpdate if it is sealed for others; ContentMismatch if nobody can open it.
        """
        published = self.published_update(revealed, terms)
        if terms.privacy != PrivacyMode.ENCRYPTED:
            return published
        if self.reader is None:
            raise SealedUpdate(to_cid(revealed.cid))
        sealed_as = keccak(self.reader.context(revealed).label)  # another's reveal of the same file does not open
        opened = self.cache / f"{to_cid(revealed.cid)}.{sealed_as.hex()}.opened"
        if not opened.is_file():
            write_atomically(opened, _opened(self.reader, revealed, published), mode=0o600)
        return opened

    def published_update(self, revealed: Revealed, terms: Terms) -> Path:
        """The update's file as anyone can have it."""
        return self.file(revealed.cid, max_update_bytes(terms))

    def report(self, merged: Merged) -> bytes:
        return self.file(merged.claim.report_cid, MAX_REPORT_BYTES).read_bytes()

    def file(self, digest: Digest, max_bytes: int, most_seconds: float = math.inf) -> Path:
        """The file behind a digest, from the cache or from IPFS; a damaged copy in the cache is replaced.

        most_seconds: to wait for it, where that is less than for all files.
        Raises: ContentTooLarge for a copy at hand too: what a file is must not depend on who holds it.
        """
        path = self.cache / to_cid(digest)
        if not self._has(digest, path):
            seconds = min(self._seconds, most_seconds)
            self.store.fetch_to(digest, path, max_bytes=max_bytes, timeout_s=seconds)
            self._whole.add(digest)
        if path.stat().st_size > max_bytes:
            raise ContentTooLarge(to_cid(digest), max_bytes)
        return path

    def _has(self, digest: Digest, path: Path) -> bool:
        """Whether the cache has the whole file; its bytes are read for that once a process."""
        if path.is_file() and (digest in self._whole or digest_of_file(path) == digest):
            self._whole.add(digest)
            return True
        return False


class BountyFiles(Artefacts):
    """Artefacts read from an IPFS endpoint, and published on it."""

    store: ContentStore

    def __init__(self, store: ContentStore, cache: Path, fetch_seconds: float, reader: Reader | None = None) -> None:
        super().__init__(store, cache, fetch_seconds, reader)

    def publish(self, data: bytes) -> Digest:
        """Pin bytes and keep a copy at hand."""
        digest = self.store.add(data)
        write_atomically(self.cache / to_cid(digest), data)
        return digest


def _opened(reader: Reader, revealed: Revealed, published: Path) -> bytes:
    try:
        return reader.open(revealed, published.read_bytes())
    except UpdateFault as error:
        raise ContentMismatch(to_cid(revealed.cid), error.detail) from error


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file so that a crash leaves the old one or the new one. mode: less what the umask takes away.

    Holds: of several processes that write the same file, one's whole content stands.
    """
    with replacing(path, mode) as file:
        file.write(data)


def planes_of(terms: Terms) -> int:
    """How many planes a bounty's states have."""
    return MergeParameters.unpack(terms.merge_rule, terms.merge_parameters).planes


def max_update_bytes(terms: Terms) -> int:
    """The size of the largest file that an update may be published as."""
    update_bytes = update_file_bytes(terms.chunks)
    match terms.privacy:
        case PrivacyMode.ENCRYPTED:
            return sealed_file_bytes(update_bytes, MOST_RECIPIENTS)
        case PrivacyMode.MASKED:
            return most_masked_bytes(terms.chunks)
    return update_bytes


def max_clip_bytes(terms: Terms) -> int:
    """The size of the clip file, or of the mask table, of a round with all the updates that it may have."""
    if terms.privacy == PrivacyMode.MASKED:
        return MOST_TABLE_BYTES
    rule = MergeParameters.unpack(terms.merge_rule, terms.merge_parameters)
    buckets = -(-terms.max_updates // max(rule.bucket, 1))
    return clip_file_bytes(rule.iterations * buckets, terms.chunks)


def check_terms(terms: Terms, manifest: Manifest) -> None:
    """Refuse a bounty whose manifest and on-chain terms tell different stories.

    Raises: TermsMismatch naming every difference.
    """
    parameters = manifests.merge_parameters(manifest)
    expected: list[tuple[str, object, object]] = [
        ("chunks", terms.chunks, manifests.chunks(manifest)),
        ("squaredNormBound", terms.squared_norm_bound, manifests.squared_norm_bound(manifest)),
        ("target", terms.target, target_units(manifest)),
        ("mergeRule", terms.merge_rule.name.lower(), parameters.rule.name.lower()),
        ("privacy", terms.privacy.name.lower(), manifests.privacy(manifest).mode),
        ("mergeParameters", "0x" + terms.merge_parameters.hex(), "0x" + parameters.pack().hex()),
    ]
    problems = [f"{name} is {chain} on chain, {own} by the manifest" for name, chain, own in expected if chain != own]
    if not problems and terms.state_root != zero_state_root(terms.chunks, parameters.planes):
        problems.append("stateRoot is not the root of the zero state")
    if problems:
        raise TermsMismatch(problems)

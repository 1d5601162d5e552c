"""An evaluation's artefacts: nothing but what was posted is measured, and nobody reports who is not listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ledger.commitments import CHUNK, state_tree, zero_state_root
from ledger.content import ContentStore
from ledger.errors import ContentMismatch, ContentTooLarge
from ledger.evaluation_records import EvaluationTerms, Metric, list_tree
from ledger.keccak import keccak
from ledger.kubo import IpfsDaemon
from ledger.trees import Tag, chunk_root, leaf_hash
from node import manifest as manifests
from node.bounty_files import BountyFiles
from node.errors import BadManifest, BadStateFile
from node.evaluation_files import (
    LINE_BYTES,
    MOST_LISTED,
    BadAllowList,
    EvaluationFiles,
    EvaluationMismatch,
    NotOnList,
    render_list,
)
from node.manifest import render_manifest
from node.state_files import encode_state
from tests import evaluation_builders as make
from tests.node import samples

pytestmark = pytest.mark.integration

MANIFEST = samples.manifest()
CHUNKS = manifests.chunks(MANIFEST)
LISTED = [make.account(number) for number in range(5)]


@pytest.fixture
def store(ipfs: IpfsDaemon) -> ContentStore:
    return ContentStore(ipfs.api)


@pytest.fixture
def files(store: ContentStore, tmp_path: Path) -> EvaluationFiles:
    return EvaluationFiles(BountyFiles(store, tmp_path / "cache", fetch_seconds=1.0))


def test_manifest__when_it_fits_the_terms__then_is_read(files: EvaluationFiles, store: ContentStore) -> None:
    digest = store.add(render_manifest(MANIFEST))
    assert files.manifest(make.terms(manifest=digest, state_root=zero_state_root(CHUNKS))) == MANIFEST


def test_manifest__when_it_does_not__then_refused(files: EvaluationFiles, store: ContentStore) -> None:
    digest = store.add(render_manifest(MANIFEST))
    with pytest.raises(EvaluationMismatch, match="not the zero state"):
        files.manifest(make.terms(manifest=digest))
    root = zero_state_root(CHUNKS)
    with pytest.raises(EvaluationMismatch, match="its metric is mae, but the model is for classification"):
        files.manifest(make.terms(manifest=digest, state_root=root, metric=Metric.MEAN_ABSOLUTE_ERROR))
    with pytest.raises(BadManifest):
        files.manifest(make.terms(manifest=store.add(b"no manifest"), state_root=root))


def test_state__when_its_root_is_the_posted_one__then_is_read(files: EvaluationFiles, store: ContentStore) -> None:
    planes_PD = np.arange(CHUNKS * CHUNK, dtype=np.int32).reshape(1, -1)
    digest, root = store.add(encode_state(planes_PD)), state_tree(planes_PD).root
    found_PD = files.state(make.terms(state_root=root, state_cid=digest), MANIFEST)
    np.testing.assert_array_equal(found_PD, planes_PD)
    with pytest.raises(ContentMismatch, match="its root is"):
        files.state(make.terms(state_root=keccak(b"other"), state_cid=digest), MANIFEST)


def test_state__without_a_file__then_is_zero(files: EvaluationFiles) -> None:
    found_PD = files.state(make.terms(), MANIFEST)
    assert found_PD.shape == (1, CHUNKS * CHUNK)
    assert not found_PD.any()


def test_state__when_the_file_is_no_state__then_refused(files: EvaluationFiles, store: ContentStore) -> None:
    with pytest.raises(BadStateFile):
        files.state(make.terms(state_cid=store.add(b"no state")), MANIFEST)
    long = bytes(20 + CHUNKS * CHUNK * 4)
    with pytest.raises(ContentTooLarge):
        files.state(make.terms(state_cid=store.add(long)), MANIFEST)


def listed_terms(store: ContentStore) -> EvaluationTerms:
    return make.terms(list_root=list_tree(LISTED).root, list_cid=store.add(render_list(LISTED)))


def test_place__of_each_of_the_list__then_its_proof_leads_to_the_root(
    files: EvaluationFiles, store: ContentStore
) -> None:
    terms = listed_terms(store)
    for number, account in enumerate(LISTED):
        place, siblings = files.place(terms, 1, account)
        assert place == number
        leaf = leaf_hash(Tag.LISTED, place, bytes.fromhex(account[2:]))
        assert chunk_root(leaf, place, siblings) == terms.list_root


def test_place__of_anyone_else__then_refused(files: EvaluationFiles, store: ContentStore) -> None:
    with pytest.raises(NotOnList, match="evaluation 7"):
        files.place(listed_terms(store), 7, make.account(9))
    assert files.place(make.terms(), 7, make.account(9)) == (0, [])


def test_place__when_the_list_is_not_the_posted_one__then_refused(files: EvaluationFiles, store: ContentStore) -> None:
    root = list_tree(LISTED).root
    other = make.terms(list_root=root, list_cid=store.add(render_list(LISTED[:4])))
    with pytest.raises(ContentMismatch, match="its root is not"):
        files.place(other, 1, LISTED[0])
    with pytest.raises(BadAllowList):
        files.place(make.terms(list_root=root, list_cid=store.add(b"\x00" * 50)), 1, LISTED[0])
    with pytest.raises(ContentTooLarge):
        files.place(
            make.terms(list_root=root, list_cid=store.add(b"\n" * (MOST_LISTED * LINE_BYTES + 1))), 1, LISTED[0]
        )

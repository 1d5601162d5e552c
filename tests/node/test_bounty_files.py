"""A bounty's artefacts: from IPFS once, then from the cache, never anything but what was committed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.cid import to_cid
from ledger.commitments import state_tree, zero_state_root
from ledger.content import ContentStore
from ledger.errors import ContentMismatch, ContentTooLarge, ContentUnavailable
from ledger.kubo import IpfsDaemon
from ledger.records import BountyId, MergeRule, PrivacyMode, Terms
from ledger.unixfs import digest_of
from node import manifest as manifests
from node.bounty_files import BountyFiles, TermsMismatch, check_terms, write_atomically
from node.errors import BadManifest
from node.sealed_updates import Reader, SealedUpdate
from node.sealing import seal
from node.state_files import encode_state
from tests import builders as make
from tests.node import samples


@pytest.fixture
def files(ipfs: IpfsDaemon, tmp_path: Path) -> BountyFiles:
    return BountyFiles(ContentStore(ipfs.api), tmp_path / "cache", fetch_seconds=1.0)


def fitting_terms(**changes: object) -> Terms:
    """Terms that follow from the sample manifest."""
    manifest = samples.manifest()
    chunks = manifests.chunks(manifest)
    own = make.terms(
        chunks=chunks,
        squared_norm_bound=manifests.squared_norm_bound(manifest),
        state_root=zero_state_root(chunks),
        merge_parameters=manifests.merge_parameters(manifest).pack(),
    )
    return replace(own, **changes)


@pytest.mark.integration
def test_file__when_fetched_before__then_ipfs_is_not_asked_again(files: BountyFiles) -> None:
    data = os.urandom(1000)
    digest = files.store.add(data)
    path = files.file(digest, 1000)
    assert path.read_bytes() == data
    files.store = ContentStore("http://127.0.0.1:1")
    assert files.file(digest, 1000) == path


@pytest.mark.integration
def test_file__when_the_copy_in_the_cache_is_damaged__then_it_is_fetched_anew(
    files: BountyFiles, tmp_path: Path
) -> None:
    data = os.urandom(1000)
    digest = files.store.add(data)
    files.file(digest, 1000).write_bytes(b"damaged")
    assert BountyFiles(files.store, tmp_path / "cache", 1.0).file(digest, 1000).read_bytes() == data


@pytest.mark.integration
def test_file__when_larger_than_allowed__then_refused_whether_at_hand_or_not(files: BountyFiles) -> None:
    digest = files.store.add(os.urandom(1001))
    with pytest.raises(ContentTooLarge):
        files.file(digest, 1000)
    files.file(digest, 1001)
    with pytest.raises(ContentTooLarge):
        files.file(digest, 1000)


@pytest.mark.integration
def test_file__when_nobody_has_it__then_unavailable_after_the_time_limit(files: BountyFiles) -> None:
    with pytest.raises(ContentUnavailable, match="Nobody served"):
        files.file(digest_of(os.urandom(20)), 1000)


@pytest.mark.integration
def test_publish__then_the_file_is_pinned_and_at_hand(files: BountyFiles) -> None:
    data = os.urandom(100)
    digest = files.publish(data)
    assert digest in files.store.pinned()
    files.store = ContentStore("http://127.0.0.1:1")
    assert files.file(digest, 100).read_bytes() == data


@pytest.mark.integration
def test_state__when_its_root_is_recorded__then_its_coordinates(files: BountyFiles) -> None:
    planes_PD = np.arange(256, dtype=np.int32)[None]
    merged = make.merged(1, 9, state_root=state_tree(planes_PD).root, state_cid=files.publish(encode_state(planes_PD)))
    assert np.array_equal(files.state(merged, make.terms(chunks=2)), planes_PD)


@pytest.mark.integration
def test_state__when_the_rule_keeps_an_aggregate__then_both_planes(files: BountyFiles) -> None:
    planes_PD = np.arange(512, dtype=np.int32).reshape(2, 256)
    merged = make.merged(1, 9, state_root=state_tree(planes_PD).root, state_cid=files.publish(encode_state(planes_PD)))
    terms = make.terms(chunks=2, merge_parameters=(65536 | 1 << 32).to_bytes(32, "big"))
    assert np.array_equal(files.state(merged, terms), planes_PD)
    assert files.state(None, terms).shape == (2, 256)


@pytest.mark.integration
def test_state__when_the_root_is_another__then_mismatch_names_both(files: BountyFiles) -> None:
    planes_PD = np.arange(256, dtype=np.int32)[None]
    merged = make.merged(1, 9, state_cid=files.publish(encode_state(planes_PD)))
    with pytest.raises(ContentMismatch, match=f"{state_tree(planes_PD).root.hex()}.*{merged.claim.state_root.hex()}"):
        files.state(merged, make.terms(chunks=2))


@pytest.mark.integration
def test_state__before_the_first_merge__then_all_zeros(files: BountyFiles) -> None:
    assert not files.state(None, make.terms(chunks=3)).any()


@pytest.mark.integration
def test_manifest__when_it_is_none__then_says_so(files: BountyFiles) -> None:
    with pytest.raises(BadManifest, match="not TOML"):
        files.manifest(fitting_terms(manifest=files.publish(b"= no manifest " + os.urandom(4).hex().encode())))


@pytest.mark.integration
def test_manifest__when_it_fits_the_terms__then_parsed(files: BountyFiles) -> None:
    digest = files.publish(manifests.render_manifest(samples.manifest()))
    assert files.manifest(fitting_terms(manifest=digest)) == samples.manifest()


@pytest.mark.unit
def test_check_terms__when_they_follow_from_the_manifest__then_passes() -> None:
    check_terms(fitting_terms(), samples.manifest())


@pytest.mark.unit
def test_check_terms__when_they_contradict_the_manifest__then_names_every_difference() -> None:
    wrong = fitting_terms(chunks=9, squared_norm_bound=1, merge_parameters=bytes(31) + b"\1")
    with pytest.raises(TermsMismatch) as caught:
        check_terms(wrong, samples.manifest())
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "chunks",
        "squaredNormBound",
        "mergeParameters",
    ]


@pytest.mark.unit
def test_check_terms__when_the_first_state_is_not_zero__then_refused() -> None:
    with pytest.raises(TermsMismatch, match="zero state"):
        check_terms(fitting_terms(state_root=make.word("a model of somebody else's")), samples.manifest())
    assert fitting_terms().merge_rule == MergeRule.MEAN


@pytest.mark.unit
def test_write_atomically__when_the_file_exists__then_it_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"old", b"new"):
        write_atomically(path, data)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.unit
def test_write_atomically__when_several_write_the_same_file__then_nobody_fails_and_it_is_whole(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([number]) * 100_000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write_atomically(path, contents[number % 4]), range(200)))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def sealed_files(cache: Path, sealed: bytes, reader: Reader | None) -> BountyFiles:
    """Files with a sealed update at hand, and no endpoint to ask."""
    cache.mkdir(exist_ok=True)
    (cache / to_cid(digest_of(sealed))).write_bytes(sealed)
    return BountyFiles(ContentStore("http://127.0.0.1:1"), cache, fetch_seconds=1.0, reader=reader)


@pytest.mark.unit
def test_update__when_a_sealed_file_is_revealed_again_by_another__then_it_does_not_open_from_the_cache_either(
    tmp_path: Path,
) -> None:
    terms, aggregator = make.terms(chunks=1, privacy=PrivacyMode.ENCRYPTED), X25519PrivateKey.generate()
    reader = Reader(31337, make.OWNER, aggregator)
    alice = make.revealed(make.ALICE, 1, 0, 5)
    recipients = [aggregator.public_key().public_bytes_raw()]
    sealed = seal(b"update", make.word("content key"), recipients, reader.context(alice))
    alice = replace(alice, cid=digest_of(sealed))
    files = sealed_files(tmp_path / "cache", sealed, reader)
    assert files.update(alice, terms).read_bytes() == b"update"
    assert files.update(alice, terms).stat().st_mode & 0o077 == 0
    for copied in (replace(alice, provider=make.BOB), replace(alice, round=2), replace(alice, bounty=BountyId(9))):
        with pytest.raises(ContentMismatch, match="was not sealed for"):
            files.update(copied, terms)
    elsewhere = sealed_files(tmp_path / "cache", sealed, replace(reader, market=make.ALICE))
    with pytest.raises(ContentMismatch, match="was not sealed for"):
        elsewhere.update(alice, terms)
    with pytest.raises(SealedUpdate):
        sealed_files(tmp_path / "cache", sealed, None).update(alice, terms)

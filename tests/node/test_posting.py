"""From a package folder to terms: what an owner's offer may be, and what follows from the manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ledger.cid import to_cid
from ledger.commitments import zero_state_root
from ledger.content import ContentStore
from ledger.errors import BadInput
from ledger.kubo import IpfsDaemon
from ledger.records import RewardRule, Wei
from ledger.unixfs import digest_of_file
from node import manifest as manifests
from node.bounty_files import check_terms
from node.cli.packing import RuleName, chosen_merge, merge_section
from node.errors import BadPackage
from node.package.export import EVAL_FILE, MANIFEST_FILE, TRAIN_FILE
from node.posting import (
    BadOffer,
    IncompletePackage,
    check_offer,
    default_fee,
    publish_package,
    read_package,
    terms_for,
)
from node.robustness import QuorumTooSmall
from tests import builders as make
from tests.node import samples

OFFER = samples.offer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sample package, as its owner has it."""
    package = samples.net()
    (tmp_path / TRAIN_FILE).write_bytes(package.train)
    (tmp_path / EVAL_FILE).write_bytes(package.eval)
    (tmp_path / MANIFEST_FILE).write_bytes(manifests.render_manifest(package.manifest))
    return tmp_path


@pytest.mark.unit
def test_read_package__then_cids_and_sizes_are_those_of_the_files(folder: Path) -> None:
    manifest = read_package(folder)
    assert manifest.model.train_cid == to_cid(digest_of_file(folder / TRAIN_FILE))
    assert manifest.model.eval_bytes == (folder / EVAL_FILE).stat().st_size
    assert manifest.holdout is None


@pytest.mark.unit
def test_read_package__with_test_data__then_it_is_the_hold_out(folder: Path) -> None:
    np.savez(folder / "holdout.npz", x=np.zeros((2, 4), np.float32), y=np.zeros(2, np.int64))
    holdout = read_package(folder).holdout
    assert holdout is not None
    assert (holdout.format, holdout.cid) == ("npz", to_cid(digest_of_file(folder / "holdout.npz")))


@pytest.mark.unit
@pytest.mark.parametrize("name", [TRAIN_FILE, EVAL_FILE, MANIFEST_FILE])
def test_read_package__when_a_file_is_missing__then_names_it(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IncompletePackage, match=f"has no {name}"):
        read_package(folder)


@pytest.mark.unit
def test_read_package__when_a_program_is_cut_off__then_refused(folder: Path) -> None:
    (folder / TRAIN_FILE).write_bytes(samples.net().train[:-100])
    with pytest.raises(BadPackage, match=TRAIN_FILE):
        read_package(folder)


@pytest.mark.integration
def test_publish_package__then_everything_is_pinned_under_the_cids_of_the_manifest(
    folder: Path, ipfs: IpfsDaemon
) -> None:
    store, manifest = ContentStore(ipfs.api), read_package(folder)
    digest = publish_package(store, folder, manifest)
    pinned = {to_cid(one) for one in store.pinned()}
    assert {to_cid(digest), manifest.model.train_cid, manifest.model.eval_cid} <= pinned
    assert manifests.parse_manifest(store.fetch(digest, 10**5, 5)) == manifest


@pytest.mark.unit
def test_terms_for__then_they_follow_from_offer_and_manifest() -> None:
    manifest = samples.net().manifest
    terms = terms_for(OFFER, manifest, make.terms().manifest)
    check_terms(terms, manifest)
    assert (terms.pot, terms.stake, terms.forfeit) == (900, 100, 50)
    assert terms.state_root == zero_state_root(manifests.chunks(manifest))


@pytest.mark.unit
def test_terms_for__when_the_stake_is_one_wei__then_all_of_it_is_at_risk() -> None:
    terms = terms_for(replace(OFFER, stake=Wei(1)), samples.net().manifest, make.terms().manifest)
    assert terms.forfeit == 1


@pytest.mark.unit
def test_check_offer__when_the_contract_would_take_it__then_passes() -> None:
    check_offer(OFFER, samples.manifest())
    check_offer(replace(OFFER, pot=Wei(2**96 - 51), commit_seconds=(2**24 - 1) // 3), samples.manifest())


@pytest.mark.unit
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pot": 0}, "pot is 0"),
        ({"stake": 0}, "stake is 0"),
        ({"bond": 0}, "bond is 0"),
        ({"demand_fee": 0}, "chunk is 0"),
        ({"rounds": 1025}, "1025 rounds"),
        ({"pot": 2**96 - 50}, "exceed"),
        ({"min_updates": 3}, "quorum of 3"),
        ({"commit_seconds": 2**24 // 3 + 1}, "commit windows"),
    ],
)
def test_check_offer__when_the_contract_would_refuse_it__then_says_why(changes: dict[str, int], words: str) -> None:
    with pytest.raises(BadOffer, match=words):
        check_offer(replace(OFFER, **changes), samples.manifest())


@pytest.mark.unit
def test_check_offer__when_several_things_are_wrong__then_names_all() -> None:
    with pytest.raises(BadOffer) as caught:
        check_offer(replace(OFFER, pot=Wei(0), bond=Wei(0), min_updates=9), samples.manifest())
    assert len(caught.value.problems) == 3


@pytest.mark.unit
def test_check_offer__when_the_rule_drops_more_than_the_quorum__then_refused() -> None:
    trimmed = samples.manifest(merge__rule="trimmed_mean", merge__trim=1)
    check_offer(replace(OFFER, min_updates=3, max_updates=3), trimmed)
    with pytest.raises(BadOffer):
        check_offer(OFFER, trimmed)


@pytest.mark.unit
def test_check_offer__when_contributions_can_not_be_measured__then_says_under_which_rules_they_can() -> None:
    offer = replace(OFFER, reward_rule=RewardRule.CONTRIBUTION, min_updates=3, max_updates=3)
    check_offer(offer, samples.manifest())
    with pytest.raises(BadOffer, match="under trimmed_mean: take mean or centered_clip"):
        check_offer(offer, samples.manifest(merge__rule="trimmed_mean", merge__trim=1))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("changes", "quorum", "words"),
    [
        ({"rule": "median", "attackers": 1}, 2, "from a quorum of 3 on: raise --min-updates"),
        ({"rule": "nearest_neighbours", "attackers": 2}, 4, "from a quorum of 5 on: raise --min-updates, or merge.att"),
        ({"rule": "multi_krum", "attackers": 1}, 4, "from a quorum of 5 on: raise --min-updates"),
    ],
)
def test_check_offer__when_the_quorum_is_too_small_for_the_attackers__then_it_says_what_to_change(
    changes: dict[str, Any], quorum: int, words: str
) -> None:
    manifest = samples.manifest(merge={**changes, "learning_rate": 1.0})
    with pytest.raises(BadOffer, match=words):
        check_offer(replace(OFFER, min_updates=quorum, max_updates=9), manifest)
    check_offer(replace(OFFER, min_updates=quorum + 1, max_updates=9), manifest)


@pytest.mark.unit
@pytest.mark.parametrize("iterations", [1, 2, 3, 4])
def test_check_offer__when_clipping_is_more_than_a_transaction_proves__then_says_what_is_allowed(
    iterations: int,
) -> None:
    clip = {"rule": "centered_clip", "bucket": 1, "iterations": iterations, "radius": 0.1, "attackers": 0}
    manifest = samples.manifest(merge={**clip, "learning_rate": 1.0})
    most = min(256, 512 // iterations)
    check_offer(replace(OFFER, max_updates=most), manifest)
    if most < 256:
        with pytest.raises(BadOffer, match=f"{iterations} iterations of clipping a round may take {most} updates"):
            check_offer(replace(OFFER, max_updates=most + 1), manifest)


@pytest.mark.unit
@pytest.mark.parametrize("rule", ["trimmed_mean", "median", "multi_krum", "geometric_median", "nearest_neighbours"])
def test_merge_section__whatever_the_quorum__then_it_can_be_posted_and_withstands_one(rule: RuleName) -> None:
    for quorum in (5, 12, 256):
        section = merge_section(rule, None, quorum)
        assert section["attackers"] == max(1, quorum // 4)
        check_offer(replace(OFFER, min_updates=quorum, max_updates=256), samples.manifest(merge=section))


@pytest.mark.unit
def test_merge_section__of_the_mean__then_only_with_an_explicit_zero() -> None:
    with pytest.raises(QuorumTooSmall, match="--attackers 0"):
        merge_section("mean", None, 100)
    check_offer(OFFER, samples.manifest(merge=merge_section("mean", 0, 2)))


@pytest.mark.unit
def test_chosen_merge__when_a_quorum_makes_too_few__then_says_that_groups_count() -> None:
    with pytest.raises(BadInput, match=r"quorum of 6 updates in groups of 3 makes 2: raise --min-updates"):
        chosen_merge("trimmed_mean", None, 6, 3)
    assert chosen_merge("trimmed_mean", None, 9, 3) == merge_section("trimmed_mean", None, 3)


@pytest.mark.unit
def test_default_fee__then_it_is_a_thousandth_of_the_bond_and_at_least_one() -> None:
    assert [default_fee(Wei(bond)) for bond in (1, 999, 1000, 5000)] == [1, 1, 1, 5]


@pytest.mark.unit
def test_terms_for__when_the_rule_keeps_an_aggregate__then_the_first_state_has_two_planes() -> None:
    manifest = samples.manifest(merge__momentum=0.9)
    terms = terms_for(OFFER, manifest, make.terms().manifest)
    check_terms(terms, manifest)
    assert terms.state_root == zero_state_root(manifests.chunks(manifest), planes=2)

"""A round's updates, fetched and verified: each an update or a named reason, in the order of the reveals."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from ledger.commitments import update_tree
from ledger.content import ContentStore
from ledger.errors import ContentUnreachable
from ledger.kubo import IpfsDaemon
from ledger.merge_records import Reason
from ledger.records import Revealed
from ledger.unixfs import digest_of
from node.bounty_files import BountyFiles
from node.round_updates import check_updates, open_checks
from node.updates import encode_update
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make

TERMS = make.terms(chunks=2)
COORDINATES = 200


@pytest.fixture
def files(ipfs: IpfsDaemon, tmp_path: Path) -> BountyFiles:
    return BountyFiles(ContentStore(ipfs.api), tmp_path / "cache", fetch_seconds=1.0)


def reveal(files: BountyFiles, index: int) -> Revealed:
    """A right update, published."""
    update_D = np.zeros(256, dtype=np.int16)
    update_D[:COORDINATES] = np.random.default_rng(index).integers(-99, 99, COORDINATES)
    tree = update_tree(update_D)
    plain = make.revealed(make.ALICE, 1, index, 5)
    cid = files.store.add(encode_update(update_D))
    return replace(plain, cid=cid, update_root=tree.root, squared_norm=tree.total)


def reasons(files: BountyFiles, reveals: list[Revealed]) -> list[Reason | None]:
    checked = check_updates(files, TERMS, reveals, COORDINATES)
    assert [one.revealed for one in checked] == reveals
    return [one.reason if isinstance(one, Rejection) else None for one in checked]


@pytest.mark.integration
def test_check_updates__when_all_are_right__then_in_the_order_of_the_reveals(files: BountyFiles) -> None:
    reveals = [reveal(files, index) for index in range(12)]
    told: list[int] = []
    checked = check_updates(files, TERMS, reveals, COORDINATES, told.append)
    assert all(isinstance(one, VerifiedUpdate) for one in checked)
    assert [one.revealed.index for one in checked] == list(range(12))
    assert told == list(range(1, 13))


@pytest.mark.integration
def test_check_updates__when_files_are_bad__then_each_has_its_reason_and_the_others_pass(files: BountyFiles) -> None:
    gone = replace(reveal(files, 1), cid=digest_of(os.urandom(30)))
    long = replace(reveal(files, 2), cid=files.store.add(os.urandom(16 + 512 + 1)))
    noise = replace(reveal(files, 3), cid=files.store.add(os.urandom(16 + 512)))
    empty = replace(reveal(files, 4), cid=files.store.add(b""))
    swapped = replace(reveal(files, 5), cid=reveal(files, 0).cid)
    found = reasons(files, [reveal(files, 0), gone, long, noise, empty, swapped])
    assert found == [
        None,
        Reason.UNAVAILABLE,
        Reason.WRONG_LENGTH,
        Reason.MALFORMED,
        Reason.WRONG_LENGTH,
        Reason.WRONG_ROOT,
    ]


@pytest.mark.integration
def test_check_updates__when_the_endpoint_is_down__then_it_is_nobodys_fault(tmp_path: Path) -> None:
    files = BountyFiles(ContentStore("http://127.0.0.1:1"), tmp_path / "cache", 1.0)
    with pytest.raises(ContentUnreachable):
        check_updates(files, TERMS, [make.revealed(make.ALICE, 1, 0, 5)], COORDINATES)


@pytest.mark.integration
@pytest.mark.parametrize("sizes", [[], [0, 0], [3, 0, 1], [30, 30, 30], [100, 1, 2]])
def test_in_order__then_every_round_has_its_updates_and_each_is_told(files: BountyFiles, sizes: list[int]) -> None:
    shown = reveal(files, 0)
    rounds = [[replace(shown, round=number, index=index) for index in range(size)] for number, size in enumerate(sizes)]
    told = count()
    with open_checks(files, TERMS, COORDINATES) as checks:
        found = [[one.revealed for one in each] for each in checks.in_order(rounds, lambda: next(told))]
    assert found == rounds
    assert next(told) == sum(sizes)


@pytest.mark.unit
def test_check_updates__when_there_are_none__then_nothing(tmp_path: Path) -> None:
    files = BountyFiles(ContentStore("http://127.0.0.1:1"), tmp_path / "cache", 1.0)
    assert check_updates(files, TERMS, [], COORDINATES) == []

"""Processes that hash: started where it is worth it, and never the reason for another verdict."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ledger.cid import to_cid
from ledger.commitments import update_tree
from ledger.content import ContentStore
from ledger.records import Revealed
from ledger.unixfs import digest_of
from node.bounty_files import Artefacts
from node.hashing_processes import LEAST_CHUNKS, open_processes
from node.round_updates import check_updates
from node.updates import encode_update
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make

COORDINATES = 200
TERMS = make.terms(chunks=2)


@pytest.fixture
def files(tmp_path: Path) -> Artefacts:
    return Artefacts(ContentStore("http://127.0.0.1:1"), tmp_path / "cache", 1.0)


def reveal(files: Artefacts, index: int) -> Revealed:
    """A right update whose file is at hand."""
    update_D = np.zeros(256, dtype=np.int16)
    update_D[:COORDINATES] = np.random.default_rng(index).integers(-99, 99, COORDINATES)
    data, tree = encode_update(update_D), update_tree(update_D)
    plain = replace(make.revealed(make.ALICE, 1, index, 5), cid=digest_of(data))
    (files.cache / to_cid(plain.cid)).write_bytes(data)
    return replace(plain, update_root=tree.root, squared_norm=tree.total)


def kinds(files: Artefacts, reveals: list[Revealed], workers: Executor | None) -> list[str]:
    checked = check_updates(files, TERMS, reveals, COORDINATES, workers=workers)
    for one in checked:
        if isinstance(one, VerifiedUpdate):
            assert update_tree(one.update).root == one.revealed.update_root
    return [one.reason.label if isinstance(one, Rejection) else "right" for one in checked]


@pytest.mark.unit
def test_open_processes__when_there_is_little_to_hash_or_one_core__then_none() -> None:
    with open_processes(LEAST_CHUNKS - 1) as workers:
        assert workers is None
    with open_processes(LEAST_CHUNKS, cores=1) as workers:
        assert workers is None


@pytest.mark.integration
def test_check_updates__when_hashed_in_processes__then_as_without(files: Artefacts) -> None:
    reveals = [reveal(files, index) for index in range(6)]
    reveals[2] = replace(reveals[2], update_root=reveals[3].update_root)
    with open_processes(LEAST_CHUNKS, cores=2) as workers:
        assert workers is not None
        found = kinds(files, reveals, workers)
    assert found == kinds(files, reveals, None)
    assert found == ["right", "right", "wrong-root", "right", "right", "right"]


@pytest.mark.integration
def test_check_updates__when_a_process_is_killed__then_the_answers_are_the_same(files: Artefacts) -> None:
    reveals = [reveal(files, index) for index in range(3)]
    with open_processes(LEAST_CHUNKS, cores=2) as workers:
        assert workers is not None
        os.kill(workers.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(BrokenProcessPool):
            workers.submit(time.sleep, 30).result()
        assert kinds(files, reveals, workers) == ["right"] * 3

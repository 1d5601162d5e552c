"""A provider's momentum: what is sent, what is kept, and that a restart never applies it twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ledger.commitments import CHUNK
from ledger.history import build_history
from ledger.records import Event, Terms
from node.bounty_files import Programs
from node.journal import Journal, MadeUpdate, Scope
from node.package.export import Package
from node.provider.decisions import Train
from node.provider.local_work import LocalWork, LocalWorkSetup
from node.provider.momentum import MomentumFiles, blend
from node.provider.view import earlier_update
from node.updates import decode_update, quantise
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

BETA = 0.75
ROWS = 12


@dataclass
class Disk:
    """A package and a state as they lie in a provider's cache; the tests move the state."""

    package: Package
    moved: int = 0

    def programs(self, manifest: object) -> Programs:
        return Programs(self.package.train_path, self.package.eval_path)

    def state(self, merged: object, terms: object) -> NDArray[np.int32]:
        return np.full((1, CHUNK), self.moved * 2**20, dtype=np.int32)


def terms() -> Terms:
    return replace(make.terms(), squared_norm_bound=2**40)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Full batches without chance: the same state gives the same delta."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Linear(4, 3)
    training = {"batch_size": ROWS, "learning_rate": 0.5, "local_momentum": BETA}
    return samples.exported(module, torch.zeros(2, 4), tmp_path_factory.mktemp("package"), training=training)


def work_in(folder: Path, package: Package, momentum: float = BETA) -> tuple[LocalWork, Disk]:
    disk = Disk(package)
    training = package.manifest.training.model_copy(update={"local_momentum": momentum})
    manifest = package.manifest.model_copy(update={"training": training})
    rng = np.random.default_rng(3)
    np.savez(folder / "data.npz", x=rng.normal(0, 1, (ROWS, 4)).astype(np.float32), y=rng.integers(0, 3, ROWS))
    setup = LocalWorkSetup(make.BOUNTY, folder / "updates", disk, terms(), manifest, str(folder / "data.npz"), "cpu")
    return LocalWork(setup), disk


def kept(folder: Path, made: MadeUpdate) -> NDArray[np.float32]:
    assert made.momentum is not None
    found = MomentumFiles(folder / "updates", f"{make.BOUNTY}-{terms().manifest.hex()[:16]}").read(made.momentum, CHUNK)
    assert found is not None
    return found


def sent(folder: Path, made: MadeUpdate) -> NDArray[np.int16]:
    """The update file that is not a momentum and has the root."""
    files = [path for path in (folder / "updates").iterdir() if not path.name.startswith("momentum-")]
    newest = max(files, key=lambda path: path.stat().st_mtime_ns)
    return decode_update(newest.read_bytes(), CHUNK)


def test_make_update__of_a_first_round__then_the_momentum_is_the_delta(tmp_path: Path, package: Package) -> None:
    work, disk = work_in(tmp_path, package)
    made = work.make_update(Train(1, None))
    first_D = kept(tmp_path, made)
    assert np.abs(first_D).max() > 0.01
    quantised = quantise(first_D, disk.package.manifest.update, np.random.default_rng(0))
    assert np.array_equal(sent(tmp_path, made), quantised.update)


def test_make_update__of_a_later_round__then_momentum_and_delta_are_mixed(tmp_path: Path, package: Package) -> None:
    work, disk = work_in(tmp_path, package)
    first = work.make_update(Train(1, None))
    first_D = kept(tmp_path, first)
    disk.moved = 1
    second = work.make_update(Train(2, None, first))
    second_D = kept(tmp_path, second)
    alone_D = kept(tmp_path, work.make_update(Train(2, None)))
    assert np.linalg.norm(alone_D - first_D) > 0.01
    assert np.allclose(second_D, BETA * first_D + (1 - BETA) * alone_D, atol=1e-6)


def test_make_update__when_the_process_died_before_the_journal_knew__then_nothing_is_applied_twice(
    tmp_path: Path, package: Package
) -> None:
    work, disk = work_in(tmp_path, package)
    first = work.make_update(Train(1, None))
    disk.moved = 1
    lost = work.make_update(Train(2, None, first))
    second_D = kept(tmp_path, lost)
    again, again_disk = work_in(tmp_path, package)
    again_disk.moved = 1
    repeated = again.make_update(Train(2, None, first))
    assert np.allclose(kept(tmp_path, repeated), second_D, atol=1e-6)
    assert len(list((tmp_path / "updates").glob("momentum-*"))) <= 3


@pytest.mark.parametrize("damage", ["lost", "cut", "changed"])
def test_make_update__when_the_momentum_file_is_gone_or_damaged__then_it_starts_anew(
    tmp_path: Path, package: Package, damage: str
) -> None:
    work, disk = work_in(tmp_path, package)
    first = work.make_update(Train(1, None))
    (path,) = (tmp_path / "updates").glob("momentum-*")
    whole = path.read_bytes()
    path.unlink()
    if damage != "lost":
        path.write_bytes(whole[:-4] if damage == "cut" else bytes(len(whole)))
    disk.moved = 1
    second_D = kept(tmp_path, work.make_update(Train(2, None, first)))
    assert np.allclose(second_D, kept(tmp_path, work.make_update(Train(2, None))), atol=1e-6)


def test_make_update__when_the_manifest_wants_no_momentum__then_none_is_kept(tmp_path: Path, package: Package) -> None:
    work, _ = work_in(tmp_path, package, momentum=0.0)
    assert work.make_update(Train(1, None)).momentum is None
    assert list((tmp_path / "updates").glob("momentum-*")) == []


def test_write__then_only_what_a_restart_needs_stays_and_other_bounties_keep_theirs(tmp_path: Path) -> None:
    files, others = MomentumFiles(tmp_path, "7-ab"), MomentumFiles(tmp_path, "7-cd")
    vectors = [np.full(4, value, dtype=np.float32) for value in range(4)]
    other = others.write(vectors[0], None)
    first = files.write(vectors[1], None)
    second = files.write(vectors[2], first)
    third = files.write(vectors[3], second)
    assert files.read(first, 4) is None
    assert [files.read(one, 4) is not None for one in (second, third)] == [True, True]
    assert others.read(other, 4) is not None
    assert files.read(third, 5) is None


def test_blend__of_a_first_delta__then_it_stays_as_it_is() -> None:
    delta_D = np.array([1, -2], dtype=np.float32)
    blend(delta_D, None, 0.9)
    assert delta_D.tolist() == [1, -2]
    blend(delta_D, np.array([3, 2], dtype=np.float32), 0.5)
    assert delta_D.tolist() == [2, 0]


# --- which update goes on ---

SCOPE = Scope(31337, make.AGGREGATOR, make.BOUNTY, make.ALICE)


def made_in(number: int, **changes: object) -> MadeUpdate:
    shown = make.revealed(make.ALICE, number, 0, 1)
    base = MadeUpdate(number, shown.cid, shown.update_root, make.word("base"), "{}", bytes([number]) * 32)
    return replace(base, **changes)


def earlier(tmp_path: Path, updates: Sequence[MadeUpdate], rounds: Sequence[int], before: int) -> MadeUpdate | None:
    journal = Journal(tmp_path / "journal")
    for one in updates:
        journal.record(SCOPE, one)
    events: list[Event] = [make.posted(), make.joined(make.ALICE, 0)]
    for number in range(1, 4):
        events.append(make.opened(number, 10 * number))
        if number in rounds:
            events.append(make.revealed(make.ALICE, number, 0, 10 * number + 1))
    return earlier_update(journal, SCOPE, build_history(events), before)


@pytest.mark.parametrize(
    ("rounds", "before", "expected"),
    [((), 3, None), ((1,), 2, 1), ((1,), 4, 1), ((1, 2), 3, 2), ((1, 2, 3), 3, 2), ((1, 3), 4, 3)],
)
def test_earlier_update__then_it_is_the_last_that_was_revealed(
    tmp_path: Path, rounds: Sequence[int], before: int, expected: int | None
) -> None:
    found = earlier(tmp_path, [made_in(1), made_in(2), made_in(3)], rounds, before)
    assert found == (None if expected is None else made_in(expected))


def test_earlier_update__when_another_machine_revealed__then_its_update_does_not_count(tmp_path: Path) -> None:
    other = made_in(2, root=make.word("another"))
    assert earlier(tmp_path, [made_in(1), other], (1, 2), 3) == made_in(1)

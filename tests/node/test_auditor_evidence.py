"""What an export holds, and what it says of files that can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.car import CarStore, write_car
from ledger.cid import Digest, to_cid
from ledger.content import ContentStore
from ledger.errors import ContentUnreachable
from ledger.history import build_history
from ledger.unixfs import digest_of
from node.auditor.evidence import Artefact, artefacts_of, export
from node.bounty_files import Artefacts
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

HOLDOUT = {"cid": "Qm" + "c" * 44, "bytes": 1000, "format": "csv"}


def test_artefacts_of__then_all_that_an_audit_reads_once_and_in_order() -> None:
    first = make.merged(1, 9)
    events = [
        *make.shown(),
        first,
        make.opened(2, 9),
        make.voided(1, 10, 2),
        make.merged(1, 11, state_root=make.word("other"), clip_cid=Digest(make.word("clip"))),
    ]
    found = artefacts_of(build_history(events), samples.manifest(holdout=HOLDOUT))
    assert [one.what for one in found] == [
        "manifest",
        "training program",
        "evaluation program",
        "hold-out",
        "round 1, update 0",
        "round 1, state",
        "round 1, report",
        "round 1, clip file",
    ]
    assert found[3].max_bytes == 1000
    assert len({one.digest for one in found}) == len(found)


def artefact(content: bytes) -> Artefact:
    return Artefact(content.decode(), digest_of(content), 100)


def test_export__when_some_can_not_be_had__then_the_rest_is_written_and_they_are_named(tmp_path: Path) -> None:
    contents = [b"one", b"two", b"x" * 101, b"three"]
    there = [(digest_of(content), tmp_path / f"{place}") for place, content in enumerate(contents) if place != 1]
    for (_, path), content in zip(there, (contents[0], *contents[2:]), strict=True):
        path.write_bytes(content)
    write_car(tmp_path / "source.car", there)
    files = Artefacts(CarStore(tmp_path / "source.car"), tmp_path / "cache", 1.0)
    steps: list[tuple[int, int]] = []
    size, missing = export(
        files, [artefact(one) for one in contents], tmp_path / "out.car", lambda *step: steps.append(step)
    )
    assert [(one.what, one.cid) for one in missing] == [
        ("two", to_cid(digest_of(b"two"))),
        ("x" * 101, to_cid(digest_of(b"x" * 101))),
    ]
    assert "is larger than the 100 bytes" in missing[1].why
    assert CarStore(tmp_path / "out.car").roots == (digest_of(b"one"), digest_of(b"three"))
    assert size == (tmp_path / "out.car").stat().st_size
    assert steps[-1] == (6, 6)


def test_export__when_ipfs_is_down__then_nothing_is_written(tmp_path: Path) -> None:
    files = Artefacts(ContentStore("http://127.0.0.1:1"), tmp_path / "cache", 1.0)
    with pytest.raises(ContentUnreachable):
        export(files, [artefact(b"one")], tmp_path / "out.car")
    assert not (tmp_path / "out.car").exists()

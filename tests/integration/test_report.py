"""A bounty's audit written down, verified with the chain alone, and repeated from a CAR file without IPFS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.car import CarStore
from ledger.cid import to_cid
from ledger.records import BountyId
from node.auditor.record import canonical
from tests.integration.commands import Done, fedbounty
from tests.integration.conftest import stage
from tests.integration.world import Party, World, make_world

pytestmark = pytest.mark.integration

__all__ = ["stage"]


class Room:
    """A bounty that is over, an auditor with a key, and a terminal."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        merger = world.party("merger")
        self.bounty: BountyId = world.post(world.party("owner"), merger)
        providers = [world.provider(world.party(f"p{number}"), self.bounty, seed=number) for number in range(2)]
        world.play(self.bounty, [*providers, world.aggregator(merger, self.bounty)])
        self.auditor: Party = world.party("auditor")
        self.lonely = folder / "lonely.toml"
        text = self.auditor.config.read_text().replace(self.auditor.store.api, "http://127.0.0.1:1")
        self.lonely.write_text(text.replace(f'home = "{self.auditor.home}"', f'home = "{folder / "empty"}"'))

    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
        return fedbounty(capsys, self.auditor, *arguments)

    def run_offline(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
        """As the auditor, with no IPFS node and an empty cache."""
        return fedbounty(capsys, None, "--config", str(self.lonely), *arguments)


@pytest.fixture(scope="module")
def room(stage: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("room")
    world = make_world(stage, folder)
    yield Room(world, folder)
    world.close()


def test_report__when_written__then_the_chain_alone_verifies_it(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = room.run(capsys, "report", str(room.bounty), "--out", str(tmp_path), "--json")
    assert done.code == 0, done
    written = done.json()
    assert (written["verdict"], written["signer"]) == ("ok", room.auditor.address)
    verified = room.run_offline(capsys, "report", "--verify", written["json"], "--by", room.auditor.address, "--json")
    assert verified.code == 0, verified
    assert verified.json()["problems"] == []
    assert "<script" not in Path(written["html"]).read_text()


def test_report__then_it_holds_the_lineage_the_verdicts_and_the_payments(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room.run(capsys, "report", str(room.bounty), "--out", str(tmp_path))
    report = json.loads((tmp_path / f"bounty-{room.bounty}-report.json").read_text())["report"]
    history = room.world.history(room.bounty)
    checkpoints = report["record"]["lineage"]
    assert [one["round"] for one in checkpoints] == [0, 1, 2]
    merged = history.rounds[2].merged
    assert merged is not None
    assert checkpoints[2]["state_cid"] == to_cid(merged.claim.state_cid)
    assert [one["cid"] for one in checkpoints[2]["updates"]] == [to_cid(one.cid) for one in history.rounds[2].reveals]
    assert [one["verdict"] for one in report["findings"]["rounds"]] == ["ok", "ok"]
    paid = sum(int(one["taken"]) for one in report["record"]["payments"]["providers"])
    assert paid == int(report["record"]["payments"]["sums"]["payouts"])


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("record", "lineage", 1, "state_root"), "0x00", "record.lineage[1].state_root"),
        (("record", "payments", "sums", "payouts"), 1, "record.payments.sums.payouts"),
        (("record", "bounty", "owner"), "0x" + "11" * 20, "record.bounty.owner"),
        (("record", "chain", "block_hash"), "0x" + "11" * 32, "record.chain.block_hash"),
        (("record", "chain", "block"), 10**9, "the chain has no block"),
        (("findings", "verdict"), "wrong", "the signed text is not that of this report"),
    ],
)
def test_verify__when_a_signed_claim_is_changed__then_names_it(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: tuple[Any, ...], value: Any, complaint: str
) -> None:
    written = room.run(capsys, "report", str(room.bounty), "--out", str(tmp_path), "--json").json()
    signed = json.loads(Path(written["json"]).read_text())
    place = signed["report"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    Path(written["json"]).write_bytes(canonical(signed) + b"\n")
    done = room.run(capsys, "report", "--verify", written["json"], "--json")
    assert done.code == 1
    problems = " ".join(done.json()["problems"])
    assert complaint in problems
    assert "the signature is not that of" in problems


def test_verify__when_it_is_anothers_report__then_says_whose(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = room.run(capsys, "report", str(room.bounty), "--out", str(tmp_path), "--json").json()
    other = room.world.parties["owner"].address
    done = room.run(capsys, "report", "--verify", written["json"], "--by", other)
    assert done.code == 1
    assert f"it was signed by {room.auditor.address}, not by {other}" in " ".join(done.out.split())


def test_verify__when_the_file_is_no_report__then_bad_input(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"[]", b"{}", b'{"report": {}}', b"\xff", b"[" * 100_000):
        (tmp_path / "x.json").write_bytes(content)
        done = room.run(capsys, "report", "--verify", str(tmp_path / "x.json"))
        assert done.code == 2, content
        assert "is no fedbounty report" in done.err or "can't be read" in done.err


def test_export__then_an_audit_and_a_report_need_no_ipfs(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    car = tmp_path / "bounty.car"
    done = room.run(capsys, "export", str(room.bounty), "--out", str(car), "--json")
    assert done.code == 0, done
    assert done.json()["missing"] == []
    assert done.json()["files"] == len(CarStore(car).roots)
    audited = room.run_offline(capsys, "audit", str(room.bounty), "--car", str(car), "--json")
    assert audited.code == 0, audited
    assert audited.json()["verdict"] == "ok"
    assert [one["verdict"] for one in audited.json()["rounds"]] == ["ok", "ok"]
    mirrored = room.run_offline(capsys, "audit", str(room.bounty), "--car", str(car), "--mirror", "--json")
    assert mirrored.code == 0, mirrored
    assert [mirrored.json()[name] for name in ("rounds", "money")] == [
        audited.json()[name] for name in ("rounds", "money")
    ]
    again = room.run_offline(capsys, "report", str(room.bounty), "--car", str(car), "--out", str(tmp_path))
    assert again.code == 0, again
    once, twice = car.read_bytes(), room.run(capsys, "export", str(room.bounty), "--out", str(car))
    assert twice.code == 0
    assert car.read_bytes() == once


def test_audit__when_the_car_lacks_an_update__then_unavailable_and_the_later_round_is_still_judged(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    car = tmp_path / "bounty.car"
    room.run(capsys, "export", str(room.bounty), "--out", str(car))
    lost = room.world.history(room.bounty).rounds[1].reveals[0].cid
    data = car.read_bytes()
    at = data.rindex(lost)
    car.write_bytes(data[:at] + bytes(32) + data[at + 32 :])
    refused = room.run_offline(capsys, "audit", str(room.bounty), "--car", str(car))
    assert refused.code == 2
    assert f"it names the root {to_cid(lost)} but does not hold it" in " ".join(refused.err.split())
    car.write_bytes(data.replace(lost, bytes(32)))  # neither a root nor a block any more
    done = room.run_offline(capsys, "audit", str(room.bounty), "--car", str(car), "--json")
    assert done.code == 4, done
    one, two = done.json()["rounds"]
    assert (one["verdict"], one["missing"]) == ("unavailable", [to_cid(lost)])
    assert (two["verdict"], two["basis"]) == ("ok", "published")


def test_audit__when_a_state_is_lost_too__then_the_next_round_is_not_judged_and_names_it(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    car = tmp_path / "bounty.car"
    room.run(capsys, "export", str(room.bounty), "--out", str(car))
    first = room.world.history(room.bounty).rounds[1]
    assert first.merged is not None
    update, state = first.reveals[0].cid, first.merged.claim.state_cid
    car.write_bytes(car.read_bytes().replace(update, bytes(32)).replace(state, bytes(32)))
    done = room.run_offline(capsys, "audit", str(room.bounty), "--car", str(car), "--json")
    assert done.code == 4, done
    one, two = done.json()["rounds"]
    assert one["missing"] == [to_cid(update)]
    assert (two["verdict"], two["basis"], two["missing"]) == ("unavailable", "missing", [to_cid(state)])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("report",), "Name a bounty to report on"),
        (("report", "1", "--verify", "x.json"), "Name a bounty to report on"),
        (("report", "1", "--out", "/nowhere"), "/nowhere is no folder"),
        (("report", "99"), "There is no bounty 99"),
        (("report", "--verify", "/nowhere.json"), "The report /nowhere.json can't be read"),
        (("export", "1", "--out", "/nowhere/x.car"), "can't be written"),
        (("export", "99"), "There is no bounty 99"),
        (("audit", "1", "--car", "/nowhere.car"), "The CAR file /nowhere.car can't be used"),
        (("audit", "1", "--car", "x.car", "--challenge"), "Leave --car and --mirror out"),
    ],
)
def test_command__when_given_what_can_not_be__then_one_sentence_says_so(
    room: Room, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    done = room.run(capsys, *arguments)
    assert done.code == 2, done
    assert complaint in " ".join(done.err.split())


def test_report__when_no_key_is_named__then_says_so_before_it_audits(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keyless = tmp_path / "keyless.toml"
    keyless.write_text(room.auditor.config.read_text().replace('account = "auditor"', 'account = ""'))
    done = fedbounty(capsys, None, "--config", str(keyless), "report", str(room.bounty), "--out", str(tmp_path))
    assert done.code == 2
    assert "A report is signed: pass --account NAME" in done.err
    assert list(tmp_path.glob("bounty-*")) == []

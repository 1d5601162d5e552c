"""Updates that only the aggregator and a named auditor can read: merged, paid, audited, and opened for a dispute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.history import rejections
from ledger.keccak import Hash32
from ledger.records import BountyId, PrivacyMode, Revealed
from node.auditor.audit import Auditor
from node.auditor.report import AuditReport, Verdict
from node.bounty_files import BountyFiles
from node.provider.daemon import ProviderDaemon
from node.sealed_updates import Reader, exchange_public_key, own_content_key, read_disclosed, render_disclosed
from node.updates import MAGIC
from tests.integration.commands import fedbounty
from tests.integration.world import FETCH_SECONDS, PURSE, Party, World

pytestmark = pytest.mark.integration


def sections(aggregator: Party, *auditors: Party) -> dict[str, Any]:
    keys = ["0x" + exchange_public_key(one.key).hex() for one in (aggregator, *auditors)]
    return {"privacy": {"mode": "encrypted"}, "encryption": {"aggregator": keys[0], "auditors": tuple(keys[1:])}}


Seal = Callable[[int, Hash32, bytes], bytes]


def play(world: World, seals: Mapping[int, Seal] | None = None) -> tuple[BountyId, list[Party]]:
    """One round of three providers, with one named auditor; `seals` replace what some providers seal with."""
    owner, merger, named = (world.party(name) for name in ("owner", "merger", "named"))
    bounty = world.post(owner, merger, sections(merger, named), rounds=1)
    providers = [world.party(f"p{number}") for number in range(3)]
    daemons = [world.provider(party, bounty, seed=number) for number, party in enumerate(providers)]
    for number, seal in (seals or {}).items():
        _seal_with(daemons[number], seal)
    world.play(bounty, [*daemons, world.aggregator(merger, bounty)])
    return bounty, providers


def _seal_with(daemon: ProviderDaemon, seal: Seal) -> None:
    work = daemon._setup.work
    work._setup = replace(work._setup, seal=seal)


def reveals(world: World, bounty: BountyId) -> list[Revealed]:
    return list(world.history(bounty).rounds[1].reveals)


def audit_with(world: World, party: Party, bounty: BountyId, reader: Reader | None) -> AuditReport:
    files = BountyFiles(party.store, party.home / "other-cache", FETCH_SECONDS, reader)
    return Auditor(world.market, files, bounty).run()


def test_bounty__when_updates_are_sealed__then_merged_and_only_recipients_can_audit(
    world: World, tmp_path: Path
) -> None:
    bounty, providers = play(world)
    assert world.terms(bounty).privacy == PrivacyMode.ENCRYPTED
    assert world.merged(bounty, 1).claim.rejected == 0
    assert all(world.balance(party) > PURSE for party in providers)
    for one in reveals(world, bounty):
        file = world.files(world.parties["p0"]).published_update(one, world.terms(bounty)).read_bytes()
        assert MAGIC not in file, "no update is published as it is"

    named = world.audit(world.parties["named"], bounty)
    assert named.verdict == Verdict.OK, named.all_differences
    stranger = world.party("stranger")
    assert world.audit(stranger, bounty).verdict == Verdict.UNAVAILABLE
    assert audit_with(world, stranger, bounty, None).verdict == Verdict.UNAVAILABLE

    keys = {}
    for party in providers:
        reader = Reader(world.chain.chain_id, world.market.address)
        (mine,) = [one for one in reveals(world, bounty) if one.provider == party.address]
        keys[mine.update_root] = own_content_key(party.key, reader.context(mine))
    (tmp_path / "keys.json").write_bytes(render_disclosed(keys))
    disclosed = read_disclosed([tmp_path / "keys.json"])
    reader = Reader(world.chain.chain_id, world.market.address, None, disclosed)
    assert audit_with(world, stranger, bounty, reader).verdict == Verdict.OK
    wrong = Reader(world.chain.chain_id, world.market.address, None, {root: bytes(32) for root in disclosed})
    assert audit_with(world, world.party("other"), bounty, wrong).verdict == Verdict.UNAVAILABLE


def test_disclose__when_a_recipient_asks__then_a_file_that_lets_anyone_audit(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounty, _ = play(world)
    keys, stranger = tmp_path / "keys.json", world.party("stranger")
    refused = fedbounty(capsys, stranger, "disclose", str(bounty), "--out", str(keys))
    assert refused.code == 2
    assert "nothing was written" in refused.err
    assert not keys.exists()
    without = fedbounty(capsys, stranger, "audit", str(bounty))
    assert without.code == 4
    assert "--content-keys" in without.out
    assert fedbounty(capsys, world.parties["named"], "disclose", str(bounty), "--out", str(keys)).code == 0
    assert keys.stat().st_mode & 0o077 == 0
    assert fedbounty(capsys, stranger, "audit", str(bounty), "--content-keys", str(keys)).code == 0


def garbage(number: int, root: Hash32, update: bytes) -> bytes:
    return b"FBX1" + bytes(500)


def as_it_is(number: int, root: Hash32, update: bytes) -> bytes:
    return update


def test_merge__when_sealed_files_can_not_be_opened__then_rejected_and_the_others_are_paid(world: World) -> None:
    bounty, providers = play(world, {0: garbage, 1: as_it_is})
    named = {one.provider: reason.label for one, reason in rejections(world.merged(bounty, 1), reveals(world, bounty))}
    assert named == {party.address: "malformed" for party in providers[:2]}
    assert [world.balance(party) > PURSE for party in providers] == [False, False, True]
    assert all(world.balance(party) >= PURSE for party in providers), "a file that can't be opened costs no stake"
    report = world.audit(world.parties["named"], bounty)
    assert report.verdict == Verdict.OK, report.all_differences

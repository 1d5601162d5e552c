"""Updates that fail verification: left out for a named reason that stands on chain; the others are merged and paid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ledger.cid import Digest
from ledger.history import rejections
from ledger.keccak import Hash32
from node.auditor.report import Verdict
from tests.integration import forgery
from tests.integration.forgery import Forge, Forger, forging
from tests.integration.world import PURSE, World

pytestmark = pytest.mark.integration

FORGERIES: list[tuple[Forge, str]] = [
    (forgery.honest, "accepted"),
    (forgery.truncated, "wrong-length"),
    (forgery.too_long, "wrong-length"),
    (forgery.wrong_header, "malformed"),
    (forgery.padded, "malformed"),
    (forgery.off_grid, "out-of-range"),
    (forgery.other_bytes, "wrong-root"),
    (forgery.other_norm, "wrong-root"),
    (forgery.nowhere, "unavailable"),
    (forgery.honest, "accepted"),
]


def test_merge__when_updates_are_bad__then_each_is_rejected_by_name_and_the_others_are_paid(world: World) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    bounty = world.post(owner, merger, min_updates=2, max_updates=len(FORGERIES), rounds=1)
    parties = [world.party(f"p{number}") for number in range(len(FORGERIES))]
    providers = [
        forging(world, party, bounty, forge, number)
        for number, (party, (forge, _)) in enumerate(zip(parties, FORGERIES, strict=True))
    ]
    world.play(bounty, [*providers, world.aggregator(merger, bounty)])

    merged, reveals = world.merged(bounty, 1), world.history(bounty).rounds[1].reveals
    named = {reveal.provider: reason.label for reveal, reason in rejections(merged, reveals)}
    expected = {party.address: label for party, (_, label) in zip(parties, FORGERIES, strict=True)}
    assert {party: named.get(party, "accepted") for party in expected} == expected
    pay = world.terms(bounty).pot // 2
    assert merged.claim.paid == 2 * pay
    for party in parties:
        paid = pay if expected[party.address] == "accepted" else 0
        assert world.balance(party) == PURSE + paid, "a rejected update costs no stake"
    assert world.balance(owner) == PURSE - 2 * pay
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert report.rounds[0].rejected == len(FORGERIES) - 2


def test_merge__when_an_update_names_a_file_that_the_aggregator_holds__then_everyone_rejects_it_alike(
    world: World,
) -> None:
    """The state file is longer than an update may be; whoever has it at hand must say the same as who has not."""
    owner, merger = world.party("owner"), world.party("merger")
    bounty = world.post(owner, merger, min_updates=2, max_updates=2, rounds=2)
    good, bad = world.party("good"), world.party("bad")

    def parrot(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
        digest, root = forgery.honest(forger, update_D)
        return (digest if world.phase(bounty)[1] == 1 else world.merged(bounty, 1).claim.state_cid), root

    providers = [world.provider(good, bounty), forging(world, bad, bounty, parrot, 1)]
    world.play(bounty, [*providers, world.aggregator(merger, bounty)])
    merged, reveals = world.merged(bounty, 2), world.history(bounty).rounds[2].reveals
    assert [reason.label for _, reason in rejections(merged, reveals)] == ["wrong-length"]
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences


def test_merge__when_nothing_is_accepted__then_the_state_stays_and_the_owner_has_the_pot_back(world: World) -> None:
    owner, merger, party = world.party("owner"), world.party("merger"), world.party("p0")
    bounty = world.post(owner, merger, min_updates=1, max_updates=1, rounds=1)
    provider = forging(world, party, bounty, forgery.other_bytes, 0)
    world.play(bounty, [provider, world.aggregator(merger, bounty)])
    merged = world.merged(bounty, 1)
    assert (merged.claim.paid, merged.claim.rejected) == (0, 1)
    assert merged.claim.state_root == world.terms(bounty).state_root
    assert world.balance(owner) == PURSE
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK

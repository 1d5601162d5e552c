"""What an audit says of aggregators that lie, each in one thing; and what providers do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.cid import to_cid
from ledger.kubo import IpfsDaemon, start_ipfs
from ledger.records import BountyId
from node.aggregator.merge_work import MergeWork
from node.auditor.report import AuditReport, Basis, Verdict
from node.posting import publish_package, read_package
from node.provider.effects import WrongPayoutRoot
from tests.integration import liars
from tests.integration.commands import fedbounty
from tests.integration.liars import Lie, lying
from tests.integration.world import PURSE, World, step

pytestmark = pytest.mark.integration


def run(world: World, lie: Lie, ipfs: IpfsDaemon | None = None) -> BountyId:
    """A bounty of one round and two providers that a liar merged."""
    merger = world.party("merger", ipfs)
    bounty = world.post(world.party("owner", ipfs), merger, rounds=1, max_updates=2)
    work: MergeWork = lying(world.merge_work(merger, bounty), lie)
    providers = [world.provider(world.party(f"p{number}", ipfs), bounty, seed=number) for number in range(2)]
    merged = lambda: bool(world.history(bounty).merged_rounds)  # noqa: E731
    world.play(bounty, [*providers, world.aggregator(merger, bounty, work)], until=merged)
    return bounty


def audited(world: World, bounty: BountyId) -> AuditReport:
    return world.audit(world.party("auditor"), bounty)


def test_audit__when_one_coordinate_is_one_unit_off__then_names_it(world: World) -> None:
    bounty = run(world, liars.one_unit)
    report = audited(world, bounty)
    assert report.verdict == Verdict.WRONG
    (found,) = report.all_differences
    assert (found.round, found.what, found.coordinate, found.tensor) == (1, "state", 6, "0.weight[1, 2]")
    assert int(found.claimed) == int(found.expected) + 1


def test_audit__when_a_round_is_wrong__then_the_next_is_judged_from_the_published_state(world: World) -> None:
    merger = world.party("merger")
    bounty = world.post(world.party("owner"), merger, rounds=2, max_updates=2)
    once: Lie = lambda work, history, number, claim: (  # noqa: E731
        liars.one_unit(work, history, number, claim) if number == 1 else claim
    )
    work = lying(world.merge_work(merger, bounty), once)
    providers = [world.provider(world.party(f"p{number}"), bounty, seed=number) for number in range(2)]
    both = lambda: len(world.history(bounty).merged_rounds) == 2  # noqa: E731
    world.play(bounty, [*providers, world.aggregator(merger, bounty, work)], until=both)
    report = audited(world, bounty)
    assert [(one.verdict, one.basis) for one in report.rounds] == [
        (Verdict.WRONG, Basis.RECOMPUTED),
        (Verdict.OK, Basis.PUBLISHED),
    ]
    assert len(report.all_differences) == 1


def test_audit__when_an_accepted_update_is_not_in_the_sum__then_the_state_differs(world: World) -> None:
    report = audited(world, run(world, liars.dropped))
    assert [(one.what, one.coordinate is not None) for one in report.all_differences] == [("state", True)]


def test_audit__when_a_good_update_is_rejected__then_names_the_update(world: World) -> None:
    (found,) = audited(world, run(world, liars.rejected)).all_differences
    assert (found.round, found.what, found.update) == (1, "rejection", 1)
    assert (found.claimed, found.expected) == ("wrong-root", "accepted")


def test_audit__when_an_update_is_called_unavailable__then_it_cannot_tell_and_says_so(world: World) -> None:
    report = audited(world, run(world, liars.called_unavailable))
    assert report.verdict == Verdict.OK, report.all_differences
    assert any("unavailable" in one.what for one in report.unchecked)


def test_audit__when_a_wei_was_moved__then_the_payouts_differ_and_no_provider_claims(world: World) -> None:
    bounty = run(world, liars.moved_wei)
    (found,) = audited(world, bounty).all_differences
    assert (found.round, found.what) == (1, "payouts")
    world.travel(1001)
    victim = world.provider(world.party("late"), bounty)
    assert step(victim) == ["Finish"]
    provider = world.parties["p0"]
    with pytest.raises(WrongPayoutRoot, match="nothing was claimed"):
        step(world.provider(provider, bounty))
    assert world.balance(provider) == PURSE - world.terms(bounty).stake


def test_audit__when_less_was_paid__then_the_amount_differs(world: World) -> None:
    found = audited(world, run(world, liars.underpaid)).all_differences
    assert "paid" in {one.what for one in found}
    assert any(int(one.claimed) == int(one.expected) - 1 for one in found if one.what == "paid")


def test_audit__when_the_state_file_is_another__then_names_both_cids(world: World) -> None:
    (found,) = audited(world, run(world, liars.wrong_state_cid)).all_differences
    assert found.what == "state file"
    assert found.claimed.startswith("Qm")
    assert found.expected.startswith("Qm")


def test_audit__when_the_report_is_gone__then_all_is_right(world: World) -> None:
    assert audited(world, run(world, liars.wrong_report)).verdict == Verdict.OK


def test_audit__when_asked_on_the_command_line__then_exits_1_and_says_where(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    bounty = run(world, liars.one_unit)
    done = fedbounty(capsys, world.party("auditor"), "audit", str(bounty))
    assert done.code == 1
    assert "round 1, coordinate 6 (0.weight[1, 2]): state is recorded as" in " ".join(done.out.split())


def test_audit__when_updates_are_not_to_be_had__then_exits_4_and_names_their_cids(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_ipfs(tmp_path / "gone") as node:
        bounty = run(world, lambda work, history, number, claim: claim, node)
    with start_ipfs(tmp_path / "lonely") as node:
        auditor = world.party("auditor", ipfs=node)
        publish_package(auditor.store, world.stage.package, read_package(world.stage.package))
        done = fedbounty(capsys, auditor, "audit", str(bounty), "--json")
    assert done.code == 4
    report = done.json()
    assert report["verdict"] == "unavailable"
    reveals = world.history(bounty).rounds[1].reveals
    assert report["rounds"][0]["missing"] == [to_cid(reveal.cid) for reveal in reveals]

"""Parties that drop out, come late, come back, or never do their part: nobody else is stopped by them."""

from __future__ import annotations

import pytest

from ledger.records import BondForfeited, Phase, StakeForfeited
from node.auditor.report import Verdict
from node.loop import Finish
from tests.integration.liars import lying, other_state
from tests.integration.world import PURSE, TOKEN, WINDOW, World, step, steps

pytestmark = pytest.mark.integration


def test_provider__when_it_never_reveals__then_the_others_go_on_and_its_forfeit_is_due(world: World) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    bounty = world.post(owner, merger, rounds=2, min_updates=1)
    good, gone = world.party("good"), world.party("gone")
    first, second = world.provider(good, bounty, 1), world.provider(gone, bounty, 2)
    aggregator = world.aggregator(merger, bounty)
    steps(first, "Join")
    steps(second, "Join")
    steps(aggregator, "DepositBond")
    for daemon in (first, second):
        steps(daemon, "Train", "Commit")
    assert world.phase(bounty) == (Phase.REVEAL, 1)
    world.release(gone)
    world.play(bounty, [first, aggregator])

    merged = [one.merged.reveals for one in world.history(bounty).merged_rounds if one.merged]
    assert merged == [1, 1]
    forfeit = world.terms(bounty).forfeit
    world.play(bounty, [world.provider(gone, bounty, 2)])
    assert world.balance(gone) == PURSE - forfeit
    events = [event for event in world.history(bounty).events if isinstance(event, StakeForfeited)]
    assert [(event.provider, event.round, event.amount) for event in events] == [(gone.address, 1, forfeit)]
    world.play(bounty, [aggregator])
    assert world.balance(good) == PURSE + world.terms(bounty).pot
    assert world.balance(owner) == PURSE - world.terms(bounty).pot + forfeit
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_provider__when_the_merged_state_is_another_than_recorded__then_it_sits_out_and_goes_on(world: World) -> None:
    merger, party = world.party("merger"), world.party("good")
    bounty = world.post(world.party("owner"), merger, rounds=2, min_updates=1, max_updates=1)
    lying_merger = world.aggregator(merger, bounty, lying(world.merge_work(merger, bounty), other_state))
    steps(lying_merger, "DepositBond")
    daemon = world.provider(party, bounty)
    steps(daemon, "Join", "Train", "Commit", "Reveal")
    steps(lying_merger, "Merge")
    assert world.phase(bounty) == (Phase.COMMIT, 2)
    steps(daemon, "Train")
    assert step(daemon) == step(daemon) == []
    assert world.market.provider(bounty, party.address).stake > 0


def test_provider__when_it_returns_after_a_dropout__then_it_forfeits_first_and_takes_part_again(world: World) -> None:
    merger = world.party("merger")
    bounty = world.post(world.party("owner"), merger, rounds=2, min_updates=1, max_updates=2)
    good, gone = world.party("good"), world.party("gone")
    first, second = world.provider(good, bounty, 1), world.provider(gone, bounty, 2)
    aggregator = world.aggregator(merger, bounty)
    steps(first, "Join")
    steps(second, "Join")
    steps(aggregator, "DepositBond")
    for daemon in (first, second):
        steps(daemon, "Train", "Commit")
    steps(first, "Reveal")
    world.travel(WINDOW)
    steps(aggregator, "Merge")
    assert world.phase(bounty) == (Phase.COMMIT, 2)
    back = world.provider(gone, bounty, 2)
    steps(back, "Forfeit", "Train", "Commit")
    world.play(bounty, [first, back, aggregator])
    pot, forfeit = world.terms(bounty).pot, world.terms(bounty).forfeit
    assert world.merged(bounty, 2).reveals == 2
    assert world.balance(gone) == PURSE - forfeit + (pot - pot // 2) // 2
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_provider__when_it_comes_late__then_it_trains_from_the_merged_state_and_is_paid_from_then_on(
    world: World,
) -> None:
    merger = world.party("merger")
    bounty = world.post(world.party("owner"), merger, rounds=2, min_updates=1, max_updates=2)
    early, late = world.party("early"), world.party("late")
    first, aggregator = world.provider(early, bounty, 1), world.aggregator(merger, bounty)
    world.play(bounty, [first, aggregator], until=lambda: world.phase(bounty) == (Phase.COMMIT, 2))
    second = world.provider(late, bounty, 2)
    steps(second, "Join", "Train")
    made = second.observe().made
    assert made is not None
    assert made.base_state == world.merged(bounty, 1).claim.state_root
    world.play(bounty, [first, second, aggregator])
    pot = world.terms(bounty).pot
    second_share = pot - pot // 2
    assert world.balance(late) == PURSE + second_share // 2
    assert world.balance(early) == PURSE + pot // 2 + second_share // 2
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_aggregator__when_it_is_silent__then_another_bonded_party_merges(world: World) -> None:
    silent, other = world.party("silent"), world.party("other")
    bounty = world.post(world.party("owner"), silent, rounds=1, min_updates=1, max_updates=1)
    provider = world.provider(world.party("p0"), bounty)
    steps(provider, "Join")
    steps(world.aggregator(silent, bounty), "DepositBond")
    steps(provider, "Train", "Commit", "Reveal")
    stranger = world.aggregator(other, bounty)
    assert step(stranger) == [], "the named aggregator's time is its own"
    world.travel(WINDOW)
    assert world.phase(bounty) == (Phase.OPEN_MERGE, 1)
    assert step(stranger) == ["DepositBond", "Merge"]
    world.play(bounty, [provider, stranger, world.aggregator(silent, bounty)])
    assert world.merged(bounty, 1).aggregator == other.address
    assert [world.balance(party) for party in (silent, other)] == [PURSE, PURSE]
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_bounty__when_nobody_merges__then_expiry_pays_who_revealed_and_refunds_the_owner(world: World) -> None:
    owner, silent = world.party("owner"), world.party("silent")
    bounty = world.post(owner, silent, rounds=2, min_updates=2, max_updates=2)
    parties = [world.party(f"p{number}") for number in range(2)]
    providers = [world.provider(party, bounty, number) for number, party in enumerate(parties)]
    for provider in providers:
        steps(provider, "Join")
    steps(world.aggregator(silent, bounty), "DepositBond")
    for provider in providers:
        steps(provider, "Train", "Commit")
    for provider in providers:
        steps(provider, "Reveal")
    world.travel(2 * WINDOW + 1)
    assert world.phase(bounty)[0] == Phase.ENDED
    world.play(bounty, [world.aggregator(owner, bounty), *providers])

    terms = world.terms(bounty)
    each = (terms.pot // 2 + terms.bond) // 2
    assert [world.balance(party) for party in parties] == [PURSE + each] * 2
    assert world.balance(silent) == PURSE - terms.bond
    assert world.balance(owner) == PURSE + terms.bond - 2 * each
    assert world.balance(world.market.address) == 0
    forfeited = [event for event in world.history(bounty).events if isinstance(event, BondForfeited)]
    assert [(event.account, event.amount) for event in forfeited] == [(silent.address, terms.bond)]
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_bounty__when_the_quorum_never_comes__then_it_expires_and_the_owner_has_the_pot_back(world: World) -> None:
    owner, merger, party = world.party("owner"), world.party("merger"), world.party("p0")
    bounty = world.post(owner, merger, min_updates=2, patience=2)
    other = world.party("p1")
    provider, leaver = world.provider(party, bounty), world.provider(other, bounty, 1)
    steps(provider, "Join")
    steps(leaver, "Join")
    aggregator = world.aggregator(merger, bounty)
    steps(aggregator, "DepositBond")
    steps(provider, "Train", "Commit")
    world.travel(2 * WINDOW)
    world.play(bounty, [provider, leaver, aggregator])
    assert [world.balance(one) for one in (owner, merger, party, other)] == [PURSE] * 4
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_bounty__when_a_round_lapses_for_want_of_reveals__then_the_next_one_opens(world: World) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    bounty = world.post(owner, merger, rounds=2, min_updates=2, max_updates=2)
    parties = [world.party(f"p{number}") for number in range(2)]
    providers = [world.provider(party, bounty, number) for number, party in enumerate(parties)]
    for provider in providers:
        steps(provider, "Join")
    aggregator = world.aggregator(merger, bounty)
    steps(aggregator, "DepositBond")
    for provider in providers:
        steps(provider, "Train", "Commit")
    steps(providers[0], "Reveal")
    world.travel(WINDOW)
    assert world.phase(bounty) == (Phase.COMMIT, 2)
    world.play(bounty, [*providers, aggregator])
    terms = world.terms(bounty)
    lapsed, share = terms.pot // 2 // 2, (terms.pot - terms.pot // 2) // 2
    assert world.balance(parties[0]) == PURSE + lapsed + share
    assert world.balance(parties[1]) == PURSE - terms.forfeit + share
    assert world.balance(owner) == PURSE - terms.pot + terms.forfeit + (terms.pot - lapsed - 2 * share)
    assert world.balance(world.market.address) == 0
    assert terms.forfeit == 5 * TOKEN
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_provider__when_everything_was_taken__then_it_finishes_and_sends_nothing(world: World) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = world.post(world.party("owner"), merger, rounds=1, min_updates=1, max_updates=1)
    world.play(bounty, [world.provider(party, bounty), world.aggregator(merger, bounty)])
    before = world.chain.web3.eth.get_transaction_count(party.address)
    again = world.provider(party, bounty)
    assert isinstance(again.decide(again.observe())[0], Finish)
    assert world.chain.web3.eth.get_transaction_count(party.address) == before

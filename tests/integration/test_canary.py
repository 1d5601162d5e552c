"""Every kind of lie is caught, costs its bond, and is merged again by somebody else; honest merges are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.canary import LIES, Kind
from tests.canary_game import Cast, build_packages, gather_cast, play
from tests.integration.world import TOKEN, World

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_packages(tmp_path_factory.mktemp("canary"))


@pytest.fixture
def cast(world: World, packages: dict[str, Path]) -> Cast:
    return gather_cast(world, packages)


SENTENCES = {
    Kind.UNIT: ("coordinate", "follows from the updates"),
    Kind.DROPPED: ("coordinate", "follows from the updates"),
    Kind.SCALE: ("clipping scale", "follows from the committed distance"),
    Kind.WEI: ("payout of member", "follows from the accepted updates"),
    Kind.REJECTED: ("rejected as wrong-norm", "to be accepted"),
    Kind.WITHHELD: ("chunk 0 of the state", "was not shown in time"),
    Kind.HOARDED: ("coordinate", "follows from the updates"),
    Kind.DISTANCE: ("distance", "follows from the updates"),
    Kind.ACCEPTED: ("it is accepted", "proven faulty before"),
}


@pytest.mark.parametrize("kind", LIES, ids=lambda kind: kind.name.lower())
def test_challenger__when_a_merge_lies__then_it_falls_and_another_party_merges_the_round(
    cast: Cast, kind: Kind
) -> None:
    game = play(cast, kind, seed=1)
    assert len(game.sentences) == (2 if kind == Kind.ACCEPTED else 1)
    assert all(part in game.sentences[-1] for part in SENTENCES[kind])
    assert game.voided is not None
    assert game.voided.prover == cast.challenger.address
    assert (game.voided.bond, game.voided.reward) == (7 * TOKEN, 7 * TOKEN // 2)
    stake = 10 * TOKEN if kind == Kind.ACCEPTED else 0
    assert game.reward == (7 * TOKEN + stake) // 2 - game.answered * cast.world.terms(game.bounty).demand_fee
    assert game.answered == 0 or kind in (Kind.HOARDED, Kind.DISTANCE)
    assert cast.world.market.bond(game.bounty, game.voided.aggregator)[0] == 0
    assert game.merged_again


@pytest.mark.parametrize("rule", ["mean", "centered_clip"])
def test_challenger__when_a_merge_is_right__then_it_finds_nothing(cast: Cast, rule: str) -> None:
    game = play(cast, Kind.HONEST, seed=2, rule=rule)
    assert game.sentences == []
    assert game.voided is None
    assert game.reward == 0

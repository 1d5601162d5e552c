"""What a search of the mirror finds of evaluations and of pay by contribution, on a real chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.artifacts import artifact
from ledger.chain import connect
from ledger.cid import Digest, to_cid
from ledger.devnet import DevnetSettings, start_devnet
from ledger.mirror import Mirror, SearchHit
from ledger.records import Address, RewardRule, Wei
from ledger.score_records import Panel
from tests import builders as make
from tests import evaluation_builders
from tests.ledger.mirrored import Undoable, struct

pytestmark = pytest.mark.chain

VALIDATION, MANIFEST = Digest(make.word("validation")), Digest(make.word("evaluation's manifest"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undoable]:
    """Bounty 1 has a panel; evaluation 1 has a commitment, and evaluation 2 no bounty of its number."""
    folder = tmp_path_factory.mktemp("searched")
    with start_devnet(folder, DevnetSettings(block_seconds=0, accounts=6)) as devnet:
        chain = connect(devnet.rpc_url)
        made = Undoable(chain, devnet, folder)
        made.terms = replace(made.terms, reward_rule=RewardRule.CONTRIBUTION)
        made.call(made.owner, "post", struct(made.terms))
        panel = Panel(Wei(40), Wei(15), 10, 10, 2, 1000, 100, VALIDATION, tuple(made.people[:3]))
        scores = chain.contract(made.market.scores(), artifact("ContributionScores")["abi"])
        made.send(made.owner, made.market.scores(), str(scores.encode_abi("appoint", [1, struct(panel)])))
        desk = made.deployed.evaluations
        evaluations = chain.contract(desk, artifact("EvaluationMarket")["abi"])
        token = chain.contract(made.deployed.token, artifact("DevToken")["abi"])
        terms = evaluation_builders.terms(token=made.deployed.token, manifest=MANIFEST)
        for who in (made.aggregator, made.people[3]):
            made.send(who, made.deployed.token, str(token.encode_abi("approve", [desk, 10**6])))
        for _ in range(2):
            made.send(made.aggregator, desk, str(evaluations.encode_abi("post", [struct(terms)])))
        made.send(made.people[3], desk, str(evaluations.encode_abi("commit", [1, bytes([7] * 32), 0, []])))
        yield made
        chain.close()


@pytest.fixture(scope="module")
def mirror(world: Undoable) -> Iterator[Mirror]:
    contracts = [*world.contracts, world.market.scores(), world.deployed.evaluations]
    opened = Mirror.open(world.folder / "searched.sqlite", world.chain.chain_id, contracts)
    opened.sync(world.chain)
    yield opened
    opened.close()


def labels(hits: list[SearchHit]) -> list[str]:
    return [hit.label for hit in hits]


def test_search__by_number__then_bounty_and_evaluation_of_it_are_found(mirror: Mirror) -> None:
    assert labels(mirror.search("1")) == ["bounty 1", "evaluation 1"]
    (hit,) = mirror.search("2")
    assert (hit.kind, hit.value, hit.bounty, hit.evaluation) == ("evaluation", "2", None, 2)
    assert mirror.search("3") == []


def test_search__by_account__then_each_part_is_found_once(mirror: Mirror, world: Undoable) -> None:
    def found(account: Address) -> list[str]:
        return labels(mirror.search(account))

    assert found(world.people[3]) == ["reporter of evaluation 1"]
    assert found(world.people[0]) == ["evaluator of bounty 1"]
    assert found(world.aggregator) == ["owner of evaluation 2", "owner of evaluation 1", "aggregator of bounty 1"]


def test_search__by_cid__then_manifests_of_evaluations_and_validation_files_are_found(mirror: Mirror) -> None:
    hits = mirror.search(to_cid(MANIFEST))
    assert labels(hits) == ["manifest in evaluation 2", "manifest in evaluation 1"]
    assert [hit.evaluation for hit in hits] == [2, 1]
    (hit,) = mirror.search(to_cid(VALIDATION))
    assert (hit.kind, hit.label, hit.bounty) == ("cid", "validation in bounty 1", 1)

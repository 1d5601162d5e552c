"""A market with something to look at: a bounty that ended with a rejected update, one that runs, one that is open.

Strangers have written into it what strangers write.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.cid import Digest
from ledger.evaluation_records import EvaluationId, ReportScope, Units, report_commitment
from ledger.evaluations import EvaluationWriter
from ledger.keccak import keccak
from ledger.records import Address, BountyId, RewardRule, Wei
from ledger.score_records import Panel
from ledger.scores import Scores, ScoreWriter
from node.provider.daemon import ProviderDaemon
from tests.integration import forgery
from tests.integration.evaluating import Evaluating, make_evaluating
from tests.integration.forgery import forging
from tests.integration.world import TOKEN, WINDOW, Party, World, steps

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\u202eelif\u2066\x07\" onmouseover=\"x"
"""What a provider announces as its IPFS address."""


@dataclass(frozen=True)
class Shown:
    """ended, running, open, scored: bounties, of which the last is open too and pays by contribution.

    liar:    whose updates were left out.
    waiting: providers of the running one, each ready to commit.
    """

    world: World
    reader: Party
    evaluation: EvaluationId
    ended: BountyId
    running: BountyId
    open: BountyId
    scored: BountyId
    providers: list[Address]
    liar: Address
    stranger: Address
    waiting: list[ProviderDaemon]


REPORTS = (8125, 9000, 9250, 9310)
"""In units of 10^-4."""


def make_market(world: World) -> Shown:
    evaluating = make_evaluating(world)
    reader = evaluating.party("reader")
    evaluation = evaluate(evaluating)
    owner, merger = world.party("owner"), world.party("merger")
    parties = [world.party(f"p{number}") for number in range(4)]
    ended = world.post(owner, merger, min_updates=2, max_updates=4)
    honest = [world.provider(party, ended, seed) for seed, party in enumerate(parties[:3])]
    liar = forging(world, parties[3], ended, forgery.other_bytes, 3)
    world.play(ended, [*honest, liar, world.aggregator(merger, ended)])

    running = world.post(owner, merger, min_updates=2, max_updates=3)
    stranger = world.party("stranger")
    join(world, running, stranger, HOSTILE)
    waiting = [world.provider(party, running, seed) for seed, party in enumerate(parties[:2])]
    for daemon in waiting:
        steps(daemon, "Join")
    steps(world.aggregator(merger, running), "DepositBond")
    for daemon in waiting:
        steps(daemon, "Train")

    opened = world.post(owner, merger)
    scored = world.post(owner, merger, reward_rule=RewardRule.CONTRIBUTION)
    appoint(world, scored, owner, tuple(party.address for party in parties[:3]))
    addresses = [party.address for party in parties[:3]]
    return Shown(
        world,
        reader,
        evaluation,
        ended,
        running,
        opened,
        scored,
        addresses,
        parties[3].address,
        stranger.address,
        waiting,
    )


def evaluate(evaluating: Evaluating) -> EvaluationId:
    """Four accounts report numbers; the last one keeps its number to itself."""
    world, market = evaluating.world, evaluating.market
    number = evaluating.post(world.party("asker"), max_reports=len(REPORTS) + 1)
    writers = []
    for index in range(len(REPORTS) + 1):
        party = world.party(f"e{index}")
        transactor = world.account(party).transactor
        world.token.ensure_allowance(transactor, market.address, market.terms(number).stake)
        writers.append(EvaluationWriter(market, transactor))
    for writer, value in zip(writers, (*REPORTS, 1), strict=True):
        scope = ReportScope(world.chain.chain_id, market.address, number, writer.account)
        writer.commit(number, report_commitment(scope, Units(value), bytes(32)))
    for writer, value in zip(writers, REPORTS, strict=False):
        writer.reveal(number, Units(value), bytes(32))
    return number


def appoint(world: World, bounty: BountyId, owner: Party, evaluators: tuple[Address, ...]) -> None:
    validation = Digest(keccak(b"validation"))
    panel = Panel(Wei(4 * TOKEN), Wei(TOKEN), WINDOW, WINDOW, 2, 300, 100, validation, evaluators)
    scores = Scores(world.chain, world.market.scores())
    ScoreWriter(scores, world.account(owner).transactor).appoint(bounty, panel)


def join(world: World, bounty: BountyId, party: Party, multiaddr: str) -> None:
    account = world.account(party)
    world.token.ensure_allowance(account.transactor, world.market.address, 10 * TOKEN)
    account.writer.join(bounty, 10 * TOKEN, bytes(32), multiaddr)

"""A market for evaluations in the small world: parties whose settings name it, and evaluations that are posted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ledger.cid import Digest
from ledger.devnet import deploy_evaluations
from ledger.evaluation_records import EvaluationId, EvaluationPhase, EvaluationTerms, Metric
from ledger.evaluations import EvaluationMarket, EvaluationWriter
from ledger.keccak import ZERO_HASH
from ledger.records import Wei
from node.connections import EvaluationAccount
from node.evaluation_files import EvaluationFiles
from node.evaluation_posting import Offer, evaluation_terms, grid_for, package_subject
from node.evaluator.daemon import EvaluatorDaemon, EvaluatorSetup
from node.evaluator.journal import ReportJournal
from node.evaluator.measuring import Measuring, MeasuringSetup
from node.posting import publish_package, read_package
from node.privacy.purses import open_book, place_of, report_purse
from tests.door import rpc
from tests.integration.world import TOKEN, WINDOW, Party, World


@dataclass(frozen=True)
class Evaluating:
    world: World
    market: EvaluationMarket

    def party(self, name: str) -> Party:
        """A party of the world that knows this market too."""
        party = self.world.party(name)
        text = party.config.read_text()
        party.config.write_text(text.replace("[chain]\n", f'[chain]\nevaluations = "{self.market.address}"\n'))
        return party

    def post(self, owner: Party, **changes: Any) -> EvaluationId:
        """Post the stage's package: accuracy in units of 10^-4, a noise of 0.01, three places."""
        manifest = read_package(self.world.stage.package)
        subject = package_subject(manifest, publish_package(owner.store, self.world.stage.package, manifest))
        offer = Offer(self.world.token.address, Wei(7 * TOKEN), Wei(3 * TOKEN), 2, 3, WINDOW, WINDOW)
        grid = grid_for(Metric.ACCURACY, "", 4, "0.01")
        everyone = (ZERO_HASH, Digest(ZERO_HASH))
        terms: EvaluationTerms = replace(evaluation_terms(offer, subject, grid, manifest, everyone), **changes)
        transactor = self.world.account(owner).transactor
        self.world.token.ensure_allowance(transactor, self.market.address, terms.escrow)
        posted = EvaluationWriter(self.market, transactor).post(terms)
        self.world.release(owner)
        return posted

    def evaluator(self, party: Party, evaluation: EvaluationId, data: str) -> EvaluatorDaemon:
        """An evaluator's daemon, as the command line puts it together."""
        terms, files = self.market.terms(evaluation), EvaluationFiles(self.world.files(party))
        manifest = files.manifest(terms)
        work = Measuring(MeasuringSetup(files, terms, manifest, data, terms.noise))
        transactor = self.world.account(party).transactor
        account = EvaluationAccount(party.key, transactor, EvaluationWriter(self.market, transactor))
        place = files.place(terms, evaluation, party.address)
        journal = ReportJournal(party.home / "reports.sqlite")
        spot = place_of(f"evaluation {evaluation}", self.market.address, "test", party.address)
        bound = None if work.epsilon is None else float(work.epsilon)
        purse = report_purse(open_book(party.home), data, spot, bound)
        return EvaluatorDaemon(EvaluatorSetup(self.market, account, evaluation, terms, work, journal, place, purse))

    def phase(self, evaluation: EvaluationId) -> EvaluationPhase:
        return self.market.clock(evaluation).phase

    def travel(self, evaluation: EvaluationId) -> None:
        """To the end of the present phase."""
        chain = self.market.chain
        rpc(chain, "evm_setNextBlockTimestamp", self.market.clock(evaluation).ends_at)
        rpc(chain, "evm_mine")


def make_evaluating(world: World) -> Evaluating:
    return Evaluating(world, EvaluationMarket(world.chain, deploy_evaluations(world.stage.deployer)))

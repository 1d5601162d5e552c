"""`fedbounty evaluation provide`: a data provider's side of an evaluation."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import BadInput
from ledger.evaluation_records import EvaluationId, EvaluationPhase, EvaluationTerms, ReportState
from node.cli.arguments import Yes
from node.cli.evaluation import EvaluationArgument, terms_shown
from node.cli.keys import ask_password
from node.cli.output import confirm, console, pairs, tokens
from node.cli.privacy_shown import budget_row, place_on
from node.cli.telemetry import MetricsPort, open_telemetry, say
from node.connections import Evaluations, open_evaluation_account, open_evaluations, open_files, open_store
from node.evaluation_files import EvaluationFiles
from node.evaluator.daemon import EvaluatorDaemon, EvaluatorSetup
from node.evaluator.journal import ReportJournal
from node.evaluator.measuring import Measuring, MeasuringSetup
from node.manifest import describe
from node.privacy.purses import open_book, report_purse
from node.settings import Settings

SHOWN_OF_MODEL = ("name", "description", "task", "parameters", "programs", "input", "labels", "examples")
"""What of a manifest matters to whoever only measures the model."""


class TooLate(BadInput):
    def __init__(self, evaluation: int, phase: str) -> None:
        self.evaluation, self.phase = evaluation, phase
        super().__init__(
            f"Evaluation {evaluation} takes no more commitments ({phase}). `fedbounty evaluation list` shows which do."
        )


def provide(
    context: typer.Context,
    evaluation: EvaluationArgument,
    data: Annotated[
        str, typer.Option(help="Your data: a .csv, .parquet or .npz file, an image folder, or module:function.")
    ],
    noise: Annotated[str, typer.Option(help="Add noise of this greater scale, as 0.01; default: as asked.")] = "",
    metrics_port: MetricsPort = None,
    without_noise: Annotated[
        bool,
        typer.Option("--without-noise", help="Report although your data has a budget and nothing hides it."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Measure an evaluation's model on your own data and report the number.

    Shows what is asked and what the number can tell about your data, and asks before it commits. The data never
    leaves this machine; the number will be public for ever. Stop it at any moment and run the same command again: it
    goes on with the same number, noise included.
    """
    settings: Settings = context.obj
    telemetry = open_telemetry(context, "evaluator", metrics_port, curves="off")
    evaluations = open_evaluations(settings, telemetry.tell)
    number = EvaluationId(evaluation)
    terms = evaluations.market.terms(number)
    account = context.with_resource(open_evaluation_account(evaluations, ask_password))
    is_new = evaluations.market.report(number, account.address).state == ReportState.NONE
    phase = evaluations.market.clock(number).phase
    if is_new and phase != EvaluationPhase.COMMIT:
        raise TooLate(evaluation, phase.name.lower())
    files = EvaluationFiles(open_files(settings, open_store(settings, telemetry.tell)))
    place = files.place(terms, evaluation, account.address) if is_new else (0, [])
    manifest = files.manifest(terms)
    work = Measuring(MeasuringSetup(files, terms, manifest, data, _scale(noise, terms)))
    spot = place_on(evaluations.chain, f"evaluation {evaluation}", evaluations.market.address, account.address)
    bound = None if work.epsilon is None else float(work.epsilon)
    purse = report_purse(open_book(settings.home), data, spot, bound, without_noise)
    if is_new:
        about = {name: said for name, said in describe(manifest).items() if name in SHOWN_OF_MODEL}
        pairs(f"evaluation {evaluation}", {**about, "operators": ", ".join(work.operators)})
        pairs("what is asked", terms_shown(terms))
        _show_privacy(work)
        console.print(f"Your privacy budget: {budget_row(purse, 1, 'reports')}.")
        purse.check()
        confirm(f"Commit to a report, with a stake of {tokens(terms.stake)} tokens?", yes)
    journal = ReportJournal(_journal_path(evaluations))
    setup = EvaluatorSetup(evaluations.market, account, number, terms, work, journal, place, purse, telemetry.tell)
    what = f"Reporting to evaluation {evaluation} as {account.address}."
    say("reporting", f"{what} Ctrl-C stops; the same command goes on.")
    telemetry.run(EvaluatorDaemon(setup), account.address, evaluations, terms.token)


def _scale(noise: str, terms: EvaluationTerms) -> int:
    """The scale in units: the terms' own, or a greater one.

    Raises: BadInput.
    """
    if not noise:
        return terms.noise
    try:
        units = Decimal(noise).scaleb(terms.decimals)
    except InvalidOperation as error:
        raise BadInput(f"--noise {noise!r} is not a number, such as 0.01.") from error
    if not units.is_finite() or units != units.to_integral_value() or not terms.noise <= units < 2**63:
        raise BadInput(
            f"--noise {noise!r} must be a multiple of {terms.number(1)}, and no less than the "
            f"{terms.number(terms.noise)} that the evaluation asks for."
        )
    return int(units)


def _show_privacy(work: Measuring) -> None:
    """What the number tells, before anything is sent."""
    found = work.epsilon
    if found is None:
        console.print(
            f"[yellow]No noise is added: the exact mean over your {work.examples} examples will be public for ever. "
            f"Over few examples, or together with other reports of yours, it can tell about single ones. --noise adds "
            f"some.[/yellow]"
        )
        return
    console.print(
        f"Over your {work.examples} examples this noise makes the report differentially private with epsilon "
        f"{float(found):.3g} for any one example: the smaller, the less it tells (about 1 is a common choice). "
        f"Every further report from the same data adds its own epsilon."
    )


def _journal_path(evaluations: Evaluations) -> Path:
    """One journal a chain: a devnet that is started anew has the same id, contracts and evaluations as before."""
    return evaluations.settings.home / f"reports-{evaluations.chain.block(0).hash.hex()[:8]}.sqlite"

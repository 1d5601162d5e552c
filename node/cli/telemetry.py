"""What every daemon shows of itself, put together from the settings: metrics, curves, logs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from ledger.erc20 import Token
from ledger.notices import Notice, Observer
from ledger.records import Address, BountyId
from node.auditor.report import AuditReport
from node.cli.balances import Accounted, Reader
from node.cli.output import console, text
from node.cli.running import run_daemon
from node.connections import Evaluations, Ledgers
from node.loop import Daemon
from node.notices import StateScored
from node.settings import Settings
from node.telemetry.curves import Curves
from node.telemetry.logs import logs_are_json
from node.telemetry.metrics import Metrics
from node.telemetry.notice_log import NoticeLog
from node.telemetry.server import serve_metrics

log = structlog.get_logger()

MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Serve Prometheus metrics at this port of 127.0.0.1; 0 takes a free one.",
        show_default="off",
    ),
]
CurvesFolder = Annotated[
    str | None,
    typer.Option(
        "--curves", help="Folder of the TensorBoard files; `off` writes none.", show_default="curves in the home"
    ),
]


class Telemetry:
    """The observers of one daemon. `tell` is what its parts are given."""

    def __init__(self, role: str, has_metrics: bool, curves_folder: Path | None) -> None:
        self.role = role
        self.metrics = Metrics(role) if has_metrics else None
        self._curves_folder = curves_folder
        self._observers: list[Observer] = [NoticeLog()]
        if self.metrics is not None:
            self._observers.append(self.metrics)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody hears more than the log does."""
        return self.metrics is not None or self._curves_folder is not None

    def tell(self, notice: Notice) -> None:
        for observer in self._observers:
            observer(notice)

    def draw_curves(self, context: typer.Context, ledgers: Ledgers, account: Address | None) -> None:
        """Draw from now on."""
        if self._curves_folder is None:
            return
        curves = Curves(_folder_of(self._curves_folder, ledgers), self.role, account)
        context.call_on_close(curves.close)
        self._observers.append(curves)

    def run(
        self, daemon: Daemon[Any, Any], account: Address, ledgers: Ledgers | Evaluations, token: Address | str
    ) -> None:
        """Run a daemon to its end, with its account's balances where somebody counts.

        token: the ERC-20 whose balance is shown; empty for none.
        """
        readers: list[Reader] = [("ether", lambda: ledgers.chain.balance(account))]
        if self.metrics is not None:
            if token:
                held = Token(ledgers.chain, Address(token))
                readers.append(("token", lambda: held.balance(account)))
            daemon = Accounted(daemon, readers, self.tell)
        say("ended", run_daemon(daemon, ledgers.settings.chain.poll_seconds, self.tell))


def draw_audit(folder: Path, ledgers: Ledgers, report: AuditReport) -> None:
    """Draw what an audit measured; drawing it again adds nothing."""
    with closing(Curves(_folder_of(folder, ledgers), "auditor", None)) as curves:
        measured = [(0, report.metrics_start), *((one.round, one.metrics) for one in report.rounds)]
        for number, metrics in measured:
            curves(StateScored(BountyId(report.bounty), number, metrics))


def _folder_of(folder: Path, ledgers: Ledgers) -> Path:
    """A folder of this market's: numbers of bounties begin anew on another chain."""
    return folder / f"{ledgers.chain.block(0).hash.hex()[:8]}-{ledgers.market.address[2:8].lower()}"


def open_telemetry(context: typer.Context, role: str, port: int | None, curves: str | None) -> Telemetry:
    """Set up what a daemon shows, before it does anything; it is taken down when the command ends.

    port, curves: as given on the command line; None: as in the settings.
    Raises: MetricsPortTaken.
    """
    settings: Settings = context.obj
    if curves is not None:
        settings = settings.model_copy(update={"curves": settings.curves.model_copy(update={"directory": curves})})
    wanted = settings.metrics.port if port is None else port
    telemetry = Telemetry(role, wanted is not None, settings.curves_folder)
    if telemetry.metrics is not None and wanted is not None:
        url = context.with_resource(serve_metrics(telemetry.metrics.registry, wanted))
        say("metrics", f"Metrics are served at {url}")
    return telemetry


def say(event: str, sentence: str) -> None:
    """A sentence for a person; where logs are JSON, an event like all others."""
    if logs_are_json():
        log.info(event, sentence=sentence)
    else:
        console.print(text(sentence, 1000))

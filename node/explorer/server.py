"""The explorer's process: a socket on loopback, the site, and an end at the first signal."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn

from ledger.errors import BadInput
from ledger.evaluations import EvaluationMarket
from ledger.records import Address
from ledger.scores import Scores
from node.bounty_files import BountyFiles
from node.connections import Ledgers
from node.explorer.feed import Feed
from node.explorer.record import Record
from node.explorer.routes import Site
from node.explorer.shelf import Shelf
from node.mirrors import confirmations, open_mirror, sync_mirror

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 2


class PortTaken(BadInput):
    def __init__(self, port: int, detail: str) -> None:
        self.port, self.detail = port, detail
        super().__init__(f"The explorer can't listen on port {port} ({detail}). Name another with --port; 0 takes any.")


@contextmanager
def serving(ledgers: Ledgers, files: BountyFiles, port: int) -> Iterator[str]:
    """Serve the explorer while the context is open; gives its address.

    port:   0 for any free one.
    Raises: PortTaken, WrongMirror, DamagedMirror.
    """
    settings = ledgers.settings
    with closing(_listener(port)) as listener, closing(open_mirror(settings, ledgers)) as mirror:
        feed = Feed(
            mirror,
            lambda progress: sync_mirror(settings, ledgers, mirror, progress),
            settings.chain.poll_seconds,
            confirmations(settings, ledgers),
        )
        named = settings.chain.evaluations
        evaluations = EvaluationMarket(ledgers.chain, Address(named)) if named else None
        scores = Scores(ledgers.chain, ledgers.market.scores())
        record = Record(ledgers.market, mirror, files, Shelf(files, feed.changed), evaluations, scores)
        feed.on_events = record.forget
        app = Site(record, feed, "fedbounty audit").application()
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="error",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="explorer")
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        finally:
            feed.stop()  # first, so that open streams end by themselves
            server.should_exit = True
            thread.join()


def _listener(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise PortTaken(port, error.strerror or str(error)) from error
    return made

"""The explorer's addresses: which page answers to which path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any
from urllib.parse import quote

import anyio
import orjson
import structlog
from eth_utils.address import is_address, to_checksum_address
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ledger.errors import ChainError, FedbountyError
from ledger.mirror import SearchHit
from ledger.records import Address, BountyId
from node.explorer.account_page import account_page
from node.explorer.bounty_page import bounty_page, gas_lines, phase_clock
from node.explorer.feed import Feed
from node.explorer.guards import LOOPBACK_NAMES, Guards
from node.explorer.happenings import happening
from node.explorer.overview import bounty_line, grouped
from node.explorer.payout_check import payout_steps
from node.explorer.record import Busy, NotFound, Record
from node.explorer.rendering import HERE, Pages
from node.explorer.round_page import round_page
from node.explorer.shelf import Missing
from node.explorer.steps import Step, verdict
from node.explorer.update_check import update_steps
from node.manifest import Manifest, describe

log = structlog.get_logger()

LOOK_SECONDS = 0.25
"""How often an open connection looks for news."""
PING_SECONDS = 15
MOST_LISTENERS = 64
MOST_SEARCH = 128


class Site:
    """The handlers. They run in threads: what they read may wait for disk, chain or IPFS."""

    def __init__(self, record: Record, feed: Feed, command: str) -> None:
        """command: how the same is audited from the command line, for the reader to copy."""
        self._record, self._feed, self._command = record, feed, command
        self._pages = Pages()
        self._listeners = 0

    def application(self, hosts: tuple[str, ...] = LOOPBACK_NAMES) -> Starlette:
        routes = [
            Route("/", self.overview),
            Route("/bounty/{bounty:int}", self.bounty),
            Route("/bounty/{bounty:int}/round/{round:int}", self.round),
            Route("/bounty/{bounty:int}/round/{round:int}/payout", self.payout),
            Route("/bounty/{bounty:int}/round/{round:int}/update/{index:int}", self.update),
            Route("/account/{account}", self.account),
            Route("/tx/{transaction}", self.transaction),
            Route("/search", self.search),
            Route("/events", self.events),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guards, hosts=hosts)],
            exception_handlers={HTTPException: self._refused, FedbountyError: self._failed, Exception: self._broken},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._record.shelf.start()
        self._feed.start()
        yield
        self._record.shelf.stop()
        await anyio.to_thread.run_sync(self._feed.stop)

    # --- pages ---

    def overview(self, _request: Request) -> Response:
        lines = [bounty_line(history, self._record.name(history)) for history in self._record.histories()]
        return self._page("overview.html", groups=grouped(lines), market=self._record.market)

    def bounty(self, request: Request) -> Response:
        record = self._record
        history = record.history(request.path_params["bounty"])
        manifest = record.manifest(history)
        known = manifest if isinstance(manifest, Manifest) else None
        page = bounty_page(
            history,
            known.name if known else "",
            known.task.metric if known else "",
            record.now,
            lambda merged: record.shelf.report(history.bounty, merged),
        )
        live = record.clock(history.bounty)
        return self._page(
            "bounty.html",
            page=page,
            manifest=known,
            missing=manifest if isinstance(manifest, Missing) else None,
            clock=phase_clock(live.clock, live.block.timestamp) if live else None,
            gas=gas_lines(record.gas(history.bounty)),
            described=describe(known) if known else {},
            command=f"{self._command} {history.bounty}",
        )

    def round(self, request: Request) -> Response:
        history, number = self._round_of(request)
        page = round_page(history, number, self._record.report(history.bounty, history.rounds[number].merged))
        seat = _number(request, "leaf", 0, max(len(page.payouts) - 1, 0))
        live = self._record.clock(history.bounty)
        running = live is not None and live.clock.round == number
        return self._page(
            "round.html",
            page=page,
            seat=seat,
            drawn=page.drawn(seat),
            name=self._record.name(history),
            clock=phase_clock(live.clock, live.block.timestamp) if live and running else None,
        )

    def payout(self, request: Request) -> Response:
        history, number = self._round_of(request)
        merged = history.rounds[number].merged
        if merged is None:
            raise NotFound(f"Round {number} of bounty {history.bounty} has no merge that stands, so it pays nothing.")
        page = round_page(history, number, self._record.report(history.bounty, merged))
        if not page.payouts:
            raise NotFound("The payout tree of this merge has no leaf.")
        seat = _number(request, "leaf", 0, len(page.payouts) - 1)
        steps, seconds = self._check(
            lambda: payout_steps(history, merged, seat, self._record.live_merge(history.bounty, number))
        )
        return self._page(
            "payout.html",
            page=page,
            seat=seat,
            drawn=page.drawn(seat),
            steps=steps,
            verdict=verdict(steps),
            seconds=seconds,
            name=self._record.name(history),
        )

    def update(self, request: Request) -> Response:
        history, number = self._round_of(request)
        index = request.path_params["index"]
        page = round_page(history, number, self._record.report(history.bounty, history.rounds[number].merged))
        if index >= len(page.updates):
            raise NotFound(f"Round {number} of bounty {history.bounty} has {len(page.updates)} revealed updates.")
        line, terms = page.updates[index], history.posted.terms
        chunk = _number(request, "chunk", line.reason.chunk if line.reason else 0, terms.chunks - 1)
        record, known = self._record, line.reveal
        steps, seconds = self._check(
            lambda: update_steps(known, terms, chunk, record.live_reveal(known), record.update_file(known, terms))
        )
        return self._page(
            "update.html",
            page=page,
            line=line,
            chunk=chunk,
            steps=steps,
            verdict=verdict(steps),
            seconds=seconds,
            name=record.name(history),
        )

    def account(self, request: Request) -> Response:
        account = _account(request.path_params["account"])
        known = [(history, self._record.name(history)) for history in self._record.histories()]
        page = account_page(account, known, self._record.now)
        if not page.parts:
            raise NotFound("That account has no part in any bounty of this market.")
        return self._page("account.html", page=page)

    def transaction(self, request: Request) -> Response:
        found, events = self._record.transaction(request.path_params["transaction"][:80])
        return self._page("transaction.html", found=found, happenings=[happening(event) for event in events])

    def search(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()[:MOST_SEARCH]
        hits = self._record.search(text) if text else []
        places = {_place(hit) for hit in hits}
        if len(places) == 1:
            return RedirectResponse(places.pop(), 303)
        return self._page("search.html", text=text, hits=[(hit, _place(hit)) for hit in hits])

    # --- live ---

    async def events(self, request: Request) -> Response:
        if self._listeners >= MOST_LISTENERS:
            return PlainTextResponse("Too many pages are open.\n", 503)
        return EventSourceResponse(self._news(request), ping=PING_SECONDS)

    async def _news(self, request: Request) -> AsyncIterator[ServerSentEvent]:
        """`change`: look at the page again; `head`: the chain's newest mirrored block."""
        self._listeners += 1
        try:
            version, head = self._feed.version, None
            while not self._feed.stopped and not await request.is_disconnected():
                if self._feed.version != version:
                    version = self._feed.version
                    yield ServerSentEvent(event="change", data=str(version))
                if self._feed.head is not None and self._feed.head != head:
                    head = self._feed.head
                    data = {"number": head.number, "timestamp": head.timestamp}
                    yield ServerSentEvent(event="head", data=orjson.dumps(data).decode())
                await anyio.sleep(LOOK_SECONDS)
        finally:
            self._listeners -= 1

    # --- inside ---

    def _round_of(self, request: Request) -> tuple[Any, int]:
        number = request.path_params["round"]
        history, _ = self._record.round_of(request.path_params["bounty"], number)
        return history, number

    def _check(self, steps: Callable[[], list[Step]]) -> tuple[list[Step], float]:
        """Run a verification, a few at once at most, and time it."""
        if not self._record.checks.acquire(timeout=1):
            raise Busy
        try:
            started = monotonic()
            return steps(), monotonic() - started
        finally:
            self._record.checks.release()

    def _page(self, template: str, status: int = 200, **content: Any) -> Response:
        shared = {"feed": self._feed, "chain_id": self._record.market.chain.chain_id, "query": ""}
        return self._pages.render(template, status, **(shared | content))

    def _error(self, status: int, title: str, text: str) -> Response:
        return self._page("error.html", status, title=title, message=text)

    def _refused(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        if status == 404:
            return self._error(404, "There is no such page", "The address is not one of the explorer's.")
        return self._error(status, "This can't be shown", "The request is not one that the explorer understands.")

    def _failed(self, _request: Request, error: Exception) -> Response:
        match error:
            case NotFound():
                return self._error(404, "Not found", str(error))
            case ChainError() | Busy():
                return self._error(503, "This can't be had now", str(error))
        return self._error(502, "The record can't be read", str(error))

    def _broken(self, _request: Request, error: Exception) -> Response:
        log.error("page_failed", exc_info=error)
        return self._error(500, "Something is wrong here", "The explorer failed to make this page. Its log says why.")


def _number(request: Request, name: str, default: int, most: int) -> int:
    """A number from the query, within 0 .. most.

    Raises: NotFound.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise NotFound(f"There is no such {name}; here they go from 0 to {most}.")
    return int(text)


def _account(text: str) -> Address:
    if not is_address(text):
        raise NotFound("That is not an Ethereum address: 0x and 40 hexadecimal digits.")
    return Address(to_checksum_address(text))


def _place(hit: SearchHit) -> str:
    """The page that shows what was found."""
    match hit.kind:
        case "account":
            return f"/account/{quote(hit.value)}"
        case "transaction":
            return f"/tx/{quote(hit.value)}"
    bounty = BountyId(hit.bounty or 0)
    return f"/bounty/{bounty}" if hit.round is None else f"/bounty/{bounty}/round/{hit.round}"

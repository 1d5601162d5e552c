"""The explorer's addresses: which page answers to which path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import anyio
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ledger.errors import BadInput, ChainError, FedbountyError
from ledger.history import BountyHistory
from node.explorer.account_page import KnownBounty, account_page
from node.explorer.bounty_page import PhaseClock, bounty_page, gas_lines, phase_clock
from node.explorer.evaluation_page import evaluation_clock, evaluation_line, evaluation_page
from node.explorer.feed import Feed
from node.explorer.guards import LOOPBACK_NAMES, Guards
from node.explorer.happenings import happening
from node.explorer.news import News
from node.explorer.overview import bounty_line, grouped
from node.explorer.parameters import account_of, number_of, place_of
from node.explorer.payout_check import payout_steps
from node.explorer.reading import awaited
from node.explorer.record import Busy, NotFound, NotRead, Record
from node.explorer.rendering import HERE, Pages
from node.explorer.round_page import RoundPage, round_page
from node.explorer.scoring_clock import scoring_clock
from node.explorer.shelf import Missing
from node.explorer.steps import Step, verdict
from node.explorer.update_check import update_steps
from node.manifest import Manifest, describe

log = structlog.get_logger()

MOST_SEARCH = 128


class Site:
    """The handlers. They run in threads: what they read may wait for disk, chain or IPFS."""

    def __init__(self, record: Record, feed: Feed, command: str) -> None:
        """command: how the same is audited from the command line, for the reader to copy."""
        self._record, self._feed, self._command = record, feed, command
        self._pages = Pages()

    def application(self, hosts: tuple[str, ...] = LOOPBACK_NAMES) -> ASGIApp:
        routes = [
            Route("/", self._dated(self.overview)),
            Route("/bounty/{bounty:int}", self._dated(self.bounty)),
            Route("/bounty/{bounty:int}/round/{round:int}", self._dated(self.round)),
            Route("/bounty/{bounty:int}/round/{round:int}/payout", self._dated(self.payout)),
            Route("/bounty/{bounty:int}/round/{round:int}/update/{index:int}", self._dated(self.update)),
            Route("/evaluation/{evaluation:int}", self._dated(self.evaluation)),
            Route("/account/{account}", self._dated(self.account)),
            Route("/tx/{transaction}", self._dated(self.transaction)),
            Route("/search", self._dated(self.search)),
            Route("/events", News(self._feed).answer),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]
        site = Starlette(
            routes=routes,
            exception_handlers={HTTPException: self._refused, FedbountyError: self._failed, Exception: self._broken},
            lifespan=self._lifespan,
        )
        return Guards(site, hosts)  # around all of it, the page of a failure too

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._record.shelf.start()
        self._feed.start()
        yield
        self._record.shelf.stop()
        await anyio.to_thread.run_sync(self._feed.stop)

    # --- pages ---

    def overview(self, request: Request) -> Response:
        lines = [bounty_line(history, self._record.name(history)) for history in self._record.histories()]
        newest = reversed(self._record.evaluations().values())
        evaluations = [evaluation_line(history, self._record.now) for history in newest]
        return self._page(
            request, "overview.html", groups=grouped(lines), market=self._record.market, evaluations=evaluations
        )

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
            record.scoring(history),
        )
        live = record.clock(history.bounty)
        return self._page(
            request,
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
        report = self._record.report(history.bounty, history.rounds[number].merged)
        page = round_page(history, number, report, self._record.scoring(history))
        seat = number_of(request, "leaf", 0, max(len(page.payouts) - 1, 0))
        return self._page(
            request,
            "round.html",
            page=page,
            seat=seat,
            drawn=page.drawn(seat),
            name=self._record.name(history),
            clock=self._round_clock(history, page),
            groups=self._record.groups(history, number),
        )

    def payout(self, request: Request) -> Response:
        history, number = self._round_of(request)
        merged = history.rounds[number].merged
        if merged is None:
            raise NotFound(f"Round {number} of bounty {history.bounty} has no merge that stands, so it pays nothing.")
        page = round_page(history, number, self._record.report(history.bounty, merged))
        if not page.payouts:
            raise NotFound("The payout tree of this merge has no leaf.")
        seat = number_of(request, "leaf", 0, len(page.payouts) - 1)
        steps, seconds = self._check(
            lambda: payout_steps(history, merged, seat, self._record.live_merge(history.bounty, number))
        )
        return self._page(
            request,
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
        report = self._record.report(history.bounty, history.rounds[number].merged)
        page = round_page(history, number, report, self._record.scoring(history))
        if index >= len(page.updates):
            raise NotFound(f"Round {number} of bounty {history.bounty} has {len(page.updates)} revealed updates.")
        line, terms = page.updates[index], history.posted.terms
        chunk = number_of(request, "chunk", line.reason.chunk if line.reason else 0, terms.chunks - 1)
        record, known = self._record, line.reveal
        steps, seconds = self._check(
            lambda: update_steps(known, terms, chunk, record.live_reveal(known), record.update_file(known, terms))
        )
        return self._page(
            request,
            "update.html",
            page=page,
            line=line,
            chunk=chunk,
            steps=steps,
            verdict=verdict(steps),
            seconds=seconds,
            name=record.name(history),
        )

    def evaluation(self, request: Request) -> Response:
        history, market = self._record.evaluation(request.path_params["evaluation"])
        page = evaluation_page(history, self._record.now, market.chain.chain_id, market.address)
        clock = None
        try:
            block = market.chain.block()
            clock = evaluation_clock(market.clock(history.evaluation, at=block), block.timestamp)
        except (ChainError, BadInput) as error:
            log.debug("no_clock", error=str(error))
        return self._page(request, "evaluation.html", page=page, clock=clock)

    def account(self, request: Request) -> Response:
        account = account_of(request.path_params["account"])
        record = self._record
        known = [KnownBounty(one, record.name(one), record.scoring(one)) for one in record.histories()]
        page = account_page(account, known, record.now)
        evaluations = record.evaluations().values()
        reported = [one for one in evaluations if account in one.commits or account == one.posted.owner]
        return self._page(request, "account.html", page=page, evaluations=reported)

    def transaction(self, request: Request) -> Response:
        found, events, reports = self._record.transaction(request.path_params["transaction"][:80])
        lines = [happening(event) for event in events]
        return self._page(request, "transaction.html", found=found, happenings=lines, reports=reports)

    def search(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()[:MOST_SEARCH]
        hits = self._record.search(text) if text else []
        places = {place_of(hit) for hit in hits}
        if not hits and self._record.is_posted(text):
            places = {f"/bounty/{int(text)}"}  # where it says when it will be read
        if len(places) == 1:
            return RedirectResponse(places.pop(), 303)
        return self._page(request, "search.html", text=text, hits=[(hit, place_of(hit)) for hit in hits])

    # --- inside ---

    def _dated(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """A handler whose page knows the version that it is no older than: what comes later is told by `events`."""

        def answer(request: Request) -> Response:
            request.state.version = self._feed.version
            return handler(request)

        return answer

    def _round_of(self, request: Request) -> tuple[Any, int]:
        number = request.path_params["round"]
        history, _ = self._record.round_of(request.path_params["bounty"], number)
        return history, number

    def _round_clock(self, history: BountyHistory, page: RoundPage) -> PhaseClock | None:
        """The clock of a round that runs, or that is merged and not divided yet."""
        if page.scored is not None and page.scored.phase != "settled":
            told = self._record.score_clock(history.bounty, page.one.number)
            return scoring_clock(told[0], page.one.number, told[1].timestamp) if told else None
        live = self._record.clock(history.bounty)
        running = live is not None and live.clock.round == page.one.number
        return phase_clock(live.clock, live.block.timestamp) if live and running else None

    def _check(self, steps: Callable[[], list[Step]]) -> tuple[list[Step], float]:
        """Run a verification, a few at once at most, and time it."""
        if not self._record.checks.acquire(timeout=1):
            raise Busy
        try:
            started = monotonic()
            return steps(), monotonic() - started
        finally:
            self._record.checks.release()

    def _page(self, request: Request, template: str, status: int = 200, **content: Any) -> Response:
        version = getattr(request.state, "version", self._feed.version)
        shared = {"feed": self._feed, "version": version, "chain_id": self._record.market.chain.chain_id, "query": ""}
        return self._pages.render(template, status, **(shared | content))

    def _error(self, request: Request, status: int, title: str, text: str) -> Response:
        return self._page(request, "error.html", status, title=title, message=text)

    def _awaited(self, request: Request, what: str) -> Response:
        """It will be there: how far the mirror is, and a page that looks again."""
        feed = self._feed
        told = awaited(feed.reading, feed.head, self._record.newest(), feed.confirmations)
        page = self._page(request, "awaited.html", 503, what=what, awaited=told)
        page.headers["retry-after"] = str(told.again)
        return page

    def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        if status == 404:
            return self._error(request, 404, "There is no such page", "The address is not one of the explorer's.")
        return self._error(request, status, "This can't be shown", "The explorer does not understand the request.")

    def _failed(self, request: Request, error: Exception) -> Response:
        match error:
            case NotFound():
                return self._error(request, 404, "Not found", str(error))
            case NotRead():
                return self._awaited(request, error.what)
            case ChainError() | Busy():
                return self._error(request, 503, "This can't be had now", str(error))
        return self._error(request, 502, "The record can't be read", str(error))

    def _broken(self, request: Request, error: Exception) -> Response:
        log.error("page_failed", exc_info=error)
        return self._error(
            request, 500, "Something is wrong here", "The page could not be made. The explorer's log says why."
        )

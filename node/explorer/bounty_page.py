"""A bounty's page: what it is, where it stands, what each round held, who was paid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from incentives.settlement import settle
from incentives.standing import Settlement
from ledger.history import BountyHistory, RoundHistory, rejections
from ledger.merge_records import GivenReason
from ledger.mirror import GasUse
from ledger.records import Address, Clock, Merged, Phase, PrivacyMode, Revealed, Terms, Timestamp
from node.explorer.charts import LineChart, line_chart
from node.explorer.display import duration, exact, hexed, number
from node.explorer.earnings import ProviderPay, provider_pay
from node.explorer.happenings import Happening, happening, label_of
from node.explorer.overview import Stage, stage_of
from node.explorer.reports import Report
from node.explorer.scoring import Scoring, happened
from node.explorer.shelf import Missing
from node.robustness import promise
from node.targets import ending_in_words, in_words

MOST_HAPPENINGS = 20

_PHASES = {
    Phase.JOINING: ("joining", "Providers may join; round 1 opens when the quorum is there and the bond is deposited."),
    Phase.COMMIT: ("commit", "Providers train and commit to their updates. Nothing else of an update can be seen yet."),
    Phase.REVEAL: ("reveal", "Providers show what they committed to."),
    Phase.MERGE: ("merge", "The named aggregator verifies the updates and merges them, under its bond."),
    Phase.OPEN_MERGE: ("open merge", "The aggregator was late: anyone who posts the bond may merge."),
    Phase.ENDED: ("ended", "All rounds are over. Vested pay can be claimed at any time."),
    Phase.CANCELLED: ("cancelled", "The owner took the pot back before a round opened."),
}
_ORDER = (Phase.JOINING, Phase.COMMIT, Phase.REVEAL, Phase.MERGE, Phase.OPEN_MERGE, Phase.ENDED)


@dataclass(frozen=True)
class PhaseClock:
    """Where the bounty stands by the chain's own clock at one block.

    round: 0 where there is none.
    left:  seconds until time ends the phase; None where it does not.
    steps: the phases in order, each with whether it is `past`, `now` or `next`.
    """

    phase: str
    meaning: str
    round: int
    ends_at: int
    left: int | None
    counts: str
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RoundLine:
    """One round in the table. metrics: as the merger reported them; missing: a CID that could not be had."""

    number: int
    state: str
    opened_at: Timestamp
    commits: int
    reveals: int
    accepted: int
    rejected: int
    paid: int
    voided: int
    metrics: Mapping[str, float]
    missing: Missing | None
    problem: str


@dataclass(frozen=True)
class RejectedLine:
    round: int
    reveal: Revealed
    reason: GivenReason
    detail: str


@dataclass(frozen=True)
class GasLine:
    label: str
    senders: int
    transactions: int
    gas: int
    fee: int


@dataclass(frozen=True)
class BountyPage:
    """`bounty`, `terms` and `owner` are the chain's words; `name` is the manifest's.

    ending:  why it ended before its last round; else empty.
    scoring: None where pay is not by contribution.
    """

    history: BountyHistory
    stage: Stage
    name: str
    settlement: Settlement
    rounds: tuple[RoundLine, ...]
    metric_names: tuple[str, ...]
    chart: LineChart | None
    pay: tuple[ProviderPay, ...]
    rejected: tuple[RejectedLine, ...]
    terms: tuple[tuple[str, str], ...]
    happenings: tuple[Happening, ...]
    more_happenings: int
    ending: str
    scoring: Scoring | None

    @property
    def events(self) -> int:
        """How many there are."""
        return len(self.happenings) + self.more_happenings

    @property
    def pay_total(self) -> int:
        return sum(one.earned for one in self.pay)

    @property
    def pay_most(self) -> int:
        return max((one.earned for one in self.pay), default=0)


ReportOf = Callable[[Merged], Report | Missing]


def phase_clock(clock: Clock, now: Timestamp) -> PhaseClock:
    """now: the time of the block that the clock was read at."""
    name, meaning = _PHASES[clock.phase]
    place = _ORDER.index(clock.phase) if clock.phase in _ORDER else len(_ORDER)
    steps = [
        (_PHASES[phase][0], "past" if index < place else "now" if index == place else "next")
        for index, phase in enumerate(_ORDER)
        if phase != Phase.OPEN_MERGE or clock.phase == Phase.OPEN_MERGE
    ]
    counts = f"{clock.members} providers are members"
    if clock.round:
        counts += f"; in this round {clock.commits} committed and {clock.reveals} revealed"
    left = max(clock.ends_at - now, 0) if clock.ends_at else None
    return PhaseClock(
        name,
        meaning,
        clock.round,
        clock.ends_at,
        left,
        counts,
        tuple(steps),
    )


def bounty_page(
    history: BountyHistory, name: str, metric: str, now: Timestamp, report_of: ReportOf, scoring: Scoring | None = None
) -> BountyPage:
    """Build the page's content.

    metric:  the manifest's, shown first and drawn; empty if it is not known.
    scoring: None where pay is not by contribution.
    """
    settlement = settle(history.events)
    reports = {one.number: report_of(one.merged) for one in history.merged_rounds if one.merged is not None}
    rounds = tuple(_round_line(one, reports.get(one.number)) for one in history.rounds.values())
    names = _metric_names(rounds, metric)
    drawn = [(one.number, one.metrics.get(names[0])) for one in rounds] if names else []
    newest = happened(history, scoring)[: -MOST_HAPPENINGS - 1 : -1]
    return BountyPage(
        history=history,
        stage=stage_of(history),
        name=name,
        settlement=settlement,
        rounds=rounds,
        metric_names=names,
        chart=line_chart(drawn),
        pay=tuple(provider_pay(history, settlement, now, scoring)),
        rejected=tuple(_rejected(history, reports)),
        ending=ending_in_words(history),
        terms=terms_lines(history.posted.terms, metric),
        happenings=tuple(happening(event) for event in newest),
        more_happenings=len(happened(history, scoring)) - len(newest),
        scoring=scoring,
    )


def _round_line(one: RoundHistory, report: Report | Missing | None) -> RoundLine:
    merged = one.merged
    left_out = len(rejections(merged, one.reveals)) if merged else 0
    return RoundLine(
        number=one.number,
        state=one.state if not one.interrupted or merged else "interrupted",
        opened_at=one.opened_at,
        commits=len(one.commits),
        reveals=len(one.reveals),
        accepted=merged.reveals - left_out if merged else 0,
        rejected=left_out,
        paid=merged.claim.paid if merged else 0,
        voided=len(one.voided),
        metrics=report.metrics if isinstance(report, Report) else {},
        missing=report if isinstance(report, Missing) else None,
        problem=report.problem if isinstance(report, Report) else "",
    )


def _metric_names(rounds: Sequence[RoundLine], first: str) -> tuple[str, ...]:
    found = {name for one in rounds for name in one.metrics}
    return tuple(sorted(found, key=lambda name: (name != first, name)))


def _rejected(history: BountyHistory, reports: Mapping[int, Report | Missing]) -> list[RejectedLine]:
    lines = []
    for one in reversed(history.merged_rounds):
        report = reports.get(one.number)
        details = report.details if isinstance(report, Report) else {}
        for reveal, reason in rejections(one.merged, one.reveals) if one.merged else ():
            lines.append(RejectedLine(one.number, reveal, reason, details.get(reveal.index, "")))
    return lines


def gas_lines(uses: Sequence[GasUse]) -> list[GasLine]:
    """Gas by kind of transaction, the greatest first."""
    senders: dict[str, set[Address]] = {}
    sums: dict[str, list[int]] = {}
    for use in uses:
        senders.setdefault(use.kind, set()).add(use.sender)
        total = sums.setdefault(use.kind, [0, 0, 0])
        total[:] = total[0] + use.transactions, total[1] + use.gas, total[2] + use.fee
    lines = [GasLine(label_of(kind), len(senders[kind]), *total) for kind, total in sums.items()]
    return sorted(lines, key=lambda line: -line.gas)


def terms_lines(terms: Terms, metric: str = "") -> tuple[tuple[str, str], ...]:
    """What the owner fixed, by name, and what the rule withstands; metric: the manifest's, empty if it is not known."""
    lines = [("faulty updates", promise(terms))]
    for name, value in asdict(terms).items():
        label = name.removesuffix("_seconds").replace("_", " ")
        if name in ("pot", "bond", "stake", "forfeit", "demand_fee"):
            text = f"{exact(value)} tokens"
        elif name.endswith("_seconds"):
            text = duration(value)
        elif isinstance(value, bytes):
            text = hexed(value)
        elif name == "target" and (metric or not value):
            text = in_words(value, metric) if value else "none: all rounds are played"
        elif name in ("merge_rule", "reward_rule", "privacy"):
            text = value.name.lower().replace("_", " ")
            if value is PrivacyMode.MASKED:
                text += ": sums of groups alone can be seen, and a group is paid or left out as a whole"
        else:
            text = number(value) if isinstance(value, int) else str(value)
        lines.append((label, text))
    return tuple(lines)

"""What was published about a provider's round: the merger's report, believed by nobody, and the update's own file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ledger.commitments import payout_root, payout_tree
from ledger.errors import ContentError, FedbountyError
from ledger.history import BountyHistory
from ledger.merge_records import GivenReason, Reason, pack_reasons
from ledger.records import Merged, PrivacyMode, Revealed, Terms, Wei
from node.auditor.rejections import rejection_differences, screened
from node.bounty_files import Artefacts
from node.explaining.accounting import audit_command, recomputed_root
from node.explaining.receipt import Judgement, Outcome, Published, Receipt, RoundReceipt, Verdict
from node.explorer.reports import Report, read_report
from node.manifest import Manifest, coordinates
from node.masked_updates import VerifiedMasked
from node.round_updates import Checked, check_updates
from node.screening import compared_with
from node.verification import Rejection, VerifiedUpdate


class MissingFile(ContentError):
    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__(f"The file of update {index}, which it is held against, can't be had.")


NO_ENDPOINT = "no IPFS endpoint answered"


def needs_files(receipt: Receipt) -> bool:
    """Whether there is something about which only files can tell more."""
    return any(_is_open(one) for one in receipt.rounds)


def _is_open(one: RoundReceipt) -> bool:
    return one.outcome == Outcome.REJECTED or _root_differs(one)


def _root_differs(one: RoundReceipt) -> bool:
    return any(check.what == "payout root" and not check.matches for check in one.checks)


def with_published(files: Artefacts | None, history: BountyHistory, receipt: Receipt) -> Receipt:
    """The receipt with what files say where they can tell more; `files` None: there is no endpoint."""
    rounds = []
    for one in receipt.rounds:
        merged = history.rounds[one.round].merged
        if merged is None or not _is_open(one):
            rounds.append(one)
        else:
            rounds.append(replace(one, published=_published(files, history, merged, one, receipt.seat)))
    whole = replace(receipt, rounds=tuple(rounds))
    challenge = ("hold the rejection to all updates, and prove what can be proven", audit_command(receipt.bounty))
    return replace(whole, steps=(*whole.steps, challenge)) if whole.wrongly_rejected else whole


def _published(
    files: Artefacts | None, history: BountyHistory, merged: Merged, one: RoundReceipt, seat: int
) -> Published:
    report = _report(files, merged)
    judgement = None
    if one.revealed is not None and one.reason is not None:
        judgement = judge(files, history, merged, one.revealed, one.reason)
    elif one.outcome == Outcome.REJECTED:
        judgement = Judgement(Verdict.WRONG, "the merge names no reason that can be read")
    detail = report.details.get(one.revealed.index, "") if one.revealed else ""
    return Published(detail, report.problem, judgement, _recorded_leaf(history, merged, report, seat))


def _report(files: Artefacts | None, merged: Merged) -> Report:
    """The merger's report; what can't be had or used is its `problem`."""
    if files is None:
        return Report(problem=NO_ENDPOINT)
    try:
        return read_report(files.report(merged), merged.bounty, merged.round)
    except ContentError as error:
        return Report(problem=str(error))


def _recorded_leaf(history: BountyHistory, merged: Merged, report: Report, seat: int) -> Wei | None:
    """What the recorded tree gives the member, if the report's list makes that tree and ours does not."""
    members = [member.provider for member in history.members[: merged.claim.payout_leaves]]
    if recomputed_root(history, merged) == merged.claim.payout_root or not members:
        return None
    if len(report.payouts) != len(members) or seat >= len(members) or max(report.payouts) >= 2**96:
        return None
    listed = [(provider, Wei(amount)) for provider, amount in zip(members, report.payouts, strict=True)]
    return listed[seat][1] if payout_root(payout_tree(listed)) == merged.claim.payout_root else None


# --- why it was left out ---


def judge(
    files: Artefacts | None, history: BountyHistory, merged: Merged, mine: Revealed, given: GivenReason
) -> Judgement:
    """Whether a rejection's reason holds, from the update's own bytes and those that it is said to be alike.

    An audit holds all updates of the round against each other; this looks only at what the reason names.
    """
    if given.code not in Reason.__members__.values():
        return Judgement(Verdict.WRONG, f"there is no reason number {given.code}")
    terms = history.posted.terms
    if given.code == Reason.UNMASKABLE:
        return _judged_unmaskable(terms)
    if files is None:
        return Judgement(Verdict.OPEN, NO_ENDPOINT)
    try:
        manifest = files.manifest(terms)
        checked = _checked(files, terms, manifest, [mine])[0]
        if given.code == Reason.UNAVAILABLE:
            return _judged_absence(checked)
        if isinstance(checked, Rejection) and checked.reason == Reason.UNAVAILABLE:
            return Judgement(Verdict.OPEN, f"the update's file can't be had: {checked.detail}")
        if given.code == Reason.HARMFUL:
            return _judged_harm(manifest, checked)
        return _judged(files, history, merged, manifest, checked, given)
    except FedbountyError as error:  # a manifest or another's file: their want says nothing of the update
        return Judgement(Verdict.OPEN, str(error))


def _checked(files: Artefacts, terms: Terms, manifest: Manifest, reveals: Iterable[Revealed]) -> list[Checked]:
    return check_updates(files, terms, list(reveals), coordinates(manifest))


def _judged_absence(checked: Checked) -> Judgement:
    if isinstance(checked, Rejection) and checked.reason == Reason.UNAVAILABLE:
        return Judgement(Verdict.OPEN, f"it can't be had now either: {checked.detail}")
    return Judgement(Verdict.OPEN, "its file can be had now; whether it could in time, nobody can show")


def _judged_unmaskable(terms: Terms) -> Judgement:
    if terms.privacy != PrivacyMode.MASKED:
        return Judgement(Verdict.WRONG, "the bounty's updates have no masks")
    found = "pay is by groups in masked mode; whether enough shares of its group were there in time, nobody can show"
    return Judgement(Verdict.OPEN, found)


def _judged_harm(manifest: Manifest, checked: Checked) -> Judgement:
    if isinstance(checked, Rejection):
        return Judgement(Verdict.OPEN, f"the file is {checked.reason.label}: {checked.detail}")
    if manifest.screening is None or manifest.screening.harm is None:
        return Judgement(Verdict.WRONG, "the bounty's manifest lets nobody leave an update out for that")
    return Judgement(Verdict.OPEN, "its file is right; harm is measured in floating point, which nobody can recompute")


def _judged(
    files: Artefacts, history: BountyHistory, merged: Merged, manifest: Manifest, checked: Checked, given: GivenReason
) -> Judgement:
    if given.is_judged and isinstance(checked, Rejection) and not checked.chunks:
        found = f"the file is {checked.reason.label} ({checked.detail}); what was committed, the chain alone can judge"
        return Judgement(Verdict.OPEN, found)
    if isinstance(checked, VerifiedMasked) and given.code == Reason.MALFORMED:
        return Judgement(
            Verdict.OPEN, f"the file alone is right; `fedbounty audit {merged.bounty}` holds it to its group"
        )
    with_others = _screened(files, history, merged, manifest, checked, given)
    said = replace(merged.claim, rejected=1 << checked.revealed.index, reasons=pack_reasons([given]))
    holds = not rejection_differences(replace(merged, claim=said), [with_others])
    detail = (
        with_others.detail
        if isinstance(with_others, Rejection)
        else "its file is right: length, form, root"
        + ("" if isinstance(checked, VerifiedMasked) else ", norm and range")
    )
    return Judgement(Verdict.HOLDS if holds else Verdict.WRONG, detail)


def _screened(
    files: Artefacts, history: BountyHistory, merged: Merged, manifest: Manifest, checked: Checked, given: GivenReason
) -> Checked:
    """The update after the manifest's screening, with what its reason says that it is alike."""
    if isinstance(checked, Rejection):
        return checked
    terms, reveals = history.posted.terms, history.rounds[merged.round].reveals
    others: list[Checked] = []
    before: list[VerifiedUpdate] = []
    if given.code == Reason.COPIED and given.chunk < len(reveals) and given.chunk != checked.revealed.index:
        others = _needed(_checked(files, terms, manifest, [reveals[given.chunk]]))
    if given.code == Reason.STALE:
        updates = _checked(files, terms, manifest, compared_with(history, merged.round))
        before = [one for one in _needed(updates) if isinstance(one, VerifiedUpdate)]
    return screened(history, merged, manifest, [checked, *others], before)[0]


def _needed(checked: list[Checked]) -> list[Checked]:
    """Raises: MissingFile, since without it nothing is certain."""
    for one in checked:
        if isinstance(one, Rejection) and one.reason == Reason.UNAVAILABLE:
            raise MissingFile(one.revealed.index)
    return checked

"""`fedbounty provide`: a data provider's side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from incentives.economics import estimate_pay
from ledger.cid import Digest, to_cid
from ledger.errors import BadInput, ProtocolFault
from ledger.records import BountyId, Terms
from node.cli.amounts import parse_tokens
from node.cli.arguments import BountyArgument, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, pairs, tokens
from node.cli.privacy_shown import place_on, show_privacy
from node.cli.running import OVER, BountyOver
from node.cli.sealed import sealer_of
from node.cli.telemetry import CurvesFolder, MetricsPort, open_telemetry, say
from node.connections import Ledgers, open_account, open_files, open_ledgers, open_store
from node.journal import Journal, Scope
from node.manifest import Manifest, describe
from node.mirrors import confirmations
from node.privacy.purses import bounty_purse, open_book
from node.provider.daemon import ProviderDaemon, ProviderSetup
from node.provider.local_work import LocalWork, LocalWorkSetup
from node.provider.masking import MaskingPlace, open_masking
from node.scored_rounds import panel_rows, scores_of
from node.settings import Settings
from node.training.local import checked_device


def provide(
    context: typer.Context,
    bounty: BountyArgument,
    data: Annotated[
        str, typer.Option(help="Your data: a .csv, .parquet or .npz file, an image folder, or module:function.")
    ],
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    stake: Annotated[str, typer.Option(help="Tokens to stake; default: the least.")] = "",
    metrics_port: MetricsPort = None,
    curves: CurvesFolder = None,
    without_noise: Annotated[
        bool,
        typer.Option("--without-noise", help="Go on although your data has a privacy budget and nothing hides it."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Join a bounty and train for it on your own data until it ends.

    Shows what the bounty asks for and asks before it joins. The data never leaves this machine: what is published is
    the update. Stop it at any moment and run the same command again: it goes on where it was.
    """
    settings: Settings = context.obj
    checked_device(device)
    telemetry = open_telemetry(context, "provider", metrics_port, curves)
    ledgers = open_ledgers(settings, telemetry.tell)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    own = parse_tokens(stake) if stake else terms.stake
    if own < terms.stake:
        least = f"{tokens(terms.stake)} tokens"
        raise BadInput(f"Bounty {bounty} asks for a stake of at least {least}; --stake {stake} is less.")
    account = context.with_resource(open_account(ledgers, ask_password))
    is_member = ledgers.market.provider(number, account.address).stake > 0
    phase = ledgers.market.clock(number).phase
    if not is_member and phase in OVER:
        remedy = f"No one can join it any more. If it owes you pay, `fedbounty claim {bounty}` takes it."
        raise BountyOver(bounty, phase.name.lower(), remedy)
    store = open_store(settings, telemetry.tell)
    files = open_files(settings, store)
    manifest = files.manifest(terms)
    folder = settings.home / "updates" / account.address
    seal = sealer_of(ledgers, account, number, manifest)
    place = place_on(ledgers.chain, f"bounty {number}", ledgers.market.address, account.address)
    purse = bounty_purse(open_book(settings.home), data, place, manifest, without_noise)
    local = LocalWorkSetup(number, folder, files, terms, manifest, data, device, telemetry.tell, seal)
    work = LocalWork(replace(local, mark=purse.data.fingerprint))
    journal = Journal(_journal_path(ledgers))
    agreement = Scope(ledgers.chain.chain_id, ledgers.market.address, number, account.address)
    agreed = has_agreed(journal, agreement, terms.manifest)
    if not is_member or not (agreed or phase in OVER):
        _show_offer(ledgers, number, terms, manifest, work)
        show_privacy(manifest, terms.rounds, purse)
        if not is_member:
            purse.check()
        confirm(f"{'Go on with' if is_member else 'Join'} bounty {bounty}, the stake {tokens(own)} tokens?", yes)
        journal.agree(agreement, terms.manifest)
    peer = store.addresses()[0]
    place_kept = MaskingPlace(settings.home, confirmations(settings, ledgers))
    masking = open_masking(ledgers.market, account, number, files, place_kept)
    setup = ProviderSetup(
        ledgers.market, account, number, terms, work, journal, peer, own, purse, telemetry.tell, masking
    )
    telemetry.draw_curves(context, ledgers, account.address)
    say("following", f"Following bounty {bounty} as {account.address}. Ctrl-C stops; the same command goes on.")
    telemetry.run(ProviderDaemon(setup), account.address, ledgers, terms.token)


class ChangedManifest(ProtocolFault):
    """A bounty's manifest never changes: the endpoint is on another chain, or it lies."""

    def __init__(self, bounty: int, agreed: Digest, shown: Digest) -> None:
        self.bounty, self.agreed, self.shown = bounty, agreed, shown
        super().__init__(
            f"You agreed to train for bounty {bounty} by the manifest {to_cid(agreed)}, and the Ethereum endpoint "
            f"names {to_cid(shown)} now. No bounty can change its manifest, so don't trust this endpoint. "
            "Nothing was sent."
        )


def has_agreed(journal: Journal, scope: Scope, manifest: Digest) -> bool:
    """Whether a person has agreed to train by this manifest before.

    Raises: ChangedManifest if it was another one.
    """
    agreed = journal.agreed(scope)
    if agreed is not None and agreed != manifest:
        raise ChangedManifest(scope.bounty, agreed, manifest)
    return agreed is not None


def _journal_path(ledgers: Ledgers) -> Path:
    """One journal a chain: a devnet that is started anew has the same id, contracts and bounties as the one before."""
    return ledgers.settings.home / f"journal-{ledgers.chain.block(0).hash.hex()[:8]}.sqlite"


def _show_offer(ledgers: Ledgers, bounty: BountyId, terms: Terms, manifest: Manifest, work: LocalWork) -> None:
    clock = ledgers.market.clock(bounty)
    pairs(f"bounty {bounty}", {**describe(manifest), "operators": ", ".join(work.operators), "your data": work.summary})
    estimate = estimate_pay(terms)
    pairs(
        "pay and stake",
        {
            "rounds": f"{terms.rounds}, now in {clock.phase.name.lower()} of round {clock.round}",
            "pay a round": f"{tokens(estimate.least)} .. {tokens(estimate.most)} tokens for each accepted update",
            "stake": f"{tokens(terms.stake)} tokens, back after the end",
            "you lose": f"{tokens(terms.forfeit)} tokens for each commitment that you do not reveal",
            "members": f"{clock.members}; rounds need {terms.min_updates} .. {terms.max_updates} updates",
            **_panel_rows(ledgers, bounty, terms),
        },
    )


def _panel_rows(ledgers: Ledgers, bounty: BountyId, terms: Terms) -> dict[str, object]:
    """Who divides the pay, where it is by contribution."""
    scores = scores_of(ledgers.market, terms)
    return panel_rows(scores.panel(bounty), tokens) if scores else {}

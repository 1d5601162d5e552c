"""Sealed updates on the command line: who reads them, and `fedbounty disclose`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import BadInput
from ledger.keccak import Hash32
from ledger.records import BountyId, PrivacyMode, Revealed, Terms
from node.bounty_files import BountyFiles, write_atomically
from node.cli.arguments import BountyArgument, Json
from node.cli.keys import ask_password
from node.cli.output import console, print_json
from node.connections import Account, Ledgers, open_account, open_files, open_ledgers, open_store
from node.manifest import Manifest
from node.sealed_updates import (
    Reader,
    SealedUpdate,
    Sealer,
    exchange_public_key,
    own_content_key,
    read_disclosed,
    render_disclosed,
)
from node.sealing import exchange_key
from node.settings import Settings

ContentKeys = Annotated[
    list[Path] | None,
    typer.Option("--content-keys", help="Content keys of sealed updates, from `fedbounty disclose`. Repeatable."),
]


def reader_of(ledgers: Ledgers, account: Account) -> Reader:
    """Opens what is sealed for an account."""
    market = ledgers.market
    return Reader(market.chain.chain_id, market.address, exchange_key(account.key.derive))


def disclosed_reader(ledgers: Ledgers, paths: list[Path] | None) -> Reader | None:
    """Opens what has been disclosed. Raises: BadInput for a file that holds no content keys."""
    market = ledgers.market
    return Reader(market.chain.chain_id, market.address, None, read_disclosed(paths)) if paths else None


def sealer_of(
    ledgers: Ledgers, account: Account, bounty: BountyId, manifest: Manifest
) -> Callable[[int, Hash32, bytes], bytes] | None:
    """What seals a provider's updates, where the manifest names who may read them."""
    if manifest.encryption is None:
        return None
    market = ledgers.market
    return Sealer(market.chain.chain_id, market.address, bounty, account.key, manifest.encryption.recipients).seal


def require_recipient(account: Account, manifest: Manifest) -> None:
    """Raises: BadInput if updates are sealed, and not for this account."""
    own = exchange_public_key(account.key)
    if manifest.encryption is not None and own not in manifest.encryption.recipients:
        raise BadInput(
            f"Updates of this bounty are sealed for the keys that its manifest names, and {account.address}'s, "
            f"0x{own.hex()}, is not one of them: it could read nothing. Use the account whose key is named."
        )


def disclose(
    context: typer.Context,
    bounty: BountyArgument,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    number: Annotated[int | None, typer.Option("--round", min=1, help="Of this round only.")] = None,
    index: Annotated[int | None, typer.Option(min=0, help="Of the update with this reveal index only.")] = None,
    as_json: Json = False,
) -> None:
    """Write down the content keys of sealed updates that you can read: your own, and those sealed for you.

    Whoever has the file can read these updates, for ever: hand it to those who are to decide a dispute.
    `fedbounty audit --content-keys FILE` then checks them like open ones.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    terms = ledgers.market.terms(BountyId(bounty))
    if terms.privacy != PrivacyMode.ENCRYPTED:
        raise BadInput(f"Bounty {bounty} has no sealed updates: its privacy mode is {terms.privacy.name.lower()}.")
    account = context.with_resource(open_account(ledgers, ask_password))
    files = open_files(settings, open_store(settings))
    wanted = [
        one
        for one in ledgers.market.events(BountyId(bounty))
        if isinstance(one, Revealed) and number in (None, one.round) and index in (None, one.index)
    ]
    found = {one.update_root: key for one in wanted if (key := _content_key(ledgers, account, files, terms, one))}
    if not found:
        raise BadInput(
            f"None of {len(wanted)} updates is {account.address}'s own or sealed for it; nothing was written."
        )
    write_atomically(out, render_disclosed(found), mode=0o600)
    if as_json:
        print_json({"bounty": bounty, "disclosed": len(found), "updates": len(wanted), "file": str(out)})
    else:
        console.print(f"{len(found)} of {len(wanted)} content keys are in {out}. Whoever has it can read these.")


def _content_key(ledgers: Ledgers, account: Account, files: BountyFiles, terms: Terms, one: Revealed) -> bytes | None:
    reader = reader_of(ledgers, account)
    if one.provider == account.address:
        return own_content_key(account.key, reader.context(one))
    try:
        return reader.content_key(one, files.published_update(one, terms).read_bytes())
    except SealedUpdate:
        return None

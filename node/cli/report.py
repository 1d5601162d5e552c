"""`fedbounty report`: an audit as a signed document, and the verification of one with the chain alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ledger.accounts import Key, load_key, read_password
from ledger.errors import BadInput
from ledger.records import Address, BountyId
from ledger.whole_files import replacing
from node.auditor.page import render_report
from node.auditor.record import canonical
from node.auditor.statement import Verified, read_report, sign_report, verify_report
from node.cli.arguments import Json
from node.cli.audit import EXIT
from node.cli.auditing import CarOption, MirrorOption, run_audit
from node.cli.keys import ask_password
from node.cli.output import console, print_json, text
from node.connections import checked_address, open_ledgers
from node.settings import Settings, environment_password


def report(
    context: typer.Context,
    bounty: Annotated[
        int | None, typer.Argument(min=1, help="The bounty to audit; leave it out with --verify.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the two files.")] = Path(),
    car: CarOption = None,
    mirror: MirrorOption = False,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Verify this report (JSON) instead.")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="ADDRESS", help="With --verify: it must be signed by this account.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Audit a bounty and write a report: one page of HTML that loads nothing, and a signed JSON document.

    The report holds the chain's record (terms, every checkpoint with its CID and the updates it came from, rounds,
    payments, privacy) and the audit's findings, signed with your key (--account; EIP-191, so a wallet shows the text).

    With --verify FILE the signature and the whole record are checked against the chain, at the report's own block;
    neither IPFS nor a key is needed. The findings are the auditor's word: `fedbounty audit` recomputes them.

    Exit codes: as `fedbounty audit`; with --verify 0 if all is as the chain has it, 1 if not.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    if verify is not None and bounty is None:
        signer = checked_address(by, "--by") if by else None
        _tell_verified(verify_report(read_report(verify), ledgers.market, signer), as_json)
    if bounty is None or verify is not None:
        raise BadInput("Name a bounty to report on, or a report with --verify FILE.")
    number = BountyId(bounty)
    ledgers.market.terms(number)
    if not out.is_dir():
        raise BadInput(f"{out} is no folder. Make it first, or name another with --out.")
    key = _key(settings)
    audited = run_audit(ledgers, number, car, mirror)
    signed = sign_report(audited, ledgers.market, key)
    document, page = (out / f"bounty-{number}-report.{kind}" for kind in ("json", "html"))
    _write(document, canonical(signed) + b"\n")
    _write(page, render_report(signed, document.name).encode())
    verdict = audited.report.verdict
    if as_json:
        print_json({"verdict": verdict, "json": str(document), "html": str(page), "signer": key.address})
    else:
        console.print(f"[bold]{verdict}[/bold]: {document} and {page}, signed by {key.address}")
    raise typer.Exit(EXIT[verdict])


def _key(settings: Settings) -> Key:
    keys = settings.keys
    if not keys.account:
        raise BadInput("A report is signed: pass --account NAME, or set keys.account (FEDBOUNTY_ACCOUNT).")
    password = read_password(
        file=keys.password_file, value=environment_password(), prompt=lambda: ask_password(keys.account)
    )
    return load_key(keys.account, password, keys.directory)


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


def _tell_verified(verified: Verified, as_json: bool) -> NoReturn:
    if as_json:
        print_json(asdict(verified))
    else:
        signer: Address | None = verified.signer
        console.print(f"bounty {verified.bounty} up to block {verified.block}, signed by {signer or 'nobody'}")
        for problem in verified.problems:
            console.print(f"[bold red]wrong[/bold red] {text(problem, 1000)}")
        if not verified.problems:
            console.print("[bold]the signature is right, and the chain says what the report says of it[/bold]")
            console.print(f"its findings are the signer's word: {text(verified.verdict)}")
    raise typer.Exit(1 if verified.problems else 0)

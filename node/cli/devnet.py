"""`fedbounty devnet` and `fedbounty fund`: a chain of one's own to try everything on."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from ledger.chain import connect
from ledger.devnet import (
    Deployed,
    DevnetSettings,
    deploy_contracts,
    deploy_evaluations,
    fund_ether,
    mint_tokens,
    start_devnet,
)
from ledger.errors import WrongChain
from ledger.market import Market
from ledger.transactions import Transactor
from node.cli.amounts import parse_tokens
from node.cli.arguments import Json
from node.cli.keys import ask_password
from node.cli.output import console, print_json, tokens
from node.cli.running import stop_signals
from node.connections import checked_address, open_account, open_ledgers
from node.settings import FILE_NAME, Settings


def devnet(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port of the RPC endpoint; 0 takes a free one.")] = 8545,
    block_time: Annotated[int, typer.Option(help="Seconds a block; 0 mines each transaction at once.")] = 1,
    directory: Annotated[Path | None, typer.Option(help="Where chain, log and keys are kept.")] = None,
    as_json: Json = False,
) -> None:
    """Run a local Ethereum chain (anvil) with the market and a test token on it, until Ctrl-C.

    The chain is kept in its directory and goes on at the next start. Writes fedbounty.toml into the working directory
    if there is none, so that the other commands find it.
    """
    settings: Settings = context.obj
    place = directory or settings.home / "devnet"
    with (
        stop_signals() as stop,
        start_devnet(place, DevnetSettings(port=port, block_seconds=block_time, keep_state=True)) as chain_process,
    ):
        chain = connect(chain_process.rpc_url, chain_process.chain_id)
        deployed = _deploy_once(place, Transactor(chain, chain_process.keys[0], place / "transactions"), settings)
        described = {
            "rpc_url": chain_process.rpc_url,
            "chain_id": chain_process.chain_id,
            "market": deployed.market,
            "evaluations": deployed.evaluations,
            "token": deployed.token,
        }
        if as_json:
            print_json(described)
        else:
            _explain(described)
        stop.wait()


def _deploy_once(place: Path, transactor: Transactor, settings: Settings) -> Deployed:
    """The contracts of this chain: those of an earlier start if they are there, else new ones."""
    note = place / "contracts.txt"
    if note.is_file():
        try:
            return _kept(note, transactor)
        except WrongChain:
            console.print("The kept chain has no contracts; deploying them again.")
    deployed = deploy_contracts(transactor)
    _write_down(note, deployed)
    return deployed


def _kept(note: Path, transactor: Transactor) -> Deployed:
    """The contracts that an earlier start wrote down; the market for evaluations is new to the oldest chains."""
    market, token, block, *others = note.read_text().split()
    Market(transactor.chain, checked_address(market, str(note)))
    evaluations = checked_address(others[0], str(note)) if others else deploy_evaluations(transactor)
    kept = Deployed(checked_address(market, str(note)), checked_address(token, str(note)), int(block), evaluations)
    _write_down(note, kept)
    return kept


def _write_down(note: Path, deployed: Deployed) -> None:
    note.write_text(f"{deployed.market} {deployed.token} {deployed.block} {deployed.evaluations}\n")


def _explain(described: dict[str, object]) -> None:
    lines = [
        "[chain]",
        *(f'{name} = "{described[name]}"' for name in ("rpc_url", "market", "evaluations", "token")),
        f"chain_id = {described['chain_id']}",
        "poll_seconds = 0.5",
    ]
    path = Path.cwd() / FILE_NAME
    if not path.exists():
        path.write_text("\n".join(lines) + "\n")
        console.print(f"Wrote {path}; commands in this folder use it.")
    elif _names(path, described):
        console.print(f"{path} names this chain; commands in this folder use it.")
    else:
        console.print(f"{path} exists and was left alone. For this chain it must say:")
        console.print("\n".join(lines), markup=False)
    console.print(f"The devnet runs at {described['rpc_url']}. Ctrl-C stops it.")


def _names(path: Path, described: dict[str, object]) -> bool:
    """Whether a settings file leads to this chain."""
    try:
        chain = tomllib.loads(path.read_text())["chain"]
        return all(chain[name] == value for name, value in described.items())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, KeyError, TypeError):
        return False


def fund(
    context: typer.Context,
    amount: Annotated[str, typer.Option(help="Test tokens to make.")] = "1000",
    as_json: Json = False,
) -> None:
    """Give the account 100 ether and test tokens; works on a devnet only."""
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = context.with_resource(open_account(ledgers, ask_password))
    fund_ether(ledgers.chain, account.address, 100 * 10**18)
    token = checked_address(settings.chain.token, "chain.token (FEDBOUNTY_TOKEN)")
    mint_tokens(account.transactor, token, account.address, parse_tokens(amount))
    if as_json:
        print_json({"account": account.address, "ether": 100 * 10**18, "tokens": parse_tokens(amount)})
    else:
        console.print(f"{account.address} has 100 test ether and {tokens(parse_tokens(amount))} more test tokens.")

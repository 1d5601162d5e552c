"""A chain of our own: `anvil` on loopback, with rich accounts and the contracts deployed.

The node stops when the context closes; a guard process stops it when this process ends in whatever other way,
SIGKILL included, by noticing within half a second that its parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from web3.types import RPCEndpoint

from ledger.accounts import Key, Secret, key_from_secret
from ledger.artifacts import artifact
from ledger.chain import Chain, created_address
from ledger.errors import BadInput, ChainError
from ledger.locks import Lock
from ledger.market import Market
from ledger.processes import ROOT, start_guarded, stop
from ledger.records import Address
from ledger.transactions import Transactor

MNEMONIC = "test test test test test test test test test test test junk"
"""The words that every Ethereum developer's tool starts from: nobody's money may ever be there."""
CHAIN_ID = 31337
STATES = "states"
"""Folder of the states of old blocks. Anvil would keep them in the home directory, gigabytes an hour, for ever."""
STOP_SECONDS = 15.0
"""Long enough to write the state of a long-lived chain."""


@dataclass(frozen=True)
class Devnet:
    """A running devnet."""

    rpc_url: str
    chain_id: int
    keys: tuple[Key, ...]
    """Accounts with 10,000 ether each."""
    pid: int


@dataclass(frozen=True)
class DevnetSettings:
    port: int = 0
    """0 takes a free one."""
    chain_id: int = CHAIN_ID
    block_seconds: int = 1
    """0 mines a block for each transaction, at once, and none in between: time then stands still."""
    eager: bool = False
    """Whether a transaction is mined at once, besides the blocks that come with time."""
    accounts: int = 10
    mnemonic: str = MNEMONIC
    keep_state: bool = False
    """Whether the chain is kept in the directory for the next start: its blocks, and the state of the newest."""
    anvil: Path | None = None
    """The program; None looks in the checkout's node_modules, then on the path."""
    wait_seconds: float = 30.0


@dataclass(frozen=True)
class Deployed:
    market: Address
    token: Address
    block: int
    """The block of the market's deployment: no event is older."""
    evaluations: Address
    """The contract that pays for evaluations."""


class BrokenDeployment(ChainError):
    def __init__(self, market: Address) -> None:
        self.market = market
        super().__init__(
            f"The market {market} and the contracts beside it don't name each other: "
            f"the account sent another transaction between. Deploy them again while nothing else uses the account."
        )


@contextlib.contextmanager
def start_devnet(directory: Path, settings: DevnetSettings = DevnetSettings()) -> Iterator[Devnet]:
    """Run a devnet with its log and state in `directory` while the context is open.

    Raises: BadInput if there is no anvil, if it does not start, with its own words, or if one runs there already.
    """
    directory = directory.resolve()
    lock = Lock(directory / "devnet.lock", _runs_already(directory))
    with contextlib.closing(lock):
        yield from _run(directory, settings)


def _runs_already(directory: Path) -> str:
    return f"A devnet runs in {directory} already. Use it, stop it first, or take another directory and port."


def _run(directory: Path, settings: DevnetSettings) -> Iterator[Devnet]:
    """Run a devnet in a directory that is ours alone."""
    config, log, states = directory / "anvil.json", directory / "anvil.log", directory / STATES
    for leftover in (config, log):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(states, ignore_errors=True)
    with TemporaryFile("w+") as said:
        process = start_guarded(_command(directory, config, settings), log, said)
        try:
            rpc_url = _wait(process, log, settings.wait_seconds)
            yield Devnet(rpc_url, settings.chain_id, _keys(config), process.pid)
        finally:
            stop(process, STOP_SECONDS)
            config.unlink(missing_ok=True)
            shutil.rmtree(states, ignore_errors=True)


def deploy_contracts(transactor: Transactor) -> Deployed:
    """Deploy a token, a market with the contracts that it names, and the market for evaluations.

    Raises: BrokenDeployment if the account sent something else in between.
    """
    token, _ = transactor.deploy("deploy the token", artifact("DevToken"))
    chain, account = transactor.chain, Address(transactor.address)
    first = chain.transaction_count(account)
    expected = created_address(account, first + 4)
    judges = [expected, created_address(account, first + 1)]
    proofs, _ = transactor.deploy("deploy the judge of merges", artifact("FraudProofs"), judges)
    masks, _ = transactor.deploy("deploy the judge of masked merges", artifact("MaskProofs"), [expected, proofs])
    demands, _ = transactor.deploy("deploy the demands for chunks", artifact("ChunkDemands"), [expected])
    scores, _ = transactor.deploy("deploy the division by contribution", artifact("ContributionScores"), [expected])
    market, receipt = transactor.deploy("deploy the market", artifact("TrainingMarket"), [proofs, demands, scores])
    named = {
        market: (*Market(chain, market).judges(), Market(chain, market).scores()),
        proofs: _named(chain, "FraudProofs", proofs, "market", "masks"),
        masks: _named(chain, "MaskProofs", masks, "market", "proofs"),
        demands: _named(chain, "ChunkDemands", demands, "market"),
        scores: _named(chain, "ContributionScores", scores, "market"),
    }
    of_market = {demands: (market,), scores: (market,)}
    if named != {market: (proofs, demands, scores), proofs: (market, masks), masks: (market, proofs), **of_market}:
        raise BrokenDeployment(market)
    return Deployed(market, token, receipt.block, deploy_evaluations(transactor))


def deploy_evaluations(transactor: Transactor) -> Address:
    """Deploy the contract that pays for evaluations; it knows no other."""
    return transactor.deploy("deploy the market for evaluations", artifact("EvaluationMarket"))[0]


def _named(chain: Chain, name: str, address: Address, *views: str) -> tuple[Address, ...]:
    """The contracts that one of them names."""
    contract = chain.contract(address, artifact(name)["abi"])
    return tuple(Address(chain.call(getattr(contract.functions, view)())) for view in views)


def fund_ether(chain: Chain, account: Address, wei: int) -> None:
    """Set an account's ether, as only a devnet can.

    Raises: ChainError on any other chain.
    """
    chain.ask(lambda: chain.web3.manager.request_blocking(RPCEndpoint("anvil_setBalance"), [account, hex(wei)]))


def mint_tokens(transactor: Transactor, token: Address, account: Address, amount: int) -> None:
    """Make tokens of a devnet's `DevToken` for an account."""
    contract = transactor.chain.contract(token, artifact("DevToken")["abi"])
    transactor.send(f"mint {amount} tokens", contract.functions.mint(account, amount))


def _command(directory: Path, config: Path, settings: DevnetSettings) -> list[str]:
    command = [str(_anvil(settings.anvil)), "--host", "127.0.0.1", "--port", str(settings.port)]
    command += ["--chain-id", str(settings.chain_id), "--accounts", str(settings.accounts)]
    command += ["--mnemonic", settings.mnemonic, "--config-out", str(config)]
    command += ["--cache-path", str(directory / STATES)]
    if settings.block_seconds:
        command += ["--block-time", str(settings.block_seconds), *(["--mixed-mining"] if settings.eager else [])]
    if settings.keep_state:
        # of the newest block alone: those of old blocks are 25 MB a minute, and soon more than a start can read
        command += ["--state", str(directory / "state.json")]
    return command


def _anvil(setting: Path | None) -> Path:
    """Find the program: the setting, the checkout's npm packages, the path."""
    if setting is not None:
        if not setting.is_file():
            raise BadInput(f"There is no program {setting}. Set chain.anvil to Foundry's `anvil`.")
        return setting
    for found in sorted((ROOT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil*")):
        return found
    on_path = shutil.which("anvil")
    if on_path is None:
        raise BadInput(
            "The devnet needs Foundry's `anvil`: run `npm ci` in the checkout (it needs Node 20), "
            "put anvil on the path, or set chain.rpc_url to an Ethereum endpoint."
        )
    return Path(on_path)


def _wait(process: subprocess.Popen[str], log: Path, seconds: float) -> str:
    """Wait until anvil says where it listens; returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace") if log.exists() else ""
        listening = re.search(r"^Listening on ([0-9.]+:[0-9]+)\s*$", said, re.MULTILINE)
        if listening:
            return f"http://{listening[1]}"
        if process.poll() is not None:
            words = said.strip().splitlines()
            raise BadInput(f"The devnet did not start: {_sentence(words[-1]) if words else 'anvil ended at once.'}")
        time.sleep(0.01)
    raise BadInput(f"The devnet did not start within {seconds:.0f} s; its log is {log}.")


def _sentence(words: str) -> str:
    """Anvil's last words, with what to do about the one thing that a person can mend."""
    remedy = " Another program has that port: stop it, or take another with --port (0: any free one)."
    return f"{words}.{remedy if 'in use' in words else ''}"


def _keys(config: Path) -> tuple[Key, ...]:
    return tuple(key_from_secret(Secret(text)) for text in json.loads(config.read_text())["private_keys"])

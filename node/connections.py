"""What a command needs at hand: the chain, the market, IPFS, and the account that signs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import structlog
from eth_utils.address import is_address, to_checksum_address

from ledger.accounts import Key, load_key, read_password
from ledger.chain import Chain, connect
from ledger.content import CALL_SECONDS, ContentStore
from ledger.errors import BadInput, ContentError
from ledger.evaluations import EvaluationMarket, EvaluationWriter
from ledger.market import Market, MarketWriter
from ledger.notices import Observer, ignore
from ledger.records import Address
from ledger.transactions import Receipt, Transactor
from node.bounty_files import BountyFiles
from node.sealed_updates import Reader
from node.settings import Settings, environment_password

log = structlog.get_logger()

PEERS_AT_ONCE = 32
PEER_SECONDS = 10.0
"""Until a member's node counts as away; the slowest 256 keep nobody for more than 80 s."""

PasswordPrompt = Callable[[str], str]
"""Asks a person for the password of the named key."""


@dataclass(frozen=True)
class Ledgers:
    """Read access: enough for an auditor."""

    settings: Settings
    chain: Chain
    market: Market


@dataclass(frozen=True)
class Evaluations:
    """Read access to the market for evaluations."""

    settings: Settings
    chain: Chain
    market: EvaluationMarket


@dataclass(frozen=True)
class EvaluationAccount:
    """A key and its one sender of transactions, for evaluations."""

    key: Key
    transactor: Transactor
    writer: EvaluationWriter

    @property
    def address(self) -> Address:
        return self.key.address


@dataclass(frozen=True)
class Account:
    """A key and its one sender of transactions."""

    key: Key
    transactor: Transactor
    writer: MarketWriter

    @property
    def address(self) -> Address:
        return Address(self.key.address)


def open_ledgers(settings: Settings, tell: Observer = ignore) -> Ledgers:
    """Connect to the chain and find the market there; `tell` hears of calls and transactions.

    Raises: ChainUnreachable, WrongChain; BadInput if no market is set.
    """
    address = checked_address(settings.chain.market, "chain.market (FEDBOUNTY_MARKET)")
    chain = connect(settings.chain.rpc_url, settings.chain.chain_id, tell=tell)
    return Ledgers(settings, chain, Market(chain, address))


def open_evaluations(settings: Settings, tell: Observer = ignore) -> Evaluations:
    """Connect to the chain and find the market for evaluations there.

    Raises: ChainUnreachable, WrongChain; BadInput if none is set.
    """
    address = checked_address(settings.chain.evaluations, "chain.evaluations (FEDBOUNTY_EVALUATIONS)")
    chain = connect(settings.chain.rpc_url, settings.chain.chain_id, tell=tell)
    return Evaluations(settings, chain, EvaluationMarket(chain, address))


def open_store(settings: Settings, tell: Observer = ignore) -> ContentStore:
    """Connect to IPFS and to the peers of the settings; a peer that is away is only logged. `tell` hears of files.

    Raises: ContentUnreachable.
    """
    store = ContentStore(settings.ipfs.api, tell=tell)
    if settings.ipfs.peers:
        store.version()
    for peer in settings.ipfs.peers:
        connect_peer(store, peer)
    return store


def connect_peers(store: ContentStore, multiaddrs: Iterable[str]) -> None:
    """Connect to members' nodes, side by side: what they announce is hostile text, and all of it may lead nowhere."""
    wanted = sorted({one for one in multiaddrs if one})
    with ThreadPoolExecutor(PEERS_AT_ONCE) as pool:
        list(pool.map(lambda peer: connect_peer(store, peer, PEER_SECONDS), wanted))


def connect_peer(store: ContentStore, multiaddr: str, timeout_s: float = CALL_SECONDS) -> bool:
    """Connect to a peer, unless it is the endpoint's own node; whether we have it then."""
    try:
        if _peer_id(multiaddr) in map(_peer_id, store.addresses()):
            return True
        store.connect_peer(multiaddr, timeout_s)
    except (ContentError, BadInput) as error:
        log.info("peer_away", error=str(error))
        return False
    return True


def _peer_id(multiaddr: str) -> str:
    return multiaddr.rpartition("/p2p/")[2]


def open_files(settings: Settings, store: ContentStore, reader: Reader | None = None) -> BountyFiles:
    return BountyFiles(store, settings.home / "cache", settings.ipfs.fetch_seconds, reader)


@contextmanager
def open_account(ledgers: Ledgers, prompt: PasswordPrompt) -> Iterator[Account]:
    """Unlock the account of the settings; it is this process's alone while the context is open.

    Raises: BadInput for an unknown account, a wrong password, or one that another process uses.
    """
    with _open_key(ledgers.settings, ledgers.chain, prompt) as (key, transactor):
        yield Account(key, transactor, MarketWriter(ledgers.market, transactor))


@contextmanager
def open_evaluation_account(evaluations: Evaluations, prompt: PasswordPrompt) -> Iterator[EvaluationAccount]:
    """As `open_account`, for evaluations."""
    with _open_key(evaluations.settings, evaluations.chain, prompt) as (key, transactor):
        yield EvaluationAccount(key, transactor, EvaluationWriter(evaluations.market, transactor))


@contextmanager
def _open_key(settings: Settings, chain: Chain, prompt: PasswordPrompt) -> Iterator[tuple[Key, Transactor]]:
    keys = settings.keys
    if not keys.account:
        raise BadInput("No account is named. Pass --account NAME, or set keys.account (FEDBOUNTY_ACCOUNT).")
    password = read_password(file=keys.password_file, value=environment_password(), prompt=lambda: prompt(keys.account))
    key = load_key(keys.account, password, keys.directory)
    with closing(Transactor(chain, key, settings.home / "transactions")) as transactor:
        yield key, transactor


def spent(receipt: Receipt) -> dict[str, str | int | float]:
    """What an effect's log line says of its transaction."""
    return {
        "transaction": receipt.transaction,
        "block": receipt.block,
        "gas": receipt.gas_used,
        "fee_wei": receipt.fee,
        "seconds": round(receipt.seconds, 3),
    }


def log_approval(receipt: Receipt | None, amount: int) -> None:
    """One line for an approval of tokens, if one was needed."""
    if receipt is not None:
        log.info("approved", amount=amount, **spent(receipt))


def checked_address(text: str, what: str) -> Address:
    """An address that a person gave.

    Raises: BadInput.
    """
    if not text:
        raise BadInput(
            f"Nothing is set for {what}. Set it in fedbounty.toml, in the environment or on the command line; "
            f"`fedbounty devnet` runs a chain to try things on, and writes that file."
        )
    if not is_address(text):
        raise BadInput(f"{text!r} is not an Ethereum address ({what}).")
    return Address(to_checksum_address(text))

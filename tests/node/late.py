"""An explorer that stays some blocks behind a small market, as on a chain that may be reorganised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import requests

from ledger.chain import connect
from ledger.devnet import DevnetSettings, start_devnet
from node.connections import open_files, open_ledgers, open_store
from node.explorer.server import serving
from node.settings import load_settings
from tests.ledger.mirrored import Undoable

DEPTH = 5
SOON = 20.0


@dataclass(frozen=True)
class Late:
    """address: ends with a slash. Nobody answers for IPFS."""

    world: Undoable
    address: str


@contextmanager
def late_explorer(folder: Path) -> Iterator[Late]:
    with (
        start_devnet(folder, DevnetSettings(block_seconds=0, accounts=6)) as devnet,
        closing(connect(devnet.rpc_url)) as chain,
    ):
        world = Undoable(chain, devnet, folder)
        overrides: dict[tuple[str, ...], object] = {
            ("chain", "rpc_url"): chain.rpc_url,
            ("chain", "market"): world.market.address,
            ("chain", "evaluations"): world.deployed.evaluations,
            ("chain", "confirmations"): DEPTH,
            ("chain", "poll_seconds"): 0.3,
            ("ipfs", "api"): "http://127.0.0.1:9",
            ("home",): folder / "home",
        }
        ledgers = open_ledgers(load_settings(None, overrides))
        files = open_files(ledgers.settings, open_store(ledgers.settings))
        with closing(ledgers.chain), serving(ledgers, files, 0) as address:
            _await_first_look(address)
            yield Late(world, address)


def _await_first_look(address: str) -> None:
    deadline = monotonic() + SOON
    while "Nothing was read yet." in requests.get(address, timeout=SOON).text:
        assert monotonic() < deadline
        sleep(0.1)

"""Real components that several test files share: one devnet, one IPFS node, started once a test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ledger.accounts import Key, new_key
from ledger.chain import Chain, connect
from ledger.devnet import Devnet, DevnetSettings, fund_ether, start_devnet
from ledger.kubo import IpfsDaemon, start_ipfs

# a busy machine is slow, not wrong
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet that mines each transaction at once."""
    with start_devnet(tmp_path_factory.mktemp("devnet"), DevnetSettings(block_seconds=0)) as running:
        yield running


@pytest.fixture(scope="session")
def ipfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpfsDaemon]:
    """An embedded IPFS node."""
    with start_ipfs(tmp_path_factory.mktemp("ipfs")) as running:
        yield running


@pytest.fixture
def chain(devnet: Devnet) -> Iterator[Chain]:
    """A connection to the devnet."""
    connected = connect(devnet.rpc_url, devnet.chain_id)
    yield connected
    connected.close()


@pytest.fixture
def funded_key(chain: Chain) -> Key:
    """A new account with 100 ether."""
    key = new_key()
    fund_ether(chain, key.address, 100 * 10**18)
    return key


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder for a transactor's lock and journal."""
    return tmp_path / "state"

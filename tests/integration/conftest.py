"""One chain and one package for the integration tests of a process; a market of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain import connect
from ledger.devnet import DevnetSettings, start_devnet
from ledger.kubo import IpfsDaemon
from ledger.transactions import Transactor
from tests.integration.package import build_package
from tests.integration.world import Stage, World, make_world


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, ipfs: IpfsDaemon) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    with start_devnet(folder / "devnet", DevnetSettings(block_seconds=1, eager=True)) as devnet:
        chain = connect(devnet.rpc_url, devnet.chain_id)
        deployer = Transactor(chain, devnet.keys[0], folder / "deployer")
        yield Stage(chain, deployer, ipfs, build_package(folder / "package"))
        deployer.close()
        chain.close()


@pytest.fixture
def world(stage: Stage, tmp_path: Path) -> Iterator[World]:
    made = make_world(stage, tmp_path)
    yield made
    made.close()

"""The commands' tests run in the small world of the integration tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.records import BountyId
from tests.cli.shell import Shell
from tests.integration.conftest import stage, world
from tests.integration.world import World, write_data

__all__ = ["stage", "world"]


@pytest.fixture
def shell(world: World, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(world, world.party("me"), capsys)


@pytest.fixture
def bounty(world: World) -> BountyId:
    posted = world.post(world.party("owner"), world.party("merger"))
    world.release(world.parties["owner"])
    return posted


@pytest.fixture
def data(shell: Shell) -> str:
    return str(write_data(shell.party.home / "data.csv", seed=1))


@pytest.fixture
def package(world: World, tmp_path: Path) -> Path:
    """A copy of the package that may be spoilt."""
    folder = tmp_path / "package"
    folder.mkdir()
    for file in world.stage.package.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address where nothing listens, and nothing will."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"

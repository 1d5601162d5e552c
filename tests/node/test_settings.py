"""Settings: precedence, and errors that name every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.settings import BadSettings, load_settings

pytestmark = pytest.mark.unit

VARIABLES = ("FEDBOUNTY_RPC_URL", "ETH_RPC_URL", "FEDBOUNTY_CONFIG", "FEDBOUNTY_IPFS_PEERS", "FEDBOUNTY_MARKET")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "fedbounty.toml"
    path.write_text(text)
    return path


def test_load_settings__when_nothing_is_given__then_defaults_hold() -> None:
    assert load_settings().chain.rpc_url == "http://127.0.0.1:8545"


def test_load_settings__when_all_sources_speak__then_the_command_line_wins(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean, '[chain]\nrpc_url = "http://file"\n')
    assert load_settings().chain.rpc_url == "http://file"
    monkeypatch.setenv("ETH_RPC_URL", "http://eth")
    assert load_settings().chain.rpc_url == "http://file"
    monkeypatch.setenv("FEDBOUNTY_RPC_URL", "http://environment")
    assert load_settings().chain.rpc_url == "http://environment"
    assert load_settings(None, {("chain", "rpc_url"): "http://line"}).chain.rpc_url == "http://line"


def test_load_settings__when_the_environment_names_peers__then_they_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDBOUNTY_IPFS_PEERS", "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2")
    assert load_settings().ipfs.peers == ("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2")


def test_load_settings__when_several_things_are_wrong__then_all_are_named(clean: Path) -> None:
    write(clean, "colour = 1\n[chain]\nchain_id = 0\npoll_seconds = 'fast'\n")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert len(caught.value.problems) == 3
    assert all(word in str(caught.value) for word in ("colour", "chain.chain_id", "chain.poll_seconds"))


def test_load_settings__when_the_file_is_missing_or_no_toml__then_it_says_which(clean: Path) -> None:
    with pytest.raises(BadSettings, match="no such file"):
        load_settings(clean / "nowhere.toml")
    with pytest.raises(BadSettings, match=r"fedbounty\.toml"):
        load_settings(write(clean, "[chain\n"))

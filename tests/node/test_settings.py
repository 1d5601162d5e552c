"""Settings: precedence, and errors that name every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.settings import BadSettings, load_settings

pytestmark = pytest.mark.unit

VARIABLES = (
    "FEDBOUNTY_METRICS_PORT",
    "FEDBOUNTY_CURVES",
    "FEDBOUNTY_LOG_JSON",
    "FEDBOUNTY_LOG_FILE",
    "FEDBOUNTY_PASSWORD",
    "FEDBOUNTY_RPC_URL",
    "ETH_RPC_URL",
    "FEDBOUNTY_CONFIG",
    "FEDBOUNTY_IPFS_PEERS",
    "FEDBOUNTY_MARKET",
)


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


def test_load_settings__for_what_a_node_shows__then_off_or_in_the_home_unless_named(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean, f'home = "{clean}"\n')
    found = load_settings()
    assert (found.metrics.port, found.logs.json_lines, found.curves_folder) == (None, False, clean / "curves")
    write(clean, '[metrics]\nport = 9464\n[logs]\njson = true\nfile = "node.log"\n[curves]\ndirectory = "off"\n')
    found = load_settings()
    assert (found.metrics.port, found.logs.json_lines, found.curves_folder) == (9464, True, None)
    assert found.logs.file == Path("node.log")
    monkeypatch.setenv("FEDBOUNTY_METRICS_PORT", "0")
    monkeypatch.setenv("FEDBOUNTY_LOG_JSON", "false")
    monkeypatch.setenv("FEDBOUNTY_CURVES", str(clean / "drawn"))
    found = load_settings()
    assert (found.metrics.port, found.logs.json_lines, found.curves_folder) == (0, False, clean / "drawn")


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_load_settings__when_the_metrics_port_is_none__then_says_so(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("FEDBOUNTY_METRICS_PORT", port)
    with pytest.raises(BadSettings, match=r"metrics\.port"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("http://127.0.0.1:8545", ()),
        ("https://node.example/v3/0123456789abcdef", ("0123456789abcdef",)),
        ("https://me:hunter22@node.example/rpc?apikey=abcdefghijkl&id=1", ("hunter22", "abcdefghijkl")),
        ("http://[broken", ()),
    ],
)
def test_settings__when_an_address_holds_keys__then_they_are_secrets(
    monkeypatch: pytest.MonkeyPatch, url: str, hidden: tuple[str, ...]
) -> None:
    assert load_settings(None, {("chain", "rpc_url"): url}).secrets == hidden
    monkeypatch.setenv("FEDBOUNTY_PASSWORD", "open sesame")
    assert load_settings(None, {("chain", "rpc_url"): url}).secrets == ("open sesame", *hidden)

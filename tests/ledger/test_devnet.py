"""The devnet: started, funded, deployed to, and gone when we are."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.accounts import Key, new_key
from ledger.artifacts import artifact
from ledger.chain import Chain, connect
from ledger.devnet import STATES, DevnetSettings, deploy_contracts, fund_ether, mint_tokens, start_devnet
from ledger.errors import BadInput
from ledger.processes import PARENT_CHECK_S, ROOT
from ledger.transactions import Transactor

pytestmark = pytest.mark.chain


def test_deploy_contracts__then_a_market_and_a_token_answer(chain: Chain, funded_key: Key, state: Path) -> None:
    transactor = Transactor(chain, funded_key, state)
    deployed = deploy_contracts(transactor)
    someone = new_key().address
    mint_tokens(transactor, deployed.token, someone, 12)
    token = chain.contract(deployed.token, artifact("DevToken")["abi"])
    market = chain.contract(deployed.market, artifact("TrainingMarket")["abi"])
    assert chain.call(token.functions.balanceOf(someone)) == 12
    assert chain.call(market.functions.bountyCount()) == 0
    assert deployed.block <= chain.block().number
    transactor.close()


def test_fund_ether__then_the_account_has_exactly_that(chain: Chain) -> None:
    account = new_key().address
    fund_ether(chain, account, 123)
    assert chain.balance(account) == 123


def test_start_devnet__with_settings__then_the_chain_follows_them(tmp_path: Path) -> None:
    settings = DevnetSettings(chain_id=4242, block_seconds=1, accounts=2)
    with start_devnet(tmp_path, settings) as devnet:
        chain = connect(devnet.rpc_url, 4242)
        assert [chain.balance(key.address) for key in devnet.keys] == [10_000 * 10**18] * 2
        first = chain.block()
        deadline = time.monotonic() + 5
        while chain.block().number == first.number and time.monotonic() < deadline:
            time.sleep(0.05)
        assert chain.block().timestamp > first.timestamp
        chain.close()
    assert not _answers(devnet.rpc_url)
    assert not (tmp_path / "anvil.json").exists()
    assert not (tmp_path / STATES).exists(), "old states stay nowhere"


def test_start_devnet__when_the_state_is_kept__then_the_next_start_goes_on(tmp_path: Path) -> None:
    settings = DevnetSettings(block_seconds=0, keep_state=True)
    account = new_key().address
    for expected in (0, 5):
        with start_devnet(tmp_path, settings) as devnet:
            chain = connect(devnet.rpc_url)
            assert chain.balance(account) == expected
            fund_ether(chain, account, 5)
            chain.close()
        kept = json.loads((tmp_path / "state.json").read_bytes())
        assert not kept["historical_states"], "states of old blocks would grow without end"


def test_start_devnet__when_there_is_no_program__then_says_what_to_do(tmp_path: Path) -> None:
    settings = DevnetSettings(anvil=tmp_path / "anvil")
    with pytest.raises(BadInput, match="There is no program"), start_devnet(tmp_path, settings):
        pass


def test_start_devnet__when_anvil_refuses__then_repeats_its_words(tmp_path: Path) -> None:
    settings = DevnetSettings(mnemonic="not a mnemonic")
    with pytest.raises(BadInput, match="did not start"), start_devnet(tmp_path, settings):
        pass


def test_start_devnet__when_one_runs_there__then_refused_and_the_first_is_left_alone(tmp_path: Path) -> None:
    with start_devnet(tmp_path) as devnet:
        left = {path.name for path in tmp_path.iterdir()}
        with pytest.raises(BadInput, match="Use it, stop it first"), start_devnet(tmp_path):
            pass
        assert left <= {path.name for path in tmp_path.iterdir()}
        (tmp_path / "anvil.log").unlink()  # as tidy people do
        time.sleep(2 * PARENT_CHECK_S)
        connect(devnet.rpc_url).close()
    assert not _answers(devnet.rpc_url)
    with start_devnet(tmp_path):
        pass


def test_start_devnet__when_the_port_is_taken__then_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = DevnetSettings(port=other.getsockname()[1])
        with (
            pytest.raises(BadInput, match="or take another with --port"),
            start_devnet(tmp_path, settings),
        ):
            pass


def _answers(rpc_url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(rpc_url.rpartition(":")[2]))) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_start_devnet__when_the_parent_is_killed__then_the_devnet_ends(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "import time; from pathlib import Path; from ledger.devnet import start_devnet\n"
        f"with start_devnet(Path({str(tmp_path)!r})) as d: print(d.rpc_url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rpartition(":")[2])
        parent.send_signal(number)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    pytest.fail("the devnet is still there")

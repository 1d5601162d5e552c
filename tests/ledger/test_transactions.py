"""One key's transactions on a real devnet: sent once, whatever happens in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.accounts import Key, new_key
from ledger.chain import Chain, connect
from ledger.devnet import Devnet, DevnetSettings, fund_ether, start_devnet
from ledger.errors import BadInput, ChainUnreachable, NonceTaken, Reverted, StuckTransaction, TooLittleFunds
from ledger.journal import Attempt, Call, Fees, Journal, Open
from ledger.transactions import Patience, Transactor
from tests import door

pytestmark = pytest.mark.chain

HASTE = Patience(poll_seconds=0.02, replace_after_seconds=0.3, give_up_after_seconds=1.0, receipt_grace_seconds=0.3)
ENDURANCE = replace(HASTE, give_up_after_seconds=60.0)
GWEI = 10**9


class Stage:
    """A transactor, a door, and a hand on the devnet."""

    def __init__(self, chain: Chain, key: Key, state: Path) -> None:
        self.chain, self.key, self.state = chain, key, state
        self.transactor = Transactor(chain, key, state, HASTE)
        self.door, _ = self.transactor.deploy("deploy the door", door.ARTIFACT)

    def knock(self, times: int = 1) -> Any:
        return self.chain.contract(self.door, door.ABI).functions.knock(times)

    def knocked(self) -> int:
        return len(self.chain.logs(self.door))

    def rpc(self, method: str, *arguments: Any) -> Any:
        return door.rpc(self.chain, method, *arguments)

    def nonce(self) -> int:
        return int(self.rpc("eth_getTransactionCount", self.key.address, "latest"), 16)

    def restart(self, patience: Patience = HASTE) -> None:
        """As after a crash: only what is on disk and on the chain is left."""
        self.transactor.close()
        self.transactor = Transactor(self.chain, self.key, self.state, patience)

    @contextmanager
    def not_mining(self) -> Iterator[None]:
        self.rpc("evm_setAutomine", False)
        try:
            yield
        finally:
            self.rpc("anvil_dropAllTransactions")
            self.rpc("evm_setAutomine", True)

    @contextmanager
    def meanwhile(self, *actions: Callable[[], object]) -> Iterator[None]:
        """Do something as soon as a transaction of ours is pending, while the body waits for it."""

        def act() -> None:
            while int(self.rpc("eth_getTransactionCount", self.key.address, "pending"), 16) == self.nonce():
                time.sleep(0.01)
            for action in actions:
                action()

        thread = threading.Thread(target=act)
        thread.start()
        yield
        thread.join()

    def wait_for_knock(self) -> None:
        """Wait until a call of the door is what is pending, whatever else of ours was."""
        while self.door.lower() not in str(self.rpc("txpool_content")["pending"]).lower():
            time.sleep(0.01)

    def wait_for_replacement(self) -> None:
        """Wait until what is pending of ours is another transaction than the one that was pending first."""
        first = self.pending()
        while self.pending() == first:
            time.sleep(0.01)

    def pending(self) -> object:
        """What waits of ours to be mined."""
        return self.rpc("txpool_content")["pending"][self.key.address.lower()]

    def mine(self) -> None:
        self.rpc("anvil_mine", "0x1")


@pytest.fixture
def stage(chain: Chain, funded_key: Key, state: Path) -> Iterator[Stage]:
    set_up = Stage(chain, funded_key, state)
    yield set_up
    set_up.transactor.close()


def test_send__when_mined__then_the_receipt_tells_what_it_did(stage: Stage) -> None:
    before = stage.chain.balance(stage.key.address)
    receipt = stage.transactor.send("knock", stage.knock(), value=7)
    assert stage.chain.balance(stage.door) == 7
    assert before - stage.chain.balance(stage.key.address) == 7 + receipt.fee
    assert receipt.gas_used < receipt.fee
    assert [(log.address, log.at.block, log.at.transaction) for log in receipt.logs] == [
        (stage.door, receipt.block, receipt.transaction)
    ]


def test_send__when_the_contract_refuses__then_its_error_and_nothing_is_spent(stage: Stage) -> None:
    door.shut(stage.chain, stage.door, until=5)
    before = (stage.chain.balance(stage.key.address), stage.nonce())
    with pytest.raises(Reverted, match=r"The contract refused to knock: Shut\(until=5\)."):
        stage.transactor.send("knock", stage.knock())
    assert (stage.chain.balance(stage.key.address), stage.nonce()) == before


def test_send__when_it_fails_only_when_mined__then_its_error_and_the_next_goes_through(stage: Stage) -> None:
    with (
        stage.not_mining(),
        stage.meanwhile(lambda: door.shut(stage.chain, stage.door, 5), stage.mine),
        pytest.raises(Reverted, match="refused to knock"),
    ):
        stage.transactor.send("knock", stage.knock())
    door.set_code(stage.chain, stage.door, door.RUNTIME)
    stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 1


def test_send__when_not_mined_for_a_while__then_replaced_at_an_eighth_more(stage: Stage) -> None:
    nonce = stage.nonce()
    stage.restart(ENDURANCE)
    with stage.not_mining(), stage.meanwhile(stage.wait_for_replacement, stage.mine):
        receipt = stage.transactor.send("knock", stage.knock())
    first, second, *_ = attempts = stage.transactor._journal.attempts(nonce)
    assert second.fees.max_fee * 8 >= first.fees.max_fee * 9
    assert second.fees.tip * 8 >= first.fees.tip * 9
    assert receipt.transaction in {attempt.hash for attempt in attempts[1:]}
    assert stage.knocked() == 1


def test_send__when_the_base_fee_rises_over_the_offer__then_offers_more(stage: Stage) -> None:
    nonce = stage.nonce()

    def mine_at_a_high_fee() -> None:
        while stage.nonce() == nonce:
            stage.rpc("anvil_setNextBlockBaseFeePerGas", hex(500 * GWEI))
            stage.mine()
            time.sleep(0.05)

    with stage.not_mining(), stage.meanwhile(mine_at_a_high_fee):
        receipt = stage.transactor.send("knock", stage.knock())
    stage.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    stage.mine()
    assert receipt.fee > receipt.gas_used * 500 * GWEI
    assert stage.knocked() == 1


def test_send__when_never_mined__then_stuck_and_sent_again_it_happens_once(stage: Stage) -> None:
    with stage.not_mining():
        with pytest.raises(StuckTransaction, match="knock") as caught:
            stage.transactor.send("knock", stage.knock())
        assert caught.value.retryable
        with stage.meanwhile(stage.mine):
            stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 1
    stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 2


def test_send__when_the_fee_limit_is_reached__then_it_is_not_exceeded(stage: Stage) -> None:
    stage.transactor.close()
    limit = 30 * GWEI
    capped = Patience(0.02, 0.1, 0.5, max_fee_per_gas=limit)
    stage.transactor = Transactor(stage.chain, stage.key, stage.state, capped)
    nonce = stage.nonce()
    with stage.not_mining(), pytest.raises(StuckTransaction):
        stage.transactor.send("knock", stage.knock())
    assert all(attempt.fees.max_fee <= limit for attempt in stage.transactor._journal.attempts(nonce))
    assert stage.transactor.recover() is not None


@pytest.mark.parametrize("dropped", [False, True])
def test_recover__when_it_crashed_between_sending_and_the_receipt__then_the_same_bytes_arrive_once(
    stage: Stage, dropped: bool
) -> None:
    nonce = stage.nonce()
    with stage.not_mining():
        with pytest.raises(StuckTransaction):
            stage.transactor.send("knock", stage.knock())
        if dropped:
            stage.rpc("anvil_dropAllTransactions")
        stage.restart()
        with stage.meanwhile(stage.mine):
            receipt = stage.transactor.recover()
    assert receipt is not None
    assert receipt.transaction in {attempt.hash for attempt in stage.transactor._journal.attempts(nonce)}
    assert (stage.knocked(), stage.nonce()) == (1, nonce + 1)
    assert stage.transactor.recover() is None


def test_send__when_it_crashed_after_mining__then_the_same_call_is_not_repeated_but_another_is_made(
    stage: Stage,
) -> None:
    receipt = stage.transactor.send("knock", stage.knock(3))
    forget = "UPDATE transactions SET settled = NULL WHERE settled = ?"
    stage.transactor._journal._database.execute(forget, (receipt.transaction,))
    stage.restart()
    assert stage.transactor.send("knock", stage.knock(3)) == receipt
    assert stage.knocked() == 1
    stage.transactor.send("knock", stage.knock(4))
    assert stage.knocked() == 2


def test_recover__when_the_chain_forgot_what_came_before__then_all_of_it_arrives_once(stage: Stage) -> None:
    before = stage.rpc("evm_snapshot")
    stage.transactor.send("knock", stage.knock())
    stage.transactor.send("knock", stage.knock(), value=3)
    with stage.not_mining(), pytest.raises(StuckTransaction):
        stage.transactor.send("knock", stage.knock(), value=7)
    assert stage.rpc("evm_revert", before)
    assert stage.knocked() == 0
    stage.restart()
    assert stage.transactor.recover() is not None
    assert stage.knocked() == 3
    assert stage.chain.balance(stage.door) == 10


def test_recover__when_it_crashed_before_signing__then_nothing_was_sent(stage: Stage) -> None:

    stage.transactor._journal.begin(Open(stage.nonce(), "knock", Call(stage.door, b"", 0), 50_000))
    stage.restart()
    assert stage.transactor.recover() is None
    stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 1


def test_recover__when_it_failed_on_chain__then_none_and_the_key_is_free(stage: Stage) -> None:
    with stage.not_mining():
        with pytest.raises(StuckTransaction):
            stage.transactor.send("knock", stage.knock())
        stage.restart()
        door.shut(stage.chain, stage.door, 5)
        with stage.meanwhile(stage.mine):
            assert stage.transactor.recover() is None
    door.set_code(stage.chain, stage.door, door.RUNTIME)
    stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 1


def foreign(stage: Stage, max_fee: int) -> None:
    """A transaction with our key by another program: an empty one to ourselves."""
    fields = {"type": 2, "chainId": stage.chain.chain_id, "nonce": stage.nonce(), "gas": 21_000, "value": 0}
    fields |= {"data": b"", "to": stage.key.address, "maxFeePerGas": max_fee, "maxPriorityFeePerGas": max_fee}
    stage.rpc("eth_sendRawTransaction", "0x" + stage.key.sign_transaction(fields).raw.hex())


def test_send__when_an_unknown_transaction_is_pending__then_it_is_let_through_first(stage: Stage) -> None:
    nonce = stage.nonce()
    with stage.not_mining():
        foreign(stage, 50 * GWEI)
        with stage.meanwhile(stage.mine, lambda: stage.rpc("evm_setAutomine", True)):
            stage.transactor.send("knock", stage.knock())
    assert (stage.knocked(), stage.nonce()) == (1, nonce + 2)


def test_send__when_an_unknown_transaction_stays_pending__then_it_is_replaced(stage: Stage) -> None:
    nonce = stage.nonce()
    with stage.not_mining():
        foreign(stage, 50 * GWEI)
        with stage.meanwhile(stage.wait_for_knock, stage.mine):
            stage.transactor.send("knock", stage.knock())
    assert (stage.knocked(), stage.nonce()) == (1, nonce + 1)


def test_recover__when_another_program_took_the_nonce__then_says_so_once(stage: Stage) -> None:
    with stage.not_mining():
        with pytest.raises(StuckTransaction):
            stage.transactor.send("knock", stage.knock())
        stage.rpc("anvil_dropAllTransactions")
        foreign(stage, 900 * GWEI)
        stage.mine()
        with pytest.raises(NonceTaken, match="another program uses this key"):
            stage.transactor.recover()
    stage.transactor.send("knock", stage.knock())
    assert stage.knocked() == 1


def test_send__when_there_is_too_little_ether__then_says_how_much_and_sends_nothing(chain: Chain, state: Path) -> None:
    poor = new_key()
    rich = new_key()
    fund_ether(chain, rich.address, 10**18)
    deployer = Transactor(chain, rich, state)
    address, _ = deployer.deploy("deploy the door", door.ARTIFACT)
    knock = chain.contract(address, door.ABI).functions.knock(1)
    transactor = Transactor(chain, poor, state)
    fund_ether(chain, poor.address, 1000)
    with pytest.raises(TooLittleFunds, match=f"{poor.address} has 0.000000000000001 ether"):
        transactor.send("knock", knock)
    with pytest.raises(TooLittleFunds):
        transactor.send("knock", knock, value=10**19)
    assert chain.logs(address) == []
    transactor.close()
    deployer.close()


def test_transactor__when_another_owns_the_key__then_refuses_until_it_is_closed(stage: Stage) -> None:
    with pytest.raises(BadInput, match=f"Another process sends transactions from {stage.key.address}"):
        Transactor(stage.chain, stage.key, stage.state)
    stage.restart()


def test_transactor__when_the_journal_is_damaged__then_says_which_file(chain: Chain, state: Path) -> None:
    key = new_key()
    Transactor(chain, key, state).close()
    (journal,) = state.glob("*.sqlite")
    journal.write_bytes(b"not a database" * 1000)
    with pytest.raises(BadInput, match=rf"journal {journal} can't be used"):
        Transactor(chain, key, state)
    journal.unlink()
    Transactor(chain, key, state).close()


def test_send__from_many_threads__then_each_happens_once(stage: Stage) -> None:
    threads = [
        threading.Thread(target=stage.transactor.send, args=("knock", stage.knock(number))) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stage.knocked() == 8


def test_send__when_the_node_goes_down_and_comes_back__then_unreachable_then_done(tmp_path: Path) -> None:
    settings = DevnetSettings(block_seconds=0, keep_state=True)
    with start_devnet(tmp_path / "devnet", settings) as devnet:
        chain, port = connect(devnet.rpc_url), int(devnet.rpc_url.rpartition(":")[2])
        stage = Stage(chain, devnet.keys[0], tmp_path / "state")
        knock = stage.knock()
    with pytest.raises(ChainUnreachable):
        stage.transactor.send("knock", knock)
    with start_devnet(tmp_path / "devnet", DevnetSettings(port=port, block_seconds=0, keep_state=True)):
        stage.transactor.send("knock", knock)
        assert stage.knocked() == 1
    stage.transactor.close()
    chain.close()


def test_transactor__on_a_devnet_started_anew__then_the_old_journal_does_not_count(
    stage: Stage, tmp_path: Path, devnet: Devnet
) -> None:
    with stage.not_mining(), pytest.raises(StuckTransaction):
        stage.transactor.send("knock", stage.knock())
    stage.transactor.close()
    with start_devnet(tmp_path / "other", DevnetSettings(chain_id=devnet.chain_id, block_seconds=0)) as other:
        chain = connect(other.rpc_url)
        transactor = Transactor(chain, stage.key, stage.state, HASTE)
        assert transactor.recover() is None
        transactor.close()
        chain.close()
    stage.transactor = Transactor(stage.chain, stage.key, stage.state, HASTE)
    assert stage.transactor.recover() is not None


def test_journal__when_a_nonce_is_begun_again__then_the_old_attempts_are_gone(tmp_path: Path) -> None:

    journal = Journal(tmp_path / "journal.sqlite")
    transaction = Open(3, "knock", Call("0x", b"data", 10**30), 21_000)
    journal.begin(transaction)
    journal.attempt(3, Attempt("0xaa", b"raw", Fees(10**20, 1)))
    assert journal.open() == transaction
    assert journal.attempts(3) == [Attempt("0xaa", b"raw", Fees(10**20, 1))]
    journal.begin(transaction)
    assert journal.attempts(3) == []
    journal.settle(3, "0xaa")
    assert journal.open() is None
    journal.close()

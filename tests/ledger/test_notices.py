"""What the doors to chain and IPFS tell: the same story as the chain's receipts and the files themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.accounts import Key
from ledger.chain import connect
from ledger.cid import Digest, to_cid
from ledger.content import ContentStore
from ledger.devnet import Devnet
from ledger.errors import ChainUnreachable, ContentUnavailable, NonceTaken, Reverted
from ledger.kubo import IpfsDaemon
from ledger.notices import (
    CallMade,
    CallRepeated,
    FetchFailed,
    FileFetched,
    FilePublished,
    Notice,
    TransactionFound,
    TransactionSent,
    TransactionSettled,
)
from ledger.unixfs import digest_of
from tests import door
from tests.ledger.test_transactions import ENDURANCE, HASTE, Stage

pytestmark = pytest.mark.chain

Transactional = TransactionFound | TransactionSent | TransactionSettled


@pytest.fixture
def told(devnet: Devnet, funded_key: Key, state: Path) -> tuple[Stage, list[Notice]]:
    """A stage whose doors tell a list, from its second transaction on."""
    heard: list[Notice] = []
    stage = Stage(connect(devnet.rpc_url, devnet.chain_id, tell=heard.append), funded_key, state)
    heard.clear()
    return stage, heard


def transactions(heard: list[Notice]) -> list[Transactional]:
    return [one for one in heard if isinstance(one, Transactional)]


def test_send__when_mined__then_tells_sent_and_settled_with_the_gas(told: tuple[Stage, list[Notice]]) -> None:
    stage, heard = told
    nonce = stage.nonce()
    receipt = stage.transactor.send("knock", stage.knock())
    sent, settled = transactions(heard)
    assert sent == TransactionSent("knock", receipt.transaction, nonce, attempt=1)
    spent = (receipt.transaction, receipt.gas_used, receipt.fee, receipt.seconds)
    assert settled == TransactionSettled("knock", "mined", *spent)
    assert receipt.seconds > 0
    assert {one.outcome for one in heard if isinstance(one, CallMade)} == {"answered"}


def test_send__when_replaced__then_tells_each_attempt_and_one_end(told: tuple[Stage, list[Notice]]) -> None:
    stage, heard = told
    stage.restart(ENDURANCE)
    with stage.not_mining(), stage.meanwhile(stage.wait_for_replacement, stage.mine):
        receipt = stage.transactor.send("knock", stage.knock())
    *sent, settled = transactions(heard)
    assert [one.attempt for one in sent if isinstance(one, TransactionSent)] == list(range(1, len(sent) + 1))
    assert len(sent) > 1
    assert isinstance(settled, TransactionSettled)
    assert (settled.outcome, settled.transaction) == ("mined", receipt.transaction)


def test_send__when_it_fails_only_when_mined__then_tells_the_gas_that_it_cost(
    told: tuple[Stage, list[Notice]],
) -> None:
    stage, heard = told

    def shut() -> None:
        door.shut(stage.chain, stage.door, until=5)
        stage.mine()

    with stage.not_mining(), stage.meanwhile(shut), pytest.raises(Reverted):
        stage.transactor.send("knock", stage.knock())
    settled = transactions(heard)[-1]
    assert isinstance(settled, TransactionSettled)
    assert (settled.outcome, settled.gas_used > 21_000) == ("reverted", True)


def test_send__when_refused_beforehand__then_nothing_was_sent(told: tuple[Stage, list[Notice]]) -> None:
    stage, heard = told
    door.shut(stage.chain, stage.door, until=5)
    with pytest.raises(Reverted):
        stage.transactor.send("knock", stage.knock())
    assert transactions(heard) == []
    assert [one.outcome for one in heard if isinstance(one, CallMade)][-1] == "reverted"


def test_recover__when_another_took_the_nonce__then_tells_overtaken(told: tuple[Stage, list[Notice]]) -> None:
    stage, heard = told
    receipt = stage.transactor.send("knock", stage.knock())
    database = stage.transactor._journal._database
    database.execute("UPDATE transactions SET settled = NULL WHERE settled = ?", (receipt.transaction,))
    database.execute("UPDATE attempts SET hash = ? WHERE hash = ?", ("0x" + "77" * 32, receipt.transaction))
    nonce = stage.nonce() - 1
    heard.clear()
    stage.restart()
    with pytest.raises(NonceTaken):
        stage.transactor.recover()
    found, settled = transactions(heard)
    assert found == TransactionFound("knock", "0x" + "77" * 32, nonce)
    assert isinstance(settled, TransactionSettled)
    assert (settled.action, settled.outcome, settled.gas_used) == ("knock", "overtaken", 0)
    assert settled.seconds >= HASTE.receipt_grace_seconds


def test_ask__when_nobody_listens__then_tells_each_repetition() -> None:
    heard: list[Notice] = []
    with pytest.raises(ChainUnreachable):
        connect("http://127.0.0.1:1", tell=heard.append)
    assert [type(one) for one in heard] == [CallRepeated] * 3 + [CallMade]
    assert isinstance(heard[-1], CallMade)
    assert heard[-1].outcome == "unreachable"


def test_fetch__when_it_came_or_not__then_tells_bytes_and_time(ipfs: IpfsDaemon, tmp_path: Path) -> None:
    heard: list[Notice] = []
    store = ContentStore(ipfs.api, tell=heard.append)
    data = b"told" * 1000
    digest = store.add(data)
    ways: list[Callable[[Digest], object]] = [
        lambda one: store.fetch(one, len(data), 5),
        lambda one: store.fetch_to(one, tmp_path / "file", len(data), 5),
    ]
    for fetch in ways:
        fetch(digest)
    published, first, second = heard
    assert isinstance(published, FilePublished)
    assert (published.cid, published.size_bytes) == (to_cid(digest), len(data))
    for fetched in (first, second):
        assert isinstance(fetched, FileFetched)
        assert (fetched.cid, fetched.size_bytes) == (to_cid(digest), len(data))
        assert 0 < fetched.seconds < 5
    heard.clear()
    missing = digest_of(b"nobody has this")
    with pytest.raises(ContentUnavailable):
        store.fetch(missing, 10, 0.3)
    (failed,) = heard
    assert isinstance(failed, FetchFailed)
    assert (failed.cid, failed.error) == (to_cid(missing), "ContentUnavailable")


def test_fetch__when_cached__then_nothing_was_fetched(ipfs: IpfsDaemon, tmp_path: Path) -> None:
    heard: list[Notice] = []
    store = ContentStore(ipfs.api, cache=tmp_path / "cache", tell=heard.append)
    digest = store.add(b"kept")
    store.fetch(digest, 4, 5)
    store.fetch(digest, 4, 5)
    store.fetch_to(digest, tmp_path / "file", 4, 5)
    assert [type(one) for one in heard] == [FilePublished, FileFetched]

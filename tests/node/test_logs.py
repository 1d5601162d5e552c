"""Logs: one line an effect, whatever is in it and whoever says it."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from ledger.errors import ChainUnreachable
from ledger.notices import Notice, TransactionSent, TransactionSettled
from ledger.records import Phase, Timestamp
from node.notices import BountySeen
from node.telemetry.logs import (
    LogFileUnwritable,
    LogSetup,
    configure_logs,
    crashes_logged,
    log_crash,
    logs_are_json,
    struck_out,
)
from node.telemetry.notice_log import NoticeLog
from tests.builders import BOUNTY, clock

pytestmark = pytest.mark.unit

HOSTILE = [
    'x\n{"event": "paid", "amount": 1}',
    "x\r2026-01-01T00:00:00Z [info] paid",
    "\x1b[2J\x1b[31mred",
    "\u202egnp.exe",
    "\u2028line\u2029paragraph\x85next",
    "\x00\x07\x7f\x9b",
    "\udc80 lone surrogate",
    '"},{"event":"paid"',
    "%s %d {} {0.__class__}",
    "",
]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put back what a process sets up once."""
    root = logging.getLogger()
    before, shown = list(root.handlers), warnings.showwarning
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)
    warnings.showwarning = shown
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What went to standard error: it consists of whole lines."""
    err = capsys.readouterr().err
    assert not err or err.endswith("\n")
    return err.split("\n")[:-1]


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in said(capsys)]


def log() -> Any:
    return structlog.get_logger()


def test_logs__as_json__then_each_event_is_one_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True))
    log().info("committed", bounty=7, root="0x00", gas=51_000, seconds=1.5)
    log().debug("a detail")
    log().warning("refused", arguments={"closesAt": 5}, cids=["Qm"], path=Path("/x"), raw=b"\x00")
    first, second = objects(capsys)
    assert first.pop("timestamp").endswith("Z")
    assert first == {"event": "committed", "level": "info", "bounty": 7, "root": "0x00", "gas": 51_000, "seconds": 1.5}
    assert (second["level"], second["arguments"], second["cids"]) == ("warning", {"closesAt": 5}, ["Qm"])
    assert (second["path"], second["raw"]) == ("/x", "b'\\x00'")


def test_logs__when_verbose__then_our_details_but_nobody_elses(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True, verbose=True))
    log().debug("a detail")
    logging.getLogger("urllib3.connectionpool").debug("POST /v3/key HTTP/1.1")
    logging.getLogger("web3").info("a request")
    logging.getLogger("web3").warning("careful: %s", "now")
    assert [(one["event"], one["level"], one.get("logger")) for one in objects(capsys)] == [
        ("a detail", "debug", None),
        ("careful: now", "warning", "web3"),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("as_json", [True, False])
def test_logs__when_a_text_is_hostile__then_it_stays_one_line_and_steers_nothing(
    capsys: pytest.CaptureFixture[str], text: str, as_json: bool
) -> None:
    configure_logs(LogSetup(as_json=as_json))
    log().info("peer_away", error=text, nested={"of": [text], text: 1})
    log().info(text, **{text or "key": 1})
    logging.getLogger("other").error(text.replace("%", "%%"))
    lines = said(capsys)
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    if as_json:
        first, second, third = map(json.loads, lines)
        assert (first["event"], first["error"], first["nested"]["of"]) == ("peer_away", text, [text])
        assert (second["event"], third["logger"]) == (text, "other")


def test_logs__when_a_number_is_not_finite__then_the_json_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True))
    log().info("merged", metrics={"loss": float("nan"), "accuracy": 0.5}, worst=float("-inf"), pot=10**30)
    (one,) = objects(capsys)
    assert (one["metrics"], one["worst"], one["pot"]) == ({"loss": "nan", "accuracy": 0.5}, "-inf", str(10**30))


def test_logs__when_something_crashes__then_the_traceback_is_in_one_object_without_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(LogSetup(as_json=True))
    try:
        private = "hunter2hunter2"
        raise RuntimeError(f"broken\nfedbounty: paid {len(private)}")
    except RuntimeError as error:
        log_crash(error)
    (one,) = objects(capsys)
    assert (one["event"], one["level"]) == ("crashed", "critical")
    assert "test_logs.py" in one["exception"]
    assert "hunter2hunter2" not in one["exception"].replace('private = "hunter2hunter2"', "")


def test_logs__when_a_thread_crashes_or_python_warns__then_these_are_events_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(LogSetup(as_json=True))

    def crash() -> None:
        raise KeyError("gone")

    with crashes_logged():
        thread = threading.Thread(target=crash)
        thread.start()
        thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old\nthing", DeprecationWarning, stacklevel=1)
    crashed, warned = objects(capsys)
    assert (crashed["event"], crashed["error"]) == ("crashed", "KeyError: 'gone'")
    assert (warned["logger"], warned["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: old\nthing" in warned["event"]


def test_logs__for_people__when_something_crashes__then_no_line_of_it_looks_like_an_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(LogSetup())
    try:
        raise RuntimeError("broken\n2026-01-01T00:00:00Z [info     ] paid")
    except RuntimeError as error:
        log_crash(error)
    first, *trace = said(capsys)
    assert "crashed" in first
    assert trace
    assert all(line.startswith("  | ") for line in trace)


@pytest.mark.parametrize("as_json", [True, False])
def test_logs__when_a_secret_is_said__then_it_is_struck_out_everywhere(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    secrets = ("0123456789abcdef0123", 'open"sesame\n!', "event", "e")
    configure_logs(LogSetup(as_json=as_json, secrets=secrets))
    error = ChainUnreachable(f"https://node.example/v3/{secrets[0]}", f"for url: /v3/{secrets[0]}")
    log().warning("retrying", error=str(error), password=secrets[1], **{secrets[1]: 1}, kept=True)
    logging.getLogger("urllib3").warning("Retrying: /v3/%s", secrets[0])
    try:
        raise ValueError(secrets[1]) from error
    except ValueError as wrong:
        log_crash(wrong)
    lines = said(capsys)
    text = "\n".join(lines)
    assert "***" in text
    assert not any(part in text for part in (secrets[0], "open", "sesame"))
    assert all(json.loads(line)["level"] for line in lines if as_json)
    assert struck_out(str(error)).count("***") == 2


def test_logs__into_a_file__then_it_has_them_and_can_be_rotated(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "logs" / "node.log"
    configure_logs(LogSetup(as_json=True, file=path))
    log().info("one", text="\udc80é")
    path.rename(tmp_path / "old.log")
    log().info("two")
    assert json.loads((tmp_path / "old.log").read_text())["text"] == "\udc80é"
    assert json.loads(path.read_text())["event"] == "two"
    assert said(capsys) == []
    assert not logs_are_json(), "standard error is for people"


def test_logs__into_a_file_that_can_not_be__then_says_which(tmp_path: Path) -> None:
    with pytest.raises(LogFileUnwritable, match=str(tmp_path)):
        configure_logs(LogSetup(file=tmp_path))


def test_logs__when_set_up_again__then_the_new_setting_alone_holds(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True))
    assert logs_are_json()
    configure_logs(LogSetup())
    log().info("once")
    (line,) = said(capsys)
    assert "once" in line
    assert not logs_are_json()
    assert sys.stderr is not None


def test_notice_log__when_the_phase_stays__then_it_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True))
    notices = NoticeLog()
    seen = BountySeen(BOUNTY, Timestamp(1004), clock(Phase.COMMIT, 1), rounds=3)
    story: list[Notice] = [seen, seen, BountySeen(BOUNTY, Timestamp(1011), clock(Phase.REVEAL, 1), rounds=3)]
    for notice in story:
        notices(notice)
    assert [(one["event"], one["phase"]) for one in objects(capsys)] == [("phase", "commit"), ("phase", "reveal")]


def test_notice_log__when_a_transaction_is_replaced_or_fails__then_it_warns(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSetup(as_json=True))
    notices = NoticeLog()
    notices(TransactionSent("commit", "0xaa", 3, attempt=1))
    notices(TransactionSent("commit", "0xab", 3, attempt=2))
    notices(TransactionSettled("commit", "reverted", "0xab", gas_used=30_000, fee=5, seconds=2.0))
    replaced, reverted = objects(capsys)
    assert (replaced["event"], replaced["attempt"], replaced["transaction"]) == ("replaced", 2, "0xab")
    assert (reverted["event"], reverted["level"], reverted["gas"]) == ("reverted", "warning", 30_000)

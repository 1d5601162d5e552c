"""Training curves: what TensorBoard would show, after restarts, crashes and rounds that were done again."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from ledger.records import Address
from node.notices import EpochTrained, StateScored, UpdateMade
from node.telemetry.curves import Curves, Run
from node.telemetry.event_files import read_events
from tests.builders import BOUNTY

pytestmark = pytest.mark.unit

Opener = Callable[..., Curves]

ACCOUNT = Address("0xAbCdEf0123456789AbCdEf0123456789AbCdEf01")


class Clock:
    """A clock that goes on by a second each time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def events(folder: Path) -> list[Event]:
    return [event for path in sorted(folder.glob("events.*")) for event in read_events(path)]


def shown(folder: Path) -> dict[str, dict[int, float]]:
    """A run as TensorBoard shows it: a start of a session purges what has its step or a later one."""
    points: list[tuple[str, int, float]] = []
    for event in events(folder):
        if event.HasField("session_log"):
            points = [one for one in points if one[1] < event.step]
        points += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    steps = [(tag, step) for tag, step, _ in points]
    assert len(set(steps)) == len(steps), "a point is there twice"
    found: dict[str, dict[int, float]] = {}
    for tag, step, value in points:
        found.setdefault(tag, {})[step] = value
    return found


def made(number: int, loss: float) -> UpdateMade:
    return UpdateMade(BOUNTY, number, loss, norm=2.0, examples=10, seconds=1.0)


@pytest.fixture
def curves(tmp_path: Path) -> Iterator[Opener]:
    """Starts a process's curves; none of them ends properly before the test does."""
    with ExitStack() as ending:
        yield lambda role="provider": ending.enter_context(closing(Curves(tmp_path, role, ACCOUNT, Clock())))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[], Run]]:
    with ExitStack() as ending:
        yield lambda: ending.enter_context(closing(Run(tmp_path, Clock())))


def run_folder(folder: Path) -> Path:
    return folder / "7" / "provider-abcdef01"


def test_curves__when_rounds_are_trained__then_a_point_a_round_and_one_an_epoch(tmp_path: Path, curves: Opener) -> None:
    drawn = curves()
    for number in (1, 2):
        for epoch in range(4):
            drawn(EpochTrained(BOUNTY, number, epoch, (epoch + 1) / 4, loss=number + epoch / 8))
        drawn(made(number, 1 / number))
    drawn.close()
    assert shown(run_folder(tmp_path)) == {"local/loss": {1: 1.0, 2: 0.5}, "local/update_norm": {1: 2.0, 2: 2.0}}
    assert shown(run_folder(tmp_path) / "epochs") == {
        "local/epoch_loss": {
            250: 1.0, 500: 1.125, 750: 1.25, 1000: 1.375, 1250: 2.0, 1500: 2.125, 1750: 2.25, 2000: 2.375
        }
    }  # fmt: skip


def test_curves__when_started_again__then_the_run_goes_on_without_double_points(tmp_path: Path, curves: Opener) -> None:
    curves()(made(1, 0.5))
    again = curves()
    again(made(1, 0.5))
    again(made(2, 0.25))
    third = curves()
    third(made(2, 0.25))
    assert shown(run_folder(tmp_path))["local/loss"] == {1: 0.5, 2: 0.25}
    assert len(list(run_folder(tmp_path).iterdir())) == 2, "a file for nothing"


def test_curves__when_killed_in_a_training__then_its_epochs_are_drawn_anew(tmp_path: Path, curves: Opener) -> None:
    killed = curves()
    killed(EpochTrained(BOUNTY, 1, 0, 1.0, loss=0.75))
    killed(EpochTrained(BOUNTY, 2, 0, 0.21, loss=0.5))
    killed(EpochTrained(BOUNTY, 2, 1, 0.47, loss=0.5))
    again = curves()
    again(EpochTrained(BOUNTY, 2, 0, 0.5, loss=0.25))
    again(EpochTrained(BOUNTY, 2, 1, 1.0, loss=0.125))
    points = {1000: 0.75, 1500: 0.25, 2000: 0.125}
    assert shown(run_folder(tmp_path) / "epochs") == {"local/epoch_loss": points}


def test_curves__when_a_round_is_merged_again__then_it_and_what_followed_are_replaced(
    tmp_path: Path, curves: Opener
) -> None:
    drawn = curves("aggregator")
    for number in (1, 2, 3):
        drawn(StateScored(BOUNTY, number, {"accuracy": number / 8, "loss": 1.0}))
    drawn(StateScored(BOUNTY, 2, {"accuracy": 0.75, "loss": 1.0}))
    assert shown(tmp_path / "7" / "aggregator-abcdef01") == {
        "holdout/accuracy": {1: 0.125, 2: 0.75},
        "holdout/loss": {1: 1.0, 2: 1.0},
    }


def test_curves__when_a_value_is_no_number__then_it_is_kept_and_not_repeated(tmp_path: Path, curves: Opener) -> None:
    for _ in range(2):
        curves()(made(1, math.nan))
    assert math.isnan(shown(run_folder(tmp_path))["local/loss"][1])
    assert len(list(run_folder(tmp_path).iterdir())) == 1


@pytest.mark.parametrize("cut", [1, 4, 11, 13, 30])
def test_run__when_the_last_record_is_torn__then_what_is_before_it_counts(
    tmp_path: Path, run: Callable[[], Run], cut: int
) -> None:
    first = run()
    first.add(1, {"loss": 0.5})
    first.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    again = run()
    assert again.points("loss") == {1: 0.5}
    again.add(2, {"loss": 0.25})
    assert shown(tmp_path) == {"loss": {1: 0.5, 2: 0.25}}


@pytest.mark.parametrize("junk", [b"", b"\x00" * 40, b"\xff" * 40, b"junk"], ids=["empty", "zeros", "ones", "text"])
def test_run__when_a_file_is_no_event_file__then_it_is_passed_over(
    tmp_path: Path, run: Callable[[], Run], junk: bytes
) -> None:
    (tmp_path / "events.out.tfevents.0").write_bytes(junk)
    started = run()
    started.add(1, {"loss": 0.5})
    assert shown(tmp_path) == {"loss": {1: 0.5}}


def test_event_file__when_read_by_the_book__then_checksums_version_and_steps_are_right(
    tmp_path: Path, run: Callable[[], Run]
) -> None:
    started = run()
    started.add(3, {"loss": 0.5})
    started.close()
    (path,) = tmp_path.iterdir()
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        found.append(Event.FromString(body))
        data = data[16 + length :]
    version, start, point = found
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (0, 1)
    assert (point.step, point.wall_time) == (3, 1002.0)
    assert [(value.tag, value.simple_value) for value in point.summary.value] == [("loss", 0.5)]


def masked(data: bytes) -> int:
    """TFRecord's masked CRC-32C."""
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_curves__when_the_disk_refuses__then_they_end_and_the_node_goes_on(tmp_path: Path, curves: Opener) -> None:
    (tmp_path / "7").write_text("a file where the folder should be")
    drawn = curves()
    drawn(made(1, 0.5))
    drawn(made(2, 0.5))
    assert (tmp_path / "7").read_text().startswith("a file")

"""TensorBoard's event files: written at once, read back after a crash.

A file is a row of records: length, its checksum, an `Event` as a protocol buffer, its checksum. Reading stops at the
first record that is not whole, as TensorBoard does: a process that was killed leaves one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

MOST_RECORD_BYTES = 1 << 20

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


class EventFile:
    """A new event file of a run. What was written is with the operating system when `scalar` returns."""

    def __init__(self, folder: Path, number: int, purge_step: int, at: float) -> None:
        """Tell readers, with `purge_step`, to forget what older files of the run have from that step on.

        number: of the file in its run, so that files keep their order and no two share a name.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"), f".{number:06d}.{os.getpid()}")
        self._write(Event(wall_time=at, step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def scalar(self, tag: str, step: int, value: float, at: float) -> None:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self._write(Event(wall_time=at, step=step, summary=summary))

    def close(self) -> None:
        self._writer.close()

    def _write(self, event: Event) -> None:
        self._writer.write_event(event)
        self._writer.flush()


def read_events(path: Path) -> Iterator[Event]:
    """The events of one file, as far as they are whole."""
    with path.open("rb") as file:
        while True:
            head = file.read(_LENGTH.size)
            if not _is_whole(head, file.read(_CHECKSUM.size), _LENGTH.size):
                return
            (length,) = _LENGTH.unpack(head)
            body = file.read(min(length, MOST_RECORD_BYTES))
            if not _is_whole(body, file.read(_CHECKSUM.size), length):
                return
            yield Event.FromString(body)


def _is_whole(data: bytes, checksum: bytes, length: int) -> bool:
    return len(data) == length and checksum == _CHECKSUM.pack(masked_crc32c(data))

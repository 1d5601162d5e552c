"""Training curves as TensorBoard reads them, one run a bounty and role; a restart goes on where it was.

A point that is there already is not written again. One that has another value replaces it, and with it all later ones
of the run: a round that is trained or merged again makes what was built on it void.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import structlog
from google.protobuf.message import DecodeError

from ledger.notices import Notice
from ledger.records import Address, BountyId
from node.notices import EpochTrained, StateScored, UpdateMade
from node.telemetry.event_files import EventFile, read_events

log = structlog.get_logger()

THOUSANDTHS = 1000
"""Steps a round of the run of epochs, so that 3k on its axis is the end of round 3, whatever a round's epochs are."""

Clock = Callable[[], float]


class Run:
    """One run: a folder of event files."""

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        """Read what earlier processes wrote; the folder is made at the first point."""
        self._folder, self._clock = folder, clock
        self._known: dict[int, dict[str, float]] = {}
        paths = sorted(folder.glob("events.out.tfevents.*"))
        self._files = len(paths)
        self._file: EventFile | None = None
        for path in paths:
            self._read(path)

    def points(self, tag: str) -> dict[int, float]:
        """A tag's values by step, as a reader sees them."""
        return {step: values[tag] for step, values in sorted(self._known.items()) if tag in values}

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add a step's points, by tag, unless they are there; where one differs, the run goes on from this step."""
        new = {tag: float(np.float32(value)) for tag, value in values.items()}
        known = self._known.get(step, {})
        if any(tag in known and not _same(known[tag], value) for tag, value in new.items()):
            self._start(step)
            new, known = known | new, {}
        for tag, value in new.items():
            if tag not in known:
                self._opened().scalar(tag, step, value, self._clock())
                self._known.setdefault(step, {})[tag] = value

    def truncate(self, step: int) -> None:
        """Void what there is from `step` on."""
        if any(one >= step for one in self._known):
            self._start(step)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> EventFile:
        return self._file or self._start(max(self._known, default=-1) + 1)

    def _start(self, purge_step: int) -> EventFile:
        """Begin a new file; what was known from `purge_step` on is void."""
        self.close()
        self._file = EventFile(self._folder, self._files, purge_step, self._clock())
        self._files += 1
        self._forget(purge_step)
        return self._file

    def _read(self, path: Path) -> None:
        try:
            for event in read_events(path):
                if event.HasField("session_log"):
                    self._forget(event.step)
                for value in event.summary.value:
                    self._known.setdefault(event.step, {})[value.tag] = value.simple_value
        except (OSError, DecodeError) as error:
            log.warning("curve_unreadable", file=str(path), error=str(error))

    def _forget(self, step: int) -> None:
        self._known = {one: values for one, values in self._known.items() if one < step}


class Curves:
    """An observer that draws: local loss and norm by round and by epoch, the hold-out's metrics by round.

    Runs lie in `<folder>/<bounty>/<name>`, those of epochs in `epochs` below. A disk that is full stops the curves, not
    the node.
    """

    def __init__(self, folder: Path, role: str, account: Address | None, clock: Clock = time.time) -> None:
        self._folder, self._clock = folder, clock
        self._name = f"{role}-{account[2:10].lower()}" if account else role
        self._runs: dict[Path, Run] = {}
        self._broken = False

    def __call__(self, notice: Notice) -> None:
        match notice:
            case EpochTrained(bounty, number, epoch, fraction, loss):
                start = THOUSANDTHS * (number - 1)
                step = start + max(1, round(THOUSANDTHS * fraction))
                void_from = start + 1 if epoch == 0 else None
                self._add(bounty, "epochs", step, {"local/epoch_loss": loss}, void_from)
            case UpdateMade(bounty, number, loss, norm):
                self._add(bounty, "", number, {"local/loss": loss, "local/update_norm": norm})
            case StateScored(bounty, number, metrics):
                self._add(bounty, "", number, {f"holdout/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        for run in self._runs.values():
            run.close()

    def _add(
        self, bounty: BountyId, part: str, step: int, values: Mapping[str, float], void_from: int | None = None
    ) -> None:
        if self._broken:
            return
        folder = self._folder / str(bounty) / self._name / part
        try:
            if folder not in self._runs:
                self._runs[folder] = Run(folder, self._clock)
            if void_from is not None:
                self._runs[folder].truncate(void_from)
            self._runs[folder].add(step, values)
        except OSError as error:
            self._broken = True
            log.error("no_more_curves", folder=str(folder), error=str(error))


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))

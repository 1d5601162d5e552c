"""Processes that hash: one a core, started only where the work is worth their start."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

LEAST_CHUNKS = 250_000
"""Chunks below which one process is done before others have started: some 0.8 s of hashing."""


@contextmanager
def open_processes(chunks: int, cores: int | None = None) -> Iterator[Executor | None]:
    """Processes for so many chunks of updates; None where one process does as well.

    cores: how many processes; by default as many as this process may use cores.
    Holds: no process is forked from this one, which has threads.
    """
    cores = cores or _cores()
    if chunks < LEAST_CHUNKS or cores == 1:
        yield None
        return
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload(["node.verification"])
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

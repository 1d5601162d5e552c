"""Measuring: times of repeated calls, the memory's bandwidth, a process's own memory, and how figures are shown."""

from __future__ import annotations

import os
import platform
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Figures = dict[str, dict[str, Any]]
"""What a benchmark gives: figures by name, by row."""

console = Console()
MB = 1e6


def seconds_of(call: Callable[[], object], repeats: int) -> list[float]:
    """Wall-clock seconds of each call, after one that is not counted."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def spread(taken: Sequence[float]) -> float:
    """How much longer the slowest run took than the fastest, as a share of the fastest."""
    return max(taken) / min(taken) - 1


def read_bandwidth(arrays: Sequence[NDArray[Any]], repeats: int) -> float:
    """Bytes a second at which all cores together read arrays from memory.

    Shapes: each (D,), of a multiple of 8 bytes.
    """
    words = [array.view(np.int64) for array in arrays]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        taken = seconds_of(lambda: list(pool.map(np.add.reduce, words)), repeats)
    return sum(array.nbytes for array in arrays) / min(taken)


def own_memory() -> int:
    """Bytes of memory that belong to this process alone; mapped files do not count."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "Linux reports RssAnon since 4.5"
    return int(found[1]) * 1024


def peak_growth(call: Callable[[], object]) -> int:
    """By how many bytes a call makes the process's own memory grow at most, sampled each millisecond."""
    before = highest = own_memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.001):
            highest = max(highest, own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
        highest = max(highest, own_memory())
    finally:
        done.set()
        watcher.join()
    return highest - before


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    models = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    load = os.getloadavg()[0]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": round(load, 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def show(title: str, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Print figures as a table, one a line."""
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    for name, row in figures.items():
        for figure, value in row.items():
            table.add_row(name, figure, f"{value:.3g}" if isinstance(value, float) else str(value))
        table.add_section()
    console.print(table)

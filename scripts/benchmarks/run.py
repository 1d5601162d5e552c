"""The front of the benchmarks: lists them, or runs one, with a table on screen and JSON in a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.benchmarks import (
    attacks,
    audit,
    canary,
    commit,
    contribution,
    economics,
    economics_page,
    masking,
    merge,
    mirror,
    privacy,
    screening,
)
from scripts.benchmarks.measure import Figures, console, machine, show

BENCHMARKS: dict[str, Callable[[bool], Figures]] = {
    "merge": merge.run,
    "commit": commit.run,
    "audit": audit.run,
    "canary": canary.run,
    "mirror": mirror.run,
    "screening": screening.run,
    "contribution": contribution.run,
    "economics": economics.run,
    "attacks": attacks.run,
    "masking": masking.run,
    "privacy": privacy.run,
}

SHOWN: dict[str, Callable[[Figures], None]] = {"economics": economics_page.show}
"""Where figures have tables of their own."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure fedbounty on this machine.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help="without it: list the benchmarks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size: shows that it runs, not how fast")
    chosen = parser.add_argument_group("attacks alone")
    chosen.add_argument("--only", default="", metavar="WORDS", help="cells whose names hold each word, as 'byzfl ALIE'")
    chosen.add_argument("--workers", type=int, metavar="N", help="processes of one core each; default: every core")
    options = parser.parse_args()
    if options.name is None:
        for name, benchmark in BENCHMARKS.items():
            console.print(f"[bold]{name:12}[/bold] {(benchmark.__doc__ or '').splitlines()[0]}")
        return
    if options.name == "attacks":
        figures = attacks.run(options.quick, options.only, options.workers)
    else:
        figures = BENCHMARKS[options.name](options.quick)
    SHOWN.get(options.name, partial(show, options.name))(figures)
    if options.json:
        document = {**figures, "machine": machine(), "quick": options.quick}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Every detector of Slither on the contracts, against the findings that `contracts/slither.toml` explains.

`python -m scripts.analysis.findings TREES`, in the analysis environment; TREES is what `scripts.analysis.syntax` wrote.
Fails on a finding that is not explained, and on an explanation of nothing.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import SolcStandardJson, parse_standard_json_output
from slither import Slither
from slither.detectors import all_detectors

CONTRACTS = Path("contracts")
EXPLAINED = CONTRACTS / "slither.toml"
SOLIDITY = "0.8.37"
OURS = "src/"


DETECTORS = [detector for _, detector in inspect.getmembers(all_detectors, inspect.isclass)]


class Finding(NamedTuple):
    impact: str
    detector: str
    place: str
    """Contract.function, or Contract.function.variable."""


class Compiled(SolcStandardJson):
    """What a compiler has put out already."""

    def __init__(self, output: dict[str, Any]) -> None:
        super().__init__({})
        self._output = output

    def compile(self, crytic_compile: CryticCompile, **_: Any) -> None:
        unit = CompilationUnit(crytic_compile, "contracts")
        unit.compiler_version = CompilerVersion("solc", SOLIDITY, optimized=True)
        parse_standard_json_output(self._output, unit)


def found(output: dict[str, Any]) -> dict[Finding, list[str]]:
    """The findings in the project's own sources, each with the lines that tell of it."""
    slither = Slither(CryticCompile(Compiled(output)))
    for detector in DETECTORS:
        slither.register_detector(detector)
    findings: dict[Finding, list[str]] = defaultdict(list)
    for result in (result for results in slither.run_detectors() for result in results):
        first, *others = result["elements"]
        if first["source_mapping"]["filename_relative"].startswith(OURS):
            lines = [one["name"] for one in others if one["type"] == "node" and one["name"]] or [
                result["description"].strip()
            ]
            findings[Finding(result["impact"], result["check"], place(first))] += lines
    return findings


def place(element: dict[str, Any]) -> str:
    """Where an element is, without line numbers: they change with every edit."""
    parent = element.get("type_specific_fields", {}).get("parent")
    if element["type"] == "node":
        return place(parent)
    return f"{place(parent)}.{element['name']}" if parent and parent["type"] != "file" else element["name"]


def explained() -> dict[Finding, int]:
    """How many lines of each finding are explained."""
    groups = tomllib.loads(EXPLAINED.read_text())["finding"]
    assert all(group["why"].strip() for group in groups), f"{EXPLAINED} gives no reason for a finding"
    return {
        Finding(group["impact"], group["detector"], where): lines
        for group in groups
        for where, lines in group["where"].items()
    }


def main(trees: Path) -> None:
    accepted = explained()
    output = json.loads(trees.read_text())
    os.chdir(CONTRACTS)  # so that file names are relative to it
    findings = found(output)
    for finding in sorted(findings.keys() | accepted.keys()):
        lines = findings.get(finding, [])
        if len(lines) != accepted.get(finding, 0):
            print(f"{finding.impact}: {finding.detector} in {finding.place}: {len(lines)} lines,", end=" ")
            print("\n    ".join([f"{accepted.get(finding, 0)} of them explained", *lines]))
    if {finding: len(lines) for finding, lines in findings.items()} != accepted:
        raise SystemExit(f"Mend the contracts, or explain each finding in {EXPLAINED}.")
    impacts = Counter(finding.impact for finding in findings)
    print(f"Slither: {len(DETECTORS)} detectors; every finding is explained in {EXPLAINED}: {dict(impacts)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

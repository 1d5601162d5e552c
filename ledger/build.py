"""From Solidity sources to the committed artifacts: the one module that runs a Solidity compiler.

`python -m ledger.build [COMPILER]` rebuilds `contracts/artifacts/`. COMPILER is a native solc, by default npm's behind
`scripts/solc`. Both give the same bytes: settings are pinned and the bytecode carries no metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import solcx
from solcx.wrapper import get_version_str_from_solc_binary

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "contracts" / "src"
ARTIFACTS = ROOT / "contracts" / "artifacts"
NPM_COMPILER = ROOT / "scripts" / "solc"
CONTRACTS = (
    "TrainingMarket",
    "FraudProofs",
    "ChunkDemands",
    "ContributionScores",
    "MaskProofs",
    "MaskBoard",
    "EvaluationMarket",
    "DevToken",
)

SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 300},
    "viaIR": True,
}
"""What decides the bytecode; `contracts/foundry.toml` says the same."""

_IMPORT = re.compile(r'^\s*import\b[^"]*"([^"]+)"\s*;', re.MULTILINE)


class CompilerMissing(RuntimeError):
    def __init__(self, compiler: Path) -> None:
        self.compiler = compiler
        super().__init__(f"There is no Solidity compiler at {compiler}. Run scripts/setup, or name another one.")


def sources(name: str) -> dict[str, str]:
    """The texts that contract `name` is made of, by unit name, following its imports."""
    found: dict[str, str] = {}
    wanted = [f"src/{name}.sol"]
    while wanted:
        unit = wanted.pop()
        if unit in found:
            continue
        found[unit] = _path(unit).read_text()
        wanted += [_resolve(imported, unit) for imported in _IMPORT.findall(found[unit])]
    return dict(sorted(found.items()))


def compile_contract(name: str, compiler: Path) -> dict[str, Any]:
    """Compile contract `name` to its artifact.

    Raises: CompilerMissing; solcx.exceptions.SolcError with the compiler's own messages.
    """
    if not compiler.is_file():
        raise CompilerMissing(compiler)
    units = sources(name)
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in units.items()},
        "settings": {**SETTINGS, "outputSelection": {f"src/{name}.sol": {name: ["abi", "evm.bytecode.object"]}}},
    }
    compiled = solcx.compile_standard(request, solc_binary=compiler)["contracts"][f"src/{name}.sol"][name]
    return {
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "compiler": {"settings": SETTINGS, "version": get_version_str_from_solc_binary(compiler)},
        "contractName": name,
        "sourceHash": source_hash(units),
    }


def source_hash(units: Mapping[str, str]) -> str:
    """sha2-256 over the canonical JSON of the sources, so that stale artifacts are seen without a compiler."""
    return hashlib.sha256(json.dumps(units, sort_keys=True).encode()).hexdigest()


def rendered(artifact: Mapping[str, Any]) -> str:
    """The artifact's one form on disk."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def main() -> None:
    compiler = Path(sys.argv[1]) if len(sys.argv) > 1 else NPM_COMPILER
    ARTIFACTS.mkdir(exist_ok=True)
    for name in CONTRACTS:
        path = ARTIFACTS / f"{name}.json"
        path.write_text(rendered(compile_contract(name, compiler)))
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def _path(unit: str) -> Path:
    return (ROOT / "node_modules" if unit.startswith("@") else ROOT / "contracts") / unit


def _resolve(imported: str, importer: str) -> str:
    if not imported.startswith("."):
        return imported
    return os.path.normpath(Path(importer).parent / imported)


if __name__ == "__main__":
    main()

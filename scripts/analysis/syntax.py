"""The contracts' syntax trees, as Slither reads them: `python -m scripts.analysis.syntax FILE` writes them.

Slither needs no bytecode, and generating it through the intermediate representation takes minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ledger.build import NPM_COMPILER, SOURCES, sources

_OUTPUT = {"*": {"*": ["abi", "devdoc", "userdoc"], "": ["ast"]}}
_NO_CODE = {"bytecode": {"object": "", "sourceMap": ""}, "deployedBytecode": {"object": "", "sourceMap": ""}}


def all_sources() -> dict[str, str]:
    """The text of every contract and library, and of all that they import, by unit name."""
    names = sorted(path.relative_to(SOURCES).with_suffix("") for path in SOURCES.rglob("*.sol"))
    return {unit: text for name in names for unit, text in sources(str(name)).items()}


def compile_syntax() -> dict[str, Any]:
    """The compiler's output without code, in which each contract has an empty one."""
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in all_sources().items()},
        "settings": {"evmVersion": "cancun", "outputSelection": _OUTPUT},
    }
    done = subprocess.run(
        [NPM_COMPILER, "--standard-json"], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    output: dict[str, Any] = json.loads(done.stdout)
    errors = [error["formattedMessage"] for error in output.get("errors", []) if error["severity"] == "error"]
    if errors:
        raise SystemExit("\n".join(errors))
    for contracts in output["contracts"].values():
        for contract in contracts.values():
            contract["evm"] = _NO_CODE
    return output


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(compile_syntax()))

"""The house's own rules that no other tool checks: sizes, names, and where packages come from."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PACKAGES = ("ledger", "incentives", "node")
MOST_LINES = 320
MOST_FUNCTION_LINES = 50
COMMAND_LINES = 70
"""A command's options are its signature."""
SOLIDITY_LINES = 480
VAGUE = {"utils", "helpers", "common", "manager", "base", "misc"}


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_files__when_measured__then_none_is_too_long() -> None:
    code = [*sources(), *sorted((ROOT / "scripts").rglob("*.py"))]
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in code}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}
    contracts = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "contracts" / "src").rglob("*.sol")}
    assert {name: lines for name, lines in contracts.items() if lines > SOLIDITY_LINES} == {}


def test_functions__when_measured__then_none_is_too_long() -> None:
    long = []
    for path in sources():
        limit = COMMAND_LINES if path.parent.name == "cli" else MOST_FUNCTION_LINES
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > limit:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {lines} lines")
    assert long == []


def test_modules__when_named__then_they_say_what_they_hold() -> None:
    assert [path for path in sources() if path.stem in VAGUE or path.stem in sys.stdlib_module_names] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package__when_imported__then_it_comes_from_this_repository(package: str) -> None:
    found = importlib.import_module(package).__file__
    assert found is not None
    assert Path(found).is_relative_to(ROOT)


def test_tests__when_collected__then_each_has_one_marker_of_the_house() -> None:
    markers = re.compile(r"pytest\.mark\.(unit|chain|machine|integration|browser)\b")
    unmarked = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if not markers.search(path.read_text())
    ]
    assert unmarked == []


def test_effects__when_looked_for__then_each_has_one_door() -> None:
    doors = {
        r"^\s*(import|from) ipfshttpclient": {"ledger/content.py"},
        r"^\s*(import|from) solcx": {"ledger/build.py"},
        r"^\s*(import|from) web3": {"ledger/chain.py", "ledger/transactions.py", "ledger/devnet.py"},
        r"os\.environ": {"node/settings.py"},
        r"sqlite3\.connect\(": {"ledger/durable_files.py", "ledger/mirror/schema.py"},
    }
    for pattern, allowed in doors.items():
        expression = re.compile(pattern, re.MULTILINE)
        users = {str(path.relative_to(ROOT)) for path in sources() if expression.search(path.read_text())}
        assert users <= allowed, f"{pattern} is used in {sorted(users - allowed)}"

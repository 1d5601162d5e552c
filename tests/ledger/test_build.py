"""The committed artifacts are what the sources compile to, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.artifacts import artifact
from ledger.build import (
    ARTIFACTS,
    CONTRACTS,
    NPM_COMPILER,
    CompilerMissing,
    compile_contract,
    rendered,
    source_hash,
    sources,
)

pytestmark = pytest.mark.unit

LARGEST_CODE_BYTES = 24_576 + 2_048
"""EIP-170's limit on code plus room for the constructor."""


@pytest.mark.parametrize("name", CONTRACTS)
def test_compile_contract__when_rebuilt__then_the_committed_artifact_is_the_same(name: str) -> None:
    assert (ARTIFACTS / f"{name}.json").read_text() == rendered(compile_contract(name, NPM_COMPILER))


@pytest.mark.parametrize("name", CONTRACTS)
def test_artifact__of_each_contract__then_it_fits_on_chain(name: str) -> None:
    bytecode = artifact(name)["bytecode"]
    assert 0 < len(bytecode) // 2 - 1 <= LARGEST_CODE_BYTES


def test_compile_contract__when_the_compiler_is_missing__then_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompilerMissing, match="absent"):
        compile_contract("DevToken", tmp_path / "absent")


def test_sources__when_imports_are_followed__then_every_unit_is_there_once() -> None:
    units = sources("TrainingMarket")
    assert list(units) == sorted(units)
    assert "src/interfaces/ITrainingMarket.sol" in units
    assert "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol" in units


def test_source_hash__when_one_byte_changes__then_it_changes() -> None:
    units = sources("DevToken")
    changed = {unit: text + " " for unit, text in units.items()}
    assert source_hash(units) != source_hash(changed)
    assert source_hash(units) == source_hash(dict(reversed(units.items())))

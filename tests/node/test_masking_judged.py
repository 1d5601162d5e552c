"""Masks as the contract judges them: golden vectors, and every form that a table or a key leaf must not have."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ledger.keccak import Hash32
from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule
from ledger.trees import SumNode, Tag, leaf_hash, sum_node, sum_root
from node.masking.judged import (
    are_right_masks,
    committed_masked,
    group_sums,
    is_right_seed,
    key_leaf_of,
    read_table,
    shown_masked,
)
from node.masking.key_leaf import SELF
from node.masking.masks import mask_word
from node.masking.sums import merge_sum_coordinate
from node.masking.table import encode_table
from tests.fixtures.make_masks import VECTORS, vectors
from tests.masked_group import MaskedGroup, group_with

pytestmark = pytest.mark.unit

GOLDEN: dict[str, Any] = json.loads(VECTORS.read_text())
ENTRY = 34


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def test_vectors__when_made_again__then_are_the_same() -> None:
    assert json.loads(json.dumps(vectors())) == GOLDEN


@pytest.mark.parametrize("vector", GOLDEN["words"])
def test_mask_word__of_every_vector__is_its_word(vector: Any) -> None:
    assert mask_word(unhex(vector["seed"]), vector["coordinate"]) == vector["mask"]


@pytest.mark.parametrize("keys", GOLDEN["leaves"])
def test_key_leaf_of__of_every_vector__writes_the_same_bytes(keys: str) -> None:
    data = unhex(keys)
    own = int.from_bytes(data[:2], "big")
    leaf = key_leaf_of(data, own)
    assert leaf is not None
    assert leaf.encode() == data
    assert key_leaf_of(data, own ^ 1) is None


@pytest.mark.parametrize("vector", GOLDEN["trees"])
def test_committed_masked__of_every_vector__opens_each_leaf(vector: Any) -> None:
    chunks, keys, root = [unhex(one) for one in vector["chunks"]], unhex(vector["keys"]), Hash32(unhex(vector["root"]))
    masked_D = np.frombuffer(b"".join(chunks), dtype="<u4")
    update = committed_masked(masked_D, keys, root)
    assert update is not None
    opened = {index: update.open(index) for index in range(len(chunks) + 1)}
    for index, one in opened.items():
        tag = Tag.MASKED if index < len(chunks) else Tag.MASK_KEYS
        node = sum_node(leaf_hash(tag, index, one.content), 0)
        assert sum_root(node, index, [SumNode(Hash32(word)) for word in one.nodes]) == root
    assert update.open_keys().content == keys
    again = shown_masked(opened, len(chunks))
    assert again is not None
    assert (again.masked_D == masked_D).all()
    assert again.open_keys() == update.open_keys()
    del opened[0]
    assert shown_masked(opened, len(chunks)) is None
    assert committed_masked(masked_D ^ 1, keys, root) is None


@pytest.mark.parametrize("vector", GOLDEN["merges"])
def test_group_sums__of_every_vector__lead_to_its_coordinate(vector: Any) -> None:
    rows = read_table(unhex(vector["table"]), len(vector["values"]))
    assert rows is not None
    parameters = MergeParameters.unpack(MergeRule(vector["rule"]), Hash32(unhex(vector["parameters"])))
    accumulator, previous, *after = vector["planes"]
    sums = group_sums(rows, vector["coordinate"], vector["values"])
    assert list(merge_sum_coordinate(parameters, accumulator, previous, sums)) == after


# --- tables ---


@pytest.fixture(scope="module")
def honest() -> tuple[bytes, MaskedGroup]:
    """The table of members 1, 4 and 6, of whose group member 3 dropped."""
    made = MaskedGroup(group_with([1, 3, 4, 6], 3))
    lists, recovered = made.recovered([1, 4, 6], [1, 4, 6])
    return encode_table(list(made.rows(lists, recovered).values())), made


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


SECOND = 2 + 2 * ENTRY


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 1),  # groups begin at 1
        (SECOND, 2),  # one is left out
        (1, 0),  # no masks
        (1, 16),  # more than there are
        (2, 14),  # no such slot
        (2, 255),  # one's own mask twice
        (3, 2),  # no such sign
        (3 + ENTRY, 1),  # one's own mask is subtracted
        (2 + ENTRY, 0),  # slots do not rise
    ],
)
def test_read_table__of_another_form__is_none(honest: tuple[bytes, MaskedGroup], at: int, value: int) -> None:
    table, _ = honest
    assert read_table(table, 3) is not None
    assert read_table(changed(table, at, value), 3) is None


def test_read_table__of_another_length__is_none(honest: tuple[bytes, MaskedGroup]) -> None:
    table, _ = honest
    for other, updates in ((table[:-1], 3), (table + b"\0", 3), (table, 2), (table, 4), (b"", 1)):
        assert read_table(other, updates) is None
    assert read_table(b"", 0) == ()


def test_are_right_masks__of_an_honest_table__is_true_of_each(honest: tuple[bytes, MaskedGroup]) -> None:
    table, made = honest
    rows = read_table(table, 3)
    assert rows is not None
    for position, (file, _) in enumerate(made.files([1, 4, 6]).values()):
        assert are_right_masks(rows, [1, 4, 6], position, file.leaf)
        assert all(is_right_seed(entry, file.leaf) for entry in rows[position].entries)


def test_are_right_masks__with_a_stranger_or_without_a_peer__is_false(honest: tuple[bytes, MaskedGroup]) -> None:
    table, made = honest
    rows, leaf = read_table(table, 3), made.files([1])[1][0].leaf
    assert rows is not None
    assert not are_right_masks(rows, [1, 4, 9], 0, leaf)
    apart = read_table(changed(table, 2 * SECOND, 1), 3)
    assert apart is not None
    assert not are_right_masks(apart, [1, 4, 6], 0, leaf)


def test_is_right_seed__of_another_seed_or_sign__is_false(honest: tuple[bytes, MaskedGroup]) -> None:
    table, made = honest
    leaf = made.files([1])[1][0].leaf
    for at in (3, 2 + ENTRY - 1):
        rows = read_table(changed(table, at, table[at] ^ 1), 3)
        assert rows is not None
        assert [is_right_seed(entry, leaf) for entry in rows[0].entries] == [False, True]
        assert rows[0].entries[1].slot == SELF

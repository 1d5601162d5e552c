"""Providers that publish something else than what they trained: the work of a forger, fault by fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ledger.cid import Digest
from ledger.commitments import update_tree
from ledger.keccak import Hash32, keccak
from ledger.records import BountyId
from ledger.trees import sum_node
from node.journal import MadeUpdate
from node.provider.daemon import ProviderDaemon
from node.provider.decisions import Train
from node.updates import encode_update
from tests.integration.world import Party, World

COORDINATES = 15
"""Of the package's model; the other 113 of its one chunk are padding."""

Forge = Callable[["Forger", NDArray[np.int16]], tuple[Digest, Hash32]]


class Forger:
    """Stands where a provider's `LocalWork` would; pins what `forge` makes of an update."""

    def __init__(self, party: Party, seed: int, forge: Forge) -> None:
        self.store, self._seed, self._forge = party.store, seed, forge

    def make_update(self, task: Train, seat: object = None) -> MadeUpdate:
        update_D = np.zeros(128, dtype=np.int16)
        update_D[:COORDINATES] = np.random.default_rng(self._seed).integers(-500, 500, COORDINATES)
        digest, root = self._forge(self, update_D)
        return MadeUpdate(task.round, digest, root, root, "{}")

    def keep(self, made: MadeUpdate) -> None:
        pass


def forging(world: World, party: Party, bounty: BountyId, forge: Forge, seed: int) -> ProviderDaemon:
    """A provider's daemon whose work is a forger's."""
    daemon = world.provider(party, bounty, seed)
    setup = replace(daemon._setup, work=cast(Any, Forger(party, seed, forge)))
    return ProviderDaemon(setup)


def _root(update_D: NDArray[np.int16]) -> Hash32:
    return update_tree(update_D).root


def honest(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    return forger.store.add(encode_update(update_D)), _root(update_D)


def truncated(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    return forger.store.add(encode_update(update_D)[:-2]), _root(update_D)


def too_long(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    return forger.store.add(encode_update(update_D) + b"\0\0"), _root(update_D)


def wrong_header(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    return forger.store.add(b"GGUF" + encode_update(update_D)[4:]), _root(update_D)


def padded(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    update_D[COORDINATES] = 1
    return honest(forger, update_D)


def off_grid(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    update_D[:] = 0
    update_D[0] = -32768  # its square is all that the bound allows
    return honest(forger, update_D)


def other_bytes(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    revealed = _root(update_D)
    update_D[0] += 1
    return forger.store.add(encode_update(update_D)), revealed


def other_norm(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    """The norm is part of the root, so the lie must be told at the commit."""
    tree = update_tree(update_D)
    return forger.store.add(encode_update(update_D)), sum_node(tree.root, tree.total - 1)


def nowhere(forger: Forger, update_D: NDArray[np.int16]) -> tuple[Digest, Hash32]:
    return Digest(keccak(b"nobody has this")), _root(update_D)

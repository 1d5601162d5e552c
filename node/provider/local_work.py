"""A provider's local work: from its data and the global state to an update that is on disk and pinned."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import structlog

from ledger.cid import to_cid
from ledger.commitments import update_tree
from ledger.notices import Observer, ignore
from ledger.records import BountyId, Terms
from node.bounty_files import BountyFiles, write_atomically
from node.data.load import load_data
from node.journal import MadeUpdate
from node.manifest import Manifest
from node.model import apply_state, flatten, layout
from node.notices import EpochTrained, UpdateMade
from node.package.loader import load_program
from node.provider.decisions import Train
from node.training.local import Epoch, Job, Trained, train
from node.updates import Quantised, encode_update, quantise

log = structlog.get_logger()


@dataclass(frozen=True)
class LocalWorkSetup:
    """Where and on what to train.

    folder: where finished updates are kept until they are no longer needed.
    data:   the provider's data, as `--data` names it.
    device: `cpu` or `cuda`.
    tell:   hears how training goes.
    """

    bounty: BountyId
    folder: Path
    files: BountyFiles
    terms: Terms
    manifest: Manifest
    data: str
    device: str
    tell: Observer = ignore


class LocalWork:
    """Loads and checks program and data once; then trains whenever a round asks for it.

    Raises: BadPackage, BadData, before anything is spent.
    """

    def __init__(self, setup: LocalWorkSetup) -> None:
        self._setup = setup
        manifest = setup.manifest
        programs = setup.files.programs(manifest)
        self._program = load_program(programs.train, manifest, manifest.training.batch_size)
        self._examples = load_data(setup.data, manifest)
        self._layout = layout(manifest)
        initial = {name: tensor.numpy() for name, tensor in self._program.initial.items()}
        self._initial_D = flatten(initial, self._layout)
        setup.folder.mkdir(parents=True, exist_ok=True)

    @property
    def operators(self) -> tuple[str, ...]:
        """What the model computes with: the program's operators."""
        return self._program.operators

    @property
    def summary(self) -> str:
        return f"{len(self._examples)} examples from {self._setup.data}; they fit the schema"

    def make_update(self, task: Train) -> MadeUpdate:
        """Train for a round; the update is on disk and pinned when this returns.

        Raises: ContentError if the state can't be had; TrainingFailed.
        """
        setup = self._setup
        state_D = setup.files.state(task.base, setup.terms)[0]
        global_D = apply_state(self._initial_D, state_D, setup.manifest.update.bits)
        manifest = setup.manifest
        seed = secrets.randbits(63)
        job = Job(
            self._program, self._layout, manifest.training, manifest.task.loss, global_D, seed=seed, device=setup.device
        )

        def told(epoch: Epoch) -> None:
            setup.tell(EpochTrained(setup.bounty, task.round, epoch.number, epoch.fraction, epoch.loss))

        trained = train(job, self._examples, epoch_over=told)
        delta_D = np.subtract(trained.weights, global_D, out=trained.weights)
        quantised = quantise(delta_D, manifest.update, np.random.default_rng(secrets.randbits(128)))
        return self._write_down(task, trained, quantised)

    def keep(self, made: MadeUpdate) -> None:
        """See to it that the endpoint has the update's file, also after it lost its memory."""
        path = self._setup.folder / to_cid(made.cid)
        if path.exists():
            self._setup.files.store.add(path)

    def _write_down(self, task: Train, trained: Trained, quantised: Quantised) -> MadeUpdate:
        setup = self._setup
        tree = update_tree(quantised.update)
        data = encode_update(quantised.update)
        digest = setup.files.store.add(data)
        write_atomically(setup.folder / to_cid(digest), data)
        summary = {
            "loss": round(trained.losses[-1], 4),
            "examples": trained.examples,
            "seconds": round(trained.seconds, 3),
            "norm": round(quantised.norm, 4),
            "clipped_to": round(quantised.scale, 4),
            "lost_share": quantised.lost_share,
        }
        log.info("trained", bounty=setup.bounty, round=task.round, **summary)
        loss, norm = trained.losses[-1], quantised.norm
        setup.tell(UpdateMade(setup.bounty, task.round, loss, norm, trained.examples, trained.seconds))
        base = setup.terms.state_root if task.base is None else task.base.claim.state_root
        return MadeUpdate(
            round=task.round,
            cid=digest,
            root=tree.root,
            base_state=base,
            summary=orjson.dumps(summary).decode(),
        )

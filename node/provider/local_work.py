"""A provider's local work: from its data and the global state to an update that is on disk and pinned."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from ledger.cid import to_cid
from ledger.commitments import update_tree
from ledger.keccak import Hash32
from ledger.notices import Observer, ignore
from ledger.records import BountyId, Terms
from ledger.unixfs import digest_of
from node.bounty_files import BountyFiles, write_atomically
from node.data.load import load_data
from node.journal import MadeUpdate
from node.manifest import Manifest, coordinates
from node.manifest import privacy as privacy_of
from node.masking.update import Seat, mask_update
from node.model import apply_state, flatten, layout
from node.notices import EpochTrained, UpdateMade
from node.package.dry_run import check_shapes
from node.package.loader import load_program
from node.privacy.dp_sgd import PrivateJob, at_once, train_privately
from node.privacy.independence import check_independence
from node.privacy.update_noise import NoiseRoom, add_noise
from node.provider.decisions import Train
from node.provider.masked_view import drawn_in
from node.provider.momentum import MomentumFiles, blend
from node.training.local import Epoch, Job, Trained, train
from node.updates import Quantised, encode_update, quantise

log = structlog.get_logger()


@dataclass(frozen=True)
class LocalWorkSetup:
    """Where and on what to train.

    folder: where finished updates are kept until they are no longer needed.
    data:   the provider's data, as `--data` names it.
    device: `cpu` or `cuda`.
    seal:   makes the file to publish from a round's update file, where updates are encrypted.
    tell:   hears how training goes.
    mark:   of the data among privacy budgets; it is written down with what was made from it.
    """

    bounty: BountyId
    folder: Path
    files: BountyFiles
    terms: Terms
    manifest: Manifest
    data: str
    device: str
    tell: Observer = ignore
    seal: Callable[[int, Hash32, bytes], bytes] | None = None
    mark: str = ""


class LocalWork:
    """Loads and checks program and data once; then trains whenever a round asks for it.

    Raises: BadPackage, BadData, before anything is spent.
    """

    def __init__(self, setup: LocalWorkSetup) -> None:
        self._setup = setup
        manifest = setup.manifest
        programs = setup.files.programs(manifest)
        self._privacy = privacy_of(manifest)
        at_first = 1 if self._privacy.hides_examples else manifest.training.batch_size
        self._program = load_program(programs.train, manifest, at_first)
        if self._privacy.hides_examples:
            check_independence(self._program, manifest)
        self._examples = load_data(setup.data, manifest)
        self._layout = layout(manifest)
        initial = {name: tensor.numpy() for name, tensor in self._program.initial.items()}
        self._initial_D = flatten(initial, self._layout)
        setup.folder.mkdir(parents=True, exist_ok=True)
        self._momentum = MomentumFiles(setup.folder, f"{setup.bounty}-{setup.terms.manifest.hex()[:16]}")

    @property
    def operators(self) -> tuple[str, ...]:
        """What the model computes with: the program's operators."""
        return self._program.operators

    @property
    def summary(self) -> str:
        return f"{len(self._examples)} examples from {self._setup.data}; they fit the schema"

    def make_update(self, task: Train, seat: Seat | None = None) -> MadeUpdate:
        """Train for a round; the update is on disk, and nowhere else, when this returns.

        seat:   in the round's group, where updates are masked.
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

        trained = self._trained(job, told)
        delta_D = np.subtract(trained.weights, global_D, out=trained.weights)
        momentum = self._remember(delta_D, task.earlier)
        quantised = self._noisy(quantise(delta_D, manifest.update, np.random.default_rng(secrets.randbits(128))))
        return replace(self._write_down(task, trained, quantised, seat), momentum=momentum)

    def _trained(self, job: Job, told: Callable[[Epoch], None]) -> Trained:
        """Train as the manifest says: plainly, or with noise that hides each example."""
        noise = self._privacy.example_noise
        if noise is None:
            return train(job, self._examples, epoch_over=told)
        activations = check_shapes(self._program, self._setup.manifest, 1) // 2  # it runs two examples too
        room = at_once(len(self._initial_D), activations)
        private = PrivateJob(job, *noise, at_once=room)
        return train_privately(private, self._examples, told)

    def _noisy(self, quantised: Quantised) -> Quantised:
        """Add the manifest's noise to the whole update, if it asks for some."""
        setup, sigma = self._setup, self._privacy.update_noise
        if sigma is None:
            return quantised
        return add_noise(quantised, NoiseRoom(sigma, coordinates(setup.manifest), setup.terms.squared_norm_bound))

    def _remember(self, delta_D: NDArray[np.float32], earlier: MadeUpdate | None) -> bytes | None:
        """Turn the delta into the new momentum, if the manifest asks for one, and keep it; the digest that names it."""
        beta = self._setup.manifest.training.local_momentum
        if not beta:
            return None
        source = earlier.momentum if earlier else None
        blend(delta_D, self._momentum.read(source, len(delta_D)) if source else None, beta)
        return self._momentum.write(delta_D, source)

    def keep(self, made: MadeUpdate) -> None:
        """See to it that the endpoint has the update's file, also after it lost its memory. The first to let it out."""
        path = self._setup.folder / to_cid(made.cid)
        if path.exists():
            self._setup.files.store.add(path)

    def _encoded(self, number: int, update_D: NDArray[np.int16], seat: Seat | None) -> tuple[Hash32, bytes]:
        """The root to commit to and the file to publish: plain, masked or sealed."""
        if seat is not None:
            made = mask_update(update_D, seat)
            return made.root, made.data
        root, data = update_tree(update_D).root, encode_update(update_D)
        return root, self._setup.seal(number, root, data) if self._setup.seal else data

    def _write_down(self, task: Train, trained: Trained, quantised: Quantised, seat: Seat | None = None) -> MadeUpdate:
        setup = self._setup
        root, data = self._encoded(task.round, quantised.update, seat)
        digest = digest_of(data)
        write_atomically(setup.folder / to_cid(digest), data)
        summary = {
            "loss": round(trained.losses[-1], 4) if np.isfinite(trained.losses[-1]) else None,
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
            root=root,
            base_state=base,
            summary=orjson.dumps({**summary, **drawn_in(seat), "data": setup.mark}).decode(),
        )


def made_from(made: MadeUpdate) -> str:
    """The mark of the data that an update was made from; empty where it was not written down."""
    return str(orjson.loads(made.summary).get("data", ""))

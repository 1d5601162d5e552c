"""What update files give away: images, who was in the data, and whether masked bytes look like anything.

Every figure has a counterpart on unprotected files, so that the measurement itself is shown to be able to find a leak.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import dp_accounting
import numpy as np
import torch
from dp_accounting.rdp import RdpAccountant
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from ledger.keccak import keccak
from ledger.records import Address, BountyId
from node.data.schema import Examples
from node.masking.context import RoundContext
from node.masking.files import decode_masked
from node.masking.groups import Member, draw_groups
from node.masking.masks import chi_square
from node.masking.seeds import Derive, secrets_of
from node.masking.update import Seat, mask_update
from node.model import flatten, layout, unflatten
from node.privacy.dp_sgd import PrivateJob, at_once, train_privately
from node.training.local import Job, train
from node.updates import decode_update, encode_update, quantise
from scripts.benchmarks.contribution_players import Task
from scripts.benchmarks.privacy_inversion import invert, psnr

DELTA = 1e-5
CLIP = 1.0
RATE = 0.5
"""Learning rate of the one step whose update is attacked."""

logging.getLogger("absl").setLevel(logging.ERROR)  # says of each Renyi order that it leaves out

CANARIES = 100
"""Examples whose membership is guessed; each is in the data by the toss of a coin. Their labels are random."""
OTHERS = 150


@lru_cache
def noise_for(epsilon: float, rate: float, steps: int) -> float:
    """The noise multiplier with which so many Poisson-sampled steps spend `epsilon` at `DELTA`."""

    def event(noise: float) -> dp_accounting.DpEvent:
        step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
        return dp_accounting.SelfComposedDpEvent(step, steps)

    bracket = dp_accounting.LowerEndpointAndGuess(0.05, 1.0)
    return float(dp_accounting.calibrate_dp_mechanism(RdpAccountant, event, epsilon, DELTA, bracket, tol=1e-3))


def initial_weights(task: Task) -> NDArray[np.float32]:
    return flatten({name: part.numpy() for name, part in task.trainer.initial.items()}, layout(task.manifest))


@dataclass(frozen=True)
class Noise:
    """DP-SGD's numbers. noise: multiplier; rate: of Poisson sampling; batch: what sums of gradients are divided by."""

    noise: float
    rate: float
    steps: int
    batch: int
    learning_rate: float


def private_weights(
    task: Task, weights_D: NDArray[np.float32], examples: Examples, noise: Noise, seed: int
) -> NDArray[np.float32]:
    """The weights after DP-SGD by the product's own trainer."""
    settings = task.manifest.training.model_copy(
        update={"optimizer": "sgd", "learning_rate": noise.learning_rate, "batch_size": noise.batch}
    )
    job = Job(task.trainer, layout(task.manifest), settings, task.manifest.task.loss, weights_D, seed)
    most = at_once(layout(task.manifest).used, 1 << 16)
    return train_privately(PrivateJob(job, noise.noise, noise.rate, noise.steps, CLIP, most), examples).weights


# --- images out of updates ---


def inversion(task: Task, row: int) -> dict[str, float]:
    """PSNR in dB of what an onlooker makes of one example's update, by how the update is published."""
    examples, weights_D = task.examples(np.array([row])), initial_weights(task)
    private = private_weights(task, weights_D, examples, Noise(noise_for(8.0, 1.0, 1), 1.0, 1, 1, RATE), row)
    files = {"open": _one_step(task, weights_D, examples), "dp, epsilon 8": private - weights_D}
    found = {name: _seen(task, weights_D, _published(task, delta_D), examples) for name, delta_D in files.items()}
    masked = _masked_file(task, _quantised(task, files["open"]), row)
    chunks = layout(task.manifest).size // 128
    words_D = decode_masked(masked, chunks).masked_D.view(np.int32).astype(np.float32)
    return found | {"masked": _seen(task, weights_D, words_D, examples)}


def _one_step(task: Task, weights_D: NDArray[np.float32], examples: Examples) -> NDArray[np.float32]:
    changed = {"optimizer": "sgd", "learning_rate": RATE, "batch_size": 1, "local_epochs": 1}
    settings = task.manifest.training.model_copy(update=changed)
    job = Job(task.trainer, layout(task.manifest), settings, task.manifest.task.loss, weights_D, seed=0)
    return train(job, examples).weights - weights_D


def _quantised(task: Task, delta_D: NDArray[np.float32]) -> NDArray[np.int16]:
    return quantise(delta_D, task.manifest.update, np.random.default_rng(0)).update


def _published(task: Task, delta_D: NDArray[np.float32]) -> NDArray[np.float32]:
    """What anyone reads from the update's file."""
    file = encode_update(_quantised(task, delta_D))
    return decode_update(file, layout(task.manifest).used).astype(np.float32)


def _seen(task: Task, weights_D: NDArray[np.float32], update_D: NDArray[np.float32], examples: Examples) -> float:
    return psnr(invert(task, weights_D, update_D, examples.labels), examples.features)


# --- masked bytes ---


def masked_spread(task: Task, seed: int) -> dict[str, float]:
    """Chi-square of a masked file's bytes, and of the same update's bytes without masks (255 expected of chance)."""
    rng = np.random.default_rng(seed)
    size = 1 << 20
    update_D = np.rint(rng.normal(0, 300, size)).astype(np.int16)
    masked = decode_masked(_masked_file(task, update_D, seed), size // 128).masked_D
    return {"masked": chi_square(masked.tobytes()), "open": chi_square(update_D.astype("<i4").tobytes())}


def _masked_file(task: Task, update_D: NDArray[np.int16], seed: int) -> bytes:
    """One provider's masked update in a group of four."""
    secrets = [secrets_of(_deriver(seed, index)) for index in range(4)]
    keys = [one.exchange_key.public_key().public_bytes_raw() for one in secrets]
    context = RoundContext(31337, Address("0x" + "11" * 20), BountyId(1), 1, keccak(seed.to_bytes(8)))
    (group,) = draw_groups([Member(index, key) for index, key in enumerate(keys)], 4, 3, context.groups_seed)
    return mask_update(update_D, Seat(context, group, 0, secrets[0])).data


def _deriver(seed: int, index: int) -> Derive:
    return lambda label: keccak(seed.to_bytes(8) + index.to_bytes(8) + label)


# --- membership ---


def membership(task: Task, epsilon: float | None, seed: int) -> float:
    """The advantage (true less false positive rate) of the best threshold on the loss of canaries after training.

    epsilon: of the whole training; None: no noise, no clipping. What epsilon allows is `most_advantage`.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(task.labels))[: CANARIES + OTHERS]
    examples = task.examples(rows)
    labels = examples.labels.clone()
    labels[:CANARIES] = torch.tensor(rng.integers(0, 10, CANARIES))
    inside = np.concatenate([rng.random(CANARIES) < 0.5, np.ones(OTHERS, bool)])
    weights_D = initial_weights(task)
    taught = Examples(examples.features[inside], labels[inside])
    rate, steps = 0.25, 120
    if epsilon is None:
        after_D = _plainly(task, weights_D, taught, seed)
    else:
        batch = round(rate * (OTHERS + CANARIES // 2))
        noise = Noise(noise_for(epsilon, rate, steps), rate, steps, batch, 1.0)
        after_D = private_weights(task, weights_D, taught, noise, seed)
    return _advantage(_losses(task, after_D, replace(examples, labels=labels))[:CANARIES], inside[:CANARIES])


def most_advantage(epsilon: float) -> float:
    """What (epsilon, delta) allows any test of membership: Kairouz, Oh and Viswanath 2015, theorem 2.1."""
    return float((np.exp(epsilon) - 1 + 2 * DELTA) / (np.exp(epsilon) + 1))


def _plainly(task: Task, weights_D: NDArray[np.float32], examples: Examples, seed: int) -> NDArray[np.float32]:
    changed = {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 16, "local_epochs": 60}
    settings = task.manifest.training.model_copy(update=changed)
    return train(Job(task.trainer, layout(task.manifest), settings, "cross_entropy", weights_D, seed), examples).weights


def _losses(task: Task, weights_D: NDArray[np.float32], examples: Examples) -> NDArray[np.float64]:
    program = task.evaluator
    tensors = {name: torch.tensor(part) for name, part in unflatten(weights_D, layout(task.manifest)).items()}
    with torch.no_grad():
        outputs = program.run({**tensors, **program.local, **program.constants}, examples.features)
        return F.cross_entropy(outputs, examples.labels, reduction="none").double().numpy()


def _advantage(losses: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Of the threshold that the attacker would have chosen had it known the answers: no attacker does better."""
    order = inside[np.argsort(losses)]
    members, strangers = np.cumsum(order) / order.sum(), np.cumsum(~order) / (~order).sum()
    return float(np.max(members - strangers))

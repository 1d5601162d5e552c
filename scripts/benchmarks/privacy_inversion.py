"""Gradient inversion: what an onlooker makes of an update file that it found on IPFS.

The attack knows the model, the state and the labels, and looks for images whose gradient points where the update does:
cosine distance plus total variation, as in Geiping et al. 2020 ("Inverting Gradients").
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.model import layout, unflatten
from scripts.benchmarks.contribution_players import Task

STEPS = 800
STEP = 0.1
VARIATION = 1e-3
"""Weight of the total variation, in cosine distances."""


def psnr(found: Tensor, real: Tensor) -> float:
    """Peak signal-to-noise ratio of the best matched image, in dB; brightness 0 .. 1.

    Shapes: found, real (B, 1, H, W). Found images are matched to real ones so that the errors are least.
    """
    errors = ((found[:, None] - real[None]) ** 2).mean(dim=(2, 3, 4)).numpy()
    rows, columns = linear_sum_assignment(errors)
    return float(-10 * np.log10(max(errors[rows, columns].min(), 1e-12)))


def invert(task: Task, weights_D: NDArray[np.float32], update_D: NDArray[np.float32], labels: Tensor) -> Tensor:
    """Images whose gradient at the global weights has the direction of the update.

    Shapes: weights_D, update_D (D,) float32; labels (B,) -> (B, *input_shape) in 0 .. 1.
    """
    program, where = task.trainer, layout(task.manifest)
    tensors = {name: torch.tensor(part) for name, part in unflatten(weights_D, where).items()}
    trained = [tensors[name].requires_grad_(True) for name in tensors if name in program.parameters]
    parts = unflatten(update_D, where)
    wanted = [torch.tensor(parts[name]) for name in tensors if name in program.parameters]
    kept = {**tensors, **program.local, **program.constants}
    images = torch.rand(len(labels), *task.images.shape[1:], generator=torch.Generator().manual_seed(0)) * 0.2
    images.requires_grad_(True)
    optimizer = torch.optim.Adam([images], lr=STEP)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [STEPS // 2, STEPS * 3 // 4], 0.3)
    for _ in range(STEPS):
        loss = F.cross_entropy(program.run(kept, images), labels)
        gradient = torch.autograd.grad(loss, trained, create_graph=True)
        error = _cosine_distance(gradient, wanted) + VARIATION * _variation(images)
        (images.grad,) = torch.autograd.grad(error, [images])
        images.grad.sign_()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    return images.detach()


def _cosine_distance(gradient: tuple[Tensor, ...], update: list[Tensor]) -> Tensor:
    """1 - the cosine between the update and a step against the gradient."""
    products = sum(torch.sum(one * other) for one, other in zip(gradient, update, strict=True))
    lengths = [torch.sqrt(sum(torch.sum(part**2) for part in parts)) for parts in (gradient, update)]
    return 1 + products / (lengths[0] * lengths[1]).clamp_min(1e-12)


def _variation(images: Tensor) -> Tensor:
    rows, columns = images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]
    return rows.abs().mean() + columns.abs().mean()

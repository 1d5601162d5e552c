"""Networks of the attack bench, with all weights in one vector and gradients that add up where momentum is kept.

Shape suffixes: D coordinates, padding included; B examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from ledger.commitments import CHUNK


class BucketingStudy(nn.Module):
    """The network of the ICLR 2022 study, 1,199,882 weights. Shapes: (B, 1, 28, 28) -> (B, 10) scores.

    Its dropout is channel-wise after the pooling. The study restores torch's generator around each worker's step, so
    every worker drops the same channels and units at every step, by place in the batch: `masks` are drawn once.
    """

    def __init__(self, batch: int = 32) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.fc1, self.fc2 = nn.Linear(9216, 128), nn.Linear(128, 10)
        self.masks = ((torch.rand(batch, 1, 1, 64) < 0.75) / 0.75, (torch.rand(batch, 128) < 0.5) / 0.5)

    def forward(self, images: Tensor) -> Tensor:
        parts = F.max_pool2d(self.conv2(F.relu(self.conv1(images))), 2).permute(0, 2, 3, 1)
        kept = parts * self.masks[0] if self.training else parts
        units = F.relu(self.fc1(kept.flatten(1)))
        scores: Tensor = self.fc2(units * self.masks[1] if self.training else units)
        return scores


class ByzFL(nn.Module):
    """ByzFL's `cnn_mnist`, 431,080 weights. Shapes: (B, 1, 28, 28) -> (B, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, images: Tensor) -> Tensor:
        edges = F.max_pool2d(F.relu(self.conv1(images)), 2)
        parts = F.max_pool2d(F.relu(self.conv2(edges)), 2).permute(0, 2, 3, 1)
        scores: Tensor = self.fc2(F.relu(self.fc1(parts.flatten(1))))
        return scores


class Perceptron(nn.Module):
    """A hidden layer for the 8x8 digits, 2,410 weights. Shapes: (B, 64) brightness 0 .. 16 -> (B, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, brightness: Tensor) -> Tensor:
        scores: Tensor = self.output(F.gelu(self.hidden(brightness / 8 - 1)))
        return scores


class FlatModel:
    """A network whose weights are one vector `weights_D`, padded to whole chunks."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.used = sum(weight.numel() for weight in module.parameters())
        self.weights_D = np.zeros(-(-self.used // CHUNK) * CHUNK, np.float32)
        for weight, place in zip(module.parameters(), self._places(self.weights_D), strict=True):
            place.copy_(weight.data)
            weight.data = place

    def _places(self, vector_D: NDArray[np.float32]) -> list[Tensor]:
        """Views of a vector in each weight's shape; convolutions keep their channels last."""
        places, start, flat = [], 0, torch.from_numpy(vector_D)
        for weight in self.module.parameters():
            part = flat[start : start + weight.numel()]
            if weight.dim() == 4:
                out, channels, height, width = weight.shape
                places.append(part.view(out, height, width, channels).permute(0, 3, 1, 2))
            else:
                places.append(part.view(weight.shape))
            start += weight.numel()
        return places

    def add_gradient(self, images: Tensor, labels: Tensor, gain: float, into_D: NDArray[np.float32]) -> None:
        """Add `gain` times the gradient of a batch's mean loss."""
        for weight, place in zip(self.module.parameters(), self._places(into_D), strict=True):
            weight.grad = place
        self.module.train()
        loss = F.cross_entropy(self.module(images), labels)
        (loss * gain if gain != 1 else loss).backward()

    def add_gradients(self, images: Tensor, labels: Tensor, gain: float, into_ND: NDArray[np.float32]) -> None:
        """The same for one batch each of many workers, computed together: faster where the network is small.

        Shapes: images (N, B, ...), labels (N, B), into_ND (N, D).
        """
        weights = {name: weight.detach() for name, weight in self.module.named_parameters()}

        def loss(weights: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(self.module, weights, (images,)), labels)

        self.module.train()
        gradients = vmap(grad(loss), (None, 0, 0))(weights, images, labels)
        flat_NU = torch.cat([one.flatten(1) for one in gradients.values()], dim=1).numpy()
        into_ND[:, : self.used] += np.float32(gain) * flat_NU

    def classify(self, images: Tensor, size: int = 1000) -> NDArray[np.int64]:
        """The likeliest class of each image."""
        self.module.eval()
        found: Sequence[Tensor] = []
        with torch.no_grad():
            found = [self.module(images[start : start + size]).argmax(1) for start in range(0, len(images), size)]
        return torch.cat(list(found)).numpy()

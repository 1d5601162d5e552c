"""The manifest's section `[privacy]`: who may read updates, and their noise (docs/PROTOCOL.md, section 15)."""

from __future__ import annotations

from math import isqrt
from typing import Literal, Self

from pydantic import Field, model_validator

from node.manifest_sections import Section

PrivacyName = Literal["open", "dp", "masked", "encrypted"]

FAILURE_NATS = 28
"""Noise exceeds the room that the bound leaves it with a probability of at most exp(-28), about 2**-40."""

WIDEST_DRAW = 11
"""In sigmas: no coordinate of up to 2**31 has a greater draw, but with a probability of at most exp(-28)."""

_RECORD_KEYS = ("noise_multiplier", "sample_rate", "steps", "clip_norm")
_UPDATE_KEYS = ("update_noise", "honest")


class PrivacySection(Section):
    """Noise for single examples (the first four keys), for whole updates (the next two), or for both."""

    mode: PrivacyName
    noise_multiplier: float | None = Field(default=None, ge=0.3, le=1000)
    """sigma: the noise's standard deviation in units of `clip_norm`, in each step."""
    sample_rate: float | None = Field(default=None, gt=0, le=1)
    """q: each example is in a step's batch with this probability, independently of the others."""
    steps: int | None = Field(default=None, ge=1, le=1_000_000)
    """Steps of local training in a round."""
    clip_norm: float | None = Field(default=None, gt=0, le=1e6)
    """L2 bound on one example's gradient."""
    update_noise: int | None = Field(default=None, ge=1, le=4096)
    """sigma of the discrete Gaussian that each provider adds to each coordinate, in grid units."""
    honest: int | None = Field(default=None, ge=1, le=256)
    """How many providers' noise is taken to be in a sum of updates."""
    delta: float | None = Field(default=None, gt=0, le=0.01)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for keys in (_RECORD_KEYS, _UPDATE_KEYS):
            given = [key for key in keys if getattr(self, key) is not None]
            if given and len(given) < len(keys):
                raise ValueError(f"{', '.join(keys)} go together; only {', '.join(given)} is set")
        if self.mode == "open" and self.has_noise:
            raise ValueError('mode "open" has no noise; set mode = "dp"')
        if self.mode == "dp" and not self.has_noise:
            raise ValueError(f'mode "dp" needs {", ".join(_RECORD_KEYS)}, or {" and ".join(_UPDATE_KEYS)}, or all')
        if self.has_noise != (self.delta is not None):
            raise ValueError("delta goes with noise: set it where there is noise, and only there")
        return self

    @property
    def example_noise(self) -> tuple[float, float, int, float] | None:
        """sigma, q, the steps and the clipping norm of DP-SGD; None where local training is plain."""
        if self.noise_multiplier is None or self.sample_rate is None or self.steps is None or self.clip_norm is None:
            return None
        return self.noise_multiplier, self.sample_rate, self.steps, self.clip_norm

    @property
    def hides_examples(self) -> bool:
        """Whether local training is DP-SGD."""
        return self.example_noise is not None

    @property
    def has_noise(self) -> bool:
        return self.hides_examples or self.update_noise is not None

    def squared_bound(self, clipped: int, coordinates: int) -> int:
        """The bound on an update's squared norm that leaves room for its noise, in squared grid units.

        clipped: the bound before the noise.
        Holds:   noise takes an update over it with a probability of at most exp(-28): the norm of `D` independent
                 draws that are subgaussian with `sigma` is at most `sigma * (sqrt(D) + sqrt(2 * 28))`.
        Source:  Hsu, Kakade and Zhang 2012, arXiv:1110.2842, theorem 2.1.
        """
        sigma = self.update_noise or 0
        noise = sigma**2 * (coordinates + 2 * (isqrt(coordinates * FAILURE_NATS) + 1) + 2 * FAILURE_NATS)
        return clipped + noise + (2 * (isqrt(clipped * noise) + 1) if noise else 0)

    def widest_coordinate(self, clipped: int) -> int:
        """The greatest magnitude that a coordinate may get, noise included, in grid units."""
        return isqrt(clipped) + 1 + WIDEST_DRAW * self.update_noise if self.update_noise else 0

    @property
    def description(self) -> str:
        """What a person should know before joining."""
        parts = []
        if self.hides_examples:
            parts.append(
                f"{self.steps} steps a round, each on a sample of {self.sample_rate:g} of the examples, gradients "
                f"clipped to {self.clip_norm:g} each, noise of {self.noise_multiplier:g} times that"
            )
        if self.update_noise is not None:
            parts.append(
                f"discrete Gaussian noise of {self.update_noise} grid units on each update, {self.honest} in a sum"
            )
        return f"{self.mode}: {'; '.join(parts)} (delta {self.delta:g})" if parts else self.mode


OPEN = PrivacySection(mode="open")
"""What holds where the manifest has no section `[privacy]`."""

"""The problem: measurements y, the operator A that made them, the noise, and the geometry of the image.

What a generator makes may be larger than the image (its sides are multiples of a power of two); `Problem.crop` takes
the middle, so that any height and width from 1 up can be restored and nothing of the image is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F

from hybridprior._internal.random import stream
from hybridprior.analysis.noise import robust_sigma
from hybridprior.errors import ConfigError, InputError, ShapeError
from hybridprior.fidelities import CLEAN, FIDELITIES, ROBUST, SIGMA_FLOOR, SIGMA_MOST, Fidelity, Gaussian
from hybridprior.io.image import plausible
from hybridprior.operators.base import Box, Operator, Shape
from hybridprior.operators.mask import pull

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """One degraded image and what is known of how it came about."""

    y: torch.Tensor
    """The measurements; `(1, C, h, w)` for the built-in operators, intensity in [0, 1] plus noise."""
    operator: Operator
    """A."""
    fidelity: Fidelity
    """E."""
    shape: Shape
    """`(1, C, H, W)` of the image."""
    weights: torch.Tensor | None = None
    """How much each measurement counts in E, in y's shape; None counts each once."""

    @classmethod
    def make(
        cls,
        y: torch.Tensor,
        operator: Operator,
        fidelity: str | Fidelity | None = None,
        *,
        sigma: float | None = None,
    ) -> Problem:
        """Return the problem of restoring the image behind y.

        Args:
            y: The measurements.
            operator: What made them.
            fidelity: The noise, as an object or by a name in `FIDELITIES`; if not given what the operator knows, else
                Gaussian.
            sigma: Its level; estimated from y if not given.

        Raises:
            ShapeError: y is not one image, or not this operator's measurements.
            InputError: y holds a NaN, an infinite number or one that is no intensity where it counts.
            ConfigError: An unknown name, a sigma out of its range, or an operator without a gradient.
        """
        operator.check(y)
        shape = operator.image_shape(tuple(y.shape))  # type: ignore[arg-type]
        if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
            raise ShapeError(f"restore() takes one image, (1, C, H, W), not {tuple(shape)}; loop over a batch.")
        weights = operator.observed_mask(y)
        counted = y if weights is None else y[weights > 0]
        if not torch.isfinite(counted).all():
            raise InputError("The image has pixels that are NaN or infinite; mask them out or repair them first.")
        if operator.images and y.ndim == 4:
            plausible(counted, _nominal_sigma(fidelity, sigma))
        with torch.enable_grad():
            predicted = operator(torch.zeros(shape, dtype=y.dtype, device=y.device, requires_grad=True))
        if not isinstance(predicted, torch.Tensor) or not predicted.requires_grad:
            raise ConfigError("The operator has no gradient; make its tensor of the image's by torch alone.")
        if predicted.shape != y.shape:
            ours, theirs = tuple(y.shape), tuple(predicted.shape)
            raise ShapeError(f"The operator makes {theirs} of an image {shape}, but y is {ours}; name shape=.")
        if weights is not None:
            y = torch.where(weights > 0, y, torch.zeros_like(y))
        if fidelity is None and sigma is None:
            fidelity = operator.noise()
        if fidelity is None or isinstance(fidelity, str):
            fidelity = _expected(fidelity or "gaussian", y, operator, sigma)
        return cls(y, operator, fidelity, shape, weights)

    @property
    def noisy(self) -> bool:
        """Whether there is noise that a network would come to fit."""
        return self.fidelity.sigma > CLEAN or not isinstance(self.fidelity, Gaussian)

    @property
    def exact(self) -> bool:
        """Whether the measurements are what they are, without noise."""
        return self.fidelity.sigma <= SIGMA_FLOOR and isinstance(self.fidelity, Gaussian)

    @cached_property
    def count(self) -> float:
        """How many measurements count in E."""
        return float(self.y.numel() if self.weights is None else self.weights.sum())

    @property
    def pixels(self) -> int:
        """How many pixels were measured; channels count once."""
        return int(self._pixels().count_nonzero())

    def _pixels(self) -> torch.Tensor:
        weights = torch.ones_like(self.y) if self.weights is None else self.weights
        return weights.amax(dim=1, keepdim=True) if weights.ndim == 4 else weights

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        """Return E(A x; y) in nats, a scalar.

        Args:
            x: The image, `(1, C, H, W)`.
        """
        return self.fidelity(self.operator(x), self.y, self.weights)

    def error(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean squared residual of x over the measurements that count."""
        squared: torch.Tensor = (self.operator(x) - self.y).square()
        return (squared if self.weights is None else squared * self.weights).sum() / self.count

    def misfit(self, x: torch.Tensor) -> float:
        """Return how badly x explains the measurements, each on average: its `error`, or E where noise is not Gaussian.

        Outliers would have the last word in squares.
        """
        with torch.no_grad():
            return float(self.error(x) if isinstance(self.fidelity, Gaussian) else self.energy(x) / self.count)

    def hold_out(self, fraction: float, seed: int) -> tuple[Problem, Problem]:
        """Return the problem without, and with only, a part of its measurements.

        All channels of a pixel are kept or held out together. At least one pixel is held out and one kept.

        Args:
            fraction: Share of the measured pixels to hold out, in (0, 1).
            seed: Seed of the draw.

        Raises:
            InputError: Fewer than two pixels were measured.
        """
        weights = torch.ones_like(self.y) if self.weights is None else self.weights
        pixels = self._pixels()
        index = pixels.flatten().nonzero().flatten().cpu()
        if len(index) < 2:
            raise InputError("Two measured pixels are the least for holding one out; use stopping='fixed'.")
        held_out = torch.zeros(pixels.numel())
        order = torch.randperm(len(index), generator=stream(seed, "held out"))
        held_out[index[order[: min(max(round(fraction * len(index)), 1), len(index) - 1)]]] = 1
        share = held_out.reshape(pixels.shape).to(self.y)
        return replace(self, weights=weights * (1 - share)), replace(self, weights=weights * share)

    def recorrupt(self, share: float, seed: int) -> tuple[Problem, Problem]:
        """Return the problem with noisier measurements, and others of the same image whose noise is independent.

        With n drawn anew, y + a sigma n and y - sigma n / a have independent noise if y's is Gaussian (Oliveira, Lei,
        Tibshirani, "Unbiased Risk Estimation in the Normal Means Problem via Coupled Bootstrap Techniques", 2021;
        Pang et al., "Recorrupted-to-Recorrupted", CVPR 2021). Unlike pixels held out, these judge every pixel.

        Args:
            share: a^2 / (1 + a^2): how much of the information goes to the others, in (0, 1).
            seed: Seed of n.
        """
        a, sigma = math.sqrt(share / (1 - share)), self.fidelity.sigma
        noise = sigma * torch.randn(self.y.shape, generator=stream(seed, "parted")).to(self.y)
        weights = torch.ones_like(self.y) if self.weights is None else self.weights
        noisier = Gaussian(min(sigma * math.sqrt(1 + a**2), SIGMA_MOST))
        first = replace(self, y=self.y + a * noise * (weights > 0), fidelity=noisier)
        validation = Gaussian(min(sigma * math.sqrt(1 + a**-2), SIGMA_MOST))
        return first, replace(self, y=self.y - noise / a, fidelity=validation, weights=share * weights)

    def share(self, validation: Problem) -> float:
        """Return the share of all measurements that `hold_out` or `recorrupt` has put into a judge.

        Args:
            validation: The other part.
        """
        held_out = validation.y is self.y
        return validation.count / (self.count + validation.count if held_out else self.count)

    def tile(self, box: Box) -> Problem:
        """Return the problem of a part of the image.

        Args:
            box: The part, in multiples of the operator's `grid`.

        Raises:
            InputError: Nothing was measured there.
        """
        operator, part = self.operator.crop(box)
        weights = None if self.weights is None else part.of(self.weights)
        shape = (*self.shape[:2], box.height, box.width)
        return replace(self, y=part.of(self.y), operator=operator, shape=shape, weights=weights)

    def filled(self) -> torch.Tensor:
        """Return y with the mean of the neighbours where a measurement does not count, or 0 where y is no image.

        The neighbours are those of 5 x 5 pixels, or where none of them counts, as many more as it takes.
        """
        if self.weights is None or (self.y.ndim != 4 and self.operator.images):
            return self.y
        if not self.operator.images:
            return torch.where(self.weights > 0, self.y, torch.zeros_like(self.y))
        counted, weights = self.y * self.weights, self.weights.expand_as(self.y)
        total, share = (F.avg_pool2d(part, 5, 1, 2) for part in (counted, weights))
        near = total / share.clamp_min(1e-6)
        if bool((share == 0).any()):
            near = torch.where(share > 0, near, pull(counted, weights))
        return torch.where(self.weights > 0, self.y, near)

    def crop(self, x: torch.Tensor) -> torch.Tensor:
        """Return the middle of a generator's image x, in the image's own shape."""
        height, width = self.shape[-2:]
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]


def _nominal_sigma(fidelity: str | Fidelity | None, sigma: float | None) -> float:
    """Return the noise level that was told, 0 where there is none."""
    nominal_sigma = sigma if fidelity is None or isinstance(fidelity, str) else fidelity.sigma
    return nominal_sigma if nominal_sigma is not None and 0 <= nominal_sigma <= SIGMA_MOST else 0.0


def _expected(name: str, y: torch.Tensor, operator: Operator, sigma: float | None) -> Fidelity:
    """Return the fidelity of that name, at sigma or what y shows of it."""
    build, weights = FIDELITIES.find(name), operator.observed_mask(y)
    if sigma is None:
        sigma = robust_sigma(y, weights) if name in ROBUST else operator.noise_level(y)
    counted = y if weights is None else y[weights > 0]
    return build(sigma, float(counted.mean()))

"""The problem: measurements y, the operator A, the fidelity E, and the shape of the image; and its split.

The output of a generator may be larger than the image, since its sides are multiples of a power of two;
`Problem.crop` takes the middle, so that images of any height and width from 1 up can be restored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
import torch.nn.functional as F

from hybridprior._internal.random import stream
from hybridprior.errors import InputError, ShapeError
from hybridprior.fidelities import CLEAN, SIGMA_FLOOR, SIGMA_MOST, Fidelity, Gaussian
from hybridprior.io.image import plausible
from hybridprior.measurements import check_operator, fidelity_and_noise, nominal_level
from hybridprior.noise_model import NoiseModel
from hybridprior.operators.base import Box, Operator, Shape
from hybridprior.operators.mask import pull

__all__ = ["Problem", "Split"]


@dataclass(frozen=True)
class Split:
    """Measurements split into two problems: one to fit an image to, and one to validate it.

    Unpacks as `train, validation = split`.
    """

    train: Problem
    """The problem that images are fitted to."""
    validation: Problem
    """The same image, with measurements that are not in `train` or whose noise is independent."""
    kind: str
    """"hold_out": other pixels; "recorrupt": the same pixels with independent noise."""
    fraction: float
    """Share of the information that is in `validation`, in (0, 1)."""

    def __iter__(self) -> Iterator[Problem]:
        """Iterate over `train` and `validation`."""
        return iter((self.train, self.validation))


@dataclass(frozen=True)
class Problem:
    """One image to restore: measurements, operator, fidelity and weights.

    Example:
        >>> from hybridprior.operators import Identity
        >>> problem = Problem.make(torch.full((1, 3, 8, 8), 0.5), Identity(), sigma=0.1)
        >>> problem.shape, problem.pixels, problem.noisy
        ((1, 3, 8, 8), 64, True)
        >>> split = problem.hold_out(0.25, seed=0)
        >>> split.train.pixels, split.validation.pixels
        (48, 16)
    """

    y: torch.Tensor
    """The measurements; `(1, C, h, w)` for the built-in operators, intensity in [0, 1] plus noise."""
    operator: Operator
    """A."""
    fidelity: Fidelity
    """E."""
    shape: Shape
    """`(1, C, H, W)` of the image."""
    weights: torch.Tensor | None = None
    """Weight of each measurement in E, in y's shape; None for 1."""
    noise: NoiseModel = field(default_factory=NoiseModel)
    """The noise of y. White of the fidelity's level where the user gives a level, or where A is not the identity."""

    @classmethod
    def make(
        cls,
        y: torch.Tensor,
        operator: Operator,
        fidelity: str | Fidelity | None = None,
        *,
        sigma: float | None = None,
    ) -> Problem:
        """Return the problem of restoring one image from its measurements.

        Args:
            y: The measurements; `(1, C, h, w)` for the built-in operators, intensity in [0, 1] plus noise.
            operator: A.
            fidelity: E, as an object or by a name in `FIDELITIES`; `operator.noise()` if not given, else Gaussian.
            sigma: Noise level in units of intensity; estimated from y if not given.

        Raises:
            ShapeError: y is not one image, or not this operator's measurements.
            InputError: A measured value is NaN, infinite or far outside [0, 1].
            ConfigError: An unknown name, a sigma out of range, or an operator that is not differentiable.
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
            plausible(counted, nominal_level(fidelity, sigma))
        check_operator(operator, y, shape)
        if weights is not None:
            y = torch.where(weights > 0, y, torch.zeros_like(y))
        fidelity, noise = fidelity_and_noise(fidelity, y, operator, sigma)
        return cls(y, operator, fidelity, shape, weights, noise)

    @property
    def noisy(self) -> bool:
        """Whether the noise is above `CLEAN` or not Gaussian, so that a network would overfit it."""
        return self.fidelity.sigma > CLEAN or not isinstance(self.fidelity, Gaussian)

    @property
    def exact(self) -> bool:
        """Whether the measurements have no noise beyond rounding to eight bits."""
        return self.fidelity.sigma <= SIGMA_FLOOR and isinstance(self.fidelity, Gaussian)

    @cached_property
    def count(self) -> float:
        """Number of measurements in E; the sum of the weights where there are any."""
        return float(self.y.numel() if self.weights is None else self.weights.sum())

    @property
    def pixels(self) -> int:
        """Number of measured pixels; the channels of a pixel count once."""
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
        """Return the mean squared residual of x, `(1, C, H, W)`, over the measurements, a scalar."""
        squared: torch.Tensor = (self.operator(x) - self.y).square()
        return (squared if self.weights is None else squared * self.weights).sum() / self.count

    def misfit(self, x: torch.Tensor) -> float:
        """Return the validation error of x: its `error`, or E per measurement where the noise is not Gaussian.

        A squared error would depend on outliers only.

        Args:
            x: The image, `(1, C, H, W)`.
        """
        with torch.no_grad():
            return float(self.error(x) if isinstance(self.fidelity, Gaussian) else self.energy(x) / self.count)

    def hold_out(self, fraction: float, seed: int) -> Split:
        """Return the problem without some of its pixels, and the problem with only these.

        All channels of a pixel are held out together. Each part has at least one pixel.

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
            raise InputError("Holding out pixels takes two measured pixels at least; use stopping='fixed'.")
        held_out = torch.zeros(pixels.numel())
        order = torch.randperm(len(index), generator=stream(seed, "held out"))
        held_out[index[order[: min(max(round(fraction * len(index)), 1), len(index) - 1)]]] = 1
        share = held_out.reshape(pixels.shape).to(self.y)
        train, validation = replace(self, weights=weights * (1 - share)), replace(self, weights=weights * share)
        return Split(train, validation, "hold_out", train.share(validation))

    def recorrupt(self, fraction: float, seed: int) -> Split:
        """Return the problem with two noisier copies of y, whose noise is independent.

        With n drawn from a standard normal distribution, y + a sigma n and y - sigma n / a have independent noise if
        that of y is white and Gaussian of level sigma (Oliveira, Lei, Tibshirani, "Unbiased Risk Estimation in the
        Normal Means Problem via Coupled Bootstrap Techniques", 2021; Pang et al., "Recorrupted-to-Recorrupted", CVPR
        2021). Unlike held-out pixels, they validate every pixel.

        Args:
            fraction: a^2 / (1 + a^2): share of the information that goes to the validation copy, in (0, 1).
            seed: Seed of n.
        """
        a, sigma = math.sqrt(fraction / (1 - fraction)), self.fidelity.sigma
        noise = sigma * torch.randn(self.y.shape, generator=stream(seed, "parted")).to(self.y)
        weights = torch.ones_like(self.y) if self.weights is None else self.weights
        noisier = Gaussian(min(sigma * math.sqrt(1 + a**2), SIGMA_MOST))
        first = replace(self, y=self.y + a * noise * (weights > 0), fidelity=noisier)
        validation = Gaussian(min(sigma * math.sqrt(1 + a**-2), SIGMA_MOST))
        second = replace(self, y=self.y - noise / a, fidelity=validation, weights=fraction * weights)
        return Split(first, second, "recorrupt", fraction)

    def share(self, validation: Problem) -> float:
        """Return the share of the information that is in validation measurements of the same image.

        Args:
            validation: The other part of a `Split`.
        """
        held_out = validation.y is self.y
        return validation.count / (self.count + validation.count if held_out else self.count)

    def tile(self, box: Box) -> Problem:
        """Return the problem of a part of the image.

        Args:
            box: The part, in multiples of the operator's `tile_multiple`.

        Raises:
            InputError: Nothing was measured there.
        """
        operator, part = self.operator.crop(box)
        weights = None if self.weights is None else part.of(self.weights)
        shape = (*self.shape[:2], box.height, box.width)
        return replace(self, y=part.of(self.y), operator=operator, shape=shape, weights=weights)

    def filled(self) -> torch.Tensor:
        """Return y with missing pixels filled by the mean of their neighbours, or with 0 where y is not an image.

        The neighbours are those in 5 x 5 pixels; where none of them was measured, coarser averages are used.
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
        """Return the middle of a generator's output x, `(1, C, H, W)` in the image's shape."""
        height, width = self.shape[-2:]
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]

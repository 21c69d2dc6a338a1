"""JPEG: cosine coefficients of the image are rounded to multiples of quantisation steps. The task is artefact removal.

The rounding error is treated as noise of A = 1. In the end the image is projected onto the images that compress to the
same file, coefficient by coefficient (Rosenholtz and Zakhor, "Iterative Procedures for Reduction of Blocking Effects in
Transform Image Coding", IEEE TCSVT 1992). The intervals are narrower than the steps, which Park and Kim ("Theory of
Projection onto the Narrow Quantization Constraint Set", IEEE TCSVT 1999) found to be more accurate. Coefficients as
measurements with a variance each were tried and are worse.
"""

from __future__ import annotations

import math
import os
from typing import BinaryIO

import torch
import torch.nn.functional as F

from hybridprior.analysis.estimate import estimate_noise
from hybridprior.analysis.jpeg import quality_of, zeroed_variance
from hybridprior.errors import InputError, ShapeError
from hybridprior.fidelities import Fidelity, Gaussian
from hybridprior.noise_model import NoiseModel
from hybridprior.operators.base import OPERATORS, Box, Operator
from hybridprior.operators.identity import Identity

__all__ = ["Jpeg"]

BLOCK = 8
"""Side of a block."""

NARROW = 0.35
"""Half the width of an interval, in steps; 1/2 is the whole rounding interval."""

COLOURS = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""Luma and the two colour differences of RGB (JFIF)."""

SAMPLING = {0: (1, 1), 1: (1, 2), 2: (2, 2)}
"""Pillow's number of a subsampling -> rows and columns of pixels that share a colour sample."""


@OPERATORS.register("jpeg")
class Jpeg(Identity):
    """A x = x, up to the rounding of a JPEG file.

    Example:
        >>> operator = Jpeg(torch.full((1, 3, 16, 16), 0.5), torch.full((1, 8, 8), 10.0))
        >>> operator.task, operator.is_identity
        ('dejpeg', True)
    """

    task = "dejpeg"
    image: torch.Tensor
    steps: torch.Tensor

    def __init__(self, image: torch.Tensor, steps: torch.Tensor, subsampling: tuple[int, int] = (1, 1)) -> None:
        """Take the contents of the file.

        Args:
            image: The decoded file, `(1, 1 or 3, H, W)` in [0, 1]; its blocks start in the upper left corner.
            steps: Quantisation steps of luma and of colours, `(1 or 2, 8, 8)`, in units of 0-255.
            subsampling: Rows and columns of pixels that share a colour sample.

        Raises:
            ShapeError: Another shape of the image or of the tables.
        """
        super().__init__()
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
            raise ShapeError(f"A JPEG file has one grey or RGB image, (1, 1 or 3, H, W), not {tuple(image.shape)}.")
        if steps.ndim != 3 or steps.shape[1:] != (BLOCK, BLOCK):
            raise ShapeError(f"Quantisation tables have the shape (1 or 2, 8, 8), not {tuple(steps.shape)}.")
        self.subsampling = subsampling
        self.register_buffer("image", image.detach().float())
        self.register_buffer("steps", steps.float() / 255)

    @classmethod
    def of_file(cls, file: str | os.PathLike[str] | BinaryIO, image: torch.Tensor) -> Jpeg:
        """Return the operator of a JPEG file, from its tables.

        Args:
            file: The file.
            image: Its pixels, `(1, 1 or 3, H, W)`, neither rotated nor cropped.

        Raises:
            InputError: Not a JPEG file, or one of another size.
        """
        from PIL import Image, JpegImagePlugin

        with Image.open(file) as pil:
            tables = getattr(pil, "quantization", None)
            if not tables or pil.size != (image.shape[-1], image.shape[-2]):
                raise InputError(
                    "This is not the JPEG file of this image; give the file that the pixels were read from."
                )
            sampling = JpegImagePlugin.get_sampling(pil)
        steps = torch.tensor([tables[key] for key in sorted(tables)][:2], dtype=torch.float32)
        return cls(image, steps.reshape(-1, BLOCK, BLOCK), SAMPLING.get(sampling, (1, 1)))

    def noise(self) -> Fidelity | None:
        """Return Gaussian E at the level of the rounding error: see `hybridprior.analysis.jpeg`."""
        squares = [_rounding_error(plane, steps).flatten() for plane, steps in self._coefficients(self.image)]
        return Gaussian(float(torch.cat(squares).mean().sqrt()))

    def noise_model(self, y: torch.Tensor) -> NoiseModel:
        """Return the errors of JPEG: level and correlation estimated from y, quantisation from the file's tables."""
        return estimate_noise(y, jpeg_quality=quality_of(255 * self.steps[0].double().cpu()))

    def enforce_consistency(self, x: torch.Tensor, y: torch.Tensor, *, noisy: bool) -> torch.Tensor:
        """Return x with its coefficients clamped to the file's intervals."""
        changes: list[torch.Tensor] = []
        for (stored, steps), (found, _) in zip(
            self._coefficients(self.image), self._coefficients(x.to(self.image)), strict=True
        ):
            inside = torch.minimum(torch.maximum(found, stored - NARROW * steps), stored + NARROW * steps)
            changes.append(self._decoded(inside - found, luma=not changes))
        change = torch.stack(changes, dim=1)
        if x.shape[1] == 3:
            change = torch.einsum("ck,bkhw->bchw", torch.linalg.inv(torch.tensor(COLOURS)).to(change), change)
        return x + change.to(x)

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the identity, and the same part."""
        return Identity(), box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y does not have the shape of the file's image."""
        if y.shape != self.image.shape:
            raise ShapeError(f"The JPEG file's image has the shape {tuple(self.image.shape)}, and y {tuple(y.shape)}.")

    def _coefficients(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the cosine coefficients `(1, rows, 8, columns, 8)` of luma and colours, and their steps."""
        planes = x - 128 / 255
        if x.shape[1] == 3:
            planes = torch.einsum("kc,bchw->bkhw", torch.tensor(COLOURS).to(x), planes)
        made = []
        for number in range(x.shape[1]):
            down, across = self.subsampling if number else (1, 1)
            bottom, right = (-side % (BLOCK * share) for side, share in zip(x.shape[2:], (down, across), strict=True))
            plane = F.pad(planes[:, number : number + 1], (0, right, 0, bottom), mode="replicate")
            plane = F.avg_pool2d(plane, (down, across))[:, 0]
            blocks = plane.reshape(1, plane.shape[1] // BLOCK, BLOCK, -1, BLOCK)
            steps = self.steps[min(number, len(self.steps) - 1)]
            made.append((torch.einsum("brucv,iu,jv->bricj", blocks, *[_basis().to(x)] * 2), steps[:, None]))
        return made

    def _decoded(self, coefficients: torch.Tensor, *, luma: bool) -> torch.Tensor:
        """Return a plane `(1, H, W)`; pixels that share a colour sample get the same value."""
        blocks = torch.einsum("bricj,iu,jv->brucv", coefficients, *[_basis().to(coefficients)] * 2)
        plane = blocks.flatten(3).flatten(1, 2)
        if not luma:
            down, across = self.subsampling
            plane = plane.repeat_interleave(down, 1).repeat_interleave(across, 2)
        return plane[:, : self.image.shape[2], : self.image.shape[3]]


def _rounding_error(coefficients: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the mean squared rounding error of each coefficient."""
    nonzero = coefficients.abs() > steps / 2
    share = nonzero.float().mean(dim=(0, 1, 3), keepdim=True)
    return torch.where(nonzero, steps.square() / 12, zeroed_variance(share, steps))


def _basis() -> torch.Tensor:
    """Return the orthonormal cosine transform of eight numbers, `(8, 8)`."""
    frequency, place = torch.meshgrid(*[torch.arange(BLOCK, dtype=torch.float64)] * 2, indexing="ij")
    basis = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis

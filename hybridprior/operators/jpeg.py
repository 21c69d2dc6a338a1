"""JPEG: the image was rounded to the steps of a file. The task is the removal of its artefacts.

What was rounded away is treated as noise of A = 1, and in the end the image is projected onto those that round to
the same file, coefficient by coefficient (Rosenholtz and Zakhor, "Iterative Procedures for Reduction of Blocking
Effects in Transform Image Coding", IEEE TCSVT 1992). Departs from them in that the intervals are narrower than the
steps, as Park and Kim ("Theory of Projection onto the Narrow Quantization Constraint Set", IEEE TCSVT 1999) found to
be closer to the truth. Coefficients as measurements, each with its own variance, were tried instead and are worse.
"""

from __future__ import annotations

import math
import os
from typing import BinaryIO

import torch
import torch.nn.functional as F

from hybridprior.analysis.jpeg import zeroed
from hybridprior.errors import InputError, ShapeError
from hybridprior.fidelities import Fidelity, Gaussian
from hybridprior.operators.base import OPERATORS, Box, Operator
from hybridprior.operators.identity import Identity

__all__ = ["Jpeg"]

BLOCK = 8
"""Side of a block."""

NARROW = 0.35
"""Half the width of an interval, in steps; 1/2 is the file's own."""

COLOURS = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""Luma and the two differences of colour: JFIF."""

SAMPLING = {0: (1, 1), 1: (1, 2), 2: (2, 2)}
"""Pillow's number of a subsampling -> rows and columns of pixels that share their colour."""


@OPERATORS.register("jpeg")
class Jpeg(Identity):
    """A x = x, up to what a JPEG file rounded away."""

    task = "dejpeg"
    image: torch.Tensor
    steps: torch.Tensor

    def __init__(self, image: torch.Tensor, steps: torch.Tensor, subsampling: tuple[int, int] = (1, 1)) -> None:
        """Keep what the file says.

        Args:
            image: The decoded file, `(1, 1 or 3, H, W)` in [0, 1], its blocks starting in the upper left corner.
            steps: Quantisation steps of luma and of colours, `(1 or 2, 8, 8)`, in units of 0-255.
            subsampling: Rows and columns of pixels that share their colour.

        Raises:
            ShapeError: No image, or no tables.
        """
        super().__init__()
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
            raise ShapeError(f"JPEG holds one grey or RGB image, (1, 1 or 3, H, W), not {tuple(image.shape)}.")
        if steps.ndim != 3 or steps.shape[1:] != (BLOCK, BLOCK):
            raise ShapeError(f"Quantisation tables have the shape (1 or 2, 8, 8), not {tuple(steps.shape)}.")
        self.subsampling = subsampling
        self.register_buffer("image", image.detach().float())
        self.register_buffer("steps", steps.float() / 255)

    @classmethod
    def of_file(cls, file: str | os.PathLike[str] | BinaryIO, image: torch.Tensor) -> Jpeg:
        """Return the operator of a JPEG file, by its tables.

        Args:
            file: The file.
            image: Its pixels, `(1, 1 or 3, H, W)`, as the file has them: not turned, nor cropped.

        Raises:
            InputError: It is no JPEG file, or one of another size.
        """
        from PIL import Image, JpegImagePlugin

        with Image.open(file) as pil:
            tables = getattr(pil, "quantization", None)
            if not tables or pil.size != (image.shape[-1], image.shape[-2]):
                raise InputError("This is no JPEG file of this image, whose tables say what was rounded away.")
            sampling = JpegImagePlugin.get_sampling(pil)
        steps = torch.tensor([tables[key] for key in sorted(tables)][:2], dtype=torch.float32)
        return cls(image, steps.reshape(-1, BLOCK, BLOCK), SAMPLING.get(sampling, (1, 1)))

    def noise(self) -> Fidelity | None:
        """Return the Gaussian E of what was rounded away: see `hybridprior.analysis.jpeg`."""
        squares = [_lost(plane, steps).flatten() for plane, steps in self._coefficients(self.image)]
        return Gaussian(float(torch.cat(squares).mean().sqrt()))

    def enforce_consistency(self, x: torch.Tensor, y: torch.Tensor, *, noisy: bool) -> torch.Tensor:
        """Return the image whose coefficients lie in the file's intervals, and else are x's."""
        changes: list[torch.Tensor] = []
        for (theirs, steps), (ours, _) in zip(
            self._coefficients(self.image), self._coefficients(x.to(self.image)), strict=True
        ):
            inside = torch.minimum(torch.maximum(ours, theirs - NARROW * steps), theirs + NARROW * steps)
            changes.append(self._decoded(inside - ours, luma=not changes))
        change = torch.stack(changes, dim=1)
        if x.shape[1] == 3:
            change = torch.einsum("ck,bkhw->bchw", torch.linalg.inv(torch.tensor(COLOURS)).to(change), change)
        return x + change.to(x)

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the identity, and the same part."""
        return Identity(), box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y is not of the file's size."""
        if y.shape != self.image.shape:
            raise ShapeError(f"The JPEG file's image is {tuple(self.image.shape)}, and y {tuple(y.shape)}.")

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
        """Return a plane `(1, H, W)`; pixels that share their colour get the same."""
        blocks = torch.einsum("bricj,iu,jv->brucv", coefficients, *[_basis().to(coefficients)] * 2)
        plane = blocks.flatten(3).flatten(1, 2)
        if not luma:
            down, across = self.subsampling
            plane = plane.repeat_interleave(down, 1).repeat_interleave(across, 2)
        return plane[:, : self.image.shape[2], : self.image.shape[3]]


def _lost(coefficients: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the mean square of what is not known of each coefficient."""
    kept = coefficients.abs() > steps / 2
    share = kept.float().mean(dim=(0, 1, 3), keepdim=True)
    return torch.where(kept, steps.square() / 12, zeroed(share, steps))


def _basis() -> torch.Tensor:
    """Return the orthonormal cosine transform of eight numbers, `(8, 8)`."""
    frequency, place = torch.meshgrid(*[torch.arange(BLOCK, dtype=torch.float64)] * 2, indexing="ij")
    basis = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis

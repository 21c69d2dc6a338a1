"""Blur kernels (point spread functions): from a file, a Gaussian, or a straight motion.

A kernel is `(h, w)`, float32, not negative and of sum 1, so that blurring keeps the mean intensity.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import torch

from hybridprior.errors import ConfigError, InputError

__all__ = ["gaussian", "make_psf", "motion", "normalised", "read_psf"]

REACH = 4.0
"""Half width of a Gaussian kernel, in units of its sigma."""

FINE = 8
"""Points per pixel of the line of a motion kernel."""

MAX_SIDE = 255
"""The longest side of a kernel."""


def make_psf(text: str) -> torch.Tensor:
    """Return the kernel described by a text.

    Args:
        text: "gaussian:SIGMA", "motion:LENGTH:ANGLE", or a file: PNG, NPY, or NPZ with the array's name, "file.npz:k3".

    Returns:
        The kernel, `(h, w)`.

    Raises:
        ConfigError: Numbers that are missing or out of range.
        InputError: A file without a kernel.

    Example:
        >>> make_psf("motion:3:0").shape
        torch.Size([1, 3])
    """
    kind, _, rest = text.partition(":")
    made = {"gaussian": (gaussian, 1), "motion": (motion, 2)}.get(kind)
    if made is None:
        return read_psf(text)
    build, count = made
    try:
        numbers = [float(part) for part in rest.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ConfigError(f"A kernel is gaussian:SIGMA, motion:LENGTH:ANGLE or a file, not '{text}'.")
    return build(*numbers)  # type: ignore[operator, no-any-return]


def gaussian(sigma: float) -> torch.Tensor:
    """Return a Gaussian kernel, `(h, h)`.

    Args:
        sigma: Its standard deviation in pixels.

    Raises:
        ConfigError: A sigma that is not positive, or too large.

    Example:
        >>> gaussian(0.5).shape
        torch.Size([5, 5])
    """
    if not (math.isfinite(sigma) and 0 < sigma <= MAX_SIDE / (2 * REACH)):
        raise ConfigError(f"sigma of a Gaussian lies between 0 and {MAX_SIDE / (2 * REACH):g} pixels, not {sigma:g}.")
    reach = math.ceil(REACH * sigma)
    taps = torch.exp(-(torch.arange(-reach, reach + 1).double() / sigma).square() / 2)
    return normalised(taps[:, None] * taps)


def motion(length: float, angle: float) -> torch.Tensor:
    """Return the kernel of a camera that moves along a straight line at constant speed, `(h, w)`.

    Args:
        length: Length of the line in pixels.
        angle: In degrees, from the horizontal, counter-clockwise.

    Raises:
        ConfigError: A length below 1 or too large, or an angle that is not finite.

    Example:
        >>> motion(3, 0).shape
        torch.Size([1, 3])
    """
    if not (1 <= length <= MAX_SIDE and math.isfinite(angle)):
        raise ConfigError(
            f"A motion has a length of 1 to {MAX_SIDE} pixels and an angle in degrees, not {length:g} and {angle:g}."
        )
    count = max(1, round(FINE * length))
    steps = ((torch.arange(count) + 0.5).double() / count - 0.5) * length
    rows, columns = -steps * math.sin(math.radians(angle)), steps * math.cos(math.radians(angle))
    return normalised(_shares(rows) @ _shares(columns).T)


def read_psf(name: str) -> torch.Tensor:
    """Return the kernel in a file.

    Args:
        name: An image, an NPY file, or an NPZ file; "file.npz:k3" is the array k3 in it. The name of the array may be
            left out where the file has only one.

    Returns:
        The kernel, `(h, w)`.

    Raises:
        InputError: No such file, or a file without a kernel.
    """
    path, _, key = name.rpartition(":") if ".npz:" in name else (name, "", "")
    if not Path(path).is_file():
        raise InputError(f"There is no kernel file '{path}'.")
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", ".npz"):
        from hybridprior.io.files import read_image

        return _from(read_image(path).pixels[0].mean(dim=0).numpy(), name)
    try:
        with Path(path).open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if suffix == ".npy":
                return _from(loaded, name)
            keys = list(loaded)
            if key not in keys and (key or len(keys) != 1):
                raise InputError(f"'{path}' has the kernels {', '.join(keys)}; name one: {path}:{keys[0]}.")
            return _from(loaded[key or keys[0]], name)
    except (ValueError, OSError, EOFError, IndexError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{path}' cannot be read as an array; it is damaged, or contains objects.") from error


def normalised(kernel: torch.Tensor) -> torch.Tensor:
    """Return a kernel as float32 of sum 1.

    Args:
        kernel: `(h, w)`.

    Raises:
        InputError: Another shape, a number that is negative or not finite, or only zeros.

    Example:
        >>> normalised(torch.ones(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    if kernel.ndim != 2 or not 1 <= min(kernel.shape) <= max(kernel.shape) <= MAX_SIDE:
        raise InputError(f"A kernel has the shape (h, w) with sides up to {MAX_SIDE}, not {tuple(kernel.shape)}.")
    kernel = kernel.double()
    if not torch.isfinite(kernel).all() or (kernel < 0).any() or not kernel.sum() > 0:
        raise InputError("A kernel has finite numbers, none of them negative and not all of them zero.")
    return (kernel / kernel.sum()).float()


def _from(array: np.ndarray, name: str) -> torch.Tensor:
    try:
        return normalised(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)))
    except (TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputError) else "It has no numbers."
        raise InputError(f"'{name}' is not a kernel. {reason}") from error


def _shares(places: torch.Tensor) -> torch.Tensor:
    """Return 1 where a point `(N,)` lies in a pixel of a centred side, and 0 elsewhere, `(2 reach + 1, N)`."""
    nearest = places.round().long()
    reach = int(nearest.abs().max())
    return (torch.arange(-reach, reach + 1)[:, None] == nearest).double()

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
"""Half width of a Gaussian's kernel, in units of its sigma."""

FINE = 8
"""Points a pixel that a motion's line is drawn with."""

MOST = 255
"""The longest side of a kernel."""


def make_psf(text: str) -> torch.Tensor:
    """Return the kernel that a text names.

    Args:
        text: "gaussian:SIGMA", "motion:LENGTH:ANGLE", or a file: PNG, NPY, or NPZ with the array's name, "file.npz:k3".

    Raises:
        ConfigError: Numbers that make no kernel.
        InputError: A file that holds no kernel.
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
    """Return a Gaussian kernel.

    Args:
        sigma: Its standard deviation in pixels.

    Raises:
        ConfigError: A sigma that is not positive, or too large for a kernel.
    """
    if not (math.isfinite(sigma) and 0 < sigma <= MOST / (2 * REACH)):
        raise ConfigError(f"A Gaussian's sigma lies between 0 and {MOST / (2 * REACH):g} pixels, not {sigma:g}.")
    reach = math.ceil(REACH * sigma)
    taps = torch.exp(-(torch.arange(-reach, reach + 1).double() / sigma).square() / 2)
    return normalised(taps[:, None] * taps)


def motion(length: float, angle: float) -> torch.Tensor:
    """Return the kernel of a camera that moved along a straight line at one speed.

    Args:
        length: Of the line, in pixels.
        angle: In degrees, from the horizontal, counter-clockwise.

    Raises:
        ConfigError: A length below 1 or too large, or an angle that is no number.
    """
    if not (1 <= length <= MOST and math.isfinite(angle)):
        raise ConfigError(f"A motion has a length of 1 to {MOST} pixels and an angle, not {length:g} and {angle:g}.")
    count = max(1, round(FINE * length))
    steps = ((torch.arange(count) + 0.5).double() / count - 0.5) * length
    rows, columns = -steps * math.sin(math.radians(angle)), steps * math.cos(math.radians(angle))
    return normalised(_shares(rows) @ _shares(columns).T)


def read_psf(name: str) -> torch.Tensor:
    """Return the kernel in a file.

    Args:
        name: An image, an NPY file, or an NPZ file; "file.npz:k3" is the array k3 in it, which a file of one array
            need not name.

    Raises:
        InputError: No such file, or one that holds no kernel.
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
        raise InputError(f"'{path}' cannot be read as an array; it is damaged, or holds objects.") from error


def normalised(kernel: torch.Tensor) -> torch.Tensor:
    """Return a kernel as float32 of sum 1.

    Args:
        kernel: `(h, w)`.

    Raises:
        InputError: Another shape, a number that is negative or not finite, or nothing but zeros.
    """
    if kernel.ndim != 2 or not 1 <= min(kernel.shape) <= max(kernel.shape) <= MOST:
        raise InputError(f"A kernel has the shape (h, w) with sides up to {MOST}, not {tuple(kernel.shape)}.")
    kernel = kernel.double()
    if not torch.isfinite(kernel).all() or (kernel < 0).any() or not kernel.sum() > 0:
        raise InputError("A kernel holds finite numbers, none of them negative and not all of them zero.")
    return (kernel / kernel.sum()).float()


def _from(array: np.ndarray, name: str) -> torch.Tensor:
    try:
        return normalised(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)))
    except (TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputError) else "It holds no numbers."
        raise InputError(f"'{name}' is no kernel. {reason}") from error


def _shares(places: torch.Tensor) -> torch.Tensor:
    """Return 1 where a point `(N,)` lies in a pixel of a side that is centred at 0, `(2 reach + 1, N)`."""
    nearest = places.round().long()
    reach = int(nearest.abs().max())
    return (torch.arange(-reach, reach + 1)[:, None] == nearest).double()

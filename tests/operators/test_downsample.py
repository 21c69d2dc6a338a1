"""The kernels of downsampling."""

import numpy as np
import torch

from hybridprior.operators import Downsample


def test_lanczos2_is_the_papers_kernel() -> None:
    """At x4: sixteen taps, distances (i + 1/2) / 4, sinc times sinc of half the argument, normalised."""
    t = (np.arange(16) - 7.5) / 4
    taps = np.sinc(t) * np.sinc(t / 2)
    row = Downsample(4).matrix(64, torch.zeros(1, dtype=torch.float64))[8]
    np.testing.assert_allclose(row[26:42].numpy(), taps / taps.sum(), atol=1e-12)
    assert float(row[:26].abs().sum() + row[42:].abs().sum()) == 0


def test_bicubic_agrees_with_torchs_antialiased_resize(photograph: torch.Tensor) -> None:
    ours = Downsample(4, "bicubic")(photograph)
    theirs = torch.nn.functional.interpolate(photograph, scale_factor=0.25, mode="bicubic", antialias=True)
    torch.testing.assert_close(ours[..., 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], atol=1e-4, rtol=0)

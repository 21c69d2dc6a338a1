"""The estimate of sigma."""

import pytest
import torch

from hybridprior import estimate_sigma
from hybridprior.fidelities import SIGMA_FLOOR


@pytest.mark.parametrize("sigma", [5, 15, 25, 50, 100])
def test_the_estimate_of_sigma(photograph: torch.Tensor, sigma: float) -> None:
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(sigma))
    assert 255 * estimate_sigma(photograph + sigma / 255 * noise) == pytest.approx(sigma, rel=0.1, abs=1)


def test_sigma_of_clean_tiny_and_masked_images(photograph: torch.Tensor) -> None:
    assert estimate_sigma(torch.full((1, 3, 64, 64), 0.3)) == SIGMA_FLOOR
    assert estimate_sigma(torch.rand(1, 3, 5, 5)) == SIGMA_FLOOR
    noisy = photograph + 0.1 * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, 1, *photograph.shape[-2:])
    known[..., 40:90, 60:120] = 0
    assert estimate_sigma(noisy * known, known) == pytest.approx(0.1, rel=0.1)
    scattered = (torch.rand(1, 1, *photograph.shape[-2:]) > 0.5).float()
    assert estimate_sigma(noisy * scattered, scattered) == SIGMA_FLOOR

"""Degradations follow the protocols of the benchmarks."""

import pytest
import torch

from hybridprior import ConfigError
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.operators import Downsample, Mask


def test_degradations_follow_the_protocol(photograph: torch.Tensor) -> None:
    y, _ = degrade(photograph, Degradation("denoise", sigma=25 / 255, seed=3))
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(3))
    assert torch.equal(y, photograph + 25 / 255 * noise)
    small, operator = degrade(photograph, Degradation("sr", scale=4))
    assert isinstance(operator, Downsample)
    assert small.shape == (1, 3, 48, 64)
    holes, mask = degrade(photograph, Degradation("inpaint", missing=0.8))
    assert isinstance(mask, Mask)
    assert float(mask.known.mean()) == pytest.approx(0.2, abs=0.01)
    assert torch.equal(holes, photograph * mask.known)
    with pytest.raises(ConfigError, match="multiple of 5"):
        degrade(photograph, Degradation("sr", scale=5))

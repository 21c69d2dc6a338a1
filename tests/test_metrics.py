"""Metrics agree with scikit-image and with the conventions of the literature."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hybridprior import ShapeError
from hybridprior.metrics import luma, psnr, psnr_for_task, ssim


def test_metrics_agree_with_scikit_image(photograph: torch.Tensor) -> None:
    truth = photograph
    x = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    a, b = (t[0].permute(1, 2, 0).double().numpy() for t in (x, truth))
    assert psnr(x, truth) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4)
    theirs = structural_similarity(
        a, b, channel_axis=-1, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(x, truth) == pytest.approx(theirs, abs=0.01)
    assert ssim(x[..., :4, :4], truth[..., :4, :4]) is None
    assert psnr(x + 5, torch.ones_like(x)) > 100  # clipped first
    with pytest.raises(ShapeError, match="different shapes"):
        psnr(x, truth[..., 1:])


def test_luma_and_the_border_of_super_resolution() -> None:
    white = torch.ones(1, 3, 12, 12)
    torch.testing.assert_close(luma(white), torch.full((1, 1, 12, 12), 235 / 255), atol=1e-4, rtol=0)
    torch.testing.assert_close(luma(0 * white), torch.full((1, 1, 12, 12), 16 / 255), atol=1e-4, rtol=0)
    damaged = white.clone()
    damaged[..., :4, :] = 0
    assert psnr_for_task(damaged, white, "sr") > 100
    assert psnr_for_task(damaged, white, "denoise") < 10

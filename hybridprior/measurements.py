"""What a problem is made of beside the measurements y: checks of the operator, E, and the noise model."""

from __future__ import annotations

import torch

from hybridprior.analysis.noise import robust_sigma
from hybridprior.errors import ConfigError, ShapeError
from hybridprior.fidelities import FIDELITIES, ROBUST, SIGMA_FLOOR, SIGMA_MOST, Fidelity, Gaussian
from hybridprior.noise_model import NoiseModel
from hybridprior.operators.base import Operator, Shape

__all__ = ["check_operator", "fidelity_and_noise", "nominal_level"]


def check_operator(operator: Operator, y: torch.Tensor, shape: Shape) -> None:
    """Raise an error for an operator that is not differentiable, or whose measurements have another shape than y."""
    with torch.enable_grad():
        predicted = operator(torch.zeros(shape, dtype=y.dtype, device=y.device, requires_grad=True))
    if not isinstance(predicted, torch.Tensor) or not predicted.requires_grad:
        raise ConfigError("The operator is not differentiable. Compute its output from x with torch operations only.")
    if predicted.shape != y.shape:
        given, made = tuple(y.shape), tuple(predicted.shape)
        raise ShapeError(
            f"The operator maps an image {shape} to measurements {made}, but y is {given}; give the image's shape="
            "(1, C, H, W)."
        )


def nominal_level(fidelity: str | Fidelity | None, sigma: float | None) -> float:
    """Return the noise level given by the user, 0 where there is none."""
    nominal_sigma = sigma if fidelity is None or isinstance(fidelity, str) else fidelity.sigma
    return nominal_sigma if nominal_sigma is not None and 0 <= nominal_sigma <= SIGMA_MOST else 0.0


def fidelity_and_noise(
    fidelity: str | Fidelity | None, y: torch.Tensor, operator: Operator, sigma: float | None
) -> tuple[Fidelity, NoiseModel]:
    """Return E and the noise: both estimated from y where the user gives neither a level nor an object."""
    noise = operator.noise_model(y) if sigma is None and fidelity in (None, "gaussian") else None
    if fidelity is None and sigma is None:
        fidelity = operator.noise()
    if fidelity is None or isinstance(fidelity, str):
        if noise is None:
            fidelity = _expected(fidelity or "gaussian", y, operator, sigma)
        else:
            fidelity = Gaussian(max(noise.sigma, SIGMA_FLOOR))
    return fidelity, noise or NoiseModel.white(fidelity.sigma)


def _expected(name: str, y: torch.Tensor, operator: Operator, sigma: float | None) -> Fidelity:
    """Return the fidelity of that name at sigma, estimated from y if not given."""
    build, weights = FIDELITIES.find(name), operator.observed_mask(y)
    if sigma is None:
        sigma = robust_sigma(y, weights) if name in ROBUST else operator.noise_level(y)
    counted = y if weights is None else y[weights > 0]
    return build(sigma, float(counted.mean()))

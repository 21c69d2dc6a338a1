"""The Gaussian fidelity is a negative log-likelihood."""

import torch

from hybridprior.fidelities import Gaussian


def test_the_energy_is_a_log_likelihood() -> None:
    y, x = torch.tensor([[[[0.2, 0.9]]]]), torch.tensor([[[[0.1, 0.5]]]])
    normal = torch.distributions.Normal(x, 0.1)
    expected = -(normal.log_prob(y) - normal.log_prob(x)).sum()
    torch.testing.assert_close(Gaussian(0.1)(x, y), expected)
    torch.testing.assert_close(Gaussian(0.1)(x, y, torch.tensor([[[[0.0, 1.0]]]])), torch.tensor(0.4**2 / 0.02))

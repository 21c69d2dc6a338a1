"""The oracle's state survives an interruption."""

import pytest
import torch


def test_the_oracle_remembers_across_an_interrupt() -> None:
    from hybridprior.evaluation.oracle import Oracle
    from hybridprior.result import Step

    def step(number: int, value: float) -> Step:
        x = torch.full((1, 1, 4, 4), value)
        return Step(number, x, x, 0.0, 0.0, None, 0, 0.0)

    first, second = (Oracle(torch.zeros(1, 1, 4, 4), "denoise") for _ in range(2))
    first(step(1, 0.1))
    second.load_state_dict(first.state_dict())
    second(step(2, 0.5))
    assert (second.step, second.psnr) == (1, pytest.approx(20, abs=1e-3))

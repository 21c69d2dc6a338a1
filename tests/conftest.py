"""What the tests share: a small part of the photograph that ships with the package."""

import pytest
import torch

from hybridprior.data import demo_picture
from hybridprior.imageio import read_picture


@pytest.fixture(scope="session")
def photograph() -> torch.Tensor:
    """The whole picture, (1, 3, 192, 256)."""
    return read_picture(demo_picture()).pixels


@pytest.fixture(scope="session")
def crop(photograph: torch.Tensor) -> torch.Tensor:
    """The otter's head, (1, 3, 64, 64)."""
    return photograph[..., 8:72, 8:72].contiguous()

"""Random streams: a run has one seed, and each purpose an independent stream derived from it.

The streams differ from `torch.Generator().manual_seed(seed)`, with which the noise of test images is often drawn.
If z were drawn from that stream, too, the input of the network would contain the noise of the image. The network would
fit the noise first, and the error on held-out measurements would not show it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["DRAWING", "derive", "drawn", "stream"]

DRAWING = threading.RLock()
"""Lock for drawing weights: torch draws them from the global random state of the process."""


def derive(seed: int, purpose: str) -> int:
    """Return a seed in [0, 2^63) for one purpose of a run.

    Args:
        seed: The run's seed.
        purpose: Name of the purpose, such as "theta" or "z". A changed name changes every result.

    Example:
        >>> from hybridprior._internal.random import derive
        >>> derive(0, "z") == derive(0, "z"), derive(0, "z") == derive(0, "theta")
        (True, False)
    """
    digest = hashlib.sha256(f"hybridprior/{purpose}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a random generator for one purpose of a run.

    Args:
        seed: The run's seed.
        purpose: Name of the purpose.
        device: Device of the generator.

    Example:
        >>> import torch
        >>> from hybridprior._internal.random import stream
        >>> a, b = (torch.rand(1, generator=stream(0, "z")) for _ in range(2))
        >>> bool(a == b)
        True
    """
    return torch.Generator(device).manual_seed(derive(seed, purpose))


@contextmanager
def drawn(seed: int, purpose: str) -> Iterator[None]:
    """Draw the weights of networks that are constructed in the block from a seed, one thread at a time.

    The global random state of the process is restored afterwards.

    Args:
        seed: The run's seed.
        purpose: Name of the purpose.

    Example:
        >>> import torch
        >>> from hybridprior._internal.random import drawn
        >>> with drawn(0, "theta"):
        ...     a = torch.nn.Linear(2, 2)
        >>> with drawn(0, "theta"):
        ...     b = torch.nn.Linear(2, 2)
        >>> torch.equal(a.weight, b.weight)
        True
    """
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, purpose))
        yield

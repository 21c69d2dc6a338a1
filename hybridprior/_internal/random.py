"""Streams of random numbers: one seed for a run, and from it an independent stream for each purpose.

The streams must differ from the plain generator of the same seed. Whoever makes a test image draws its noise from
`torch.Generator().manual_seed(0)`; if z came from that stream too, the network would find the noise written in its
input, fit it before the image, and no held-out measurement would notice.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["DRAWING", "derive", "drawn", "stream"]

DRAWING = threading.RLock()
"""Held while weights are drawn: torch draws them from the process's own stream of random numbers."""


def derive(seed: int, purpose: str) -> int:
    """Return a seed in [0, 2^63) for one purpose of a run.

    Args:
        seed: The run's seed.
        purpose: What is drawn: "theta", "z", "jitter", "held out".
    """
    digest = hashlib.sha256(f"hybridprior/{purpose}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator of random numbers for one purpose of a run.

    Args:
        seed: The run's seed.
        purpose: What is drawn.
        device: Where it is drawn.
    """
    return torch.Generator(device).manual_seed(derive(seed, purpose))


@contextmanager
def drawn(seed: int, purpose: str) -> Iterator[None]:
    """Let the weights of networks that are made in the block be drawn from a seed, one thread at a time.

    The process's own stream of random numbers is left as it was.

    Args:
        seed: The run's seed.
        purpose: What is drawn.
    """
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, purpose))
        yield

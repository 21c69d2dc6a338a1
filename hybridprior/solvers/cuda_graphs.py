"""f_theta and its gradient as CUDA graphs, so that the hundreds of small kernels of a step are launched at once.

A network for one image is small for a GPU: launched kernel by kernel, it waits for the processor most of the time. What
is recorded here is f_theta(z) and its adjoint, with theta and the gradients at fixed addresses; A, E, R,
the noise on z and the optimiser are not recorded. Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

from hybridprior._internal.device import Precision
from hybridprior.generators.base import Generator
from hybridprior.operators.base import Operator

__all__ = ["GraphedGenerator", "Recording", "evaluated", "recordable"]

WARMUP_RUNS = 1
"""Runs before a recording, in which libraries choose their kernels and take their memory."""

RECORDING = threading.Lock()
"""Held while a thread records; others may go on with what they have recorded."""

REFUSED = threading.Event()
"""Set when a recording has failed: what a broken one leaves behind may break the next, so that none is tried again."""

log = logging.getLogger(__name__)

T = TypeVar("T")


def evaluated(generator: Generator, z: torch.Tensor, precision: Precision) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return z -> f_theta(z), float32, in the given arithmetic; as CUDA graphs where that is possible.

    Args:
        generator: f_theta, on its device.
        z: Its input, whose shape every input has.
        precision: The arithmetic, and whether graphs are wanted.
    """
    if precision.graphs and recordable(generator) and not REFUSED.is_set():
        try:
            return GraphedGenerator(generator, z, precision)
        except RuntimeError as error:
            log.warning("f_theta is not recorded as a CUDA graph: %s", error)
            REFUSED.set()
    return functools.partial(_eager, generator, precision)


def recordable(part: Generator | Operator) -> bool:
    """Return whether the class that wrote a part's `forward`, or one made of it, says that it can be recorded."""
    for kind in type(part).__mro__:
        if "capturable" in vars(kind):
            return bool(vars(kind)["capturable"])
        if "forward" in vars(kind):
            return False
    return False


def _eager(generator: Generator, precision: Precision, z: torch.Tensor, *, cached: bool = True) -> torch.Tensor:
    """Return f_theta(z), kernel by kernel; `cached` is whether autocast may remember the weights that it has cast."""
    with torch.autocast(z.device.type, torch.bfloat16, enabled=precision.bf16, cache_enabled=cached):
        x: torch.Tensor = generator(z)
    return x.float()


class Recording(Generic[T]):
    """GPU operations that are recorded once and replayed many times, with outputs at fixed addresses."""

    def __init__(
        self,
        work: Callable[[], T],
        device: torch.device,
        *,
        warmup: Callable[[], object] = lambda: None,
        after: Recording[torch.Tensor] | None = None,
        beside: Recording[torch.Tensor] | None = None,
    ) -> None:
        """Warm up and record.

        Args:
            work: What to do, with tensors that stay where they are.
            device: The GPU.
            warmup: What is done before the recording.
            after: What is always done before; both have one stream and one memory.
            beside: Another one's stream, in which it is recorded, with a memory of its own.

        Raises:
            RuntimeError: Something in the work cannot be recorded.
        """
        here = torch.cuda.current_stream(device)
        # Torch has 32 streams of each priority for everybody, and threads work on those of the usual one.
        other = after or beside
        self.aside: Any = torch.cuda.Stream(device, priority=-1) if other is None else other.aside  # type: ignore[no-untyped-call]
        self.graph = torch.cuda.CUDAGraph()
        pool = None if after is None else after.graph.pool()
        self.aside.wait_stream(here)
        with torch.cuda.stream(self.aside):
            for _ in range(WARMUP_RUNS):
                warmup()
        here.wait_stream(self.aside)
        recording = torch.cuda.graph(self.graph, pool, self.aside, capture_error_mode="thread_local")
        with torch.cuda.stream(here), recording:  # a recording that fails does not go back by itself
            self.made = work()

    def __call__(self) -> T:
        """Replay the graph, and return its output."""
        self.graph.replay()
        return self.made


class GraphedGenerator:
    """f_theta as two graphs: one makes x of z, the other makes theta's gradient of x's.

    Theta may be changed in place only. A backward pass is of the last x, and puts the gradient in place of an earlier
    one.
    """

    def __init__(self, generator: Generator, z: torch.Tensor, precision: Precision) -> None:
        """Warm up and record.

        Args:
            generator: f_theta, on a GPU.
            z: Its input, whose shape every input has.
            precision: The arithmetic.

        Raises:
            RuntimeError: Something in f_theta cannot be recorded.
        """
        # What autocast caches in the warm-up would be missing in the recording.
        self.f = functools.partial(_eager, generator, precision, cached=False)
        self.theta = [p for p in generator.parameters() if p.requires_grad]
        self.z, self.anchor = z.clone(), torch.zeros((), device=z.device, requires_grad=True)
        self.x: torch.Tensor
        self.calls = 0
        with RECORDING:
            self.forward_graph = Recording(self._forward, z.device, warmup=self._warm_up)
            self.gradient = torch.zeros_like(self.forward_graph.made)
            self.backward_graph = Recording(lambda: self._backward(self.gradient), z.device, after=self.forward_graph)
        self.x = self.forward_graph.made

    def _warm_up(self) -> None:
        self._backward(torch.zeros_like(self._forward()))

    def _forward(self) -> torch.Tensor:
        self.x = self.f(self.z)
        return self.x.detach()

    def _backward(self, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return theta's gradients, laid out in memory as theta is, as a fused optimiser requires."""
        found = torch.autograd.grad(self.x, self.theta, gradient, allow_unused=True)
        return tuple(
            g if g is None or g.stride() == p.stride() else torch.empty_like(p).copy_(g)
            for p, g in zip(self.theta, found, strict=True)
        )

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """Return f_theta(z), `(B, C, H, W)`, float32.

        Args:
            z: Like the one of the recording.
        """
        x: torch.Tensor = _Replayed.apply(self.anchor, z, self)
        return x


class _Replayed(torch.autograd.Function):
    """The two graphs, as autograd sees them."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, z: torch.Tensor, graphed: GraphedGenerator) -> torch.Tensor:
        """Copy z in, run, copy x out."""
        graphed.calls += 1
        ctx.graphed, ctx.number = graphed, graphed.calls
        graphed.z.copy_(z)
        return graphed.forward_graph().clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, None]:  # type: ignore[override]
        """Put theta's gradients where the optimiser reads them."""
        graphed = ctx.graphed
        if ctx.number != graphed.calls:
            raise RuntimeError("The network was evaluated again, and only its last image has a gradient.")
        graphed.gradient.copy_(gradient)
        for p, found in zip(graphed.theta, graphed.backward_graph(), strict=True):
            p.grad = found
        return None, None, None

"""Training of the denoiser D(x; sigma): degraded patches of photographs, and a network that restores them.

min over theta of  E |D(x + sigma n; sigma) - x|_1 / sqrt(sigma),  n ~ N(0, 1),  ln sigma ~ N(ln m, s^2)

The noise levels are drawn as by Karras et al. (NeurIPS 2022, table 1). The error left by a good denoiser grows as the
square root of sigma, so that every level counts the same. What is kept is an exponential average of the weights. A
batch depends on the seed and its number alone, so that a run that was broken off goes on as if it had not been.

The last fifth of the steps minimises the logarithm of each patch's squared error instead, on larger patches: Tweedie's
formula asks for the mean of what a noisy image may show, which squares find and absolute values do not.

Beside white noise there are a camera's noise and JPEG (`hybridprior.training.degradations`); the network is then given
a map of the level, and planes that say how the noise is correlated and quantised.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import logging
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior._internal.interrupt import interruptible
from hybridprior._internal.random import drawn, stream
from hybridprior.denoisers.unet import UNet, UNetConfig
from hybridprior.errors import ConfigError, InputError
from hybridprior.io.files import write_atomically
from hybridprior.training.config import TrainConfig
from hybridprior.training.data import Photographs
from hybridprior.training.degradations import PLANES, DegradationConfig, degrade

__all__ = ["Progress", "Trainer", "read_checkpoint"]

log = logging.getLogger(__name__)

SIGMA_LEAST = 0.5 / 255
TINY = 1e-7
"""Squared error below which a patch counts as found."""
PREFETCHED = 8
SKIPS = 20
"""Batches in a row whose loss is no number, after which a training is given up."""

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Clean patches, noisy patches, the noise's level, and the planes that say how it is correlated."""


@dataclass(frozen=True)
class Progress:
    """What a callback sees of a training step."""

    step: int
    """Counted from 1."""
    loss: float
    """Of this batch."""
    seconds: float
    """Spent training, in this call."""


class Trainer:
    """One training: network, average, optimiser and history, from the start or from a checkpoint."""

    def __init__(
        self,
        photographs: Photographs,
        config: TrainConfig | None = None,
        *,
        network: UNetConfig | None = None,
        device: torch.device | str = "cpu",
        precision: Precision | None = None,
        held: Sequence[str] = (),
    ) -> None:
        """Draw the network's first weights.

        Args:
            photographs: What to learn from.
            config: `TrainConfig()` if not given.
            network: The network's size; with conditions where there is other than white noise if not given.
            device: Where to train.
            precision: The arithmetic of the convolutions; fp32 if not given.
            held: The photographs to validate with, for the checkpoint.

        Raises:
            ConfigError: An unknown optimiser, or a number of conditions that the degradations do not have.
        """
        from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

        self.photographs, self.config, self.held = photographs, config or TrainConfig(), tuple(held)
        self.device = torch.device(device)
        self.precision = precision or Precision(False, True, "the default")
        layout = torch.channels_last if self.precision.channels_last else torch.contiguous_format
        network = network or UNetConfig(conditions=PLANES if self.config.camera or self.config.jpeg else 0)
        if network.conditions not in (0, PLANES):
            raise ConfigError(f"A network is given {PLANES} conditions of the noise, or none.")
        with drawn(self.config.seed, "network"):
            self.network = UNet(network).to(self.device).to(memory_format=layout)
        self.mean = copy.deepcopy(self.network).requires_grad_(False)
        try:
            self.optimiser = create_optimizer_v2(
                self.network,
                opt=self.config.optimiser,
                lr=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        except Exception as error:  # some need a library or a GPU, and say so each in its own way
            raise ConfigError(f"timm has no optimiser '{self.config.optimiser}'; take 'muon' or 'adamw'.") from error
        self.step, self.skipped = 0, 0
        self.history: list[dict[str, Any]] = []

    def run(self, until: int | None = None, *, callback: Callable[[Progress], None] | None = None) -> bool:
        """Take steps up to number `until`, or all of them; return False if Ctrl-C ended them early.

        Args:
            until: The last step of this call.
            callback: Sees each step.
        """
        started = time.perf_counter()
        last = min(self.config.steps, until or self.config.steps)
        with contextlib.closing(self._batches(last)) as batches, interruptible() as interrupted:
            for batch in batches:
                loss = self._descend(*(part.to(self.device) for part in batch))
                self.step += 1
                if callback is not None:
                    callback(Progress(self.step, loss, time.perf_counter() - started))
                if interrupted.is_set():
                    break
            return self.step == last and not interrupted.is_set()

    def denoise(self, x: torch.Tensor, sigma: torch.Tensor, planes: torch.Tensor | None = None) -> torch.Tensor:
        """Return what the averaged network makes of noisy images `(B, 3, H, W)`."""
        planes = None if planes is None else planes.to(self.device)
        with torch.no_grad(), self._autocast():
            image: torch.Tensor = self.mean(x.to(self.device), sigma.to(self.device), planes)
        return image

    def _descend(self, clean: torch.Tensor, noisy: torch.Tensor, sigma: torch.Tensor, planes: torch.Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(self.step)
        with self._autocast():
            output = self.network(noisy, sigma, planes)
        if self.config.finishing(self.step):
            loss = ((output - clean).square().mean((1, 2, 3)) + TINY).log().mean()
        else:
            loss = ((output - clean).abs() / sigma.sqrt()).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        slope = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if not math.isfinite(float(loss.detach()) + float(slope)):
            return self._skip()
        self.skipped = 0
        self.optimiser.step()
        decay = min(self.config.average, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for mean, weight in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)
        return float(loss.detach())

    def _skip(self) -> float:
        """Leave the weights as they are after a batch whose loss is no number."""
        self.skipped += 1
        log.warning("step %d: the loss is no number; skipped", self.step + 1)
        if self.skipped > SKIPS:
            raise ConfigError(
                f"The training diverged at step {self.step + 1}; start with a smaller learning rate, or go on from the "
                "last checkpoint with one."
            )
        return math.nan

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision.bf16)

    def _batches(self, last: int) -> Generator[Batch, None, None]:
        """Yield the batches of the steps to come; for a GPU they are drawn ahead of time by other threads."""
        if self.device.type == "cpu":
            yield from (self.batch(step) for step in range(self.step, last))
            return
        with ThreadPoolExecutor(PREFETCHED) as pool:
            drawn = [pool.submit(self.batch, step) for step in range(self.step, min(last, self.step + PREFETCHED))]
            for step in range(self.step, last):
                if step + PREFETCHED < last:
                    drawn.append(pool.submit(self.batch, step + PREFETCHED))
                yield drawn.pop(0).result()

    def batch(self, step: int) -> Batch:
        """Return the clean and noisy patches `(B, 3, H, W)`, level and planes of a step counted from 0."""
        config, rng = self.config, stream(self.config.seed, f"batch {step}")
        large = (max(1, config.batch // 4), 2 * config.patch)
        count, size = large if config.finishing(step) else (config.batch, config.patch)
        kinds = DegradationConfig(
            camera=config.camera, jpeg=config.jpeg, sigma_median=config.sigma_median, sigma_spread=config.sigma_spread
        )

        def draw(number: int, side: int) -> torch.Tensor:
            return self.photographs.patches(number, side, rng, shrink=config.shrink, grey=config.grey)

        sample = degrade(draw, count, size, rng, kinds)
        layout = torch.channels_last if self.precision.channels_last else torch.contiguous_format
        clean, noisy = (part.contiguous(memory_format=layout) for part in (sample.clean, sample.noisy))
        return clean, noisy, sample.level, sample.planes

    def fits(self, network: UNet) -> bool:
        """Return whether the training can start from a network: of the same size, perhaps with fewer conditions."""
        own = self.network.config
        same = dataclasses.replace(network.config, conditions=own.conditions) == own
        return same and network.config.conditions <= own.conditions

    def start_from(self, network: UNet) -> None:
        """Start from the weights of a network that `fits`; conditions that it does not know have no effect at first."""
        weights = dict(network.state_dict())
        missing = self.network.config.conditions - network.config.conditions
        head = weights["head.weight"]
        weights["head.weight"] = torch.cat([head, head.new_zeros(len(head), missing, *head.shape[2:])], 1)
        self.network.load_state_dict(weights)
        self.mean.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the training needs to go on."""
        return {
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "history": self.history,
            "config": dataclasses.asdict(self.config),
            "size": dataclasses.asdict(self.network.config),
            "held": list(self.held),
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: The place cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(self.state_dict(), buffer)
        write_atomically(path, buffer.getvalue())

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; the number of steps and the step size's schedule may be others than before.

        Args:
            state: What `read_checkpoint` returned.

        Raises:
            InputError: It is that of another network or optimiser.
        """
        if state["config"]["optimiser"] != self.config.optimiser:
            raise InputError(f"The checkpoint is of the optimiser '{state['config']['optimiser']}'; name no other.")
        try:
            self.network.load_state_dict(state["network"])
            self.mean.load_state_dict(state["mean"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.history = int(state["step"]), list(state["history"])
            for group in self.optimiser.param_groups:
                group["weight_decay"] = self.config.weight_decay
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"The checkpoint is that of another network ({reason}).") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint: weights, optimiser, history, and under "config" and "size" what they came from.

    Args:
        path: Where `Trainer.save` wrote it.

    Raises:
        InputError: The file is no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler trips over broken files in every way there is
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"'{path}' is no checkpoint ({reason}); start anew in another folder.") from error
    if not isinstance(state, dict) or not {"network", "mean", "optimiser", "step", "config", "size"} <= state.keys():
        raise InputError(f"'{path}' is no checkpoint of a training; start anew in another folder.")
    return state

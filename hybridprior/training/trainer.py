"""Training of the denoiser D(x; sigma) on degraded patches of photographs.

min over theta of  E |D(x + sigma n; sigma) - x|_1 / sqrt(sigma),  n ~ N(0, 1),  ln sigma ~ N(ln m, s^2)

The noise levels are drawn as in Karras et al. (NeurIPS 2022, table 1). The error of a good denoiser is proportional to
the square root of sigma, so that all levels have equal weight. The result is the EMA of the weights. A batch depends
only on the seed and its number, so that a resumed training has the same batches.

The last fifth of the steps minimises the logarithm of the squared error of each patch, on larger patches: Tweedie's
formula needs the conditional mean, which minimises the squared error and not the absolute error.

The other degradations are the noise of a camera and JPEG (`hybridprior.training.degradations`). The network then also
gets a map of the level, and planes for the correlation and quantisation of the noise.
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

__all__ = ["Progress", "Trainer"]

log = logging.getLogger(__name__)

SIGMA_LEAST = 0.5 / 255
TINY = 1e-7
"""Squared error below which the logarithm is constant."""
PREFETCHED = 8
"""Batches that are drawn in advance for a GPU."""
SKIPS = 20
"""Successive batches with a loss that is not finite, after which the training stops with an error."""

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Clean patches, noisy patches, level of the noise, and planes for its correlation and quantisation."""


@dataclass(frozen=True)
class Progress:
    """The argument of the callback."""

    step: int
    """Number of the step, counted from 1."""
    loss: float
    """Loss of the batch."""
    seconds: float
    """Duration of this call of `run` so far."""


class Trainer:
    """A training: network, EMA of its weights, optimiser and history. It can be resumed from a checkpoint."""

    def __init__(
        self,
        photographs: Photographs,
        config: TrainConfig | None = None,
        *,
        network: UNetConfig | None = None,
        device: torch.device | str = "cpu",
        precision: Precision | None = None,
        validation_names: Sequence[str] = (),
    ) -> None:
        """Construct the network and the optimiser.

        Args:
            photographs: The training data.
            config: `TrainConfig()` if not given.
            network: Architecture. By default the network has conditions if there is other noise than white noise.
            device: Device of the training.
            precision: Precision of the convolutions; fp32 if not given.
            validation_names: Names of the validation photographs, which are stored in the checkpoint.

        Raises:
            ConfigError: An unknown optimiser, or a wrong number of conditions.
        """
        from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

        self.photographs, self.config = photographs, config or TrainConfig()
        self.validation_names = tuple(validation_names)
        self.device = torch.device(device)
        self.precision = precision or Precision(False, True, "the default")
        layout = torch.channels_last if self.precision.channels_last else torch.contiguous_format
        network = network or UNetConfig(conditions=PLANES if self.config.camera or self.config.jpeg else 0)
        if network.conditions not in (0, PLANES):
            raise ConfigError(f"A network must have {PLANES} conditions of the noise, or none.")
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
        except Exception as error:  # optimisers that need a library or a GPU raise different errors
            raise ConfigError(f"timm has no optimiser '{self.config.optimiser}'; use 'muon' or 'adamw'.") from error
        self.step, self.skipped = 0, 0
        self.history: list[dict[str, Any]] = []

    def run(self, until: int | None = None, *, callback: Callable[[Progress], None] | None = None) -> bool:
        """Train until step `until` or the last step. Return False if Ctrl-C stopped the training.

        Args:
            until: The last step of this call.
            callback: Called after each step.
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
        """Denoise images `(B, 3, H, W)` with the EMA of the weights."""
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
        decay = min(self.config.ema_decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for mean, weight in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)
        return float(loss.detach())

    def _skip(self) -> float:
        """Skip a batch whose loss is not finite."""
        self.skipped += 1
        log.warning("step %d: the loss is not finite; the batch is skipped", self.step + 1)
        if self.skipped > SKIPS:
            raise ConfigError(
                f"The training diverged at step {self.step + 1}; start again or resume the last checkpoint with a "
                "smaller learning rate."
            )
        return math.nan

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision.bf16)

    def _batches(self, last: int) -> Generator[Batch, None, None]:
        """Yield the batches of the next steps. For a GPU they are drawn in advance by other threads."""
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
        """Return whether the training can start from a network of the same size, with equal or fewer conditions."""
        own = self.network.config
        same = dataclasses.replace(network.config, conditions=own.conditions) == own
        return same and network.config.conditions <= own.conditions

    def start_from(self, network: UNet) -> None:
        """Start from the weights of a network that `fits`. Additional conditions have no effect at first."""
        weights = dict(network.state_dict())
        missing = self.network.config.conditions - network.config.conditions
        head = weights["head.weight"]
        weights["head.weight"] = torch.cat([head, head.new_zeros(len(head), missing, *head.shape[2:])], 1)
        self.network.load_state_dict(weights)
        self.mean.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the training for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "history": self.history,
            "config": dataclasses.asdict(self.config),
            "size": dataclasses.asdict(self.network.config),
            "validation": list(self.validation_names),
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: The file cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(self.state_dict(), buffer)
        write_atomically(path, buffer.getvalue())

    def resume(self, state: Mapping[str, Any]) -> None:
        """Resume a checkpoint. The number of steps and the learning rate may differ from those of the checkpoint.

        Args:
            state: The result of `read_checkpoint`.

        Raises:
            InputError: The checkpoint has another network or optimiser.
        """
        if state["config"]["optimiser"] != self.config.optimiser:
            raise InputError(f"The checkpoint has the optimiser '{state['config']['optimiser']}'; use the same one.")
        try:
            self.network.load_state_dict(state["network"])
            self.mean.load_state_dict(state["mean"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.history = int(state["step"]), list(state["history"])
            for group in self.optimiser.param_groups:
                group["weight_decay"] = self.config.weight_decay
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"The checkpoint is of another network ({reason}); use the same size.") from error

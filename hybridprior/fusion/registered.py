"""The fusion as a solver, by the name "fusion" in `SOLVERS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridprior._internal.device import Precision
from hybridprior._internal.registry import build_config
from hybridprior.config import RestoreConfig
from hybridprior.fusion.config import FusionConfig
from hybridprior.fusion.solver import restore_fused
from hybridprior.problem import Problem
from hybridprior.result import Result
from hybridprior.solvers import SOLVERS, Callback, Components

__all__ = ["FusionSolver"]


@SOLVERS.register("fusion")
class FusionSolver:
    """One restoration by candidates that compete on held-out measurements."""

    Config: type = FusionConfig

    def __init__(
        self,
        problem: Problem,
        components: Components,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
    ) -> None:
        """Take the problem and the components.

        Args:
            problem: What to solve.
            components: The generator, and the denoiser.
            config: The configuration of the network's own run; `config.fusion` has the options of the fusion.
            precision: Arithmetic of the generator.
            started: `time.perf_counter()` when the set-up began; now if not given.

        Raises:
            ConfigError: An unknown option.
        """
        self.problem, self.components, self.config, self.precision = problem, components, config, precision
        self.options = build_config(FusionConfig, config.fusion, part="fusion")
        self.started = started
        self.checkpoint: Mapping[str, Any] | None = None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the checkpoint of an interrupted run.

        Args:
            state: `Result.checkpoint`; `run` raises `ConfigError` where it belongs to another run.
        """
        self.checkpoint = state

    def run(self, callbacks: Sequence[Callback] = ()) -> Result:
        """Return the fused image.

        Args:
            callbacks: Called with the steps of the network's own run.
        """
        return restore_fused(
            self.problem,
            self.components.generator,
            self.config,
            self.options,
            precision=self.precision,
            denoiser=self.components.denoiser,
            identity=self.components.identity,
            callbacks=callbacks,
            checkpoint=self.checkpoint,
            started=self.started,
        )

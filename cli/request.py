"""What was asked of `hprior restore`, checked; the same for every picture of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hybridprior.config import RestoreConfig
from hybridprior.device import choose_device
from hybridprior.generators import GENERATORS
from hybridprior.presets import preset
from hybridprior.regularisers import REGULARISERS
from hybridprior.restoration import AUTO, configure
from hybridprior.stopping import STOPPING_RULES

__all__ = ["Request", "known_parts"]


@dataclass(frozen=True)
class Request:
    """What was asked for, checked; the same for every picture of a batch."""

    task: str
    sigma: float | None
    factor: int
    kernel: str
    mask: Path | None
    mask_keeps: bool
    reg: str | None
    weight: float
    generator: str | None
    preset: str
    steps: int | None
    stop: str | None
    seed: int
    device: str
    dtype: str | None
    reference: Path | None
    format: str
    overwrite: bool
    resume: bool

    @property
    def config(self) -> RestoreConfig:
        """The preset with what was asked for put in its place."""
        return configure(
            preset(self.preset, self.task),
            generator=self.generator,
            regulariser=self.reg,
            weight=self.weight,
            stop=self.stop,
            steps=self.steps,
            seed=self.seed,
            dtype=self.dtype,
        )


def known_parts(choice: Mapping[str, str | None], task: str) -> None:
    """Raise `ConfigError` for a name in the choice that is not known, before any picture is read."""
    preset(str(choice["preset"]), task)
    for kind, registry in (("generator", GENERATORS), ("reg", REGULARISERS), ("stop", STOPPING_RULES)):
        name = choice[kind]
        if name is not None and not (kind == "stop" and name == AUTO):
            registry.find(name)
    choose_device(str(choice["device"]))

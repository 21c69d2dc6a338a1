"""The configuration of the fusion: every number that changes its result, in nested frozen dataclasses.

`RestoreConfig.fusion` has the fields of `FusionConfig` that depart from its defaults; a nested configuration is a
dataclass or a mapping, as in JSON and TOML. The denoiser is that of the regulariser.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridprior._internal.registry import build_config
from hybridprior.errors import ConfigError

__all__ = ["FinetuneConfig", "FusionConfig", "FutilityConfig", "NoiseCheckConfig", "StackingConfig"]


@dataclass(frozen=True)
class NoiseCheckConfig:
    """When the noise level that the user gives is not used to recorrupt the measurements."""

    max_correlation: float = 0.3
    """Correlation of the noise of neighbouring pixels above which no measurements are independent of the others."""
    nominal_ratio: float = 1.5
    """Ratio of the nominal and the estimated noise level from which pixels are held out in place of recorruption."""
    texture_ratio: float = 2.5
    """Ratio of the estimated and the nominal level above which the difference is taken for texture."""
    min_side: int = 48
    """Shortest side of an image, in pixels, whose estimated noise level is compared with the nominal one."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not (self.max_correlation >= 0 and self.min_side >= 0):
            raise ConfigError("fusion.noise: max_correlation and min_side are 0 or more.")
        if not 1 <= self.nominal_ratio <= self.texture_ratio:
            raise ConfigError("fusion.noise: nominal_ratio is 1 or more, and texture_ratio is not below it.")


@dataclass(frozen=True)
class StackingConfig:
    """How the stacking weights are fitted and used."""

    bootstrap_draws: int = 50
    """Bootstrap draws whose solutions are averaged."""
    ridge: float = 1e-6
    """Added to the diagonal of the Gram matrix, relative to its mean, so that equal candidates share their weight."""
    cell_measurements: int = 150
    """Validation measurements that a cell of the map has on average, at least; the channels of a pixel count once."""
    shrinkage: float = 150.0
    """Measurements' worth of the whole image's weights that is added to each cell."""
    min_weight: float = 0.01
    """Largest weight below which a candidate is left out of the fused image."""
    min_refit_weight: float = 0.2
    """Largest weight of the network's image and of what starts from it, together, below which theta is not refitted."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if self.bootstrap_draws < 1 or self.cell_measurements < 1:
            raise ConfigError("fusion.weights: bootstrap_draws and cell_measurements are 1 or more.")
        if not (self.ridge > 0 and self.shrinkage >= 0):
            raise ConfigError("fusion.weights: ridge is positive, and shrinkage 0 or more.")
        if not (0 <= self.min_weight <= 1 and 0 <= self.min_refit_weight <= 1):
            raise ConfigError("fusion.weights: min_weight and min_refit_weight lie in [0, 1].")


@dataclass(frozen=True)
class FinetuneConfig:
    """How the denoiser is fine-tuned on one image."""

    steps: int = 100
    """The most steps on each objective; 0 leaves the denoiser as it is."""
    learning_rate: float = 1e-4
    """Adam's step size."""
    max_parameters: int = 10_000_000
    """Parameters above which a denoiser is not fine-tuned."""
    recorruption: float = 0.5
    """alpha of recorrupted-to-recorrupted training (Pang et al., CVPR 2021)."""
    sigma_min: float = 1 / 255
    """Least noise level of the cross-scale objective, in units of intensity."""
    sigma_max: float = 50 / 255
    """Greatest noise level of the cross-scale objective, in units of intensity."""
    batch_size: int = 4
    """Noise levels in a step of the cross-scale objective."""
    patch_size: int = 256
    """Side of the random patch of a step, in pixels."""
    check_every: int = 20
    """Steps between two validations."""
    patience: int = 2
    """Validations without a lower error after which an objective ends."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if self.steps < 0 or not self.learning_rate > 0:
            raise ConfigError("fusion.finetuning: steps is 0 or more, and learning_rate positive.")
        if min(self.batch_size, self.patch_size, self.check_every, self.patience) < 1:
            raise ConfigError("fusion.finetuning: batch_size, patch_size, check_every and patience are 1 or more.")
        if not (0 < self.sigma_min <= self.sigma_max and self.recorruption > 0):
            raise ConfigError("fusion.finetuning: 0 < sigma_min <= sigma_max, and recorruption is positive.")


@dataclass(frozen=True)
class FutilityConfig:
    """When the network is stopped because it cannot improve the fused image."""

    check_every: int = 50
    """Steps between two checks."""
    window: int = 2
    """Checks over which the fused image has to improve, or the network to come nearer to the denoiser's image."""
    min_steps: int = 200
    """Steps before which no run is stopped: the network starts with a grey image."""
    min_weight: float = 0.2
    """Stacking weight of the network from which it is not stopped."""
    min_gain: float = 1 / 2000
    """Least fall of the fused image's squared error over the window, in units of sigma^2."""
    max_distance_ratio: float = 0.8
    """Ratio of squared distances to the denoiser's image over the window above which the network comes no nearer."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if min(self.check_every, self.window) < 1 or self.min_steps < 0:
            raise ConfigError("fusion.futility: check_every and window are 1 or more, min_steps 0 or more.")
        if not (0 <= self.min_weight <= 1 and self.min_gain >= 0 and self.max_distance_ratio > 0):
            raise ConfigError(
                "fusion.futility: min_weight lies in [0, 1], min_gain is 0 or more, max_distance_ratio is positive."
            )


@dataclass(frozen=True)
class FusionConfig:
    """How the candidates are made and combined.

    Example:
        >>> config = FusionConfig(finetuning={"steps": 20})  # as the options of a JSON or TOML file
        >>> config.finetuning.steps, config.finetuning.learning_rate
        (20, 0.0001)
    """

    stacking: bool = True
    """Whether candidates are combined by stacking weights. If not, plug-and-play alone restores the image."""
    validation_fraction: float = 0.12
    """Share of the information that recorruption leaves for validation."""
    hybrid: float = 0.15
    """Steps of the hybrid, as a share of the network's steps until its best."""
    refit: float = 0.15
    """Steps of the refit on all measurements, as a share of the network's steps until its best."""
    min_refit_steps: int = 20
    """Least number of steps of the hybrid and of a refit."""
    warm_start_sigma: float = 15 / 255
    """First noise level of warm-started plug-and-play, in units of intensity."""
    runs: int = 3
    """Runs of warm-started plug-and-play whose images are averaged, where A is a reduction."""
    penalty_end: float = 0.05
    """Penalty of these runs at their last step (`SplittingConfig`)."""
    average_network_from: int = 6
    """Factor of the reduction from which the network's image is averaged with these runs."""
    mixed: float = 0.5
    """Share of y in the denoiser's input of the warm-started candidate where A = 1; the rest is the network's image."""
    noise: NoiseCheckConfig = NoiseCheckConfig()
    """When the nominal noise level is not used for recorruption."""
    weights: StackingConfig = StackingConfig()
    """The stacking weights."""
    finetuning: FinetuneConfig = FinetuneConfig()
    """The fine-tuned denoiser."""
    futility: FutilityConfig = FutilityConfig()
    """Futility stopping of the network."""

    def __post_init__(self) -> None:
        """Build nested configurations from mappings; raise `ConfigError` for numbers out of their range."""
        for name, kind in NESTED.items():
            value: Any = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, build_config(kind, value, part=f"fusion.{name}"))
            elif not isinstance(value, kind):
                raise ConfigError(f"fusion: {name} is a {kind.__name__} or a mapping of its fields.")
        if not (self.hybrid > 0 and self.refit >= 0 and 0 < self.warm_start_sigma <= 1 and 0 <= self.mixed <= 1):
            raise ConfigError(
                "fusion: hybrid is positive, refit 0 or more; warm_start_sigma lies in (0, 1], mixed in [0, 1]."
            )
        if min(self.runs, self.min_refit_steps, self.average_network_from) < 1 or not self.penalty_end > 0:
            raise ConfigError(
                "fusion: runs, min_refit_steps and average_network_from are 1 or more; penalty_end is positive."
            )
        if not 0 < self.validation_fraction < 1:
            raise ConfigError("fusion: validation_fraction lies in (0, 1).")

    def options(self) -> dict[str, Any]:
        """Return all fields, nested configurations as dictionaries, as in `RestoreConfig.fusion`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, **{name: dataclasses.asdict(fields[name]) for name in NESTED}}


NESTED: dict[str, type[Any]] = {
    "noise": NoiseCheckConfig,
    "weights": StackingConfig,
    "finetuning": FinetuneConfig,
    "futility": FutilityConfig,
}

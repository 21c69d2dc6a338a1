"""The request of `hprior restore`: its checked options, the same for every image of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hybridprior._internal.device import choose_device
from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.fidelities import FIDELITIES, Fidelity, Poisson
from hybridprior.operators.external import load_operator
from hybridprior.operators.kernels import make_psf
from hybridprior.overrides import Overrides
from hybridprior.presets import preset
from hybridprior.resolve import check_parts, configure, without_fusion
from hybridprior.restoration import AUTO
from hybridprior.stopping import STOPPING_RULES
from hybridprior.uncertainty import check_sampled

from ..options import AUTO_TASK

__all__ = ["Request", "check_request"]


@dataclass(frozen=True)
class Request:
    """The checked options, the same for every image of a batch."""

    task: str
    sigma: float | None
    noise: str
    peak: float | None
    white: float | None
    factor: int
    kernel: str
    mask: Path | None
    mask_keeps: bool
    outpaint: int
    blur: str | None
    boundary: str
    bayer: str
    operator: str | None
    reg: str | None
    weight: float | Mapping[str, float] | None
    denoiser: str | None
    denoiser_sigma: tuple[float, float] | None
    solver: str | None
    generator: str | None
    preset: str
    steps: int | None
    stop: str | None
    seed: int
    device: str
    dtype: str | None
    tile: int | None
    reference: Path | None
    uncertainty: bool
    format: str
    overwrite: bool
    resume: bool
    report: bool
    verbose: bool

    @property
    def fidelity(self) -> str | Fidelity | None:
        """The noise model: a name if its level is `sigma` or estimated; None is the operator's own or Gaussian."""
        if self.noise == "gaussian":
            return None
        return self.noise if self.peak is None else Poisson(self.peak)

    @property
    def noisy(self) -> bool:
        """Whether the options state that the measurements are noisy, by sigma or by the noise model."""
        return bool(self.sigma) or self.noise != "gaussian"

    @property
    def config(self) -> RestoreConfig:
        """The preset with the options in it; that of denoising if the task is diagnosed from the image."""
        chosen = preset(self.preset, "denoise" if self.task == AUTO_TASK else self.task)
        named = any(choice is not None for choice in (self.denoiser, self.denoiser_sigma))
        instead = "denoiser" if named else "none"
        return configure(
            without_fusion(chosen, instead) if self.uncertainty and self.reg is None else chosen,
            Overrides(
                generator=self.generator,
                regulariser=self.reg,
                weight=self.weight,
                denoiser=self.denoiser,
                denoiser_sigma=self.denoiser_sigma,
                solver=self.solver,
                stopping=self.stop,
                max_steps=self.steps,
                seed=self.seed,
                precision=self.dtype,
                tile_size=self.tile,
            ),
        )


def check_request(request: Request) -> None:
    """Raise an error for an unknown name, or weights that cannot be loaded, before any image is read."""
    if request.stop not in (None, AUTO):
        STOPPING_RULES.find(str(request.stop))
    FIDELITIES.find(request.noise)
    if request.peak is not None:
        Poisson(request.peak)
    choose_device(request.device)
    if request.blur is not None:
        make_psf(request.blur)
    if request.operator is not None:
        load_operator(request.operator)
    check_parts(request.config)
    if request.uncertainty:
        if request.stop is not None or request.tile:
            raise ConfigError(
                "--uncertainty stops by held-out measurements of the whole image; leave --stop and --tile out."
            )
        check_sampled(request.config)

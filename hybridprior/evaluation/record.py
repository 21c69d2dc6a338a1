"""The record of one run: the JSON that `hprior restore` and an ablation write, and that reports read.

A record is written once and read tolerantly: it may come from an interrupted run or from another version. A value that
is missing or has another type is unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridprior.evaluation.values import inner, number, word
from hybridprior.io.records import finite, read_json, write_json
from hybridprior.result import Result

__all__ = ["Figures", "RunRecord"]


@dataclass(frozen=True)
class Figures:
    """The figures of a run; None if unknown."""

    psnr: float | None = None
    """PSNR of the result in dB."""
    ssim: float | None = None
    """SSIM of the result."""
    oracle_psnr: float | None = None
    """Best PSNR of all steps, in dB."""
    oracle_ssim: float | None = None
    """SSIM at the step with the best PSNR."""
    oracle_step: int | None = None
    """The step with the best PSNR."""
    baseline_psnr: float | None = None
    """PSNR of the operator's initial estimate, in dB."""
    chosen_step: int | None = None
    """The step chosen without ground truth."""
    steps: int | None = None
    """Number of steps."""
    seconds: float | None = None
    """Duration of the run, callbacks excluded."""
    sigma: float | None = None
    """Standard deviation of the noise in units of 0-255."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Figures:
        """Return the figures among the values of a record.

        Args:
            values: The record.
        """
        found: dict[str, Any] = {each.name: number(values.get(each.name)) for each in dataclasses.fields(cls)}
        whole = {name: int(found[name]) for name in INTEGERS if found[name] is not None}
        return cls(**{**found, **whole})

    def to_dict(self) -> dict[str, float]:
        """Return the known figures by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


INTEGERS = ("oracle_step", "chosen_step", "steps")
"""Figures that are whole numbers."""


@dataclass(frozen=True)
class RunRecord:
    """The record of one run.

    Example:
        >>> record = RunRecord("done", "All steps were taken.", Figures(psnr=30.5), details={"image": "house"})
        >>> record.to_dict()["psnr"], RunRecord.from_dict(record.to_dict()) == record
        (30.5, True)
    """

    status: str
    """How the run ended: "done" or "failed" for a cell of an ablation, else the name of a `Status` in lower case."""
    message: str = ""
    """The same as a sentence; the reason of a failure."""
    figures: Figures = field(default_factory=Figures)
    """The figures."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The configuration of the run, as `RestoreConfig.to_dict` returns it."""
    trace: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """"step", "energy", "prior" and "score", a value for each step."""
    oracle_trace: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """"step" and "psnr" in dB."""
    fusion: Mapping[str, Any] = field(default_factory=dict)
    """The stacking weights, as `FusionWeights.to_dict` returns them; "map" names the image of the weights."""
    uncertainty: Mapping[str, Any] = field(default_factory=dict)
    """The uncertainty, as `Uncertainty.to_dict` returns it; "map" names its image, white at "map_white"."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """All other values of the record: what was restored, the request, the seed, the device, the versions."""

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        status: str | None = None,
        figures: Figures | None = None,
        oracle_curve: Sequence[Sequence[float]] = (),
        max_points: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> RunRecord:
        """Return the record of a result.

        Args:
            result: The result.
            status: The status; that of the result if not given.
            figures: Figures that need the ground truth. Step, number of steps, seconds and sigma are added.
            oracle_curve: [step, seconds, PSNR] of the steps that an `Oracle` measured.
            max_points: Approximate maximum number of points of the trace; all steps if not given.
            details: Other values. Seed and precision are added.

        Example:
            >>> import torch
            >>> from hybridprior import restore
            >>> result = restore(torch.rand(1, 1, 16, 16), sigma=0.1, preset="fast", max_steps=2, regulariser="none")
            >>> record = RunRecord.from_result(result)
            >>> record.figures.steps, list(record.trace["step"])
            (2, [1, 2])
        """
        every = max(1, len(result.trace) // max_points) if max_points else 1
        points = [p for n, p in enumerate(result.trace, 1) if n % every == 0 or n == len(result.trace)]
        uncertainty = {} if result.uncertainty is None else result.uncertainty.to_dict()
        return cls(
            status=status or result.status.name.lower(),
            message=result.message,
            figures=dataclasses.replace(
                figures or Figures(),
                chosen_step=result.step,
                steps=len(result.trace),
                seconds=round(result.timings.total, 3),
                sigma=round(result.sigma * 255, 4),
            ),
            config=result.config.to_dict(),
            trace={name: [getattr(point, name) for point in points] for name in ("step", "energy", "prior", "score")},
            oracle_trace=_columns(oracle_curve),
            fusion={} if result.fusion is None else result.fusion.to_dict(),
            uncertainty=uncertainty,
            details={**(details or {}), "seed": result.config.seed, "precision": result.precision},
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """Return the record in a dictionary.

        Args:
            values: The dictionary, as `to_dict` returns it or as it is read from JSON.
        """
        names = {each.name for each in dataclasses.fields(cls)} | {each.name for each in dataclasses.fields(Figures)}
        mappings = ("config", "trace", "oracle_trace", "fusion", "uncertainty")
        return cls(
            status=word(values.get("status")),
            message=word(values.get("message")),
            figures=Figures.from_dict(values),
            **{name: inner(values, name) for name in mappings},
            details={name: value for name, value in values.items() if name not in names - {"details"}},
        )

    @classmethod
    def read(cls, path: Path) -> RunRecord | None:
        """Return the record in a JSON file; None if there is none that can be read.

        Args:
            path: The file.
        """
        values = read_json(path)
        return None if values is None else cls.from_dict(values)

    def write(self, path: Path) -> None:
        """Write the record as JSON.

        Args:
            path: The file; its folder must exist.

        Raises:
            OutputError: The file cannot be written.
        """
        write_json(path, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as one flat dictionary of plain values; infinite values and NaN are None."""
        plain = {
            **self.details,
            "status": self.status,
            "message": self.message,
            **self.figures.to_dict(),
            "config": self.config,
            "trace": self.trace,
            **({"oracle_trace": self.oracle_trace} if self.oracle_trace else {}),
            "fusion": self.fusion or None,
            **({"uncertainty": self.uncertainty} if self.uncertainty else {}),
        }
        return finite(plain)  # type: ignore[no-any-return]

    def word(self, name: str) -> str:
        """Return a text or a number among the details as text; "" if it is unknown.

        Args:
            name: Name of the value.
        """
        return word(self.details.get(name))

    def inner(self, name: str) -> dict[str, Any]:
        """Return an object among the details; an empty one if it is unknown.

        Args:
            name: Name of the object.
        """
        return inner(self.details, name)


def _columns(curve: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    return {"step": [point[0] for point in curve], "psnr": [point[2] for point in curve]} if curve else {}

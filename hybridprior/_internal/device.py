"""Where the arithmetic runs and in which precision.

bf16 autocast with channels_last makes the paper's network about twice as fast as fp32 on processors whose units
multiply bf16 (AVX512-BF16, AMX) and on recent GPUs. That is known by feature and never assumed, and the same on every
start: a measured choice could flip between two runs that should give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError, unknown_name

__all__ = ["Precision", "choose_device", "choose_precision", "free_memory", "synchronise", "with_gradients"]

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Precision:
    """How the generator computes; the image and E are always float32."""

    bf16: bool
    """Whether convolutions run in bfloat16 (autocast)."""
    channels_last: bool
    """Whether images are stored channel by channel within a pixel."""
    reason: str
    """Why, for people."""
    graphs: bool = False
    """Whether f_theta is recorded as CUDA graphs."""

    def __str__(self) -> str:
        """Return the choice and its reason."""
        layout = "channels_last" if self.channels_last else "contiguous"
        kind = f"{'bf16' if self.bf16 else 'fp32'} {layout}{', CUDA graphs' if self.graphs else ''}"
        return f"{kind} ({self.reason})"


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called `name`; "auto" is the first there is of cuda, mps and cpu.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ConfigError: The name is not known, or there is no such device here.
    """
    name = str(name)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    kind, _, index = name.partition(":")
    if kind not in there or (index and not index.isdigit()):
        raise unknown_name("device", name, DEVICES)
    if not there[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise ConfigError(f"There is no device '{name}' here; use --device auto or cpu.")
    return torch.device(name)


def choose_precision(device: torch.device, wanted: str = "auto") -> Precision:
    """Return the precision to use on a device.

    Args:
        device: Where the generator runs.
        wanted: "fp32", "bf16", "auto" for bf16 where the processor has units for it, or "contiguous" for fp32 in the
            layout of the original code, kernel by kernel as there.

    Raises:
        ConfigError: Another word.
    """
    gpu = device.type == "cuda"
    if wanted == "fp32":
        return Precision(False, device.type != "mps", "asked for", gpu)
    if wanted == "contiguous":
        return Precision(False, False, "asked for")
    if wanted == "bf16":
        return Precision(True, device.type != "mps", "asked for", gpu)
    if wanted != "auto":
        raise unknown_name("precision", wanted, ("auto", "fp32", "bf16", "contiguous"))
    if gpu:
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
        return Precision(fast, True, f"the GPU has {'' if fast else 'no '}bf16 matrix units", gpu)
    if device.type == "mps":
        return Precision(False, False, "the default on mps")
    feature = _bf16_feature()
    reason = f"the processor has {feature}" if feature else "the processor has no bf16 unit"
    return Precision(feature is not None, True, reason)


def free_memory(device: torch.device) -> int:
    """Return how many bytes are free on a device.

    Args:
        device: A GPU, or the CPU with its main memory.
    """
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    import psutil

    return int(psutil.virtual_memory().available)


def _bf16_feature() -> str | None:
    """Return the name of the CPU's bf16 unit as torch reports it, if it has one."""
    probes = (("AMX", "_is_amx_tile_supported"), ("AVX512-BF16", "_is_avx512_bf16_supported"))
    for name, probe in probes:
        supported = getattr(torch.cpu, probe, None)
        if supported is not None and supported():
            return name
    return None


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what this thread asked it to, so that the clock tells the truth.

    Args:
        device: Only "cuda" works on while the clock is read.
    """
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


@contextmanager
def with_gradients() -> Iterator[None]:
    """Let gradients be taken, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield

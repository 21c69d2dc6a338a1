"""The device and the precision of the computation.

bf16 autocast with channels_last makes the network of Deep Image Prior about twice as fast as fp32 on processors with
bf16 units (AVX512-BF16, AMX) and on recent GPUs. The choice depends on the features of the device and not on a timing,
so that two runs on one machine give the same bits.
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
    """The precision of the generator. The image and E are always float32."""

    bf16: bool
    """Whether convolutions run in bfloat16 (autocast)."""
    channels_last: bool
    """Whether tensors are in the channels_last memory format."""
    reason: str
    """The reason for the choice, for messages."""
    graphs: bool = False
    """Whether f_theta is captured as CUDA graphs."""

    def __str__(self) -> str:
        """Return the choice and its reason."""
        layout = "channels_last" if self.channels_last else "contiguous"
        kind = f"{'bf16' if self.bf16 else 'fp32'} {layout}{', CUDA graphs' if self.graphs else ''}"
        return f"{kind} ({self.reason})"


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called `name`; "auto" is the first available one of cuda, mps and cpu.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ConfigError: The name is unknown, or the device is not available.

    Example:
        >>> from hybridprior._internal.device import choose_device
        >>> choose_device("cpu")
        device(type='cpu')
    """
    name = str(name)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    kind, _, index = name.partition(":")
    if kind not in there or (index and not index.isdigit()):
        raise unknown_name("device", name, DEVICES)
    if not there[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise ConfigError(f"The device '{name}' is not available; use 'auto' or 'cpu'.")
    return torch.device(name)


def choose_precision(device: torch.device, wanted: str = "auto") -> Precision:
    """Return the precision to use on a device.

    Args:
        device: The device of the generator.
        wanted: "fp32", "bf16", "auto" (bf16 where the device has units for it), or "contiguous" (fp32 in the memory
            format of the original code of Deep Image Prior, without CUDA graphs).

    Raises:
        ConfigError: The name is unknown.

    Example:
        >>> import torch
        >>> from hybridprior._internal.device import choose_precision
        >>> str(choose_precision(torch.device("cpu"), "fp32"))
        'fp32 channels_last (requested)'
    """
    gpu = device.type == "cuda"
    if wanted == "fp32":
        return Precision(False, device.type != "mps", "requested", gpu)
    if wanted == "contiguous":
        return Precision(False, False, "requested")
    if wanted == "bf16":
        return Precision(True, device.type != "mps", "requested", gpu)
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
    """Return the number of free bytes on a device.

    Args:
        device: A GPU, or the CPU for the main memory.
    """
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    import psutil

    return int(psutil.virtual_memory().available)


def _bf16_feature() -> str | None:
    """Return the name of the CPU's bf16 unit as torch reports it, or None."""
    probes = (("AMX", "_is_amx_tile_supported"), ("AVX512-BF16", "_is_avx512_bf16_supported"))
    for name, probe in probes:
        supported = getattr(torch.cpu, probe, None)
        if supported is not None and supported():
            return name
    return None


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished the work of this thread, before a time is measured.

    Args:
        device: Only "cuda" computes asynchronously.
    """
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


@contextmanager
def with_gradients() -> Iterator[None]:
    """Enable gradients in the block, also inside `torch.no_grad` and `torch.inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield

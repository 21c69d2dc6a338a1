"""The kernels compute what the layers do; where there is no GPU they are interpreted."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("triton")

from hybridprior import preset
from hybridprior._internal.random import stream
from hybridprior.generators import build_generator
from hybridprior.generators.cuda import fused

LAST = torch.channels_last
GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
KINDS = [torch.float32, torch.bfloat16]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)  # of the layers


def _drawn(*shape: int, kind: torch.dtype = torch.float32, seed: str = "fused") -> torch.Tensor:
    return torch.randn(shape, generator=stream(len(shape), seed)).to(DEVICE, kind).contiguous(memory_format=LAST)


def _agree(ours: Callable, theirs: Callable, inputs: list[torch.Tensor], layer: nn.Module, kind: torch.dtype) -> None:
    """Compare results and gradients, the latter of `theirs` in fp32."""
    ends, gradient = [], None
    for function, dtype in ((ours, kind), (theirs, torch.float32)):
        layer.zero_grad()
        given = [x.detach().to(dtype, memory_format=torch.preserve_format).requires_grad_() for x in inputs]
        y = function(*given)
        gradient = _drawn(*y.shape, kind=kind, seed="gradient") if gradient is None else gradient
        y.backward(gradient.to(y.dtype))
        ends.append([y.detach(), *(x.grad for x in given), *(p.grad.clone() for p in layer.parameters())])
    for a, b in zip(*ends, strict=True):
        assert a.shape == b.shape
        assert float((a.float() - b).norm() / b.norm()) < (1e-5 if kind == torch.float32 else 1e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "height", "width", "filled", "slope"),
    [
        (4, 12, 20, False, 0.2),
        (36, 16, 24, True, 1.0),
        (16, 33, 7, False, 0.0),
        (132, 4, 6, True, 1.0),
        (1, 40, 90, False, 0.2),
    ],
)
def test_batch_norm_and_leaky_relu(
    channels: int, height: int, width: int, filled: bool, slope: float, kind: torch.dtype
) -> None:
    norm = nn.BatchNorm2d(channels, track_running_stats=False).to(DEVICE)
    nn.init.normal_(norm.weight, 1.0, 0.3), nn.init.normal_(norm.bias)
    wide = -(-channels // 8) * 8 if filled else channels

    def theirs(x: torch.Tensor) -> torch.Tensor:
        return F.pad(F.leaky_relu(norm(x), slope), (0, 0, 0, 0, 0, wide - channels))

    x = 2 * _drawn(1, channels, height, width, kind=kind) + 5  # far from 0, where sums of squares lose their digits
    _agree(lambda x: fused.normalised(x, norm, slope, filled=filled), theirs, [x], norm, kind)


def test_sums_of_far_more_pixels_than_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "PROGRAMS", 3)
    norm = nn.BatchNorm2d(16, track_running_stats=False).to(DEVICE)
    _agree(lambda x: fused.normalised(x, norm), norm, [_drawn(1, 16, 50, 41) + 5], norm, torch.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("few", "many", "height", "width"), [(4, 32, 8, 12), (3, 5, 4, 4), (4, 128, 2, 2), (1, 1, 34, 6)]
)
def test_a_skip_meets_the_coarser_level(few: int, many: int, height: int, width: int, kind: torch.dtype) -> None:
    def theirs(skip: torch.Tensor, deeper: torch.Tensor) -> torch.Tensor:
        return torch.cat([skip, F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=False)], dim=1)

    both = [_drawn(1, few, height, width, kind=kind), _drawn(1, many, height // 2, width // 2, kind=kind)]
    _agree(fused.merged, theirs, both, nn.Identity(), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "few", "biased", "sigmoid"), [(8, 4, False, False), (16, 3, True, True), (128, 1, True, False)]
)
def test_a_convolution_to_few_channels(channels: int, few: int, biased: bool, sigmoid: bool, kind: torch.dtype) -> None:
    conv = nn.Conv2d(channels, few, 1, bias=biased).to(DEVICE)
    _agree(
        lambda x: fused.mixed(x, conv.weight, conv.bias, sigmoid=sigmoid, kind=torch.float32),
        lambda x: conv(x).sigmoid() if sigmoid else conv(x),
        [_drawn(1, channels, 20, 37, kind=kind)],
        conv,
        kind,
    )


def test_an_input_without_a_gradient_gets_none() -> None:
    conv, x = nn.Conv2d(8, 4, 1).to(DEVICE), _drawn(1, 8, 6, 6)
    fused.unbiased(conv, x).sum().backward()
    assert x.grad is None and conv.weight.grad is not None and conv.bias.grad is None


@pytest.mark.parametrize(
    "options", [{}, {"padding": "reflect", "skip": (0, 4)}, {"downsample": "avg"}, {"activation": "relu"}]
)
def test_the_network_is_the_network(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """In fp32, so that nothing hides in rounding."""
    slim = {**preset("fast", "denoise").generator.options, "down": (8, 16), "up": (8, 16), "skip": (4, 4)}
    net = build_generator("skip", 3, {**slim, **options}, seed=1).to(DEVICE, memory_format=LAST)
    z, ends = _drawn(1, 8, 24, 36).abs(), []
    for fits in (False, True):
        monkeypatch.setattr(fused, "fits", lambda x, fits=fits: fits)
        one = copy.deepcopy(net)
        x = one(z)
        (x * _drawn(*x.shape, seed="weight")).sum().backward()
        theta = [p.grad for name, p in one.named_parameters() if not name.endswith("bias")]
        ends.append([x.detach(), one.output.bias.grad, *theta])
    assert one.scales.up[0].bias.grad is None
    # A norm behind a norm has next to no gradient of its own.
    most = max(float(b.norm()) for b in ends[0])
    for a, b in zip(*ends, strict=True):
        assert float((a - b).norm()) < 1e-4 * float(b.norm()) + 1e-6 * most


@pytest.mark.skipif(not GPU, reason="no GPU")
def test_in_bf16_it_is_no_further_from_fp32_than_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build_generator("skip", 3, preset("fast", "denoise").generator.options, seed=1).to(DEVICE, memory_format=LAST)
    z, weight, ends, takes = _drawn(1, 8, 96, 128).abs(), _drawn(1, 3, 96, 128, seed="weight"), [], fused.fits
    for bf16, fits in ((False, takes), (True, lambda x: False), (True, takes)):
        monkeypatch.setattr(fused, "fits", fits)
        one = copy.deepcopy(net)
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            x = one(z)
        (x * weight).sum().backward()
        ends.append((x.detach(), torch.cat([p.grad.flatten() for p in one.parameters() if p.ndim > 1])))
    for exact, layers, ours in zip(*ends, strict=True):
        assert 0 < float((ours - exact).norm()) < 1.2 * float((layers - exact).norm())


def test_only_one_image_on_a_gpu_in_bf16_fits() -> None:
    x = _drawn(1, 4, 8, 8).to(DEVICE)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        assert fused.fits(x) is GPU
        assert not fused.fits(torch.cat([x, x]))
        assert not fused.fits(x.contiguous())
    assert not fused.fits(x)


def test_a_machine_without_a_compiler_does_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **shape: object) -> None:
        raise OSError("no C compiler")

    monkeypatch.setattr(fused, "_launch", refuse)
    assert not fused._compiles.__wrapped__(DEVICE)
    assert "no C compiler" in caplog.text
    monkeypatch.undo()
    assert fused._compiles.__wrapped__(DEVICE)

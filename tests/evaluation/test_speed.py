"""The speed suite's figures: arithmetic counted, time until equal, and the table."""

import dataclasses

import pytest
import torch

from hybridprior._internal.device import Precision
from hybridprior.config import Component, RestoreConfig
from hybridprior.evaluation.bench import Cost, Row, comparison, cost, draw_curves, measured_peak
from hybridprior.evaluation.bench.report import side_by_side
from hybridprior.evaluation.bench.speed import ceiling, step_flops

ROW = Row(
    suite="denoise",
    image="otter",
    size="64x32",
    channels=3,
    seed=0,
    psnr=30.0,
    oracle_psnr=30.2,
    ssim=None,
    baseline_psnr=20.0,
    published=None,
    chosen_step=80,
    oracle_step=60,
    steps=100,
    seconds=50.0,
    status="",
    curve=[[20, 10.0, 25.0], [40, 20.0, 29.8], [60, 30.0, 30.2], [80, 40.0, 30.0]],
)
COST = Cost(flops=2e9, ceiling=1e11, peak=2**20)


def test_a_convolutions_arithmetic_is_counted() -> None:
    """One 3x3 convolution with its weights' gradient is 2 x 2 x 9 x C_in x C_out x H x W, and each layer counts."""
    plain = {"down": (8,), "up": (8,), "skip": (0,), "input_depth": 4, "padding": "zeros", "conv1x1_up": False}
    shape = (1, 3, 64, 32)
    quarter, whole = 32 * 16, 64 * 32
    forward = 2 * (9 * (4 * 8 + 8 * 8) * quarter + 9 * 8 * 8 * whole + 8 * 3 * whole)
    for_z = 2 * 9 * 4 * 8 * quarter
    assert step_flops(RestoreConfig(generator=Component("skip", plain)), shape) == 3 * forward - for_z


def test_equal_is_a_tenth_of_a_decibel_below_the_references_result() -> None:
    fast = dataclasses.replace(ROW, seconds=5.0, curve=[[20, 1.0, 29.95], [40, 2.0, 29.0]], psnr=29.0)
    never = dataclasses.replace(fast, curve=[[20, 1.0, 29.0]])
    rows = {"paper": [ROW], "fast": [fast], "never": [never]}
    table = comparison(rows, {name: [COST] for name in rows}, "paper").markdown()
    paper, quick, none = (next(line for line in table.splitlines() if f"| {name} |" in line) for name in rows)
    assert paper == "| paper | 30.00 | 2.0 | 50 | 1.000 | 30 | 1.000 | 4 | 4 | 1 |"
    assert quick.startswith("| fast | 29.00 | 20.0 | 5 | 0.100 | 1 | 0.033 |")
    assert "| never |  |" in none
    assert draw_curves(rows).startswith(b"\x89PNG")


def test_the_costs_of_a_run_are_measured() -> None:
    with measured_peak(torch.device("cpu")) as peak:
        validation = torch.ones(64 * 2**20 // 4)
        torch.manual_seed(0)
        for _ in range(20):
            validation = validation.sin_()
    assert 50 * 2**20 < peak[0] < 400 * 2**20
    assert ceiling(torch.device("cpu"), Precision(False, True, ""), channels=16, side=32) > 1e7
    assert cost(RestoreConfig(), (1, 3, 32, 32), "cpu", 7.0).peak == pytest.approx(7.0)


def test_ways_stand_side_by_side_over_the_same_images() -> None:
    rows = {
        "one": [dataclasses.replace(ROW, image="a", psnr=20.0), dataclasses.replace(ROW, image="b", psnr=40.0)],
        "other": [dataclasses.replace(ROW, image="a", psnr=21.0)],
    }
    assert side_by_side(rows).markdown().splitlines()[-2] == "| **mean of 1** | 20.00 | 21.00 |"
    assert side_by_side({"one": rows["one"]}).markdown().splitlines()[-2] == "| **mean** | 30.00 |"

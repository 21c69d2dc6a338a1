"""Cells in other processes: the same figures, nothing lost where one is killed, and nothing computed twice."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from processes import workers

from hybridprior.data import demo_image
from hybridprior.errors import ConfigError
from hybridprior.evaluation.ablation import Grid, Row, Table, ablate
from hybridprior.evaluation.ablation.executor import check_executor
from hybridprior.io.files import read_image

GRID = Grid(generators=("decoder",), regularisers=("none",), seeds=(0, 1, 2, 3), preset="fast", steps=40)


@pytest.fixture(scope="module")
def images() -> dict[str, torch.Tensor]:
    """A real image of 20 x 24."""
    return {"eye": read_image(demo_image()).pixels[..., 30:50, 30:54].contiguous()}


@pytest.fixture(scope="module")
def here(images: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Table:
    """What this process makes of the grid."""
    return ablate(images, GRID, output=tmp_path_factory.mktemp("here"), threads=1)


class Killer:
    """A callback that kills a worker when the second cell is there, and keeps what was done till then."""

    def __init__(self, folder: Path, workers) -> None:
        self.folder, self.workers, self.before = folder, workers, {}

    def __call__(self, row: Row | None, done: int, of: int) -> None:
        if done == 2:
            self.before = {path: path.read_bytes() for path in self.folder.glob("cells/*.json")}
            os.kill(self.workers()[0], signal.SIGKILL)


def _whole(table: Table, here: Table, killer: Killer) -> None:
    assert [(row.id, row.status, row.psnr) for row in table] == [(row.id, row.status, row.psnr) for row in here]
    assert len(killer.before) >= 2
    assert all(path.read_bytes() == data for path, data in killer.before.items())
    assert len(list(killer.folder.glob("cells/*.json"))) == len(here)


def test_a_process_that_is_killed_takes_no_cell_with_it(
    images: dict[str, torch.Tensor], here: Table, tmp_path: Path
) -> None:
    killer = Killer(tmp_path, lambda: workers(os.getpid()))
    table = ablate(images, GRID, output=tmp_path, executor="local:2", threads=1, callback=killer)
    _whole(table, here, killer)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_worker_that_is_killed_takes_no_cell_with_it(
    images: dict[str, torch.Tensor], here: Table, tmp_path: Path
) -> None:
    from distributed import Client, LocalCluster

    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(2, **options) as cluster, Client(cluster) as client:
        killer = Killer(tmp_path, lambda: list(client.run(os.getpid).values()))
        scheduler = cluster.scheduler_address.partition("://")[2]
        table = ablate(images, GRID, output=tmp_path, executor=f"dask://{scheduler}", threads=1, callback=killer)
    _whole(table, here, killer)
    assert {json.loads(path.read_text())["threads"] for path in tmp_path.glob("cells/*.json")} == {1}


def test_executors_that_there_are_not(images: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert check_executor("local") == ("local", "1")
    for spec in ("slurm:3", "local:0", "local:x", "dask:", "dask-local:-1"):
        with pytest.raises(ConfigError):
            ablate(images, GRID, output=tmp_path, executor=spec)
    assert not list(tmp_path.iterdir())

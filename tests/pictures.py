"""What the tests of picture files share."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms

from hybridprior.io.files import Picture, write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(path: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        write_picture(folder / name, Picture(torch.rand(1, 3, 16, 16)))
    return folder

"""What the tests of image files share."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms

from hybridprior.io.files import ImageData, write_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(path: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        write_image(folder / name, ImageData(torch.rand(1, 3, 16, 16)))
    return folder

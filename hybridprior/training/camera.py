"""Simulation of a camera: from a clean photograph to the raw mosaic, and back to a noisy photograph.

Sources: Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019 (inverse tone curve, gains, colour
matrices, shot and read noise); Guo et al., "Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019
(CBDNet: noise goes through the camera's processing and JPEG). Demosaicking: bilinear, and the directional
interpolation of Hamilton and Adams, US patent 5,629,734 (1997), which follows edges.

The clean and the noisy mosaic are processed in the same way. The clean result is the limit of the mean of many
exposures and the target of the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

__all__ = ["Camera", "CameraConfig", "demosaic", "mosaic"]

GAMMA = 2.2

XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
"""Colour matrices of four cameras from the metadata of their raw files (Brooks et al. 2019, section 3.4)."""

RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""IEC 61966-2-1 (sRGB)."""


@dataclass(frozen=True)
class CameraConfig:
    """The ranges from which the parameters of a camera are drawn."""

    shot: tuple[float, float] = (5e-5, 3e-2)
    """Variance of the shot noise per unit of raw intensity; log-uniform."""
    read_slope: float = 2.18
    """Slope of the logarithm of the read noise's variance over that of the shot noise (Brooks et al. 2019)."""
    read_offset: float = 1.2
    """Offset of that relation."""
    read_spread: float = 0.5
    """Standard deviation of that relation."""
    red_gain: tuple[float, float] = (1.4, 2.6)
    """White-balance gain of red."""
    blue_gain: tuple[float, float] = (1.3, 2.4)
    """White-balance gain of blue."""
    brightness: tuple[float, float] = (0.8, 0.1)
    """Mean and standard deviation of the inverse of the overall gain."""
    bilinear: float = 0.3
    """Share of batches with bilinear demosaicking; the others are directional."""
    colour: tuple[float, float] = (0.2, 1.0)
    """Share of the camera's colour matrix; the rest is the identity."""
    tone_curve: float = 0.6
    """Share of images with a tone curve."""
    denoised: float = 0.6
    """Share of batches with denoising in the camera."""
    sharpened: float = 0.4
    """Share of batches with sharpening in the camera."""
    resized: float = 0.3
    """Share of batches that are resized."""
    scales: tuple[float, float] = (0.5, 1.25)
    """Factors of the resizing."""


@dataclass(frozen=True)
class CameraDenoising:
    """Denoising in a camera: blur and remaining fraction of the fine noise, for luma and chroma."""

    luma_blur: float
    """Standard deviation of the blur of the luma noise, in pixels."""
    chroma_blur: float
    """Standard deviation of the blur of the chroma noise, in pixels."""
    luma_share: torch.Tensor
    """Fraction of the luma noise without blur, `(B, 1, 1, 1)`."""
    chroma_share: torch.Tensor
    """Fraction of the chroma noise without blur, `(B, 1, 1, 1)`."""

    def __call__(self, noise: torch.Tensor) -> torch.Tensor:
        """Return the residual noise after denoising: fine noise is reduced more than coarse noise.

        Unlike in a real camera, the image itself does not change, as with an ideal denoiser.

        Args:
            noise: `(B, 3, H, W)`.
        """
        luma = noise.mean(1, keepdim=True)
        chroma = noise - luma
        luma = self.luma_share * luma + (1 - self.luma_share) * blur(luma, self.luma_blur)
        return luma + self.chroma_share * chroma + (1 - self.chroma_share) * blur(chroma, self.chroma_blur)


class Camera:
    """A camera with random parameters. Processing steps are chosen for the batch, numbers are drawn for each image."""

    margin = 12
    """Pixels around a patch that demosaicking and filters need."""

    def __init__(self, count: int, rng: torch.Generator, config: CameraConfig | None = None) -> None:
        """Draw the parameters.

        Args:
            count: Number of images.
            rng: Random generator.
            config: The ranges; `CameraConfig()` if not given.
        """
        self.config = config = config or CameraConfig()

        def uniform(low: float, high: float) -> torch.Tensor:
            return low + (high - low) * torch.rand((count, 1, 1, 1), generator=rng)

        mixture = torch.rand((count, len(XYZ_TO_CAMERA)), generator=rng)
        mixture = mixture / mixture.sum(1, keepdim=True)
        to_camera = torch.einsum("nk,kij->nij", mixture, torch.tensor(XYZ_TO_CAMERA)) @ torch.tensor(RGB_TO_XYZ)
        to_camera = to_camera / to_camera.sum(2, keepdim=True)
        self.to_camera = torch.lerp(torch.eye(3), to_camera, uniform(*config.colour)[..., 0])
        self.to_rgb = torch.linalg.inv(self.to_camera)
        normal = torch.randn((count, 1, 1, 1), generator=rng)
        overall = 1 / (config.brightness[0] + config.brightness[1] * normal).clamp_min(0.4)
        red, blue = uniform(*config.red_gain), uniform(*config.blue_gain)
        self.gains = overall * torch.cat([red, torch.ones_like(red), blue], 1)
        self.curved = (torch.rand((count, 1, 1, 1), generator=rng) < config.tone_curve).float()
        low, high = (torch.tensor(value).log() for value in config.shot)
        logarithm = uniform(float(low), float(high))
        self.shot = logarithm.exp()
        spread = torch.randn((count, 1, 1, 1), generator=rng) * config.read_spread
        self.read = (config.read_slope * logarithm + config.read_offset + spread).exp()
        choices = torch.rand(8, generator=rng).tolist()
        self.bilinear = choices[0] < config.bilinear
        blurs, shares = (
            (0.6 + 3.4 * choices[3], 0.8 + 4 * choices[4]),
            (0.8 * uniform(0, 1) ** 3, 0.6 * uniform(0, 1) ** 2),
        )
        self.denoising = CameraDenoising(*blurs, *shares) if choices[1] < config.denoised else None
        self.sharpening = 0.3 + 1.2 * choices[5] if choices[2] < config.sharpened else 0.0
        least, most = config.scales
        self.scale = least + (most - least) * choices[7] if choices[6] < config.resized else 1.0
        self.phase = [int(value * 2) for value in torch.rand(2, generator=rng).tolist()]

    def photograph(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the clean and the noisy photograph of a scene, in the same shape.

        Args:
            x: Clean photographs `(B, 3, H, W)`, intensity in [0, 1].
            rng: Generator of the noise.
        """
        raw = mosaic(self.unprocess(x), self.phase)
        noise = torch.randn(raw.shape, generator=rng) * (self.shot * raw + self.read).sqrt()
        clean, noisy = self.develop(raw), self.develop(raw + noise)
        if self.denoising is not None:
            noisy = clean + self.denoising(noisy - clean)
        return self.finish(clean), self.finish(noisy)

    def unprocess(self, x: torch.Tensor) -> torch.Tensor:
        """Return the linear intensities of the sensor `(B, 3, H, W)`, in the colour space of the camera."""
        toned = 0.5 - ((1 - 2 * x).clamp(-1, 1).asin() / 3).sin()
        linear = (self.curved * toned + (1 - self.curved) * x).clamp_min(1e-8) ** GAMMA
        camera = _matrix(self.to_camera, linear)
        # Highlights keep their value where the gain would darken them (Brooks et al. 2019, section 3.3).
        bright = ((camera.mean(1, keepdim=True) - 0.9).clamp_min(0) / 0.1).square()
        inverse = 1 / self.gains
        return (camera * torch.maximum(bright + (1 - bright) * inverse, inverse)).clamp(0, 1)

    def develop(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the photographs `(B, 3, H, W)` developed from raw mosaics `(B, 1, H, W)`."""
        balanced = raw.clamp(max=1) * _pattern(self.gains, raw.shape[-2:], self.phase)
        camera = demosaic(balanced, self.phase, bilinear=self.bilinear)
        linear = _matrix(self.to_rgb, camera).clamp(1e-8, 1)
        image = linear ** (1 / GAMMA)
        return self.curved * (3 * image**2 - 2 * image**3) + (1 - self.curved) * image

    def finish(self, image: torch.Tensor) -> torch.Tensor:
        """Return photographs after the sharpening and resizing of this camera, clipped to [0, 1]."""
        if self.sharpening:
            image = image + self.sharpening * (image - blur(image, 1.0))
        if self.scale != 1:
            size = [round(side * self.scale) for side in image.shape[-2:]]
            image = F.interpolate(image, size, mode="bicubic", antialias=True)
        return image.clamp(0, 1)


def mosaic(x: torch.Tensor, phase: list[int]) -> torch.Tensor:
    """Return the Bayer mosaic `(B, 1, H, W)` of linear colours `(B, 3, H, W)`.

    Args:
        x: Linear colours.
        phase: Row and column of the first red pixel.

    Example:
        >>> import torch
        >>> from hybridprior.training.camera import mosaic
        >>> colours = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
        >>> mosaic(colours, [0, 0]).flatten().tolist()
        [1.0, 2.0, 2.0, 3.0]
    """
    return (x * _masks(x.shape[-2:], phase)).sum(1, keepdim=True)


def demosaic(raw: torch.Tensor, phase: list[int], *, bilinear: bool) -> torch.Tensor:
    """Return the colours `(B, 3, H, W)` of a Bayer mosaic `(B, 1, H, W)`.

    Args:
        raw: The mosaic, white-balanced.
        phase: Row and column of the first red pixel.
        bilinear: Whether all channels are interpolated linearly. Otherwise green is interpolated along edges.

    Example:
        >>> import torch
        >>> from hybridprior.training.camera import demosaic, mosaic
        >>> grey = torch.full((1, 3, 8, 8), 0.5)
        >>> bool(torch.allclose(demosaic(mosaic(grey, [0, 0]), [0, 0], bilinear=False), grey))
        True
    """
    masks = _masks(raw.shape[-2:], phase)
    known = raw * masks
    cross = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    box = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    if bilinear:
        return _filter(known, torch.stack([box, cross, box])[:, None], groups=3)
    padded = F.pad(raw, (2, 2, 2, 2), mode="reflect")
    middle = padded[..., 2:-2, 2:-2]

    def at(row: int, column: int) -> torch.Tensor:
        height, width = raw.shape[-2:]
        return padded[..., 2 + row : 2 + row + height, 2 + column : 2 + column + width]

    across = (at(0, -1) + at(0, 1)) / 2 + (2 * middle - at(0, -2) - at(0, 2)) / 4
    down = (at(-1, 0) + at(1, 0)) / 2 + (2 * middle - at(-2, 0) - at(2, 0)) / 4
    slope_across = (at(0, -1) - at(0, 1)).abs() + (2 * middle - at(0, -2) - at(0, 2)).abs()
    slope_down = (at(-1, 0) - at(1, 0)).abs() + (2 * middle - at(-2, 0) - at(2, 0)).abs()
    along = torch.where(slope_across < slope_down, across, down)
    along = torch.where(slope_across == slope_down, (across + down) / 2, along)
    green = torch.where(masks[:, 1:2] > 0, raw, along)
    difference = _filter((known - green * masks)[:, ::2], torch.stack([box, box])[:, None], groups=2)
    return torch.cat([green + difference[:, :1], green, green + difference[:, 1:]], 1)


def blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the images after a Gaussian blur.

    Args:
        x: `(B, C, H, W)`.
        sigma: Standard deviation of the Gaussian in pixels.
    """
    reach = max(1, min(round(3 * sigma), min(x.shape[-2:]) - 1))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    line = (line / line.sum()).expand(x.shape[1], 1, -1)
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    across = F.conv2d(padded, line[:, :, None], groups=x.shape[1])
    return F.conv2d(across, line[..., None], groups=x.shape[1])


def _filter(x: torch.Tensor, kernels: torch.Tensor, *, groups: int) -> torch.Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernels, groups=groups)


def _matrix(matrices: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nij,njhw->nihw", matrices, x)


def _masks(sides: torch.Size, phase: list[int]) -> torch.Tensor:
    """Return the masks of the red, green and blue pixels, `(1, 3, H, W)`."""
    rows = (torch.arange(sides[0]) + phase[0]) % 2
    columns = (torch.arange(sides[1]) + phase[1]) % 2
    red = (rows == 0)[:, None] & (columns == 0)[None]
    blue = (rows == 1)[:, None] & (columns == 1)[None]
    return torch.stack([red, ~(red | blue), blue])[None].float()


def _pattern(gains: torch.Tensor, sides: torch.Size, phase: list[int]) -> torch.Tensor:
    return (gains * _masks(sides, phase)).sum(1, keepdim=True)

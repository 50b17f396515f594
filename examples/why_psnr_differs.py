"""One method, one set of images, many scores: what each choice in measuring moves.

    python examples/why_psnr_differs.py                          # on the four sample images, offline
    python examples/why_psnr_differs.py set5 --write docs/faq.md # the table in the documentation

Bicubic ×4 is measured as the protocol ``standard`` does, and then with one choice changed at a time.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from srbench.datasets.local import find_dataset
from srbench.images import as_rgb, crop_to_multiple, imresize, luma, planar, read_image, round_u8
from srbench.markdown import table
from srbench.metrics.psnr import psnr, squared_error
from srbench.metrics.ssim import ssim

SCALE = 4


def matlab(image: Tensor, scale: float) -> Tensor:
    """MATLAB's imresize: antialiased when it downscales."""
    return imresize(image, scale)


def pytorch(image: Tensor, scale: float, antialias: bool = False) -> Tensor:
    """PyTorch's bicubic; without antialiasing it is OpenCV's INTER_CUBIC."""
    resized = F.interpolate(image.double(), scale_factor=scale, mode="bicubic", antialias=antialias)
    return round_u8(resized) if image.dtype == torch.uint8 else resized


def studio_luma(image: Tensor) -> Tensor:
    """Y of BT.601 from 16 to 235, as MATLAB's rgb2ycbcr."""
    return luma(image)


def full_range_luma(image: Tensor) -> Tensor:
    """Y from 0 to 255, as OpenCV and Pillow convert to gray."""
    return (image * torch.tensor([0.299, 0.587, 0.114], dtype=image.dtype).view(1, 3, 1, 1)).sum(1, keepdim=True)


def all_channels(image: Tensor) -> Tensor:
    """R, G and B together."""
    return image


@dataclass(frozen=True)
class Way:
    """One way to measure.

    Attributes:
        down: makes LR from HR.
        up: makes SR from LR.
        channel: what is compared.
        border: cropped pixels on each side.
        rounded: whether SR is rounded to 8 bits.
        pooled: one PSNR of the mean squared error over all images, in place of the mean of the images' PSNR.
    """

    down: Callable[[Tensor, float], Tensor] = matlab
    up: Callable[[Tensor, float], Tensor] = matlab
    channel: Callable[[Tensor], Tensor] = studio_luma
    border: int = SCALE
    rounded: bool = True
    pooled: bool = False

    def scores(self, images: list[Tensor]) -> tuple[float, float]:
        """Mean PSNR in dB and mean SSIM over HR images, uint8 ``(1, 3, H, W)``."""
        errors, decibels, similarities = [], [], []
        for hr in images:
            lr = self.down(hr, 1 / SCALE)
            sr = self.up(lr.double(), SCALE)
            sr = round_u8(sr) if self.rounded else sr.clamp(0, 255)
            pair = [self.channel(x.double())[..., self.border :, self.border :] for x in (sr, hr)]
            inside = [x[..., : x.shape[-2] - self.border, : x.shape[-1] - self.border] for x in pair]
            errors.append(float(squared_error(*inside)))
            decibels.append(float(psnr(*inside)))
            similarities.append(float(ssim(*inside)))
        pooled = 10 * np.log10(255**2 / np.mean(errors))
        return float(pooled if self.pooled else np.mean(decibels)), float(np.mean(similarities))


STANDARD = Way()
WAYS = {
    "`standard`: MATLAB's bicubic, studio-range Y, 8-bit SR, border of 4": STANDARD,
    "full-range Y (OpenCV, Pillow)": replace(STANDARD, channel=full_range_luma),
    "RGB": replace(STANDARD, channel=all_channels),
    "no border cropped": replace(STANDARD, border=0),
    "border of 10 (scale + 6)": replace(STANDARD, border=SCALE + 6),
    "SR not rounded": replace(STANDARD, rounded=False),
    "PSNR of the mean error, not mean of PSNR": replace(STANDARD, pooled=True),
    "LR by bicubic without antialiasing (OpenCV, PyTorch)": replace(STANDARD, down=pytorch),
    "SR by OpenCV's or PyTorch's bicubic": replace(STANDARD, up=pytorch),
    "both by OpenCV's or PyTorch's bicubic": replace(STANDARD, down=pytorch, up=pytorch),
}


def make_table(dataset: str) -> str:
    """The markdown table of a catalogue's dataset or a folder of images."""
    images = [planar(crop_to_multiple(as_rgb(read_image(path)), SCALE)) for path in find_dataset(dataset)]
    found = {name: way.scores(images) for name, way in WAYS.items()}
    (base, similar), rows = next(iter(found.values())), []
    for name, (decibels, similarity) in found.items():
        change = "–" if name.startswith("`") else f"{decibels - base:+.2f}".replace("-", "−")
        other = "–" if name.startswith("`") else f"{similarity - similar:+.4f}".replace("-", "−")
        rows.append([name, f"{decibels:.2f}", change, f"{similarity:.4f}", other])
    return table(["measured with", "PSNR (dB)", "change", "SSIM", "change"], rows, "lrrrr")


def main() -> None:
    """Print the table, or write it between a page's markers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="sample", help="a catalogue name or a folder")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page with the markers why:start and why:end")
    given = parser.parse_args()
    text = make_table(given.dataset)
    if given.write is None:
        print(text, end="")
        return
    page = given.write.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- why:start -->\n).*?(<!-- why:end -->)", re.DOTALL)
    given.write.write_text(marked.sub(lambda found: found[1] + text + found[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()

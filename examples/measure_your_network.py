"""Measure a network of your own, and ask whether it really beats bicubic.

    python examples/measure_your_network.py                     # four sample images, no download
    python examples/measure_your_network.py --dataset set14     # after `srbench data get set14`

Any ``torch.nn.Module`` will do that maps ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale·h, scale·w)``. Padding, tiles, colours and
rounding are done around it.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import srbench

SCALE = 4


class Sharpened(nn.Module):
    """PyTorch's bicubic with an unsharp mask on top: put your own network here."""

    def __init__(self, amount: float = 0.5) -> None:
        super().__init__()
        kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("blur", torch.outer(kernel, kernel).expand(3, 1, 5, 5))
        self.amount = amount

    def forward(self, x: Tensor) -> Tensor:
        up = F.interpolate(x, scale_factor=SCALE, mode="bicubic", align_corners=False)
        blurred = F.conv2d(F.pad(up, (2, 2, 2, 2), mode="replicate"), self.blur, groups=3)
        return up + self.amount * (up - blurred)


def main() -> None:
    """Measure both and print means, the paired difference and the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="sample", help="a catalogue name or a folder of HR images")
    dataset = parser.parse_args().dataset

    ours = srbench.evaluate(Sharpened(), dataset=dataset, scale=SCALE, metrics=["psnr", "ssim"])
    bicubic = srbench.evaluate("bicubic", dataset=dataset, scale=SCALE, metrics=["psnr", "ssim"])
    for metric, digits in (("psnr", 2), ("ssim", 4)):
        found = srbench.compare(ours, bicubic, metric=metric)
        reach = "" if found.interval is None else " [{:+.{d}f}, {:+.{d}f}]".format(*found.interval, d=digits)
        print(
            f"{metric}: {ours.mean(metric):.{digits}f} against bicubic's {bicubic.mean(metric):.{digits}f}, "
            f"{found.difference:+.{digits}f}{reach}, p = {found.p:.2g}"
        )
        for image, a, b in found.images:
            print(f"    {image:<12} {a:.{digits}f}  {a - b:+.{digits}f}")
    print(f"{len(ours.images)} images of {dataset}, protocol {ours.protocol}")


if __name__ == "__main__":
    main()
